"""The drivers every promise of storage is checked on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tertulia.server.storage.database import Database
from tertulia.server.storage.sqlite import SqliteDatabase


@pytest.fixture(params=["sqlite-file", "sqlite-memory"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An open database with one table, ``note(number, text)``, whose number is unique."""
    opened = SqliteDatabase(tmp_path / "notes.db" if request.param == "sqlite-file" else None)
    await opened.open()
    try:
        async with opened.transaction() as connection:
            await connection.script("CREATE TABLE note (number BIGINT PRIMARY KEY, text TEXT)")
        yield opened
    finally:
        await opened.close()
