"""Who is connected and can be notified, as nodes report it and others are shown it (semantics 6.3)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tertulia.server.bus.base import EventPublished, ReachabilityTurned
from tertulia.server.domain import callers
from tertulia.server.domain.credentials import CreateCredential, DeleteCredential, Secrets
from tertulia.server.domain.presence import ArriveUser, DepartNode, DepartUser, SettleReachability
from tertulia.server.domain.push import RegisterPush, RemovePush
from tertulia.server.domain.services import ConfigureService, DeleteService
from tertulia.server.domain.sync import ObjectKind, object_sid
from tertulia.server.domain.users import CreateUser, DeleteUser, UpdateUser
from tertulia.server.engine import presence
from tertulia.server.engine.presence import STEP
from tertulia.server.engine.sync.reads import ObjectAddress
from tertulia.server.jobs.presence import PresenceSweep
from tertulia.server.storage.presence import Nodes

from .world import BASE_URL, World, refused

ALIVE_S = 60


async def turn(world: World, is_enabled: bool, *, sweep: bool = True) -> None:
    await world.do(ConfigureService, reachability_enabled=is_enabled)
    if sweep:
        await swept(world)


async def swept(world: World) -> int:
    return await PresenceSweep(world.database, world.engine, world.bus, world.clock).sweep()


async def node(world: World, name: str) -> None:
    async with world.database.transaction() as connection:
        await Nodes(connection).add(name, world.clock.now() + ALIVE_S * 1_000_000)


async def arrive(world: World, identity: str, at: str = "one") -> bool:
    system = callers.system(world.account.account_sid)
    return await world.do(ArriveUser, by=system, identity=identity, node=at)


async def depart(world: World, identity: str, at: str = "one") -> None:
    await world.do(DepartUser, by=callers.system(world.account.account_sid), identity=identity, node=at)


async def shown(world: World, identity: str) -> tuple[bool | None, bool | None]:
    user = await world.queries.user(world.service, identity)
    return user.is_online, user.is_notifiable


async def profile(world: World, identity: str) -> dict[str, Any]:
    """The items of a user's info map, as somebody who opens it gets them."""
    user = await world.queries.user(world.service, identity)
    address = ObjectAddress(type="map", name=object_sid(ObjectKind.USER_INFO, user.sid), base_url=BASE_URL)
    root = await world.queries.sync.root(world.user(identity), address, with_items=True)
    assert isinstance(root.items, list)
    data = {item.key: item.data for item in root.items}
    return {str(key): msgspec.to_builtins(each) for key, each in data.items()}


def events(world: World) -> list[tuple[str, int, Any]]:
    """What followers of profiles were told since the last time: kind, number, content of ``reachability``."""
    heard, world.bus.heard = world.bus.heard, []
    told = [json.loads(one.body) for one in heard if isinstance(one, EventPublished)]
    return [
        (one["event_type"], one["event"]["id"], one["event"]["item_data"])
        for one in told
        if one["event"].get("item_key") == "reachability"
    ]


@pytest.fixture
async def open_world(world: World) -> World:
    """A world whose service shows reachability, with a node called ``one``."""
    await world.connect("ana")
    await turn(world, True)
    await node(world, "one")
    world.told()
    return world


async def test_while_it_is_off_nothing_is_kept_and_nothing_shown(world: World) -> None:
    await world.connect("ana")
    await node(world, "one")
    world.told()
    assert await arrive(world, "ana")
    assert await shown(world, "ana") == (None, None)
    assert set(await profile(world, "ana")) == {"friendlyName", "attributes"}
    assert await world.count("presences") == 0
    assert world.told() == []


async def test_who_comes_is_online_until_he_goes(open_world: World) -> None:
    world = open_world
    assert await arrive(world, "ana")
    assert await shown(world, "ana") == (True, None)
    assert (await profile(world, "ana"))["reachability"] == {"online": True, "notifiable": None}
    await depart(world, "ana")
    assert await shown(world, "ana") == (False, None)
    assert events(world) == [
        ("map_item_added", 3, {"online": True, "notifiable": None}),
        ("map_item_updated", 4, {"online": False, "notifiable": None}),
    ]


async def test_who_has_never_been_connected_is_neither_online_nor_offline(open_world: World) -> None:
    await open_world.do(CreateUser, identity="ben")
    assert await shown(open_world, "ben") == (None, None)
    assert (await profile(open_world, "ben"))["reachability"] == {"online": None, "notifiable": None}


async def test_what_is_said_twice_is_true_once(open_world: World) -> None:
    for _ in range(2):
        await arrive(open_world, "ana")
    for _ in range(2):
        await depart(open_world, "ana")
    assert [number for _, number, _ in events(open_world)] == [3, 4]
    assert await open_world.count("presences") == 0


async def test_who_is_connected_to_two_nodes_is_online_until_he_has_left_both(open_world: World) -> None:
    await node(open_world, "two")
    await arrive(open_world, "ana", "one")
    await arrive(open_world, "ana", "two")
    await depart(open_world, "ana", "one")
    assert await shown(open_world, "ana") == (True, None)
    await depart(open_world, "ana", "two")
    assert await shown(open_world, "ana") == (False, None)
    assert len(events(open_world)) == 2


