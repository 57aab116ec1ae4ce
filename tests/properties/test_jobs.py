"""Whatever fails and whoever dies: each job is performed, and those of one order in their order."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tertulia.server.domain.jobs import Attempt, Promised
from tertulia.server.jobs.performing import GiveUp, TryAgain
from tertulia.server.jobs.retry import RetryPolicy
from tests.engine.owing import Call, Debtor, debtor

OK, AGAIN, LATER, WRONG, GIVE_UP, DIE_BEFORE, DIE_AFTER = range(7)
FATES = st.sampled_from([OK, OK, OK, AGAIN, LATER, WRONG, GIVE_UP, DIE_BEFORE, DIE_AFTER])
ORDERS = st.sampled_from([None, "A", "B", "C"])
PROMISES = st.lists(st.lists(st.tuples(ORDERS, st.integers(0, 30)), max_size=6), min_size=1, max_size=8)


class Story:
    """Batches of promises, workers that come and go, and what the receiver saw."""

    def __init__(self, owing: Debtor, fates: list[int]) -> None:
        self.owing = owing
        self.fates = fates
        self.order: dict[str, str | None] = {}
        self.heard: list[str] = []
        self.given_up: set[str] = set()
        self.death = asyncio.Event()
        owing.receiver.do = self.perform
        owing.receiver.retry = RetryPolicy(attempts=1000, first_wait_s=1, last_wait_s=20, jitter=0.5)

    async def perform(self, job: Call, attempt: Attempt) -> None:
        await asyncio.sleep(0)
        fate = self.fates.pop() if self.fates else OK
        if fate == AGAIN:
            raise TryAgain("busy", after_s=0)
        if fate == LATER:
            raise TryAgain("busy")
        if fate == WRONG:
            raise ZeroDivisionError
        if fate == GIVE_UP:
            self.given_up.add(job.text)
            raise GiveUp("no")
        if fate != DIE_BEFORE:
            self.heard.append(job.text)
        if fate in (DIE_BEFORE, DIE_AFTER):
            self.death.set()
            await asyncio.Event().wait()

    async def promise(self, batch: list[tuple[str | None, int]]) -> None:
        """Jobs of an order are all due at once: else the first would hold up the others, which is another promise."""
        promised = []
        for order, in_s in batch:
            text = f"{len(self.order):04}"
            self.order[text] = order
            due_at = None if order is not None else self.owing.clock.now() + in_s * 1_000_000
            promised.append(Promised(job=Call(text=text), ordering_key=order, due_at=due_at))
        await self.owing.owe(*promised)

    async def work(self) -> None:
        """All that is due; a worker that dies leaves what it had begun to its successor."""
        before = asyncio.all_tasks()
        self.death.clear()
        working = asyncio.create_task(self.owing.another_worker(concurrency=3, per_receiver=2).run_due())
        dying = asyncio.create_task(self.death.wait())
        await asyncio.wait([working, dying], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
        theirs = asyncio.all_tasks() - before
        for task in theirs:
            task.cancel()
        await asyncio.gather(*theirs, return_exceptions=True)


async def tell(batches: list[list[tuple[str | None, int]]], fates: list[int]) -> None:
    async with debtor() as owing:
        story = Story(owing, list(fates))
        for batch in batches:
            if batch:
                await story.promise(batch)
            await story.work()
            owing.clock.advance(timedelta(seconds=7))
        for _ in range(2 * len(fates) + 5):
            owing.clock.advance(timedelta(seconds=61))
            await story.work()

        left = await owing.entries()
        assert all(entry.state == "dead" for entry in left)
        assert len(left) == len(story.given_up)
        assert story.order.keys() - set(story.heard) <= story.given_up
        for order in ("A", "B", "C"):
            mine = [text for text in story.heard if story.order[text] == order]
            assert all(earlier <= later for earlier, later in pairwise(mine))


@given(PROMISES, st.lists(FATES, max_size=25))
@settings(max_examples=60)
def test_each_job_is_performed_and_each_order_is_kept(
    batches: list[list[tuple[str | None, int]]], fates: list[int]
) -> None:
    asyncio.run(tell(batches, fates))


@pytest.mark.parametrize("fate", [AGAIN, LATER, WRONG, GIVE_UP, DIE_BEFORE, DIE_AFTER])
async def test_one_bad_day_of_the_first_job_does_not_change_the_order(fate: int) -> None:
    await tell([[("A", 0), ("A", 0), ("A", 0)]], [fate])
