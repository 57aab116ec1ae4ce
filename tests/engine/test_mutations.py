"""The same wish twice, by its mutation id: one deed, one answer."""

from __future__ import annotations

import asyncio
from typing import Any

from tertulia.server.domain.conversations import CreateConversation, DeleteConversation
from tertulia.server.domain.memberships import UpdateMembership
from tertulia.server.domain.messages import SendMessage
from tertulia.server.domain.participants import JoinConversation, RemoveParticipant, UpdateParticipant
from tertulia.server.domain.users import UpdateUser
from tertulia.server.engine.rules import RULES

from .world import World, refused


async def test_every_kind_of_answer_comes_back_as_it_was(world: World) -> None:
    await world.connect("ana")

    async def twice(command: Any, **fields: Any) -> Any:
        by = world.user("ana", f"id of {command.__name__}")
        first = await world.do(command, by=by, **fields)
        world.told()
        assert await world.do(command, by=by, **fields) == first
        assert world.told() == []
        return first

    made = await twice(CreateConversation)
    here = {"conversation": made.sid}
    await twice(JoinConversation, **here)
    await twice(SendMessage, **here, body="hi", attributes='{"ü":[null]}')
    await twice(UpdateMembership, **here, user="ana", last_read_index=0, notification_level="muted")
    await twice(UpdateParticipant, **here, participant="ana", attributes="[]")
    await twice(UpdateUser, user="ana", friendly_name="Ana")
    await twice(RemoveParticipant, **here, participant="ana")
    await twice(CreateConversation)
    other = await world.do(CreateConversation, by=world.user("ana"))
    await world.do(JoinConversation, by=world.user("ana"), conversation=other.sid)
    await twice(DeleteConversation, conversation=other.sid)
    assert all(rule.answer is not None for rule in RULES.values())


async def test_the_ids_of_two_users_are_two(world: World) -> None:
    room = await world.conversation("ana", "ben")
    sent = [await world.send(room.sid, by=world.user(name, "same")) for name in ("ana", "ben")]
    assert [message.index for message in sent] == [0, 1]


async def test_the_ids_of_two_services_are_two(world: World) -> None:
    other = await world.in_new_service()
    for one in (world, other):
        room = await one.conversation("ana")
        assert (await one.send(room.sid, by=one.user("ana", "same"))).conversation_sid == room.sid


async def test_an_id_is_for_one_command(world: World) -> None:
    room = await world.conversation("ana")
    by = world.user("ana", "same")
    await world.send(room.sid, by=by)
    with refused(20409, 409):
        await world.do(UpdateUser, by=by, user="ana", friendly_name="x")


async def test_a_refusal_is_not_remembered(world: World) -> None:
    room = await world.conversation()
    by = world.user("ana", "same")
    await world.connect("ana")
    with refused(50350):
        await world.send(room.sid, by=by)
    await world.add(room.sid, "ana")
    assert (await world.send(room.sid, by=by)).index == 0


async def test_a_repeat_is_answered_even_when_it_would_now_be_refused(world: World) -> None:
    room = await world.conversation("ana")
    by = world.user("ana", "same")
    sent = await world.send(room.sid, by=by)
    await world.do(RemoveParticipant, conversation=room.sid, participant="ana")
    assert await world.send(room.sid, by=by) == sent


async def test_two_repeats_at_once_are_one_deed(world: World) -> None:
    room = await world.conversation("ana")
    by = world.user("ana", "same")
    world.told()
    answers = await asyncio.gather(*(world.send(room.sid, by=by) for _ in range(20)))
    assert len({answer.sid for answer in answers}) == 1
    assert world.told() == ["list_item_added ES", "document_updated ET"]