async def test_a_node_that_is_dead_counts_no_more(open_world: World) -> None:
    await node(open_world, "two")
    await arrive(open_world, "ana", "two")
    open_world.clock.advance(timedelta(seconds=ALIVE_S))
    await node(open_world, "three")
    await arrive(open_world, "ana", "three")
    await depart(open_world, "ana", "three")
    assert await shown(open_world, "ana") == (False, None)
    assert not await arrive(open_world, "ana", "two")
    assert not await arrive(open_world, "ana", "unheard of")
    assert await shown(open_world, "ana") == (False, None)


async def test_the_sweep_departs_the_users_of_dead_nodes(open_world: World) -> None:
    world = open_world
    await world.connect("ben")
    await arrive(world, "ana", "one")
    world.clock.advance(timedelta(seconds=30))
    await node(world, "two")
    for identity in ("ana", "ben"):
        await arrive(world, identity, "two")
    assert await swept(world) == 0
    world.clock.advance(timedelta(seconds=30))
    await swept(world)
    assert (await shown(world, "ana"), await shown(world, "ben")) == ((True, None), (True, None))
    events(world)
    world.clock.advance(timedelta(seconds=30))
    await swept(world)
    assert (await shown(world, "ana"), await shown(world, "ben")) == ((False, None), (False, None))
    assert [data["online"] for _, _, data in events(world)] == [False, False]
    assert (await world.count("nodes"), await world.count("presences")) == (0, 0)
    assert await swept(world) == 0


async def test_a_node_that_is_alive_cannot_be_swept(open_world: World) -> None:
    await arrive(open_world, "ana")
    await open_world.do(DepartNode, by=callers.system(open_world.account.account_sid), node="one")
    assert await shown(open_world, "ana") == (True, None)


async def test_large_nodes_are_swept_in_bounded_steps(open_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world = open_world
    monkeypatch.setattr(presence, "STEP", 2)
    for name in ("ben", "cem", "dan", "eve"):
        await world.connect(name)
        await arrive(world, name)
    world.clock.advance(timedelta(seconds=ALIVE_S))
    assert await swept(world) == 2
    assert {await shown(world, name) for name in ("ben", "cem", "dan", "eve")} == {(False, None)}


async def test_departing_many_costs_as_many_statements_as_departing_few(open_world: World) -> None:
    world, costs = open_world, []
    for count in (2, 100):
        name = f"node of {count}"
        await node(world, name)
        for n in range(count):
            await world.connect(f"user-{n}")
            await arrive(world, f"user-{n}", name)
        world.clock.advance(timedelta(seconds=ALIVE_S))
        before = world.database.statements
        await world.do(DepartNode, by=callers.system(world.account.account_sid), node=name)
        costs.append(world.database.statements - before)
        assert await shown(world, f"user-{count - 1}") == (False, None)
    assert costs[0] == costs[1] <= 8


# --- devices


async def device(world: World, identity: str, address: str, credential: str | None) -> None:
    caller = callers.identity(world.account.account_sid, world.service, identity, push_credential_sid=credential)
    await world.do(RegisterPush, by=caller, kind="fcm", address=address)


async def credential(world: World) -> str:
    return (await world.do(CreateCredential, kind="fcm", secrets=Secrets(secret="of a test"))).sid


async def test_who_has_a_device_can_be_notified_until_he_forgets_it(open_world: World) -> None:
    world = open_world
    key = await credential(world)
    await device(world, "ana", "tablet", None)
    assert await shown(world, "ana") == (None, None)
    await device(world, "ana", "phone", key)
    await device(world, "ana", "laptop", key)
    assert await shown(world, "ana") == (None, True)
    await arrive(world, "ana")
    await world.do(RemovePush, by=world.user("ana"), kind="fcm", address="phone")
    assert await shown(world, "ana") == (True, True)
    await world.do(RemovePush, by=world.user("ana"), kind="fcm", address="laptop")
    assert await shown(world, "ana") == (True, False)
    assert [data for _, _, data in events(world)] == [
        {"online": None, "notifiable": True},
        {"online": True, "notifiable": True},
        {"online": True, "notifiable": False},
    ]


async def test_a_device_that_gets_another_owner_is_his(open_world: World) -> None:
    await open_world.connect("ben")
    key = await credential(open_world)
    for identity in ("ana", "ben"):
        await device(open_world, identity, "phone", key)
    assert (await shown(open_world, "ana"), await shown(open_world, "ben")) == ((None, False), (None, True))


async def test_without_its_credential_a_device_cannot_be_notified(open_world: World) -> None:
    key, other = await credential(open_world), await credential(open_world)
    await open_world.connect("ben")
    await device(open_world, "ana", "phone", key)
    await device(open_world, "ben", "tablet", other)
    await open_world.do(DeleteCredential, credential=key)
    await swept(open_world)
    assert (await shown(open_world, "ana"), await shown(open_world, "ben")) == ((None, False), (None, True))


async def test_devices_cost_nothing_to_speak_of_where_it_is_off(world: World) -> None:
    await world.connect("ana")
    world.told()
    await device(world, "ana", "phone", await credential(world))
    assert await shown(world, "ana") == (None, None)
    assert world.told() == []


# --- turning it on and off


async def test_turning_it_on_shows_who_has_devices(world: World) -> None:
    key = await credential(world)
    for identity in ("ana", "ben"):
        await world.connect(identity)
    await device(world, "ana", "phone", key)
    await device(world, "ben", "tablet", None)
    await turn(world, True)
    assert (await shown(world, "ana"), await shown(world, "ben")) == ((None, True), (None, None))


async def test_nodes_are_told_when_it_is_turned(world: World) -> None:
    account = world.account.account_sid
    await turn(world, True, sweep=False)
    await turn(world, True, sweep=False)
    await turn(world, False, sweep=False)
    assert [one for one in world.bus.heard if isinstance(one, ReachabilityTurned)] == [
        ReachabilityTurned(account, world.service, True),
        ReachabilityTurned(account, world.service, False),
    ]


async def test_turning_it_off_hides_everything_at_once_and_tells_followers(open_world: World) -> None:
    world = open_world
    await arrive(world, "ana")
    await device(world, "ana", "phone", await credential(world))
    events(world)
    await turn(world, False, sweep=False)
    assert await shown(world, "ana") == (None, None)
    assert (await profile(world, "ana"))["reachability"] == {"online": None, "notifiable": None}
    assert events(world) == []
    await swept(world)
    assert events(world) == [("map_item_updated", 5, {"online": None, "notifiable": None})]
    assert await shown(world, "ana") == (None, None)
    assert (await world.count("presences"), await world.count("reachability_turns")) == (0, 0)
    await depart(world, "ana")
    assert events(world) == []


async def test_turning_it_off_takes_bounded_steps(open_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "STEP", 2)
    for n in range(5):
        await open_world.connect(f"user-{n}")
        await arrive(open_world, f"user-{n}")
    await turn(open_world, False, sweep=False)
    assert await swept(open_world) == 3
    assert {await shown(open_world, f"user-{n}") for n in range(5)} == {(None, None)}
    assert await open_world.count("presences") == 0


async def test_turning_it_on_takes_bounded_steps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "STEP", 2)
    key = await credential(world)
    for n in range(5):
        await world.connect(f"user-{n}")
        await device(world, f"user-{n}", f"phone-{n}", key)
    await turn(world, True, sweep=False)
    assert await swept(world) == 3
    assert {await shown(world, f"user-{n}") for n in range(5)} == {(None, True)}


