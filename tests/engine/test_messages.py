"""Sending, editing and removing messages."""

from __future__ import annotations

import pytest

from tertulia.server.domain.conversations import UpdateConversation
from tertulia.server.domain.errors import InvalidRequest, NotFound, TertuliaError
from tertulia.server.domain.messages import DeleteMessage, SendMessage, UpdateMessage

from .world import World


async def test_messages_of_a_conversation_are_numbered_from_zero(world: World) -> None:
    room = await world.conversation("ana")
    assert [(await world.send(room.sid)).index for _ in range(3)] == [0, 1, 2]


async def test_the_index_of_a_removed_message_is_not_used_again(world: World) -> None:
    room = await world.conversation("ana")
    message = await world.send(room.sid)
    await world.engine.execute(
        world.account, DeleteMessage(service=world.service, conversation=room.sid, message=message.sid)
    )
    assert (await world.send(room.sid)).index == 1


async def test_a_closed_conversation_takes_no_messages(world: World) -> None:
    room = await world.conversation("ana")
    await world.engine.execute(
        world.account, UpdateConversation(service=world.service, conversation=room.sid, state="closed")
    )
    with pytest.raises(InvalidRequest) as refusal:
        await world.send(room.sid)
    assert refusal.value.code == 50377


async def test_a_user_writes_in_his_own_name_whatever_he_says(world: World) -> None:
    room = await world.conversation("ana")
    wish = SendMessage(service=world.service, conversation=room.sid, body="hi", author="ben")
    assert (await world.engine.execute(world.user("ana"), wish)).author == "ana"


async def test_who_is_not_in_the_conversation_is_told_that_there_is_none(world: World) -> None:
    room = await world.conversation("ana")
    await world.connect("eve")
    with pytest.raises(NotFound) as absent:
        await world.send("CH" + "0" * 32, by=world.user("eve"))
    with pytest.raises(NotFound) as invisible:
        await world.send(room.sid, by=world.user("eve"))
    assert (absent.value.code, absent.value.message) == (invisible.value.code, invisible.value.message)


async def test_an_edit_is_dated_and_signed(world: World) -> None:
    room = await world.conversation("ana")
    message = await world.send(room.sid, by=world.user("ana"))
    edited = await world.engine.execute(
        world.user("ana"),
        UpdateMessage(service=world.service, conversation=room.sid, message=message.sid, body="better"),
    )
    assert (edited.body, edited.last_updated_by, edited.index) == ("better", "ana", message.index)
    assert message.last_updated_by is None


async def test_an_update_that_changes_nothing_tells_nobody(world: World) -> None:
    room = await world.conversation("ana")
    message = await world.send(room.sid)
    world.bus.heard.clear()
    same = await world.engine.execute(
        world.account,
        UpdateMessage(service=world.service, conversation=room.sid, message=message.sid, body=message.body or ""),
    )
    assert same == message
    assert world.bus.heard == []


async def test_others_messages_need_a_permission_of_their_own(world: World) -> None:
    room = await world.conversation("ana", "ben")
    message = await world.send(room.sid, by=world.user("ana"))
    wish = UpdateMessage(service=world.service, conversation=room.sid, message=message.sid, body="mine now")
    with pytest.raises(TertuliaError) as refusal:
        await world.engine.execute(world.user("ben"), wish)
    assert (refusal.value.status, refusal.value.code) == (403, 50107)
    assert "editAnyMessage" in refusal.value.message


async def test_the_same_mutation_id_gets_the_same_answer_and_does_nothing(world: World) -> None:
    room = await world.conversation("ana")
    first = await world.send(room.sid, by=world.user("ana", "m-1"))
    again = await world.send(room.sid, by=world.user("ana", "m-1"))
    assert again == first
    assert (await world.send(room.sid, by=world.user("ana", "m-2"))).index == 1


async def test_removing_the_newest_message_makes_the_one_before_it_the_newest(world: World) -> None:
    room = await world.conversation("ana")
    await world.send(room.sid, "one")
    two = await world.send(room.sid, "two")
    await world.engine.execute(
        world.account, DeleteMessage(service=world.service, conversation=room.sid, message=two.sid)
    )
    left = await world.queries.conversation(world.account, world.service, room.sid)
    assert (left.newest_index, left.last_index, left.message_count) == (0, 1, 1)


@pytest.mark.parametrize("members", [2, 1000])
async def test_writing_a_message_costs_the_same_statements_for_few_and_for_many(world: World, members: int) -> None:
    room = await world.conversation(*(f"user-{n}" for n in range(members)))
    before = world.database.statements
    await world.send(room.sid, by=world.user("user-0"))
    assert world.database.statements - before == 4
