"""Typing: heard at once by the other members, kept nowhere (realtime 11.6, semantics 6.4)."""

from __future__ import annotations

import pytest

from tertulia.server.domain.participants import RemoveParticipant

from .client import SYNC_TYPES, TYPING, Peer, registration
from .conftest import Here
from .rooms import Room


@pytest.fixture
async def room(here: Here) -> Room:
    return Room(here, await here.world.conversation("ana", "ben"))


async def listening(here: Here, room: Room, identity: str, **fields: object) -> Peer:
    peer = await here.peer(identity, **fields)
    await peer.follow(f"{room.sid}.messages")
    return peer


async def test_the_other_members_devices_hear_it_and_none_of_the_typists(here: Here, room: Room) -> None:
    first, second = await listening(here, room, "ana"), await listening(here, room, "ana")
    others = [await listening(here, room, "ben") for _ in range(2)]
    answer = await first.type_in(room.sid)
    # realtime 15.31: a JSON object.
    assert answer.json == {"typing_timeout": 5}
    for peer in others:
        heard = await peer.hear("notification") if peer.typists else None
        await peer.until(lambda: bool(peer.typists))  # noqa: B023
        assert heard is None or heard.header["message_type"]
        # One second longer, so that a steady typist does not flicker.
        assert peer.typists == [{"channel_sid": room.sid, "identity": "ana", "typing_timeout": 6}]
    for peer in (first, second):
        await peer.quiet()
        assert peer.typists == []


async def test_a_socket_that_has_not_registered_for_it_is_spared(here: Here, room: Room) -> None:
    ana = await listening(here, room, "ana")
    spared = [
        await listening(here, room, "ben", registrations=[registration(*SYNC_TYPES)]),
        await listening(here, room, "ben", registrations=None),
    ]
    told = await listening(here, room, "ben", registrations=[registration("other"), registration(TYPING)])
    await ana.type_in(room.sid)
    await told.until(lambda: bool(told.typists))
    for peer in spared:
        await peer.quiet()
        assert peer.typists == []


async def test_nobody_else_hears_it(here: Here, room: Room) -> None:
    """Not a stranger, nor one who was a member."""
    ana, ben = await listening(here, room, "ana"), await listening(here, room, "ben")
    eve = await here.peer("eve")
    where = {"service": here.world.service, "conversation": room.sid}
    await here.world.add(room.sid, "kit")
    kit = await listening(here, room, "kit")
    await here.world.engine.execute(here.world.account, RemoveParticipant(**where, participant="kit"))
    await ana.type_in(room.sid)
    await ben.until(lambda: bool(ben.typists))
    for peer in (eve, kit):
        await peer.quiet()
        assert peer.typists == []


async def test_who_may_not_type_is_told_so_and_nobody_hears_it(here: Here, room: Room) -> None:
    ben, eve = await listening(here, room, "ben"), await here.peer("eve")
    assert (await eve.type_in(room.sid)).failure == (404, 50350)
    assert (await eve.type_in("CH" + "0" * 32)).failure == (404, 50350)
    assert (await eve.type_in("")).http_status in (400, 404)
    await ben.quiet()
    assert ben.typists == []


async def test_typing_is_not_kept_for_who_was_away(here: Here, room: Room) -> None:
    ana, ben = await listening(here, room, "ana"), await listening(here, room, "ben")
    await ben.close()
    await ana.type_in(room.sid)
    again = await listening(here, room, "ben")
    await again.quiet()
    assert again.typists == []


async def test_every_repeat_is_told(here: Here, room: Room) -> None:
    ana, ben = await listening(here, room, "ana"), await listening(here, room, "ben")
    for _ in range(3):
        await ana.type_in(room.sid)
    await ben.until(lambda: len(ben.typists) == 3)