async def test_what_was_known_before_it_was_off_does_not_come_back(open_world: World) -> None:
    """Also when it is turned on again before everything is tidied up."""
    await arrive(open_world, "ana")
    await turn(open_world, False, sweep=False)
    await turn(open_world, True)
    await depart(open_world, "ana")
    assert await open_world.count("presences") == 0
    assert await shown(open_world, "ana") == (False, None)


async def test_settling_a_service_that_is_settled_does_nothing(open_world: World) -> None:
    await open_world.do(SettleReachability, by=callers.system(open_world.account.account_sid))
    assert open_world.told() == []


# --- people and services that go


async def test_a_deleted_user_is_connected_nowhere(open_world: World) -> None:
    await arrive(open_world, "ana")
    await open_world.do(DeleteUser, user="ana")
    assert await open_world.count("presences") == 0
    await arrive(open_world, "ana")
    await depart(open_world, "ana")
    assert await open_world.count("presences") == 0


async def test_a_deleted_service_leaves_nobody_connected(world: World) -> None:
    other = await world.in_new_service()
    await node(world, "one")
    await other.connect("ana")
    await turn(other, True, sweep=False)
    await arrive(other, "ana")
    await other.do(DeleteService)
    assert (await world.count("presences"), await world.count("reachability_turns")) == (0, 0)
    assert await swept(world) == 0


async def test_changing_a_profile_leaves_reachability_as_it_is(open_world: World) -> None:
    await arrive(open_world, "ana")
    await open_world.do(UpdateUser, user="ana", friendly_name="Ana")
    assert await shown(open_world, "ana") == (True, None)
    assert (await profile(open_world, "ana"))["friendlyName"] == {"value": "Ana"}


@pytest.mark.parametrize("command", [ArriveUser, DepartUser, DepartNode, SettleReachability])
async def test_clients_do_not_report_who_is_connected(open_world: World, command: Any) -> None:
    fields = {"node": "one"} if command is not SettleReachability else {}
    fields |= {"identity": "ana"} if command in (ArriveUser, DepartUser) else {}
    with refused(50107, 403):
        await open_world.do(command, by=open_world.user("ana"), **fields)


def test_a_step_is_bounded() -> None:
    assert 10 <= STEP <= 1000
