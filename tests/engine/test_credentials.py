"""Credentials of push services: what nobody gets to see of them (semantics 7.1)."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from tertulia.server.domain.address_configurations import CreateAddressConfiguration
from tertulia.server.domain.credentials import CreateCredential, Credential, Secrets, UpdateCredential
from tertulia.server.domain.errors import Conflict
from tertulia.server.domain.push import RegisterPush, RemovePush
from tertulia.server.engine.credentials import opened
from tertulia.server.sealing import SealBroken, Sealer, WrongKey

from .world import World

APN = Secrets(certificate="hush-certificate", private_key="hush-key")


async def make(world: World) -> Credential:
    return await world.do(CreateCredential, kind="apn", secrets=APN)


async def test_secrets_can_be_read_back_with_the_key_alone_and_for_their_own_credential(world: World) -> None:
    first, second = await make(world), await make(world)
    assert opened(world.sealer, first) == APN
    assert first.sealed != second.sealed
    with pytest.raises(SealBroken):
        opened(world.sealer, msgspec.structs.replace(second, sealed=first.sealed))
    with pytest.raises(WrongKey):
        opened(Sealer(b"\x02" * 32), first)


async def test_an_update_replaces_what_was_sent_and_keeps_the_rest(world: World) -> None:
    made = await make(world)
    changed = await world.do(UpdateCredential, credential=made.sid, secrets=Secrets(private_key="hush-new"))
    assert opened(world.sealer, changed) == Secrets(certificate="hush-certificate", private_key="hush-new")
    token = Secrets(certificate="", key_id="A", team_id="B", topic="org.example")
    changed = await world.do(UpdateCredential, credential=made.sid, secrets=token)
    assert opened(world.sealer, changed) == Secrets(
        private_key="hush-new", key_id="A", team_id="B", topic="org.example"
    )
    changed = await world.do(UpdateCredential, credential=made.sid, kind="fcm", secrets=Secrets(secret="hush-json"))
    assert opened(world.sealer, changed) == Secrets(secret="hush-json")


async def test_nothing_that_holds_a_secret_prints_it(world: World) -> None:
    made = await make(world)
    device = await world.do(RegisterPush, by=world.user("ana"), kind="fcm", address="hush-device")
    printed = [
        APN,
        made,
        CreateCredential(kind="apn", secrets=APN),
        UpdateCredential(credential=made.sid, secrets=APN),
        device,
        RegisterPush(kind="fcm", address="hush-device"),
        RemovePush(kind="fcm", address="hush-device"),
    ]
    for one in printed:
        assert "hush" not in f"{one!r} {one}"
        assert made.sealed not in repr(one)


async def test_of_two_who_configure_an_address_at_once_one_wins(world: World) -> None:
    wish = CreateAddressConfiguration(kind="sms", address="+15550001111")
    both = await asyncio.gather(*(world.engine.execute(world.account, wish) for _ in range(2)), return_exceptions=True)
    assert sorted(isinstance(one, Conflict) for one in both) == [False, True]
    assert await world.count("address_configurations") == 1
