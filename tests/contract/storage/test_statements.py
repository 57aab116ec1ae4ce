"""One subset of SQL, the same answers on every driver."""

from __future__ import annotations

import asyncio

import pytest

from tertulia.server.storage.database import Database, StatementFailed, StorageUnavailable

ADD = "INSERT INTO note (number, text) VALUES ($1, $2)"


async def test_parameters_go_where_their_number_says(database: Database) -> None:
    async with database.snapshot() as connection:
        assert await connection.row("SELECT $2, $1, $2", 1, 2) == (2, 1, 2)


async def test_more_than_nine_parameters_keep_apart(database: Database) -> None:
    async with database.snapshot() as connection:
        row = await connection.row("SELECT $11, $1, $10", *range(1, 12))
    assert row == (11, 1, 10)


async def test_a_dollar_in_a_text_or_comment_is_no_parameter(database: Database) -> None:
    async with database.snapshot() as connection:
        row = await connection.row("SELECT '$2 ''$3', $1 /* $4 */ AS \"$5\" -- $6", 1)
    assert row == ("$2 '$3", 1)


async def test_row_locks_may_be_asked_for_anywhere(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(ADD, 1, "for update")
        found = await connection.row("SELECT number FROM note WHERE text = 'for update' FOR UPDATE")
        assert found == (1,)
        changed = await connection.rows(
            "UPDATE note SET text = 'b' WHERE number IN (SELECT number FROM note LIMIT 1 FOR UPDATE SKIP LOCKED)"
            " RETURNING number, text"
        )
        assert changed == [(1, "b")]


async def test_execute_tells_how_many_rows_changed(database: Database) -> None:
    async with database.transaction() as connection:
        assert await connection.execute("INSERT INTO note (number) VALUES (1), (2), (3)") == 3
        assert await connection.execute("UPDATE note SET text = 'x' WHERE number > $1", 1) == 2
        assert await connection.execute("DELETE FROM note WHERE number = 9") == 0


async def test_execute_finishes_a_statement_that_returns_rows(database: Database) -> None:
    async with database.transaction() as connection:
        assert await connection.execute("INSERT INTO note (number) VALUES (1), (2) RETURNING number") == 2
    async with database.snapshot() as connection:
        assert await connection.value("SELECT count(*) FROM note") == 2


async def test_no_row_is_none_and_no_rows_is_an_empty_list(database: Database) -> None:
    async with database.snapshot() as connection:
        assert await connection.row("SELECT number FROM note") is None
        assert await connection.value("SELECT number FROM note") is None
        assert await connection.rows("SELECT number FROM note") == []


async def test_execute_many_is_one_statement_to_the_caller(database: Database) -> None:
    before = database.statements
    async with database.transaction() as connection:
        await connection.execute_many(ADD, ((number, str(number)) for number in range(1000)))
    assert database.statements - before == 1
    async with database.snapshot() as connection:
        assert await connection.value("SELECT count(*) FROM note") == 1000


async def test_only_statements_of_the_caller_are_counted(database: Database) -> None:
    before = database.statements
    async with database.transaction() as connection:
        await connection.execute(ADD, 1, "")
        await connection.value("SELECT count(*) FROM note")
    async with database.snapshot() as connection:
        await connection.rows("SELECT number FROM note")
    assert database.statements - before == 3


@pytest.mark.parametrize("sql", ["SELEKT", "SELECT nothing FROM note", 'SELECT "nothing" FROM note'])
async def test_wrong_sql_is_our_fault(database: Database, sql: str) -> None:
    with pytest.raises(StatementFailed):
        async with database.snapshot() as connection:
            await connection.rows(sql)


@pytest.mark.parametrize("value", [2**63, object(), "\ud800"])
async def test_a_value_no_column_can_hold_is_our_fault(database: Database, value: object) -> None:
    with pytest.raises(StatementFailed):
        async with database.transaction() as connection:
            await connection.execute(ADD, 1, value)


async def test_a_missing_value_is_our_fault(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.script("CREATE TABLE strict_note (text TEXT NOT NULL)")
    with pytest.raises(StatementFailed):
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO strict_note VALUES ($1)", None)


async def test_a_snapshot_sees_one_state_whatever_is_written_meanwhile(database: Database) -> None:
    async with database.snapshot() as view:
        assert await view.value("SELECT count(*) FROM note") == 0
        async with database.transaction() as connection:
            await connection.execute(ADD, 1, "")
        assert await view.value("SELECT count(*) FROM note") == 0
    async with database.snapshot() as view:
        assert await view.value("SELECT count(*) FROM note") == 1


async def test_a_snapshot_does_not_see_what_is_not_committed(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(ADD, 1, "")
        async with database.snapshot() as view:
            assert await view.value("SELECT count(*) FROM note") == 0


async def test_a_snapshot_does_not_write(database: Database) -> None:
    with pytest.raises(StatementFailed):
        async with database.snapshot() as view:
            await view.execute(ADD, 1, "")
    async with database.snapshot() as view:
        assert await view.value("SELECT count(*) FROM note") == 0


async def test_a_snapshot_of_before_is_over_when_left(database: Database) -> None:
    async with database.snapshot() as view:
        pass
    with pytest.raises(StatementFailed):
        await view.value("SELECT 1")


async def test_snapshots_may_be_nested_deeper_than_the_pool(database: Database) -> None:
    async def deeper(levels: int) -> int:
        async with database.snapshot() as view:
            below = await deeper(levels - 1) if levels else 0
            return below + int(await view.value("SELECT 1"))

    assert await deeper(20) == 21


async def test_snapshots_without_end_are_refused_rather_than_waited_for(database: Database) -> None:
    async def forever() -> None:
        async with database.snapshot():
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(forever()) for _ in range(200)]
    await asyncio.sleep(0)
    refused = [task for task in tasks if task.done()]
    assert refused
    assert all(isinstance(task.exception(), StorageUnavailable) for task in refused)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with database.snapshot() as view:
        assert await view.value("SELECT 1") == 1


async def test_an_exception_in_a_snapshot_reaches_the_caller_and_spoils_nothing(database: Database) -> None:
    for _ in range(10):
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 -- the block is the subject
            async with database.snapshot() as view:
                await view.value("SELECT 1")
                raise ZeroDivisionError
    async with database.snapshot() as view:
        assert await view.value("SELECT 1") == 1
