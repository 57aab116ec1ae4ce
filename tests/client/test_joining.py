"""Taking part: who may, by which name, and what is said to who does not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from tertulia.client import Conversation, ConversationStatus, ConversationSync
from tertulia.client.errors import ForbiddenError, InvalidArgumentError, NotFoundError
from tertulia.server.domain.conversations import DeleteConversation

from .stage import PATIENCE_S, Stage, until


@pytest.mark.parametrize("by_name", [False, True])
async def test_who_joins_has_the_conversation_ready(stage: Stage, by_name: bool) -> None:
    ben = await stage.connect("ben")
    his = await ben.create_conversation(friendly_name="Tavern", unique_name="the tavern/1", join=True)
    await his.send("before you came")
    ana = await stage.connect("ana")
    room = await ana.join_conversation("the tavern/1" if by_name else his.sid)
    assert (room.sid, room.status, room.sync_status) == (his.sid, ConversationStatus.JOINED, ConversationSync.ALL)
    assert {each.identity for each in room.participants.values()} == {"ana", "ben"}
    assert [message.body for message in await room.last_messages(5)] == ["before you came"]
    assert (await room.send("here I am")).author == "ana"
    assert ana.known_conversations[his.sid] is room


@pytest.mark.parametrize("by_name", [False, True])
async def test_to_join_what_one_is_in_changes_nothing(stage: Stage, by_name: bool) -> None:
    ana = await stage.connect("ana")
    room = await ana.create_conversation(unique_name="tavern", join=True)
    assert await ana.join_conversation("tavern" if by_name else room.sid) is room
    assert await room.count_participants(max_age=0) == 1


async def test_a_creator_joins_later_and_comes_back_after_leaving(stage: Stage) -> None:
    ana = await stage.connect("ana")
    room = await ana.create_conversation(unique_name="tavern")
    assert await ana.join_conversation("tavern") is room
    await room.leave()
    assert await ana.join_conversation("tavern") is room
    assert (await room.send("again")).body == "again"


async def test_who_left_long_ago_comes_back(stage: Stage) -> None:
    mine, other = await stage.hosted("ana", "ben")
    await other.leave()
    ben = await stage.connect("ben")
    back = await ben.join_conversation(mine.sid)
    assert {each.identity for each in back.participants.values()} == {"ana", "ben"}


async def test_what_is_not_there_cannot_be_joined(stage: Stage) -> None:
    ana = await stage.connect("ana")
    with pytest.raises(NotFoundError):
        await ana.join_conversation("nowhere")
    for wrong in ("", 5, None, b"tavern"):
        with pytest.raises(InvalidArgumentError):
            await ana.join_conversation(wrong)  # type: ignore[arg-type]


def tries(room: Conversation) -> list[Callable[[], Awaitable[object]]]:
    return [
        partial(room.send, "x"),
        partial(room.send, "x", wait=False),
        partial(room.last_messages, 1),
        room.messages_page,
        partial(room.message_by_index, 9),
        partial(room.add_participant, "ben"),
        partial(room.add_participant, "ben", wait=False),
        partial(room.remove_participant, "ben"),
        partial(room.update, friendly_name="Inn"),
        partial(room.set_notification_level, "muted"),
        partial(room.set_read_horizon, 1),
        room.count_unread,
        room.delete,
    ]


async def test_who_takes_no_part_is_told_to_join_first_whatever_he_tries(stage: Stage) -> None:
    ana = await stage.connect("ana")
    created = await ana.create_conversation(friendly_name="Tavern")
    left = await ana.create_conversation(join=True)
    message = await left.send("hello")
    await left.leave()
    for room in (created, left):
        for ask in tries(room):
            with pytest.raises((InvalidArgumentError, ForbiddenError, NotFoundError), match="join it first") as refusal:
                await ask()
            assert str(refusal.value).count("join it first") == 1
    with pytest.raises(NotFoundError, match="join it first"):
        await message.edit(body="x")
    # What its creator may do until then.
    assert (created.friendly_name, await created.count_messages(), await created.count_participants()) == (
        "Tavern",
        0,
        0,
    )
    assert await ana.peek_conversation(created.sid) is created
    assert created.participants == {} and created.loaded_messages == {}
    await created.typing()


async def test_a_member_who_lacks_a_permission_is_not_told_to_join(stage: Stage) -> None:
    _, his = await stage.hosted("ana", "ben")
    with pytest.raises(ForbiddenError) as refusal:
        await his.update(friendly_name="mine")
    assert "join" not in str(refusal.value)


async def test_an_outbox_says_it_as_well(stage: Stage) -> None:
    ana = await stage.connect("ana", outbox=True)
    room = await ana.create_conversation()
    with pytest.raises(ForbiddenError, match="join it first"):
        await room.send("x")


async def test_one_that_was_deleted_is_said_to_be(stage: Stage) -> None:
    ana = await stage.connect("ana")
    room = await ana.create_conversation(join=True)
    await stage.world.do(DeleteConversation, conversation=room.sid)
    await until(lambda: room.sid not in ana.known_conversations)
    with pytest.raises(NotFoundError, match="it was deleted, or"):
        await room.ready(timeout=PATIENCE_S)
    with pytest.raises(NotFoundError):
        await ana.join_conversation(room.sid)
