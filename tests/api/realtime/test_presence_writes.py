"""Comings and goings of one user are written in their order, whatever the database does (semantics 6.3)."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Container, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from tertulia.server.domain.services import ConfigureService
from tertulia.server.engine.unit import Policy
from tertulia.server.realtime.deadlines import Deadlines
from tertulia.server.realtime.presence import GRACE_S, WRITES_AT_ONCE, Presence
from tertulia.server.storage.database import Connection, StorageUnavailable
from tertulia.wire.steps import Ending
from tests.engine.world import BASE_URL, World

from .following import Gate, HesitantDatabase


class UnsteadyDatabase(HesitantDatabase):
    """The database of the world, whose transactions fail or wait as they are told."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.is_down = False
        self.gate_of_writers: Gate | None = None
        self.tried = 0
        self.inside = 0
        self.most_inside = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        self.tried += 1
        if self.is_down:
            raise StorageUnavailable("the disk is on fire")
        self.inside += 1
        self.most_inside = max(self.inside, self.most_inside)
        try:
            gate = self.gate_of_writers
            if gate is not None:
                gate.reached.set()
                await gate.opened.wait()
            async with super().transaction() as connection:
                yield connection
        finally:
            self.inside -= 1


class Connections:
    """Who has how many connections; what the hub is to presence."""

    def __init__(self) -> None:
        self.open: dict[tuple[str, str], int] = {}

    def has(self, service_sid: str, identity: str) -> bool:
        return self.open.get((service_sid, identity), 0) > 0

    def users_of(self, services: Container[str]) -> list[tuple[str, str]]:
        return [key for key, count in self.open.items() if count and key[0] in services]


class Node:
    """Presence on a database that may do its worst, with a clock that stands still."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.database = UnsteadyDatabase(world)
        self.connections = Connections()
        self.deadlines = Deadlines(world.clock)
        self.tasks: set[asyncio.Task[None]] = set()
        unsteady = copy.copy(world)
        unsteady.database = self.database  # type: ignore[assignment]  # it is the same, with moods
        engine = unsteady.engine_with(Policy(base_url=BASE_URL))
        self.presence = Presence(
            self.database, engine, world.bus, world.clock, self.connections, self.deadlines, self.spawn
        )

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def come(self, identity: str = "ana", endpoint: str = "phone") -> None:
        key = (self.world.service, identity)
        self.connections.open[key] = self.connections.open.get(key, 0) + 1
        self.presence.came(*key, endpoint)

    def go(self, identity: str = "ana", endpoint: str = "phone", ending: Ending = Ending.LEFT) -> None:
        key = (self.world.service, identity)
        self.connections.open[key] -= 1
        self.presence.went(*key, endpoint, ending)

    async def settle(self) -> None:
        async with asyncio.timeout(10):
            while self.tasks:
                await asyncio.gather(*self.tasks)
                await asyncio.sleep(0)

    def pass_time(self, seconds: float) -> None:
        self.world.clock.advance(timedelta(seconds=seconds))
        self.deadlines.sweep()

    async def online(self, identity: str = "ana") -> bool | None:
        return (await self.world.queries.user(self.world.service, identity)).is_online

    @property
    def remembers(self) -> int:
        return len(self.presence._users)


@pytest.fixture
async def node(world: World) -> Node:
    await world.connect("ana")
    await world.do(ConfigureService, reachability_enabled=True)
    node = Node(world)
    await node.presence.start()
    return node


async def test_what_cannot_be_written_is_written_later(node: Node) -> None:
    node.database.is_down = True
    node.come()
    await node.settle()
    tried = node.database.tried
    node.come()
    node.go()
    await node.settle()
    assert node.database.tried == tried, "news are no reason to try sooner"
    node.database.is_down = False
    node.pass_time(2)
    await node.settle()
    assert await node.online() is True


async def test_a_database_in_trouble_is_asked_ever_less_often(node: Node) -> None:
    node.database.is_down = True
    node.come()
    for _ in range(600):
        node.pass_time(1)
        await node.settle()
    assert 10 < node.database.tried < 40
    node.database.is_down = False
    for _ in range(40):
        node.pass_time(1)
        await node.settle()
    assert await node.online() is True


async def test_who_has_come_and_gone_while_nothing_could_be_written_is_forgotten(node: Node) -> None:
    node.database.is_down = True
    node.come()
    await node.settle()
    node.go()
    node.pass_time(60)
    await node.settle()
    assert node.remembers == 0


async def test_who_leaves_while_his_coming_is_written_ends_offline(node: Node) -> None:
    gate = node.database.gate_of_writers = Gate()
    node.come()
    await gate.reached.wait()
    node.go()
    node.come()
    node.go()
    gate.opened.set()
    await node.settle()
    assert await node.online() is False
    assert await node.world.count("presences") == 0
    assert node.remembers == 0


async def test_who_comes_back_while_his_leaving_is_written_ends_online(node: Node) -> None:
    node.come()
    await node.settle()
    gate = node.database.gate_of_writers = Gate()
    node.go()
    await gate.reached.wait()
    node.come()
    gate.opened.set()
    await node.settle()
    assert await node.online() is True


async def test_one_user_is_written_once_at_a_time_and_many_a_few_at_a_time(node: Node) -> None:
    for n in range(100):
        await node.world.connect(f"user-{n}")
    for n in range(100):
        node.come(f"user-{n}")
    await node.settle()
    assert await node.world.count("presences") == 100
    assert node.database.most_inside <= WRITES_AT_ONCE
    node.database.most_inside = 0
    for _ in range(50):
        node.come()
        await asyncio.sleep(0)
        node.go()
        await asyncio.sleep(0)
    await node.settle()
    assert node.database.most_inside == 1
    assert await node.online() is not True


async def test_many_lost_connections_of_one_user_are_bounded_in_what_is_remembered(node: Node) -> None:
    for n in range(1000):
        node.come(endpoint=f"endpoint-{n}")
        node.go(endpoint=f"endpoint-{n}", ending=Ending.LOST)
    (user,) = node.presence._users.values()
    assert len(user.lost) < 100
    await node.settle()
    assert await node.online() is True
    node.pass_time(GRACE_S + 1)
    await node.settle()
    assert await node.online() is False
    assert node.remembers == 0


async def test_a_node_that_could_not_read_which_services_there_are_reads_them_with_its_next_beat(world: World) -> None:
    await world.connect("ana")
    await world.do(ConfigureService, reachability_enabled=True)
    node = Node(world)
    node.database.failures = 1
    await node.presence.start()
    node.come()
    await node.settle()
    assert await node.online() is None
    await node.presence.beat()
    await node.settle()
    assert await node.online() is True


async def test_a_bus_that_may_lose_things_is_not_relied_upon(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """That reachability was turned off, or on, is learnt with a beat."""
    monkeypatch.setattr(node.world.bus, "reliable", False)
    node.world.bus.unsubscribe("nodes", node.presence.receive)
    node.come()
    await node.settle()
    for is_enabled in (False, True):
        await node.world.do(ConfigureService, reachability_enabled=is_enabled)
        await node.presence.beat()
        await node.settle()
        assert node.remembers == is_enabled
    assert await node.online() is True


async def test_a_beat_that_fails_is_made_up_for(node: Node) -> None:
    node.come()
    await node.settle()
    for seconds in (20, 20, 15):
        node.world.clock.advance(timedelta(seconds=seconds))
        node.database.is_down = seconds == 20
        await node.presence.beat()
    await node.settle()
    assert await node.online() is True
    assert await node.world.count("nodes") == 1
