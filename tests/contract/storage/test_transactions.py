"""A transaction is all or nothing, and who has left one may rely on it."""

from __future__ import annotations

import asyncio

import pytest

from tertulia.server.storage.database import (
    Connection,
    Database,
    StatementFailed,
    StorageUnavailable,
    UniqueViolation,
)

ADD = "INSERT INTO note (number, text) VALUES ($1, $2)"


async def numbers(database: Database) -> list[int]:
    async with database.snapshot() as connection:
        return [number for (number,) in await connection.rows("SELECT number FROM note ORDER BY number")]


async def add(database: Database, number: int) -> None:
    async with database.transaction() as connection:
        await connection.execute(ADD, number, "")


async def test_what_a_left_transaction_wrote_is_seen_by_the_next_snapshot(database: Database) -> None:
    await add(database, 1)
    assert await numbers(database) == [1]


async def test_a_transaction_reads_its_own_writes(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(ADD, 1, "a")
        assert await connection.value("SELECT text FROM note WHERE number = $1", 1) == "a"


async def test_an_exception_undoes_everything_and_reaches_the_caller(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 -- the block is the subject
        async with database.transaction() as connection:
            await connection.execute(ADD, 1, "")
            raise ZeroDivisionError
    assert await numbers(database) == []


async def test_an_exception_undoes_that_transaction_alone(database: Database) -> None:
    async def failing(number: int) -> None:
        async with database.transaction() as connection:
            await connection.execute(ADD, number, "")
            raise ZeroDivisionError

    outcomes = await asyncio.gather(
        *(failing(number) if number % 3 == 0 else add(database, number) for number in range(30)),
        return_exceptions=True,
    )
    assert await numbers(database) == [number for number in range(30) if number % 3]
    assert [number for number in range(30) if isinstance(outcomes[number], ZeroDivisionError)] == list(range(0, 30, 3))


async def test_concurrent_transactions_see_each_other_in_some_order(database: Database) -> None:
    await add(database, 0)

    async def increment() -> None:
        async with database.transaction() as connection:
            number = await connection.value("SELECT number FROM note")
            await asyncio.sleep(0)
            await connection.execute("UPDATE note SET number = $1", number + 1)

    await asyncio.gather(*(increment() for _ in range(50)))
    assert await numbers(database) == [50]


async def test_a_unique_conflict_names_table_and_columns(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.script("CREATE TABLE pair (a TEXT NOT NULL, b TEXT NOT NULL, UNIQUE (a, b))")
        await connection.execute("INSERT INTO pair VALUES ('secret', 'x')")
    with pytest.raises(UniqueViolation) as caught:
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO pair VALUES ($1, $2)", "secret", "x")
    assert caught.value.table == "pair"
    assert caught.value.columns == ("a", "b")
    assert "secret" not in str(caught.value)


async def test_a_conflict_over_an_expression_names_the_index(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.script("CREATE UNIQUE INDEX note_text ON note (lower(text))")
        await connection.execute(ADD, 1, "a")
    with pytest.raises(UniqueViolation) as caught:
        async with database.transaction() as connection:
            await connection.execute(ADD, 2, "A")
    assert caught.value.constraint == "note_text"


async def test_after_a_failed_statement_a_transaction_takes_no_more(database: Database) -> None:
    await add(database, 1)
    with pytest.raises(UniqueViolation):  # noqa: PT012 -- the block is the subject
        async with database.transaction() as connection:
            with pytest.raises(UniqueViolation):
                await connection.execute(ADD, 1, "")
            with pytest.raises(StatementFailed):
                await connection.execute(ADD, 2, "")
    assert await numbers(database) == [1]


async def test_on_conflict_do_nothing_is_no_failure(database: Database) -> None:
    await add(database, 1)
    async with database.transaction() as connection:
        assert await connection.execute(f"{ADD} ON CONFLICT DO NOTHING", 1, "") == 0
        assert await connection.execute(f"{ADD} ON CONFLICT DO NOTHING", 2, "") == 1
    assert await numbers(database) == [1, 2]


async def test_a_connection_is_of_no_use_after_its_transaction(database: Database) -> None:
    async with database.transaction() as connection:
        kept: Connection = connection
    with pytest.raises(StatementFailed):
        await kept.execute(ADD, 1, "")
    assert await numbers(database) == []


async def test_a_transaction_inside_a_transaction_of_the_same_task_is_refused(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(ADD, 1, "")
        with pytest.raises(StatementFailed):
            async with database.transaction():
                pass
    assert await numbers(database) == [1]


async def test_cancelling_inside_undoes_that_transaction_and_lets_others_on(database: Database) -> None:
    inside = asyncio.Event()

    async def hanging() -> None:
        async with database.transaction() as connection:
            await connection.execute(ADD, 1, "")
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hanging())
    await inside.wait()
    other = asyncio.create_task(add(database, 2))
    await asyncio.sleep(0)
    task.cancel()
    await other
    assert task.cancelled()
    assert await numbers(database) == [2]


async def test_cancelling_who_waits_for_a_turn_lets_the_next_one_on(database: Database) -> None:
    release = asyncio.Event()

    async def holding() -> None:
        async with database.transaction() as connection:
            await connection.execute(ADD, 1, "")
            await release.wait()

    first = asyncio.create_task(holding())
    await asyncio.sleep(0)
    second, third = asyncio.create_task(add(database, 2)), asyncio.create_task(add(database, 3))
    await asyncio.sleep(0)
    second.cancel()
    release.set()
    await asyncio.gather(first, third)
    assert await numbers(database) == [1, 3]


async def test_cancelling_who_waits_for_the_commit_leaves_the_others_their_commit(database: Database) -> None:
    tasks = [asyncio.create_task(add(database, number)) for number in range(10)]
    await asyncio.sleep(0)  # each has run and waits for its commit
    tasks[3].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [outcome for outcome in outcomes if outcome is not None] == [outcomes[3]]
    assert set(range(10)) - {3} <= set(await numbers(database))


async def test_those_who_wait_get_their_turn_in_order_of_arrival(database: Database) -> None:
    release = asyncio.Event()
    order: list[int] = []

    async def one(number: int) -> None:
        async with database.transaction() as connection:
            order.append(number)
            await connection.execute(ADD, number, "")
            if number == 0:
                await release.wait()
            elif number % 2:
                await asyncio.sleep(0)

    tasks = [asyncio.create_task(one(number)) for number in range(20)]
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(*tasks)
    assert order == list(range(20))


async def test_a_newcomer_does_not_overtake_who_waits(database: Database) -> None:
    release = asyncio.Event()
    order: list[str] = []

    async def holding() -> None:
        async with database.transaction():
            order.append("first")
            await release.wait()

    async def waiting(name: str) -> None:
        async with database.transaction():
            order.append(name)

    async def coming() -> None:
        await release.wait()
        await waiting("newcomer")

    tasks = [asyncio.create_task(task) for task in (holding(), waiting("waiting"), coming())]
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(*tasks)
    assert order == ["first", "waiting", "newcomer"]


async def test_closing_keeps_what_was_left_and_turns_away_who_waits(database: Database) -> None:
    inside, release = asyncio.Event(), asyncio.Event()

    async def holding() -> None:
        async with database.transaction() as connection:
            await connection.execute(ADD, 2, "")
            inside.set()
            await release.wait()

    left = asyncio.create_task(add(database, 1))
    held = asyncio.create_task(holding())
    await inside.wait()
    waiting = [asyncio.create_task(add(database, number)) for number in (3, 4)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(left, held, closing)
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(outcome, StorageUnavailable)


async def test_a_closed_database_is_unavailable(database: Database) -> None:
    await database.close()
    with pytest.raises(StorageUnavailable):
        await add(database, 1)
    with pytest.raises(StorageUnavailable):
        await numbers(database)


async def test_closing_twice_is_closing(database: Database) -> None:
    await database.close()
    await database.close()
