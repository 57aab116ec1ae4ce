"""Lanes: what one account writes does not stand in the way of the others."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tertulia.server.domain import callers
from tertulia.server.domain.accounts import CreateAccount
from tertulia.server.domain.callers import Caller
from tertulia.server.domain.conversations import CreateConversation
from tertulia.server.domain.errors import TertuliaError
from tertulia.server.domain.secrets import Secret
from tertulia.server.engine.lanes import Lanes
from tertulia.server.engine.unit import Policy

from .world import BASE_URL, World

AC1, AC2 = callers.account("AC1"), callers.account("AC2")


class Traffic:
    """Work of some accounts, each of which takes a few ticks, and what of it was on its way at the same time."""

    def __init__(self, lanes: Lanes) -> None:
        self.lanes = lanes
        self.done: list[str] = []
        self.most: Counter[str] = Counter()
        self._now: Counter[str] = Counter()

    async def do(self, caller: Caller, ticks: int = 3) -> None:
        await self.lanes.through(caller, self._work(caller, ticks))

    async def _work(self, caller: Caller, ticks: int) -> None:
        name = caller.account_sid
        self._now[name] += 1
        self.most[name] = max(self.most[name], self._now[name])
        for _ in range(ticks):
            await asyncio.sleep(0)
        self._now[name] -= 1
        self.done.append(name)

    def start(self, caller: Caller, count: int) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self.do(caller)) for _ in range(count)]


async def test_so_many_of_an_account_are_on_their_way_and_the_others_start_at_once() -> None:
    traffic = Traffic(Lanes(at_once=4))
    async with asyncio.timeout(5):
        flood = traffic.start(AC1, 200)
        await asyncio.sleep(0)
        await asyncio.gather(*flood, *traffic.start(AC2, 1))
    assert traffic.most == {"AC1": 4, "AC2": 1}
    assert traffic.done.index("AC2") <= 4
    assert traffic.done.count("AC1") == 200


async def test_more_than_may_wait_are_refused_and_may_come_back() -> None:
    traffic = Traffic(Lanes(at_once=2, most_waiting=3))
    async with asyncio.timeout(5):
        ends = await asyncio.gather(*traffic.start(AC1, 8), *traffic.start(AC2, 1), return_exceptions=True)
        refusals = [end for end in ends if isinstance(end, TertuliaError)]
        assert [(end.status, end.code, end.retryable) for end in refusals] == [(429, 20429, True)] * 3
        assert traffic.done.count("AC2") == 1
        await traffic.do(AC1)


async def test_what_the_server_does_by_itself_takes_no_lane() -> None:
    traffic = Traffic(Lanes(at_once=1, most_waiting=1))
    flood = traffic.start(AC1, 2)
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await asyncio.gather(*traffic.start(callers.system("AC1"), 20), *flood)
    assert traffic.done.count("AC1") == 22


async def test_who_gives_up_leaves_the_room_to_the_next() -> None:
    traffic = Traffic(Lanes(at_once=1))
    async with asyncio.timeout(5):
        tasks = traffic.start(AC1, 10)
        await asyncio.sleep(0)
        for task in tasks[1:8]:
            task.cancel()
        await tasks[0]
        tasks[8].cancel()  # it has just been given the room
        await asyncio.gather(*tasks, return_exceptions=True)
        await traffic.do(AC1)
    assert traffic.done == ["AC1"] * 3


async def test_work_that_fails_leaves_as_well() -> None:
    async def broken() -> None:
        await asyncio.sleep(0)
        raise ValueError("broken")

    lanes = Lanes(at_once=1)
    async with asyncio.timeout(5):
        for _ in range(3):
            with pytest.raises(ValueError, match="broken"):
                await lanes.through(AC1, broken())


async def test_who_finds_room_does_not_wait_at_all() -> None:
    """Not even for a tick: alone on the server, nobody notices the lanes."""

    async def at_once() -> str:
        return "done"

    lanes = Lanes()
    with pytest.raises(StopIteration) as end:
        lanes.through(AC1, at_once()).send(None)
    assert end.value.value == "done"


@pytest.mark.parametrize("at_once", [20, 256])
async def test_a_flood_of_commands_delays_another_account_by_those_on_their_way(world: World, at_once: int) -> None:
    """Counted in commands of the flooder's that are answered before the neighbour's."""
    world.engine = world.engine_with(Policy(base_url=BASE_URL), lanes=Lanes(at_once))
    room = await world.conversation()
    wish = CreateAccount(friendly_name="neighbour", auth_token=Secret("p" * 32))
    account = await world.engine.execute(callers.operator(), wish)
    neighbour = callers.account(account.sid)
    answered: list[str] = []

    async def flood() -> None:
        await world.send(room.sid)
        answered.append("flooder")

    async def visit() -> None:
        await world.do(CreateConversation, service=account.default_service_sid, by=neighbour)
        answered.append("neighbour")

    async with asyncio.timeout(60):
        await asyncio.gather(*(flood() for _ in range(1_000)), visit())
    assert answered.count("flooder") == 1_000
    assert answered.index("neighbour") <= 2 * at_once
