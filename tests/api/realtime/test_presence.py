"""Who is connected is shown to who follows him: at once when he comes, a while after he was lost (semantics 6.3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from tertulia.server.domain.services import ConfigureService, DeleteService
from tertulia.server.domain.sync import ObjectKind, object_sid
from tertulia.server.domain.users import DeleteUser, UpdateUser
from tertulia.server.settings import Settings, TokensSettings
from tests.engine.world import World

from .client import Peer, wish
from .conftest import Here, running

GRACE_S = 30
ALIVE_S = 60


async def turn(here: Here, is_enabled: bool) -> None:
    await here.world.do(ConfigureService, reachability_enabled=is_enabled)
    await settled(here)


async def settled(*nodes: Here) -> None:
    """Whatever is under way is done, and what it has led to."""
    for _ in range(4):
        for here in nodes:
            await here.server.node.tasks.settle(5)


class Watcher:
    """Somebody who follows the profile of another user."""

    def __init__(self, peer: Peer, sid: str) -> None:
        self.peer = peer
        self.sid = sid

    @property
    def told(self) -> list[Any]:
        """Whether the other one was said to be online, each time."""
        events = [event for event in self.peer.events_of(self.sid) if event.body["item_key"] == "reachability"]
        return [event.body["item_data"]["online"] for event in events]

    async def hears(self, *told: bool | None) -> None:
        await self.peer.until(lambda: len(self.told) >= len(told))
        await self.stays(*told)

    async def stays(self, *told: bool | None) -> None:
        await self.peer.quiet()
        assert self.told == [*told]


async def watch(here: Here, identity: str = "ana") -> Watcher:
    user = await here.world.connect(identity)
    sid = object_sid(ObjectKind.USER_INFO, user.sid)
    peer = await here.peer("watcher")
    root = (await peer.root(sid)).json
    await peer.establish(wish(sid, root["last_event_id"]))
    return Watcher(peer, sid)


async def leave(peer: Peer) -> None:
    """As the official SDK does when it is shut down."""
    await peer.say({"id": "TM1", "method": "close"})
    await peer.end()


async def lose(here: Here, peer: Peer) -> None:
    """The connection breaks, and the node has heard of it."""
    before = len(here.server.node.connections)
    peer.websocket.transport.abort()
    await peer.end()
    async with asyncio.timeout(10):
        while len(here.server.node.connections) >= before:  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0)


async def online(world: World, identity: str = "ana") -> bool | None:
    return (await world.queries.user(world.service, identity)).is_online


@pytest.fixture
async def shown(here: Here) -> Here:
    """A server whose service shows reachability."""
    await turn(here, True)
    return here


@pytest.mark.owner_demand(4)
async def test_who_connects_is_online_at_once_and_whose_client_ends_is_offline_at_once(shown: Here) -> None:
    watcher = await watch(shown)
    ana = await shown.peer("ana")
    await watcher.hears(True)
    await leave(ana)
    await watcher.hears(True, False)
    assert await online(shown.world) is False


async def test_who_is_lost_is_offline_after_half_a_minute(shown: Here) -> None:
    watcher = await watch(shown)
    await lose(shown, await shown.peer("ana"))
    await watcher.hears(True)
    shown.pass_time(GRACE_S - 1)
    await settled(shown)
    await watcher.stays(True)
    shown.pass_time(2)
    await watcher.hears(True, False)


@pytest.mark.owner_demand(3)
async def test_who_resumes_within_half_a_minute_has_never_been_away(shown: Here) -> None:
    watcher = await watch(shown)
    for _ in range(3):
        await lose(shown, await shown.peer("ana"))
        shown.pass_time(GRACE_S - 5)
    await shown.peer("ana")
    shown.pass_time(GRACE_S - 5)
    await settled(shown)
    await watcher.stays(True)


async def test_another_device_that_leaves_says_nothing_of_one_that_may_resume(shown: Here) -> None:
    watcher = await watch(shown)
    phone, laptop = await shown.peer("ana"), await shown.peer("ana")
    await lose(shown, phone)
    shown.pass_time(10)
    await leave(laptop)
    await settled(shown)
    await watcher.stays(True)
    shown.pass_time(GRACE_S - 9)
    await settled(shown)
    await watcher.stays(True, False)


async def test_a_device_that_has_resumed_and_leaves_is_waited_for_no_more(shown: Here) -> None:
    watcher = await watch(shown)
    peer = await shown.open()
    answer = await peer.init(shown.token("ana"))
    continuation = answer.header["continuation_token"]
    await lose(shown, peer)
    again = await shown.open()
    assert (await again.init(shown.token("ana"), continuation_token=continuation)).status == 200
    await leave(again)
    await watcher.hears(True, False)


async def test_a_hundred_connections_of_one_user_are_written_once(shown: Here) -> None:
    watcher = await watch(shown)
    first = await shown.peer("ana")
    await watcher.hears(True)
    token, costs = shown.token("ana"), []
    peers = [first]
    for _ in range(99):
        before = shown.world.database.statements
        peer = await shown.open()
        assert (await peer.init(token)).status == 200
        await settled(shown)
        costs.append(shown.world.database.statements - before)
        peers.append(peer)
    assert costs[-1] == min(costs) == await _login_cost_where_it_is_off(shown)
    assert await shown.world.count("presences") == 2, "his and the watcher's"
    for peer in peers:
        await leave(peer)
    await watcher.hears(True, False)


async def _login_cost_where_it_is_off(here: Here) -> int:
    other = await here.world.in_new_service("without reachability")
    await other.connect("ana")
    token = here.token("ana", service_sid=other.service)
    assert (await (await here.open()).init(token)).status == 200
    before = here.world.database.statements
    assert (await (await here.open()).init(token)).status == 200
    await settled(here)
    return here.world.database.statements - before


async def test_where_it_is_off_nothing_is_written(here: Here) -> None:
    watcher = await watch(here)
    ana = await here.peer("ana")
    await leave(ana)
    await settled(here)
    await watcher.stays()
    assert (await here.world.count("nodes"), await here.world.count("presences")) == (0, 0)


async def test_turning_it_on_shows_who_is_connected_already(here: Here) -> None:
    watcher = await watch(here)
    ana = await here.peer("ana")
    await turn(here, True)
    await watcher.hears(True)
    await leave(ana)
    await watcher.hears(True, False)


async def test_turning_it_off_hides_everything_and_tells_it(shown: Here) -> None:
    watcher = await watch(shown)
    ana = await shown.peer("ana")
    await watcher.hears(True)
    await turn(shown, False)
    await watcher.hears(True, None)
    await leave(ana)
    await settled(shown)
    await watcher.stays(True, None)
    assert await shown.world.count("presences") == 0


async def test_turning_it_off_and_on_again_shows_what_is_so(shown: Here) -> None:
    """Whether or not there was time to tidy up in between."""
    watcher = await watch(shown)
    ana, ben = await shown.peer("ana"), await shown.peer("ben")
    await watcher.hears(True)
    await shown.world.do(ConfigureService, reachability_enabled=False)
    await leave(ben)
    await turn(shown, True)
    assert await online(shown.world, "ana") is True
    assert not await online(shown.world, "ben")
    await leave(ana)
    await settled(shown)
    assert await online(shown.world, "ana") is False


async def test_who_was_deleted_and_comes_again_is_online(shown: Here) -> None:
    peer = await shown.peer("ana")
    await settled(shown)
    await shown.world.do(DeleteUser, user="ana")
    await peer.end()
    await shown.peer("ana")
    await settled(shown)
    assert await online(shown.world) is True
    assert await shown.world.count("presences") == 1


async def test_a_service_that_is_deleted_leaves_nothing_behind(shown: Here) -> None:
    other = await shown.world.in_new_service()
    await other.do(ConfigureService, reachability_enabled=True)
    peer = await shown.open()
    assert (await peer.init(shown.token("ana", service_sid=other.service))).status == 200
    await settled(shown)
    assert await shown.world.count("presences") == 1
    await other.do(DeleteService)
    await peer.end()
    await settled(shown)
    assert await shown.world.count("presences") == 0


async def test_a_client_reads_its_own_reachability_and_is_told_that_there_is_one(shown: Here) -> None:
    ana = await shown.peer("ana")
    await settled(shown)
    configuration = await ana.get("/Client/v2/Configuration")
    assert configuration["options"]["reachability_enabled"] is True
    root = await ana.root(configuration["sync_objects"]["my_user_info"], Include="items")
    items = {item["key"]: item for item in root["items"]}
    assert items["reachability"]["data"] == {"online": True, "notifiable": None}
    assert root["last_event_id"] == max(item["last_event_id"] for item in items.values())
    user = await ana.get("/Client/v2/Users/ana")
    assert (user["is_online"], user["is_notifiable"]) == (True, None)


async def test_who_was_away_is_told_what_has_changed(shown: Here) -> None:
    watcher = await watch(shown)
    await lose(shown, watcher.peer)
    await leave(await shown.peer("ana"))
    await settled(shown)
    await shown.world.do(UpdateUser, user="ana", friendly_name="Ana")
    peer = await shown.peer("watcher")
    await peer.establish(wish(watcher.sid, 2))
    again = Watcher(peer, watcher.sid)
    assert again.told == [False]


# --- several nodes


@asynccontextmanager
async def another(world: World) -> AsyncIterator[Here]:
    async with running(world, Settings(tokens=TokensSettings())) as here:
        yield here


async def test_who_is_connected_to_two_nodes_is_online_until_both_are_left(shown: Here) -> None:
    async with another(shown.world) as there:
        watcher = await watch(shown)
        one, two = await shown.peer("ana"), await there.peer("ana")
        await settled(shown, there)
        assert await shown.world.count("presences") == 2 + 1
        await leave(one)
        await settled(shown, there)
        await watcher.stays(True)
        await leave(two)
        await watcher.hears(True, False)


async def test_turning_it_on_is_heard_by_every_node(here: Here) -> None:
    async with another(here.world) as there:
        await here.peer("ana")
        await there.peer("ben")
        await turn(here, True)
        await settled(here, there)
        assert (await online(here.world, "ana"), await online(here.world, "ben")) == (True, True)


async def test_a_node_that_dies_takes_its_users_offline(shown: Here) -> None:
    """It is given up when it has said nothing for a minute; one that was merely slow reports its users anew."""
    async with another(shown.world) as there:
        watcher = await watch(shown)
        await there.peer("ana")
        await watcher.hears(True)
        for _ in range(3):
            shown.pass_time(ALIVE_S / 3)
            await shown.server.node.presence.beat()
            await settled(shown)
            await watcher.stays(True)
        await shown.server.presence_sweep.sweep()
        await watcher.hears(True, False)
        assert await online(shown.world, "watcher") is True
        await there.server.node.presence.beat()
        await settled(there)
        await watcher.hears(True, False, True)
        assert await shown.world.count("nodes") == 2


async def test_a_node_that_was_given_up_learns_it_when_somebody_comes(shown: Here) -> None:
    await shown.peer("ana")
    await settled(shown)
    shown.world.clock.advance(timedelta(seconds=ALIVE_S))
    await shown.server.presence_sweep.sweep()
    assert await online(shown.world, "ana") is False
    await shown.peer("ben")
    await settled(shown)
    assert (await online(shown.world, "ana"), await online(shown.world, "ben")) == (True, True)


async def test_users_of_a_node_that_has_stopped_may_come_back_elsewhere(world: World) -> None:
    await world.do(ConfigureService, reachability_enabled=True)
    async with another(world) as there:
        await there.peer("ana")
        await there.peer("ben")
        await settled(there)
        await there.server.drain()
    async with another(world) as here:
        watcher = await watch(here)
        await here.peer("ana")
        await settled(here)
        here.pass_time(GRACE_S - 1)
        await here.server.presence_sweep.sweep()
        assert (await online(world, "ana"), await online(world, "ben")) == (True, True)
        here.pass_time(1)
        await here.server.presence_sweep.sweep()
        assert (await online(world, "ana"), await online(world, "ben")) == (True, False)
        await watcher.stays()


async def test_a_server_that_was_killed_left_users_who_go_when_its_time_is_over(world: World) -> None:
    await world.do(ConfigureService, reachability_enabled=True)
    async with another(world) as there:
        await there.peer("ana")
        await settled(there)
        await world.sql("INSERT INTO nodes (id, alive_until) VALUES ('killed', $1)", world.clock.now() + 5_000_000)
        await world.sql("UPDATE presences SET node = 'killed'")
    world.clock.advance(timedelta(seconds=5))
    async with another(world) as here:
        await settled(here)
        await here.server.presence_sweep.sweep()
        assert await online(world) is False
        assert await world.count("presences") == 0
