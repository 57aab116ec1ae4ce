"""Conversations, as a client sees them."""

from __future__ import annotations

import asyncio

import pytest

from tertulia.client import (
    ClientSync,
    Conversation,
    ConversationField,
    ConversationStatus,
    ConversationSync,
    NotificationLevel,
)
from tertulia.client.errors import ConflictError, ForbiddenError, InvalidArgumentError, NotFoundError
from tertulia.client.events import (
    ConversationAdded,
    ConversationJoined,
    ConversationLeft,
    ConversationRemoved,
    ConversationSyncChanged,
    ConversationUpdated,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    SyncStatusChanged,
    TypingStarted,
)
from tertulia.server.domain.conversations import DeleteConversation, UpdateConversation

from .stage import Stage, until


async def test_conversations_are_told_after_the_start_each_once(stage: Stage) -> None:
    sids = {await stage.room("ana") for _ in range(5)}
    ana = stage.client("ana")
    told: list[Conversation] = []
    ana.on(ConversationAdded, lambda event: told.append(event.conversation))
    await ana.start()
    assert {conversation.sid async for conversation in ana.conversations()} == sids
    later = await stage.room("ana")
    await until(lambda: len(told) == 6)
    assert [conversation.sid for conversation in told].count(later) == 1
    assert all(ana.known_conversations[conversation.sid] is conversation for conversation in told)
    assert all(conversation.status is ConversationStatus.JOINED for conversation in told)


async def test_the_stages_of_synchronisation_come_in_order(stage: Stage) -> None:
    sid = await stage.room("ana", "ben")
    ana = stage.client("ana")
    stages: list[ClientSync] = []
    of_room: list[ConversationSync] = []
    ana.on(SyncStatusChanged, lambda event: stages.append(event.status))
    ana.on(ConversationSyncChanged, lambda event: of_room.append(event.status))
    await ana.start()
    await ana.wait_synchronized(timeout=10)
    assert stages == [ClientSync.STARTED, ClientSync.CONVERSATIONS_LISTED, ClientSync.COMPLETED]
    assert of_room == [ConversationSync.METADATA, ConversationSync.ALL]
    assert {each.identity for each in ana.known_conversations[sid].participants.values()} == {"ana", "ben"}


async def test_a_conversation_is_made_joined_renamed_left_and_deleted(stage: Stage) -> None:
    ana = await stage.connect("ana")
    room = await ana.create_conversation(friendly_name="Tavern", unique_name="tavern", attributes={"a": 1})
    assert (room.friendly_name, room.unique_name, room.attributes) == ("Tavern", "tavern", {"a": 1})
    statuses = [room.status]
    await room.join()
    statuses.append(room.status)
    assert statuses == [ConversationStatus.NOT_PARTICIPATING, ConversationStatus.JOINED]
    await room.ready(timeout=10)
    await room.update(friendly_name="The tavern", unique_name=None, attributes={"b": [2]})
    assert (room.friendly_name, room.unique_name, room.attributes) == ("The tavern", None, {"b": [2]})
    await room.set_notification_level("muted")
    assert room.notification_level is NotificationLevel.MUTED
    removed = []
    ana.on(ConversationRemoved, lambda event: removed.append(event.conversation))
    await room.delete()
    assert removed == [room] and room.sid not in ana.known_conversations


async def test_who_leaves_and_comes_back_has_the_same_object(stage: Stage) -> None:
    ana = await stage.connect("ana")
    room = await ana.create_conversation(friendly_name="Tavern", join=True)
    events: list[type] = []
    for kind in (ConversationJoined, ConversationLeft, ConversationRemoved, ConversationAdded):
        ana.on(kind, lambda event: events.append(type(event)))
    await room.leave()
    await until(lambda: events == [ConversationLeft, ConversationRemoved])
    await stage.world.add(room.sid, "ana")
    await until(lambda: events[2:] == [ConversationAdded, ConversationJoined])
    assert ana.known_conversations[room.sid] is room
    await room.ready(timeout=10)
    await room.send("again")
    assert [message.body for message in await room.last_messages(5)] == ["again"]


async def test_what_happens_after_ready_is_heard(stage: Stage) -> None:
    """Also what nobody keeps, as typing, and what ends all hearing, as a conversation that is closed."""
    sid = await stage.room("ana", "ben")
    ben = await stage.connect("ben")
    his = await (await ben.get_conversation(sid)).ready(timeout=10)
    ana = stage.client("ana")
    await ana.start()
    mine = await (await ana.get_conversation(sid)).ready(timeout=10)
    async with asyncio.timeout(10):
        heard = asyncio.create_task(mine.wait_for(TypingStarted))
        await asyncio.sleep(0)
        await his.typing()
        await heard
    await stage.world.do(UpdateConversation, conversation=sid, state="closed")
    await until(lambda: mine.state is not None and mine.state.current == "closed")


async def test_who_takes_no_part_is_told_so_instead_of_waiting(stage: Stage) -> None:
    ana = await stage.connect("ana")
    room = await ana.create_conversation()
    for ask in (room.ready, room.messages_page, lambda: room.last_messages(1), lambda: room.message_by_index(0)):
        with pytest.raises(InvalidArgumentError, match="join"):
            await ask()
    await room.join(wait=False)
    await room.ready(timeout=10)
    assert await room.last_messages(1) == []
    await room.leave()
    with pytest.raises(NotFoundError):
        await room.ready()
    await room.join()
    await room.ready(timeout=10)
    await stage.world.do(DeleteConversation, conversation=room.sid)
    await until(lambda: room.sid not in ana.known_conversations)
    with pytest.raises(NotFoundError):
        await room.last_messages(1)


