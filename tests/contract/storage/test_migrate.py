"""A database reaches the present schema from wherever it was, once, and never goes back."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tertulia.server.clock import ManualClock
from tertulia.server.storage.database import Database, DatabaseTooNew, StorageError
from tertulia.server.storage.migrate import Migration, MigrationsDisagree, load, migrate, plan

FIRST = Migration(1, "first", "CREATE TABLE a (x TEXT);\n-- a comment; with a semicolon\nINSERT INTO a VALUES ('1;2');")
SECOND = Migration(2, "second", "ALTER TABLE a ADD COLUMN y TEXT;")
SECOND_ALONE = Migration(2, "alone", "CREATE TABLE c (x TEXT)")
THIRD = Migration(3, "third", "CREATE TABLE b (x TEXT); CREATE TABLE b (x TEXT);")


async def tables(database: Database) -> set[str]:
    async with database.snapshot() as connection:
        return {name for (name,) in await connection.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")}


async def test_pending_migrations_are_applied_in_order(database: Database) -> None:
    assert await plan(database, [FIRST, SECOND]) == [FIRST, SECOND]
    assert await migrate(database, [FIRST, SECOND]) == [FIRST, SECOND]
    async with database.snapshot() as connection:
        assert await connection.rows("SELECT x, y FROM a") == [("1;2", None)]


async def test_what_is_applied_is_not_applied_again(database: Database) -> None:
    await migrate(database, [FIRST])
    assert await migrate(database, [FIRST, SECOND]) == [SECOND]
    assert await plan(database, [FIRST, SECOND]) == []
    assert await migrate(database, [FIRST, SECOND]) == []


async def test_a_plan_changes_nothing(database: Database) -> None:
    before = await tables(database)
    await plan(database, [FIRST])
    assert await tables(database) == before


async def test_the_history_tells_when(database: Database) -> None:
    clock = ManualClock()
    await migrate(database, [FIRST], clock=clock)
    async with database.snapshot() as connection:
        assert await connection.rows("SELECT number, name, applied_at FROM schema_migration") == [
            (1, "first", clock.now())
        ]


async def test_a_migration_that_fails_leaves_nothing_of_itself(database: Database) -> None:
    with pytest.raises(StorageError):
        await migrate(database, [FIRST, THIRD])
    assert "a" in await tables(database)
    assert "b" not in await tables(database)
    assert await plan(database, [FIRST, THIRD]) == [THIRD]


async def test_a_changed_file_is_an_error(database: Database) -> None:
    await migrate(database, [FIRST])
    changed = Migration(1, "first", FIRST.text + " ")
    with pytest.raises(MigrationsDisagree, match="0001_first"):
        await migrate(database, [changed, SECOND])


async def test_a_missing_file_is_an_error(database: Database) -> None:
    await migrate(database, [FIRST, SECOND])
    with pytest.raises(MigrationsDisagree, match="0001_first"):
        await plan(database, [SECOND])


async def test_a_file_before_an_applied_one_is_an_error(database: Database) -> None:
    await migrate(database, [SECOND_ALONE])
    with pytest.raises(MigrationsDisagree, match="0001_first"):
        await plan(database, [FIRST, SECOND_ALONE])


async def test_a_database_of_a_newer_release_is_refused(database: Database) -> None:
    await migrate(database, [FIRST, SECOND])
    with pytest.raises(DatabaseTooNew) as caught:
        await migrate(database, [FIRST])
    assert (caught.value.found, caught.value.known) == (2, 1)


async def test_of_several_at_once_one_applies_and_all_succeed(database: Database) -> None:
    done = await asyncio.gather(*(migrate(database, [FIRST, SECOND]) for _ in range(5)))
    assert sorted(str(migration) for applied in done for migration in applied) == ["0001_first", "0002_second"]


PROCESS = """
import asyncio, pathlib, sys
from tertulia.server.storage.migrate import load, migrate
from tertulia.server.storage.sqlite import SqliteDatabase

async def main():
    database = SqliteDatabase(pathlib.Path(sys.argv[1]))
    await database.open()
    sys.stdin.readline()
    print(*await migrate(database, load(pathlib.Path(sys.argv[2]))))
    await database.close()

asyncio.run(main())
"""


async def test_of_several_processes_one_applies_and_all_succeed(tmp_path: Path) -> None:
    for migration in (FIRST, SECOND):
        (tmp_path / f"{migration}.sql").write_text(migration.text)
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROCESS, str(tmp_path / "x.db"), str(tmp_path)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(3)
    ]
    printed = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(b" ".join(out for out, _ in printed).split()) == [b"0001_first", b"0002_second"]


def test_a_dialect_takes_its_own_blocks_and_what_is_common() -> None:
    migration = Migration(
        1,
        "mixed",
        "CREATE TABLE a (x TEXT)\n-- only: sqlite\nWITHOUT ROWID\n-- end\n;\n"
        "-- only: postgres\nP;\n-- only: sqlite\nS;\n-- end\nBOTH;\n",
    )
    assert " ".join(migration.script("sqlite").split()) == "CREATE TABLE a (x TEXT) WITHOUT ROWID ; S; BOTH;"
    assert " ".join(migration.script("postgres").split()) == "CREATE TABLE a (x TEXT) ; P; BOTH;"


@pytest.mark.parametrize("text", ["-- only: sqlite\nS;", "-- only: oracle\nS;\n-- end"])
def test_markers_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(MigrationsDisagree):
        Migration(1, "wrong", text).script("sqlite")


def test_files_are_read_by_number(tmp_path: Path) -> None:
    (tmp_path / "0002_b.sql").write_text("B")
    (tmp_path / "0001_a.sql").write_bytes(b"A\r\nA")
    (tmp_path / "README.md").write_text("")
    assert load(tmp_path) == [Migration(1, "a", "A\nA"), Migration(2, "b", "B")]


def test_two_files_with_one_number_are_refused(tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_text("A")
    (tmp_path / "0001_b.sql").write_text("B")
    with pytest.raises(MigrationsDisagree):
        load(tmp_path)


async def test_our_own_migrations_apply_to_an_empty_database(database: Database) -> None:
    applied = await migrate(database)
    assert [migration.number for migration in applied] == list(range(1, len(applied) + 1))
    assert await migrate(database) == []
