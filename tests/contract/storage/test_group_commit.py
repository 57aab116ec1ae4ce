"""Transactions that wait share a commit. Counts are asserted, never seconds."""

from __future__ import annotations

import asyncio

import pytest

from tertulia.server.storage.database import Database, StorageUnavailable

ADD = "INSERT INTO note (number, text) VALUES ($1, $2)"


async def add(database: Database, number: int, pause: bool = False) -> None:
    async with database.transaction() as connection:
        await connection.execute(ADD, number, "")
        if pause:
            await asyncio.sleep(0)


async def count(database: Database) -> int:
    async with database.snapshot() as connection:
        return int(await connection.value("SELECT count(*) FROM note"))


async def test_a_hundred_at_once_are_one_commit(database: Database) -> None:
    before = database.commits
    await asyncio.gather(*(add(database, number) for number in range(100)))
    assert await count(database) == 100
    assert database.commits - before == 1


async def test_those_who_come_during_a_commit_are_the_next_one(database: Database) -> None:
    before = database.commits
    first = [asyncio.create_task(add(database, number)) for number in range(10)]
    await asyncio.sleep(0)  # all have left
    await asyncio.sleep(0)  # the commit has started
    second = [asyncio.create_task(add(database, number)) for number in range(10, 100)]
    await asyncio.gather(*first, *second)
    assert database.commits - before == 2


async def test_one_after_the_other_each_has_its_own_commit(database: Database) -> None:
    before = database.commits
    for number in range(10):
        await add(database, number)
    assert database.commits - before == 10


async def test_a_batch_is_bounded(database: Database) -> None:
    before = database.commits
    await asyncio.gather(*(add(database, number) for number in range(1000)))
    assert await count(database) == 1000
    assert 4 <= database.commits - before <= 6


async def test_handlers_that_suspend_are_served_one_by_one(database: Database) -> None:
    await asyncio.gather(*(add(database, number, pause=True) for number in range(100)))
    assert await count(database) == 100


async def test_many_workers_need_few_commits(database: Database) -> None:
    async def worker(number: int) -> None:
        for turn in range(20):
            await add(database, number * 100 + turn)

    before = database.commits
    await asyncio.gather(*(worker(number) for number in range(50)))
    assert await count(database) == 1000
    assert database.commits - before <= 40


async def test_failed_transactions_alone_need_no_commit(database: Database) -> None:
    async def failing(number: int) -> None:
        async with database.transaction() as connection:
            await connection.execute(ADD, number, "")
            raise ZeroDivisionError

    before = database.commits
    await asyncio.gather(*(failing(number) for number in range(10)), return_exceptions=True)
    assert database.commits == before


async def test_who_fails_does_not_wait_for_the_commit(database: Database) -> None:
    async def failing() -> None:
        async with database.transaction():
            raise ZeroDivisionError

    before = database.commits
    other = asyncio.create_task(add(database, 1))
    task = asyncio.create_task(failing())
    await asyncio.sleep(0)
    assert isinstance(task.exception(), ZeroDivisionError)
    assert database.commits == before
    await other


async def test_when_everything_was_rolled_back_all_of_the_batch_know(database: Database) -> None:
    """A trigger may tell SQLite to give up the transaction as a whole, as a full disk does."""
    async with database.transaction() as connection:
        await connection.script(
            "CREATE TRIGGER nine BEFORE INSERT ON note WHEN new.number = 9 BEGIN SELECT RAISE(ROLLBACK, 'nine'); END"
        )
    outcomes = await asyncio.gather(*(add(database, number) for number in range(20)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes[:10]] == [StorageUnavailable] * 10
    assert outcomes[10:] == [None] * 10
    assert await count(database) == 10


async def test_who_goes_on_after_everything_was_rolled_back_writes_nothing(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.script(
            "CREATE TRIGGER nine BEFORE INSERT ON note WHEN new.number = 9 BEGIN SELECT RAISE(ROLLBACK, 'nine'); END"
        )
    with pytest.raises(StorageUnavailable):  # noqa: PT012 -- the block is the subject
        async with database.transaction() as connection:
            with pytest.raises(StorageUnavailable):
                await connection.execute(ADD, 9, "")
            with pytest.raises(StorageUnavailable):
                await connection.execute(ADD, 10, "")
    assert await count(database) == 0
