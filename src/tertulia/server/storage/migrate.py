"""Brings a database to the present schema: numbered SQL files, applied in order, forward only.

A file is ``NNNN_name.sql`` with any number of statements. Lines for one dialect alone stand between two markers::

    -- only: postgres
    CREATE INDEX ... ;
    -- only: sqlite
    CREATE INDEX ... ;
    -- end

Each file is one transaction, together with its row in ``schema_migration``. That row is inserted first and its number
is unique, so of several processes that start at once one applies a file and the others wait and pass on. The row keeps
a checksum: a file that has been applied is never edited, the next step is a new file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import pairwise

import msgspec

from tertulia.server.clock import Clock, SystemClock

from .database import Database, DatabaseTooNew, StorageError

_FILE = re.compile(r"(?P<number>\d{4})_(?P<name>\w+)\.sql")
_MARKER = re.compile(r"\s*--\s*(?:only:\s*(?P<dialect>\w+)|(?P<end>end))\s*")
_DIALECTS = frozenset({"sqlite", "postgres"})

_HISTORY = """
CREATE TABLE IF NOT EXISTS schema_migration (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_at BIGINT NOT NULL
)
"""
_HAS_HISTORY = {
    "sqlite": "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migration'",
    "postgres": "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'schema_migration'",
}
_CLAIM = """
INSERT INTO schema_migration (number, name, checksum, applied_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
"""


class MigrationsDisagree(StorageError):
    """The files and what the database says was applied cannot both be right."""


class Migration(msgspec.Struct, frozen=True):
    """One step of the schema."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def script(self, dialect: str) -> str:
        """The statements for this dialect. Raises ``MigrationsDisagree`` when the markers make no sense."""
        kept: list[str] = []
        only: str | None = None
        for line in self.text.splitlines():
            if (marker := _MARKER.fullmatch(line)) is None:
                if only in (None, dialect):
                    kept.append(line)
                continue
            only = marker["dialect"]
            if only is not None and only not in _DIALECTS:
                raise MigrationsDisagree(f"{self}: no dialect is called {only!r}")
        if only is not None:
            raise MigrationsDisagree(f"{self}: the block 'only: {only}' has no '-- end'")
        return "\n".join(kept)

    def __str__(self) -> str:
        return f"{self.number:04}_{self.name}"


def load(folder: Traversable | None = None) -> list[Migration]:
    """The migrations in a folder, ours unless given, in order. Other files in it do not matter."""
    folder = folder or files(__package__) / "migrations"
    found = []
    for file in folder.iterdir():
        if named := _FILE.fullmatch(file.name):
            # One checksum wherever the file was checked out.
            text = file.read_bytes().decode().replace("\r\n", "\n")
            found.append(Migration(int(named["number"]), named["name"], text))
    found.sort(key=lambda migration: migration.number)
    for earlier, later in pairwise(found):
        if earlier.number == later.number:
            raise MigrationsDisagree(f"two files have one number: {earlier} and {later}")
    return found


async def plan(database: Database, migrations: Sequence[Migration] | None = None) -> list[Migration]:
    """What ``migrate`` would apply now; nothing is changed.

    Raises ``DatabaseTooNew`` when a newer release has been here, ``MigrationsDisagree`` when an applied file was
    changed, is missing, or a file was added before one that is applied.
    """
    migrations = load() if migrations is None else migrations
    applied = await _applied(database)
    known = {migration.number: migration for migration in migrations}
    last = max(applied, default=0)
    if last > max(known, default=0):
        raise DatabaseTooNew(last, max(known, default=0))
    for number, (name, checksum) in applied.items():
        if number not in known:
            raise MigrationsDisagree(f"{number:04}_{name} is applied, and its file is missing")
        if known[number].checksum != checksum:
            raise MigrationsDisagree(f"{known[number]} was changed after it was applied: write a new file instead")
    pending = [migration for migration in migrations if migration.number not in applied]
    if pending and pending[0].number < last:
        raise MigrationsDisagree(f"{pending[0]} comes before {last:04}, which is applied: give it a later number")
    return pending


async def migrate(
    database: Database, migrations: Sequence[Migration] | None = None, *, clock: Clock | None = None
) -> list[Migration]:
    """What was applied; the schema is the present one. Raises what ``plan`` raises.

    A file that fails leaves nothing of itself behind; those before it stay.
    """
    pending = await plan(database, migrations)
    if not pending:
        return []
    clock = clock or SystemClock()
    async with database.transaction() as connection:
        await connection.script(_HISTORY)
    done = []
    for migration in pending:
        script = migration.script(database.dialect)
        row = (migration.number, migration.name, migration.checksum, clock.now())
        async with database.transaction() as connection:
            if await connection.execute(_CLAIM, *row):
                await connection.script(script)
                done.append(migration)
    return done


async def _applied(database: Database) -> dict[int, tuple[str, str]]:
    async with database.snapshot() as connection:
        if not await connection.value(_HAS_HISTORY[database.dialect]):
            return {}
        rows = await connection.rows("SELECT number, name, checksum FROM schema_migration ORDER BY number")
    return {number: (name, checksum) for number, name, checksum in rows}
