"""Credentials of push services: what nobody gets to see of them (semantics 7.1)."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from tertulia.server.domain.address_configurations import CreateAddressConfiguration
from tertulia.server.domain.credentials import CreateCredential, Credential, Secrets, UpdateCredential
from tertulia.server.domain.errors import Conflict, InvalidRequest
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
    changed = await world.do(UpdateCredential, credential=made.sid, kind="fcm", secrets=Secrets(secret="hush-json"))
    assert opened(world.sealer, changed) == Secrets(secret="hush-json")


async def test_apples_other_way_takes_the_place_of_the_first(world: World) -> None:
    """Of a certificate nothing is left beside a token key, nor the other way round."""
    made = await make(world)

    async def sent(**secrets: str) -> Secrets:
        changed = await world.do(UpdateCredential, credential=made.sid, secrets=Secrets(**secrets))
        return opened(world.sealer, changed)

    assert await sent(topic="org.example.voip") == Secrets(
        certificate="hush-certificate", private_key="hush-key", topic="org.example.voip"
    )
    token = {"private_key": "hush-p8", "key_id": "ABC", "team_id": "DEF", "topic": "org.example"}
    assert await sent(**token) == Secrets(**token)
    assert await sent(key_id="GHI") == Secrets(**{**token, "key_id": "GHI"})
    certificate = {"certificate": "hush-second", "private_key": "hush-its-key"}
    assert await sent(**certificate) == Secrets(**certificate)
    assert await sent(certificate="", **token) == Secrets(**token)
    assert await sent(**certificate, topic="org.example") == Secrets(**certificate, topic="org.example")
    for half, missing in (
        ({"key_id": "ABC", "team_id": "DEF", "topic": "org.example"}, "PrivateKey"),
        ({"private_key": "hush-p8", "team_id": "DEF", "topic": "org.example"}, "KeyId"),
        ({"private_key": "hush-p8", "key_id": "ABC", "team_id": "DEF"}, "Topic"),
    ):
        with pytest.raises(InvalidRequest, match=f"Missing required parameter {missing} "):
            await sent(**half)
    assert await sent(topic="") == Secrets(**certificate)


async def test_a_certificate_with_a_key_id_beside_it_of_an_earlier_release_can_be_renewed(world: World) -> None:
    made = await make(world)
    both = Secrets(certificate="c", private_key="k", key_id="ABC", team_id="DEF", topic="org.example")
    sealed = world.sealer.seal(msgspec.json.encode(both).decode(), made.sid)
    await world.sql("UPDATE credentials SET sealed = $1", sealed)
    renewed = Secrets(certificate="c2", private_key="k2")
    changed = await world.do(UpdateCredential, credential=made.sid, secrets=renewed)
    assert opened(world.sealer, changed) == msgspec.structs.replace(renewed, topic="org.example")


async def test_what_copying_leaves_around_a_name_is_not_kept(world: World) -> None:
    token = Secrets(private_key="p8", key_id=" ABC\n", team_id="DEF\r\n", topic="\torg.example ")
    neat = Secrets(private_key="p8", key_id="ABC", team_id="DEF", topic="org.example")
    made = await world.do(CreateCredential, kind="apn", secrets=token)
    assert opened(world.sealer, made) == neat
    changed = await world.do(UpdateCredential, credential=made.sid, secrets=Secrets(topic="org.other\n"))
    assert opened(world.sealer, changed) == msgspec.structs.replace(neat, topic="org.other")


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
