"""Who wants much waits for itself: turns go round among those who want one."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

import pytest

from tertulia.server.web.turns import Turns

PER_TICK = 4


class Crowd:
    """Takes turns under names, and notes who had one and when."""

    def __init__(self) -> None:
        self.turns = Turns(PER_TICK)
        self.had: list[Hashable] = []
        self.tasks: list[asyncio.Task[None]] = []

    def want(self, key: Hashable, count: int = 1, account: str = "AC") -> None:
        self.tasks += [asyncio.create_task(self._take(account, key)) for _ in range(count)]

    async def _take(self, account: str, key: Hashable) -> None:
        await self.turns.take(account, key)
        self.had.append(key)

    async def all_had(self) -> None:
        async with asyncio.timeout(5):
            await asyncio.gather(*self.tasks)


async def test_who_wants_one_turn_does_not_wait_for_one_who_wants_hundreds() -> None:
    crowd = Crowd()
    crowd.want("greedy", 400)
    await asyncio.sleep(0)
    crowd.want("modest")
    crowd.want("humble")
    await crowd.all_had()
    assert {"modest", "humble"} <= set(crowd.had[: 3 * PER_TICK])


async def test_all_who_wait_are_served_round_robin_and_each_in_its_order() -> None:
    crowd = Crowd()
    crowd.want("first", PER_TICK)
    for key in "abc":
        crowd.want(key, 3)
    await crowd.all_had()
    assert crowd.had == ["first"] * PER_TICK + list("abcabcabc")


async def test_a_tick_takes_on_no_more_than_it_may() -> None:
    crowd = Crowd()
    crowd.want("a", 50)
    crowd.want("b", 50)
    steps, before = [], 0
    while len(crowd.had) < 100:
        await asyncio.sleep(0)
        steps.append(len(crowd.had) - before)
        before = len(crowd.had)
    assert max(steps) <= PER_TICK


async def test_who_comes_late_does_not_overtake_its_own() -> None:
    """Subscriptions of a connection are taken in the order they came."""
    turns = Turns(1)
    had: list[int] = []

    async def take(number: int) -> None:
        await turns.take("AC", "a")
        had.append(number)

    tasks = []
    for number in range(40):
        tasks.append(asyncio.create_task(take(number)))
        if number % 3 == 0:
            await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert had == list(range(40))


async def test_it_is_known_who_waits_and_nobody_is_remembered_who_does_not() -> None:
    crowd = Crowd()
    crowd.want("a", PER_TICK + 1)
    await asyncio.sleep(0)
    assert (crowd.turns.is_wanted_by("AC", "a"), crowd.turns.is_wanted_by("AC", "b")) == (True, False)
    await crowd.all_had()
    await asyncio.sleep(0)
    assert not crowd.turns.is_wanted_by("AC", "a")


async def test_who_gave_up_costs_nobody_a_turn() -> None:
    crowd = Crowd()
    crowd.want("a", PER_TICK)
    crowd.want("gone", 50)
    crowd.want("b", 2)
    await asyncio.sleep(0)
    for task in crowd.tasks[PER_TICK:-2]:
        task.cancel()
    await asyncio.gather(*crowd.tasks, return_exceptions=True)
    assert crowd.had == ["a"] * PER_TICK + ["b"] * 2
    await asyncio.sleep(0)
    assert not crowd.turns.is_wanted_by("AC", "gone")


async def test_an_account_with_hundreds_of_users_waits_for_its_own() -> None:
    crowd = Crowd()
    for number in range(400):
        crowd.want(("flooder", number), account="AC1")
    await asyncio.sleep(0)
    crowd.want("modest", account="AC2")
    crowd.want("humble", account="AC3")
    await crowd.all_had()
    assert {"modest", "humble"} <= set(crowd.had[: 3 * PER_TICK])


async def test_accounts_are_served_round_robin_and_in_each_of_them_its_users() -> None:
    crowd = Crowd()
    crowd.want("first", PER_TICK)
    for key in "ab":
        crowd.want(key, 2, account="AC1")
    crowd.want("c", 3, account="AC2")
    await crowd.all_had()
    assert crowd.had[PER_TICK:] == list("acbcacb")


async def test_only_so_many_of_an_account_may_wait_where_there_is_a_bound() -> None:
    turns = Turns(1, most_waiting=2)
    tasks = [asyncio.create_task(turns.take("AC1", "key")) for _ in range(5)]
    tasks.append(asyncio.create_task(turns.take("AC2", "key")))
    async with asyncio.timeout(5):
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [getattr(end, "code", None) for end in ends] == [None, None, None, 20429, 20429, None]


async def test_who_finds_room_does_not_wait_at_all() -> None:
    """Not even for a tick: alone on the server, nobody notices the turns."""
    turns = Turns(PER_TICK)
    with pytest.raises(StopIteration):
        turns.take("AC", "key").send(None)
