"""Typing: said to those who follow, kept nowhere (semantics 6.4)."""

from __future__ import annotations

import msgspec

from tertulia.server.bus.base import TypingPublished
from tertulia.server.domain.conversations import UpdateConversation
from tertulia.server.domain.sync import ObjectKind, object_sid
from tertulia.server.engine.typing import Typing

from .world import World, refused


async def test_followers_hear_it_one_second_longer_than_the_typist(world: World) -> None:
    room = await world.conversation("ana", "ben")
    typing = Typing(world.database, world.bus, 5)
    world.told()
    await typing.typing(world.user("ana"), room.sid)
    (heard,) = world.bus.heard
    assert isinstance(heard, TypingPublished)
    assert (heard.object_sid, heard.identity) == (object_sid(ObjectKind.MESSAGES, room.sid), "ana")
    assert msgspec.json.decode(heard.body) == {"channel_sid": room.sid, "identity": "ana", "typing_timeout": 6}


async def test_in_a_closed_conversation_nobody_types(world: World) -> None:
    room = await world.conversation("ana")
    await world.do(UpdateConversation, conversation=room.sid, state="closed")
    with refused(50350, 404):
        await Typing(world.database, world.bus, 5).typing(world.user("ana"), room.sid)
