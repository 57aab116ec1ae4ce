"""Places that are waited for: in the order of coming, within bounds, and none is lost."""

from __future__ import annotations

import asyncio

from tertulia.server.callbacks.queues import Queues
from tertulia.server.domain.room import Room


class Visitors:
    """Who has come in, in the order of that; each stays until he is let out."""

    def __init__(self, queues: Queues) -> None:
        self._queues = queues
        self.inside: list[str] = []
        self.refused: list[str] = []
        self._leave: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, *names: str, whose: str = "a") -> None:
        for name in names:
            self._leave[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._visit(name, whose))
        await asyncio.sleep(0.001)

    async def _visit(self, name: str, whose: str) -> None:
        async with self._queues.place_for(whose) as is_free:
            if not is_free:
                self.refused.append(name)
                return
            self.inside.append(name)
            await self._leave[name].wait()

    async def leave(self, *names: str) -> None:
        for name in names:
            self._leave[name].set()
        await asyncio.wait([self.tasks[name] for name in names])
        await asyncio.sleep(0.001)


async def test_who_comes_first_goes_first() -> None:
    visitors = Visitors(Queues(2, 10, 60))
    await visitors.come("1", "2", "3", "4")
    await visitors.come("other", whose="b")
    assert visitors.inside == ["1", "2", "other"]
    await visitors.leave("2")
    await visitors.come("5")
    assert visitors.inside == ["1", "2", "other", "3"]
    await visitors.leave("1", "3")
    assert visitors.inside == ["1", "2", "other", "3", "4", "5"]
    await visitors.leave("4", "5", "other")


async def test_no_more_wait_than_may() -> None:
    queues = Queues(1, 2, 60)
    visitors = Visitors(queues)
    await visitors.come("1", "2", "3", "4")
    assert (visitors.refused, queues.waiting) == (["4"], 2)
    await visitors.leave("1", "2", "3")
    assert (visitors.inside, queues.waiting) == (["1", "2", "3"], 0)


async def test_nobody_waits_longer_than_he_may_and_his_place_in_the_line_is_gone() -> None:
    queues = Queues(1, 2, 0.01)
    visitors = Visitors(queues)
    await visitors.come("1", "2")
    await visitors.tasks["2"]
    assert (visitors.refused, queues.waiting) == (["2"], 0)
    await visitors.leave("1")
    await visitors.come("3")
    assert visitors.inside == ["1", "3"]
    await visitors.leave("3")


async def test_who_is_called_and_has_gone_passes_his_place_on() -> None:
    visitors = Visitors(Queues(1, 10, 60))
    await visitors.come("1", "2", "3")
    visitors._leave["1"].set()
    await asyncio.wait([visitors.tasks["1"]])
    visitors.tasks["2"].cancel()  # he has been called in the same moment, or is in already
    await asyncio.wait([visitors.tasks["2"]])
    await asyncio.sleep(0.001)
    assert visitors.inside[-1] == "3"
    await visitors.leave("3")


def test_a_share_is_given_back() -> None:
    room = Room(100, 10)
    with room.share() as one, room.share() as other:
        assert one.holds(10) and one.holds(90)
        assert other.holds(10) and other.holds(30)
        assert not other.holds(31)
        one.let_go()
        assert other.holds(110) and not one.holds(11) and one.holds(10)
    with room.share() as one:
        assert one.holds(110) and not one.holds(111)
