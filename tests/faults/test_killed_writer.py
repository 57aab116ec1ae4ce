"""A process that is killed has kept what it acknowledged."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tertulia.server.storage.sqlite import SqliteDatabase

pytestmark = pytest.mark.faults

WRITER = """
import asyncio, itertools, pathlib, sys
from tertulia.server.storage.sqlite import SqliteDatabase

async def main():
    database = SqliteDatabase(pathlib.Path(sys.argv[1]))
    await database.open()
    async with database.transaction() as connection:
        await connection.script("CREATE TABLE IF NOT EXISTS note (number BIGINT, half BIGINT)")
    numbers = itertools.count(int(sys.argv[2]))

    async def worker():
        for number in numbers:
            async with database.transaction() as connection:
                await connection.execute("INSERT INTO note VALUES ($1, 1)", number)
                if number % 3 == 0:
                    await asyncio.sleep(0)
                await connection.execute("INSERT INTO note VALUES ($1, 2)", number)
            print(number, flush=True)

    await asyncio.gather(*(worker() for _ in range(20)))

asyncio.run(main())
"""


async def test_every_acknowledged_transaction_is_there_after_kill_9(tmp_path: Path) -> None:
    file = tmp_path / "notes.db"
    for start, wanted in ((0, 1), (1_000_000, 300), (2_000_000, 1500)):
        writer = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, str(file), str(start), stdout=asyncio.subprocess.PIPE
        )
        assert writer.stdout is not None
        acknowledged = [int(await writer.stdout.readline()) for _ in range(wanted)]
        writer.kill()
        # Whatever it still managed to say, without the line it was cut in.
        *lines, _ = (await writer.stdout.read()).split(b"\n")
        acknowledged += map(int, lines)
        await writer.wait()

        database = SqliteDatabase(file)
        await database.open()
        async with database.snapshot() as view:
            rows = await view.rows(
                "SELECT number, count(*) FROM note WHERE number >= $1 GROUP BY number ORDER BY number", start
            )
            assert await view.value("PRAGMA integrity_check") == "ok"
        await database.close()
        assert set(acknowledged) <= {number for number, _ in rows}
        assert {halves for _, halves in rows} == {2}
