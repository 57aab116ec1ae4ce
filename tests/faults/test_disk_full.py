"""A disk that takes no more: nothing is half written, nobody is told a lie, and it goes on when there is room again."""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tertulia.server.storage.database import Database, StorageUnavailable
from tertulia.server.storage.sqlite import SqliteDatabase

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does"),
]

ADD = "INSERT INTO note (number, text) VALUES ($1, $2)"
KIB = 1024


@contextmanager
def no_file_over(size: int) -> Iterator[None]:
    """Writes past this size fail, as on a full disk (Python ignores the signal that comes with it)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = SqliteDatabase(tmp_path / "notes.db")
    await opened.open()
    try:
        async with opened.transaction() as connection:
            await connection.script("CREATE TABLE note (number BIGINT PRIMARY KEY, text TEXT)")
        yield opened
    finally:
        await opened.close()


async def add(database: Database, number: int, size: int = 100) -> None:
    async with database.transaction() as connection:
        await connection.execute(ADD, number, "x" * size)


async def numbers(database: Database) -> list[int]:
    async with database.snapshot() as connection:
        return [number for (number,) in await connection.rows("SELECT number FROM note ORDER BY number")]


def log_size(folder: Path) -> int:
    return (folder / "notes.db-wal").stat().st_size


async def test_everyone_whose_commit_failed_is_told_and_left_nothing(database: Database, tmp_path: Path) -> None:
    await add(database, 0)
    with no_file_over(log_size(tmp_path) + 16 * KIB):
        outcomes = await asyncio.gather(
            *(add(database, number, 4 * KIB) for number in range(1, 21)), return_exceptions=True
        )
    assert [type(outcome) for outcome in outcomes] == [StorageUnavailable] * 20
    assert await numbers(database) == [0]


async def test_it_goes_on_when_there_is_room_again(database: Database, tmp_path: Path) -> None:
    with no_file_over(log_size(tmp_path)):
        for _ in range(3):
            with pytest.raises(StorageUnavailable):
                await add(database, 1)
        assert await numbers(database) == []  # reading is not disturbed
    await asyncio.gather(*(add(database, number) for number in range(10)))
    assert await numbers(database) == list(range(10))


async def test_a_transaction_too_big_for_the_disk_takes_its_batch_with_it(database: Database, tmp_path: Path) -> None:
    """More than the page cache holds, so a statement meets the full disk, before the commit does."""

    async def add_much() -> None:
        async with database.transaction() as connection:
            for number in range(100, 200):
                await connection.execute(ADD, number, "x" * 512 * KIB)

    with no_file_over(log_size(tmp_path) + 256 * KIB):
        outcomes = await asyncio.gather(add(database, 1), add_much(), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StorageUnavailable] * 2
    assert await numbers(database) == []
    await add(database, 2)
    assert await numbers(database) == [2]


async def test_acknowledged_and_only_those_while_room_comes_and_goes(database: Database, tmp_path: Path) -> None:
    acknowledged: list[int] = []
    refused: list[int] = []

    async def worker(first: int) -> None:
        for number in range(first, first + 40):
            try:
                await add(database, number, KIB)
            except StorageUnavailable:
                refused.append(number)
            else:
                acknowledged.append(number)

    workers = [asyncio.create_task(worker(first)) for first in range(0, 1000, 100)]
    for _ in range(8):
        with no_file_over(log_size(tmp_path) + 8 * KIB):
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.002)
    await asyncio.gather(*workers)
    assert await numbers(database) == sorted(acknowledged)
    assert len(acknowledged) + len(refused) == 400
    await database.close()
    again = SqliteDatabase(tmp_path / "notes.db")
    await again.open()
    assert await numbers(again) == sorted(acknowledged)
    await again.close()


async def test_a_limit_of_the_database_itself_is_a_full_disk_too(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.script("PRAGMA max_page_count = 20")
    with pytest.raises(StorageUnavailable):
        await add(database, 1, 200 * KIB)
    await add(database, 2)
    assert await numbers(database) == [2]


async def test_a_file_that_is_no_database_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_bytes(b"something else entirely, " * 100)
    with pytest.raises(StorageUnavailable):
        await SqliteDatabase(tmp_path / "notes.db").open()


async def test_a_folder_that_is_missing_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable):
        await SqliteDatabase(tmp_path / "missing" / "notes.db").open()


async def test_a_writer_elsewhere_is_waited_for_a_moment_only(database: Database, tmp_path: Path) -> None:
    program = (
        "import apsw, sys; c = apsw.Connection(sys.argv[1]); c.execute('BEGIN IMMEDIATE');"
        "print('locked', flush=True); sys.stdin.readline()"
    )
    other = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, str(tmp_path / "notes.db")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert other.stdout is not None
    assert await other.stdout.readline() == b"locked\n"
    with pytest.raises(StorageUnavailable):
        await add(database, 1)
    await other.communicate(b"\n")
    await add(database, 2)
    assert await numbers(database) == [2]
