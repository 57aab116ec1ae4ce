"""Devices that want to be woken (semantics 7.2)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tertulia.server.domain.push import PushRegistration, RegisterPush, RemovePush

from .world import World, refused


async def register(world: World, identity: str, address: str, kind: str = "fcm") -> PushRegistration:
    world.clock.advance(timedelta(seconds=1))
    return await world.do(RegisterPush, by=world.user(identity), kind=kind, address=address)


async def addresses(world: World, identity: str) -> set[str]:
    async with world.database.snapshot() as connection:
        rows = await connection.rows("SELECT address FROM push_registrations WHERE identity = $1", identity)
    return {row[0] for row in rows}


async def test_registering_again_renews(world: World) -> None:
    first = await register(world, "ana", "one")
    second = await register(world, "ana", "one")
    assert (second.sid, second.created_at) == (first.sid, first.created_at)
    assert second.updated_at > first.updated_at
    assert (await register(world, "ana", "one", "apn")).sid != first.sid


async def test_a_device_has_one_owner(world: World) -> None:
    await register(world, "ana", "one")
    await register(world, "ben", "one")
    assert (await addresses(world, "ana"), await addresses(world, "ben")) == (set(), {"one"})


async def test_the_same_device_in_another_service_is_another(world: World) -> None:
    other = await world.in_new_service()
    await register(world, "ana", "one")
    await register(other, "ana", "one")
    assert await world.count("push_registrations") == 2


async def test_twenty_are_kept_the_oldest_goes(world: World) -> None:
    for n in range(20):
        await register(world, "ana", f"device-{n}")
    await register(world, "ana", "device-0")
    await register(world, "ana", "device-20")
    assert await addresses(world, "ana") == {f"device-{n}" for n in range(21)} - {"device-1"}


@pytest.mark.parametrize(
    ("kind", "address"), [("", "one"), ("sms", "one"), ("fcm", ""), ("fcm", "x" * 4097)], ids=lambda text: text[:5]
)
async def test_a_registration_that_cannot_be_is_refused(world: World, kind: str, address: str) -> None:
    with refused(20001, 400):
        await register(world, "ana", address, kind)


@pytest.mark.parametrize("by_sid", [True, False])
async def test_a_device_is_forgotten_by_its_owner_alone(world: World, by_sid: bool) -> None:
    made = await register(world, "ana", "one")
    wish = {"sid": made.sid} if by_sid else {"kind": "fcm", "address": "one"}
    await world.do(RemovePush, by=world.user("ben"), **wish)
    await world.do(RemovePush, by=(await world.in_new_service()).user("ana"), **wish)
    assert await addresses(world, "ana") == {"one"}
    for _ in range(2):
        await world.do(RemovePush, by=world.user("ana"), **wish)
    assert await addresses(world, "ana") == set()


async def test_an_account_has_no_devices(world: World) -> None:
    with refused(50107, 403):
        await world.do(RegisterPush, kind="fcm", address="one")
    with refused(50107, 403):
        await world.do(RemovePush, kind="fcm", address="one")
