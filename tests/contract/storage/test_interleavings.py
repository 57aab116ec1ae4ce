"""Whatever comes together, the database holds what was acknowledged, and nothing that failed."""

from __future__ import annotations

import asyncio
from enum import Enum, auto

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tertulia.server.storage.database import UniqueViolation
from tertulia.server.storage.sqlite import SqliteDatabase

ADD = "INSERT INTO note (number, owner) VALUES ($1, $2)"


class End(Enum):
    COMMITS = auto()
    FAILS = auto()
    CONFLICTS = auto()


class Plan(msgspec.Struct, frozen=True):
    """What one task does: wait, enter, write with pauses, and end."""

    wait: int
    pauses: tuple[int, ...]
    end: End
    cancelled_after: int | None


class Outcome(Enum):
    ACKNOWLEDGED = auto()
    FAILED = auto()
    IN_DOUBT = auto()
    """Cancelled after it had left: whole or not at all."""


plans = st.builds(
    Plan,
    wait=st.integers(0, 6),
    pauses=st.lists(st.integers(0, 2), min_size=1, max_size=3).map(tuple),
    end=st.sampled_from(End),
    cancelled_after=st.none() | st.integers(0, 12),
)


async def pause(ticks: int) -> None:
    for _ in range(ticks):
        await asyncio.sleep(0)


async def perform(database: SqliteDatabase, owner: int, plan: Plan) -> Outcome:
    left = False
    try:
        await pause(plan.wait)
        async with database.transaction() as connection:
            for at, ticks in enumerate(plan.pauses):
                await connection.execute(ADD, owner * 10 + at, owner)
                await pause(ticks)
            if plan.end is End.FAILS:
                raise ZeroDivisionError
            if plan.end is End.CONFLICTS:
                await connection.execute(ADD, owner * 10, owner)
            left = True
    except (ZeroDivisionError, UniqueViolation):
        return Outcome.FAILED
    except asyncio.CancelledError:
        return Outcome.IN_DOUBT if left else Outcome.FAILED
    return Outcome.ACKNOWLEDGED


async def cancel_after(ticks: int, task: asyncio.Task[Outcome]) -> None:
    await pause(ticks)
    task.cancel()


async def perform_all(tasks: list[Plan]) -> None:
    database = SqliteDatabase(None)
    await database.open()
    try:
        async with database.transaction() as connection:
            await connection.script("CREATE TABLE note (number BIGINT PRIMARY KEY, owner BIGINT NOT NULL)")
        running = [asyncio.create_task(perform(database, owner, plan)) for owner, plan in enumerate(tasks)]
        await asyncio.gather(
            *(
                cancel_after(plan.cancelled_after, task)
                for plan, task in zip(tasks, running, strict=True)
                if plan.cancelled_after is not None
            )
        )
        ended = await asyncio.gather(*running, return_exceptions=True)
        # Commits are in order: after this one nothing of the above is under way.
        async with database.transaction() as connection:
            rows = await connection.rows("SELECT owner, count(*) FROM note GROUP BY owner")
    finally:
        await database.close()
    found: dict[int, int] = dict(rows)
    for owner, (plan, outcome) in enumerate(zip(tasks, ended, strict=True)):
        written, all_of_it = found.get(owner, 0), len(plan.pauses)
        if outcome is Outcome.ACKNOWLEDGED:
            assert written == all_of_it
        elif outcome is Outcome.IN_DOUBT:
            assert written in (0, all_of_it)
        else:
            assert outcome is Outcome.FAILED or isinstance(outcome, asyncio.CancelledError)
            assert written == 0


@settings(max_examples=200, deadline=None)
@given(st.lists(plans, min_size=1, max_size=25))
def test_the_database_holds_exactly_what_was_acknowledged(tasks: list[Plan]) -> None:
    asyncio.run(perform_all(tasks))
