"""Whose addresses are whose: from the first sender on (semantics 4.1)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tertulia.server.domain.conversation_with_participants import CreateConversationWithParticipants
from tertulia.server.domain.gateways import AddGateway, AddSender, RemoveSender
from tertulia.server.domain.participants import AddParticipant, UpdateParticipant
from tests.contract.channels.heard import NAME, installed

from .world import World, refused

OURS = "+15550001000"
OURS_TOO = "+15550002000"
ANA = "+15551110001"
BEN = "+15551110002"


@pytest.fixture
async def world(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    with installed(tmp_path, monkeypatch):
        yield world


async def gateway(world: World) -> None:
    await world.do(AddGateway, name="wire", adapter=NAME, settings={})


async def sender(world: World, address: str = OURS) -> None:
    await world.do(AddSender, address=address, gateway="wire")


def by_pair(address: str, proxy: str) -> dict[str, str]:
    return {"address": address, "proxy_address": proxy}


@pytest.mark.parametrize(
    ("binding", "code"),
    [
        (by_pair(ANA, OURS_TOO), 50413),
        (by_pair(f"whatsapp:{ANA}", f"whatsapp:{OURS}"), 50415),
        (by_pair("messenger:1", "messenger:2"), 50413),
        (by_pair("ana@example.org", "help@example.org"), 50413),
        ({"identity": "zoe", "projected_address": OURS_TOO}, 50439),
        ({"projected_address": OURS_TOO}, 50439),
    ],
)
async def test_from_the_first_sender_on_no_other_address_is_ours(
    world: World, binding: dict[str, str], code: int
) -> None:
    room = await world.conversation("zed")
    # Until then the simulator serves them all.
    await world.do(AddParticipant, conversation=room.sid, **binding)
    await gateway(world)
    await sender(world)
    room = await world.conversation("zed")
    with refused(code):
        await world.do(AddParticipant, conversation=room.sid, **binding)
    with refused(code):
        fields: dict[str, Any] = {"service": world.service, "conversation": "", **binding}
        newcomer = AddParticipant(**fields)
        await world.do(CreateConversationWithParticipants, participants=(newcomer,))


@pytest.mark.parametrize("binding", [by_pair(OURS, OURS_TOO), {"address": OURS}])
async def test_nobody_outside_has_an_address_of_ours(world: World, binding: dict[str, str]) -> None:
    await gateway(world)
    await sender(world)
    await sender(world, OURS_TOO)
    room = await world.conversation("zed")
    with refused(50407, naming="Address is one of the account's own senders"):
        await world.do(AddParticipant, conversation=room.sid, **binding)
    fields: dict[str, Any] = {"service": world.service, "conversation": "", **binding}
    newcomer = AddParticipant(**fields)
    with refused(50407):
        await world.do(CreateConversationWithParticipants, participants=(newcomer,))


async def test_an_address_of_ours_may_be_given_and_another_may_not_later(world: World) -> None:
    await gateway(world)
    await sender(world)
    room = await world.conversation("zed")
    ana = await world.do(AddParticipant, conversation=room.sid, **by_pair(ANA, OURS))
    with refused(50413):
        await world.do(UpdateParticipant, conversation=room.sid, participant=ana.sid, proxy_address=OURS_TOO)
    await sender(world, OURS_TOO)
    moved = await world.do(UpdateParticipant, conversation=room.sid, participant=ana.sid, proxy_address=OURS_TOO)
    assert moved.proxy_address == OURS_TOO
    zed = await world.queries.participant(world.account, world.service, room.sid, "zed")
    with refused(50439):
        await world.do(UpdateParticipant, conversation=room.sid, participant=zed.sid, projected_address=BEN)


async def test_a_participant_keeps_an_address_that_is_ours_no_more(world: World) -> None:
    await gateway(world)
    await sender(world)
    await sender(world, OURS_TOO)
    room = await world.conversation()
    ana = await world.do(AddParticipant, conversation=room.sid, **by_pair(ANA, OURS))
    await world.do(RemoveSender, address=OURS)
    kept = await world.do(UpdateParticipant, conversation=room.sid, participant=ana.sid, attributes="[1]")
    assert kept.proxy_address == OURS


async def test_who_has_no_address_costs_no_look(world: World) -> None:
    async def cost(identity: str) -> int:
        before = world.database.statements
        await world.add(room.sid, identity)
        return world.database.statements - before

    room = await world.conversation("zed")
    without = await cost("one")
    await gateway(world)
    await sender(world)
    assert await cost("two") == without