async def test_changes_are_told_with_their_reasons_and_what_was_before(stage: Stage) -> None:
    mine, his = await stage.in_room("ana", "ben")
    told: list[ConversationUpdated] = []
    his.on(ConversationUpdated, told.append)
    await stage.world.do(UpdateConversation, conversation=mine.sid, friendly_name="New")
    await until(lambda: told)
    assert ConversationField.FRIENDLY_NAME in told[0].reasons
    assert told[0].previous.friendly_name is None and told[0].conversation.friendly_name == "New"


async def test_participants_come_change_and_go(stage: Stage) -> None:
    mine, his = await stage.hosted("ana", "ben")
    events: list[object] = []
    for kind in (ParticipantJoined, ParticipantUpdated, ParticipantLeft):
        his.on(kind, events.append)
    added = await mine.add_participant("cid", attributes={"seat": 3})
    assert added.attributes == {"seat": 3} and mine.participants[added.sid] is added
    await added.update(attributes={"seat": 4})
    assert added.attributes == {"seat": 4}
    await mine.remove_participant("cid")
    assert mine.participant(identity="cid") is None
    await until(lambda: len(events) >= 3)
    assert [type(event) for event in events] == [ParticipantJoined, ParticipantUpdated, ParticipantLeft]


async def test_somebody_from_elsewhere_takes_part(stage: Stage) -> None:
    [mine] = await stage.hosted("ana")
    added = await mine.add_address_participant("+15550001111", "+15550002222")
    assert added.type == "sms" and added.identity is None
    with pytest.raises(InvalidArgumentError):
        await added.get_user()


async def test_looking_at_a_conversation_of_others(stage: Stage) -> None:
    sid = await stage.room("ben")
    ana = await stage.connect("ana")
    with pytest.raises(NotFoundError):
        await ana.get_conversation(sid)
    with pytest.raises((NotFoundError, ForbiddenError)):
        await ana.peek_conversation(sid)
    with pytest.raises(NotFoundError):
        await ana.get_conversation_by_unique_name("nowhere")


async def test_a_taken_name_is_a_conflict(stage: Stage) -> None:
    ana = await stage.connect("ana")
    await ana.create_conversation(unique_name="tavern")
    with pytest.raises(ConflictError) as conflict:
        await ana.create_conversation(unique_name="tavern")
    assert (conflict.value.status, conflict.value.code) == (409, 50353)


async def test_a_conversation_is_found_by_its_name(stage: Stage) -> None:
    ana = await stage.connect("ana")
    made = await ana.create_conversation(unique_name="a/b ü", join=True)
    assert await ana.get_conversation_by_unique_name("a/b ü") is made
    again = await stage.connect("ana")
    found = await again.get_conversation_by_unique_name("a/b ü")
    assert found.sid == made.sid


async def test_pages_have_a_hundred_and_give_the_very_objects(stage: Stage) -> None:
    for _ in range(103):
        await stage.room("ana")
    ana = await stage.connect("ana")
    page = await ana.conversations_page()
    assert len(page) == 100 and page.has_next and not page.has_previous
    rest = await page.next()
    assert len(rest) == 3 and not rest.has_next
    assert {conversation.sid async for conversation in page} == ana.known_conversations.keys()
    assert all(ana.known_conversations[conversation.sid] is conversation for conversation in page)


async def test_a_conversation_that_is_deleted_while_the_client_is_away_is_gone_when_it_is_back(stage: Stage) -> None:
    sid, other = await stage.room("ana"), await stage.room("ana")
    ana = await stage.connect("ana")
    stage.proxy.refuse()
    await stage.world.do(DeleteConversation, conversation=sid)
    await stage.world.send(other, "meanwhile")
    stage.proxy.admit()
    await until(lambda: sid not in ana.known_conversations)
    await until(
        lambda: [each.body for each in ana.known_conversations[other].loaded_messages.values()] == ["meanwhile"]
    )


async def test_who_comes_back_can_write_at_once(stage: Stage) -> None:
    ana = await stage.connect("ana")
    room = await ana.create_conversation(join=True)
    await room.leave()
    await room.join()
    assert ana.known_conversations[room.sid] is room
    assert (await room.send("again")).body == "again"


async def test_counts_of_what_is_unread_follow_ones_own_reports_at_once(stage: Stage) -> None:
    [mine] = await stage.hosted("ana")
    for number in range(3):
        await mine.send(f"{number}")
    assert await mine.count_unread() is None
    await mine.mark_all_read()
    assert await mine.count_unread() == 0
    await mine.mark_all_unread()
    assert await mine.count_unread() is None
    assert await mine.advance_read_horizon(1, wait=False) is None
    assert await mine.count_unread() == 1


async def test_typing_ends_with_a_message_and_can_be_shown_again(stage: Stage) -> None:
    mine, his = await stage.in_room("ana", "ben")
    shown: list[TypingStarted] = []
    his.on(TypingStarted, shown.append)
    for count in (1, 2):
        async with mine.typing_session():
            await until(lambda: len(shown) == count)  # noqa: B023
            await mine.send("words")


async def test_a_typing_session_leaves_a_cancellation_alone(stage: Stage) -> None:
    [mine] = await stage.hosted("ana")

    async def typing() -> None:
        async with mine.typing_session():
            task = asyncio.current_task()
            assert task is not None
            task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(typing())
