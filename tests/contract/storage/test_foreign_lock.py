"""Another process may write to the same SQLite file for a moment: a command beside a server."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import pytest

from tertulia.server.storage.database import StorageUnavailable
from tertulia.server.storage.sqlite import BUSY_MS, SqliteDatabase

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORT_S = BUSY_MS / 1000 / 4


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    opened = SqliteDatabase(tmp_path / "notes.db")
    await opened.open()
    try:
        async with opened.transaction() as connection:
            await connection.script("CREATE TABLE note (number BIGINT PRIMARY KEY)")
        yield opened
    finally:
        await opened.close()


@contextmanager
def locked(file: Path, for_s: float | None) -> Iterator[None]:
    """Somebody else writes for so long; None: as long as the block takes."""
    taken, over = threading.Event(), threading.Event()

    def write() -> None:
        # By the same library: locks of one process are known to it alone.
        other = apsw.Connection(os.fspath(file))
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO note VALUES (1000)")
        taken.set()
        over.wait(for_s)
        other.execute("COMMIT")
        other.close()

    thread = threading.Thread(target=write)
    thread.start()
    assert taken.wait(10)
    try:
        yield
    finally:
        over.set()
        thread.join()


async def add(database: SqliteDatabase, number: int) -> None:
    async with database.transaction() as connection:
        await connection.execute("INSERT INTO note VALUES ($1)", number)


async def test_a_short_foreign_write_only_delays_ours(database: SqliteDatabase, tmp_path: Path) -> None:
    with locked(tmp_path / "notes.db", SHORT_S):
        await asyncio.gather(*(add(database, number) for number in range(20)))
    async with database.snapshot() as connection:
        assert await connection.value("SELECT count(*) FROM note") == 21


async def test_a_long_foreign_write_refuses_ours_and_what_comes_after_it_is_taken(
    database: SqliteDatabase, tmp_path: Path
) -> None:
    with locked(tmp_path / "notes.db", None), pytest.raises(StorageUnavailable):
        await add(database, 1)
    await add(database, 1)
    async with database.snapshot() as connection:
        assert await connection.value("SELECT count(*) FROM note") == 2


async def test_reads_do_not_wait_for_a_foreign_write(database: SqliteDatabase, tmp_path: Path) -> None:
    with locked(tmp_path / "notes.db", None):
        async with database.snapshot() as connection:
            assert await connection.value("SELECT count(*) FROM note") == 0


async def test_a_command_is_patient_with_a_server_that_writes_all_the_time(
    database: SqliteDatabase, tmp_path: Path
) -> None:
    patient = SqliteDatabase(tmp_path / "notes.db", busy_ms=10_000)
    await patient.open()
    try:
        with locked(tmp_path / "notes.db", 2 * BUSY_MS / 1000):
            await add(patient, 1)
    finally:
        await patient.close()
