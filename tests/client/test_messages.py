"""Messages: written, read, changed, heard of."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from tertulia.client import Message, MessageDraft, MessageField
from tertulia.client.errors import InvalidArgumentError
from tertulia.client.events import MessageAdded, MessageRemoved, MessageUpdated, TypingEnded, TypingStarted
from tertulia.server.domain.messages import Message as Kept

from .stage import Stage, until


async def test_a_message_reaches_everybody_its_author_included(stage: Stage) -> None:
    mine, his = await stage.hosted("ana", "ben")
    heard: list[Message] = []
    mine.on(MessageAdded, lambda event: heard.append(event.message))
    his.on(MessageAdded, lambda event: heard.append(event.message))
    sent = await mine.send("Good evening!", attributes={"mood": "fine"}, subject="Greeting")
    await until(lambda: len(heard) == 2)
    assert sent in heard and mine.loaded_messages[sent.index] is sent
    for message in heard:
        assert (message.author, message.body, message.subject) == ("ana", "Good evening!", "Greeting")
        assert (message.index, message.attributes, message.media) == (0, {"mood": "fine"}, [])
        assert (await message.get_participant()).identity == "ana"
    assert await mine.send("again", wait=False) == 1


async def test_a_message_is_edited_and_taken_back(stage: Stage) -> None:
    mine, his = await stage.hosted("ana", "ben")
    updated: list[MessageUpdated] = []
    removed: list[MessageRemoved] = []
    his.on(MessageUpdated, updated.append)
    his.on(MessageRemoved, removed.append)
    message = await mine.send("Tpyo")
    await until(lambda: his.loaded_messages)
    await message.edit(body="Typo", attributes={"edited": True})
    assert (message.body, message.attributes, message.last_updated_by) == ("Typo", {"edited": True}, "ana")
    await until(lambda: updated)
    assert {MessageField.BODY, MessageField.ATTRIBUTES} <= updated[0].reasons
    assert updated[0].previous.body == "Tpyo" and updated[0].message.body == "Typo"
    await message.delete()
    assert message.index not in mine.loaded_messages
    await until(lambda: removed)
    assert removed[0].message.body == "Typo" and not his.loaded_messages


async def test_no_message_is_fetched_at_the_start_and_changes_are_told_of_known_ones(stage: Stage) -> None:
    sid = await stage.room("ana", "ben")
    old = [await stage.world.send(sid, f"{number}") for number in range(3)]
    ana = await stage.connect("ana")
    room = await ana.get_conversation(sid)
    events: list[object] = []
    for kind in (MessageAdded, MessageUpdated, MessageRemoved):
        room.on(kind, events.append)
    assert not room.loaded_messages
    await edit(stage, old[0], "changed, and not known")
    known = await room.message_by_index(1)
    assert known is not None and room.loaded_messages == {1: known}
    await edit(stage, old[1], "changed, and known")
    await until(lambda: events)
    [event] = events
    assert isinstance(event, MessageUpdated) and event.message is known and known.body == "changed, and known"


async def edit(stage: Stage, message: Kept, body: str) -> None:
    from tertulia.server.domain.messages import UpdateMessage

    await stage.world.do(UpdateMessage, conversation=message.conversation_sid, message=message.sid, body=body)


async def test_history_is_read_in_pages_both_ways_and_by_place(stage: Stage) -> None:
    sid = await stage.room("ana")
    for number in range(25):
        await stage.world.send(sid, f"{number}")
    room = await (await stage.connect("ana")).get_conversation(sid)
    everything = [message async for message in room.messages(page_size=10)]
    assert [message.index for message in everything] == list(range(24, -1, -1))
    assert [message.index async for message in room.messages(5, before=10)] == [9, 8, 7, 6, 5]
    assert [message.index async for message in room.messages(after=20, newest_first=False)] == [21, 22, 23, 24]
    assert [message.index async for message in room.messages(before=9, after=5)] == [8, 7, 6]
    assert [message.index for message in await room.last_messages(3)] == [22, 23, 24]
    assert [message.index for message in await room.messages_before(10, 3)] == [7, 8, 9]
    assert [message.index for message in await room.messages_after(10, 3)] == [11, 12, 13]
    page = await room.messages_page(10)
    assert [message.index for message in page] == list(range(24, 14, -1)) and not page.has_previous
    older = await page.next()
    assert [message.index for message in older] == list(range(14, 4, -1))
    assert [message.index for message in await older.previous()] == list(range(24, 14, -1))
    last = await older.next()
    assert [message.index for message in last] == [4, 3, 2, 1, 0] and not last.has_next
    assert all(room.loaded_messages[message.index] is message for message in everything)
    assert await room.message_by_index(99) is None
    with pytest.raises(InvalidArgumentError):
        await room.messages_page(101)


async def test_bounds_are_not_included_and_an_anchor_is(stage: Stage) -> None:
    """One convention for all that reads: who walks begins at the newest, a list stands oldest first."""
    sid = await stage.room("ana")
    for number in range(10):
        await stage.world.send(sid, f"{number}")
    room = await (await stage.connect("ana")).get_conversation(sid)

    async def walked(*limit: int, **options: Any) -> list[int]:
        return [message.index async for message in room.messages(*limit, page_size=2, **options)]

    assert await walked() == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0] == (await walked(newest_first=False))[::-1]
    assert await walked(before=4) == [3, 2, 1, 0] and await walked(after=6) == [9, 8, 7]
    assert await walked(before=7, after=3) == [6, 5, 4]
    assert await walked(before=7, after=3, newest_first=False) == [4, 5, 6]
    assert await walked(2, before=7, after=3, newest_first=False) == [4, 5]
    assert await walked(2, before=7, after=3) == [6, 5]
    assert [*await walked(after=-1), *await walked(before=0), *await walked(0), *await walked(after=9)] == [
        *range(9, -1, -1)
    ]
    for newest_first, expected in ((True, [5, 4, 3]), (False, [5, 6, 7])):
        page = await room.messages_page(3, anchor=5, newest_first=newest_first)
        assert [message.index for message in page] == expected
        back = [message.index for message in await page.previous()]
        assert back == ([8, 7, 6] if newest_first else [2, 3, 4])

    async def listed(found: Awaitable[list[Message]]) -> list[int]:
        return [message.index for message in await found]

    assert await listed(room.last_messages(3)) == [7, 8, 9]
    assert await listed(room.messages_before(5, 3)) == [2, 3, 4]
    assert await listed(room.messages_after(5, 3)) == [6, 7, 8]
    assert [*await listed(room.messages_before(0, 3)), *await listed(room.messages_after(9, 3))] == []
    assert [*await listed(room.last_messages(0)), *await listed(room.messages_before(5, 0))] == []
    assert await listed(room.messages_before(5, 100)) == [0, 1, 2, 3, 4]
    assert await listed(room.messages_after(-1, 200)) == list(range(10))


async def test_a_new_message_is_told_once_also_when_it_is_read_before_its_event_comes(stage: Stage) -> None:
    [room] = await stage.hosted("ana")
    told: list[int] = []
    room.on(MessageAdded, lambda event: told.append(event.message.index))
    for number in range(20):
        await asyncio.gather(stage.world.send(room.sid, f"{number}"), room.last_messages(5))
    await until(lambda: len(told) >= 20)
    assert sorted(told) == list(range(20))


async def test_what_is_read_longest_ago_is_let_go(stage: Stage) -> None:
    sid = await stage.room("ana")
    for number in range(20):
        await stage.world.send(sid, f"{number}")
    room = await (await stage.connect("ana", max_cached_messages=10)).get_conversation(sid)
    indices = [message.index async for message in room.messages()]
    assert indices[:1] == [19] and len(room.loaded_messages) == 10
    await stage.world.send(sid, "new")
    await until(lambda: 20 in room.loaded_messages)
    assert len(room.loaded_messages) == 10


async def test_a_message_of_nothing_is_refused_before_it_is_sent(stage: Stage) -> None:
    [room] = await stage.hosted("ana")
    for draft in (
        MessageDraft(),
        MessageDraft(body="a", content_variables={"1": "b"}),
        MessageDraft(body="a", email_bodies={"application/pdf": "b"}),
    ):
        with pytest.raises(InvalidArgumentError):
            await room.send_draft(draft)


async def test_a_draft_can_be_sent_again(stage: Stage) -> None:
    [room] = await stage.hosted("ana")
    draft = MessageDraft(body="twice", attributes=[1], email_bodies={"text/plain": "long"})
    for _ in range(2):
        await room.send_draft(draft)
    first, second = await room.last_messages(5)
    assert first.body == second.body == "twice" and first.attributes == [1]
    bodies = [message.email_body() for message in (first, second)]
    assert bodies[0] is not None and bodies[1] is not None and bodies[0].sid != bodies[1].sid
    assert await bodies[0].download() == b"long"


async def test_what_was_read_is_counted_and_reports_are_collected(stage: Stage) -> None:
    stage.proxy.record()
    mine, his = await stage.hosted("ana", "ben")
    for number in range(5):
        await his.send(f"{number}")
    assert await mine.count_unread() is None
    assert await mine.advance_read_horizon(1) == 3
    waiting = [asyncio.ensure_future(mine.advance_read_horizon(index)) for index in (2, 3, 2)]
    await asyncio.sleep(0.02)
    # Asking for the count sends what was collected.
    assert await mine.count_unread() == 1
    assert [await each for each in waiting] == [1, 1, 1]
    assert sum(b"last_read_message_index" in message for message in stage.proxy.said()) == 2
    await until(lambda: mine.last_read_message_index == 3)
    assert await mine.set_read_horizon(0, immediate=True) == 4
    assert await mine.mark_all_read() == 0
    assert await mine.mark_all_unread() is None
    assert (await mine.count_messages(max_age=0), await mine.count_participants(max_age=0)) == (5, 2)
    with pytest.raises(InvalidArgumentError):
        await mine.set_read_horizon(-1)


async def test_others_see_how_far_somebody_has_read(stage: Stage) -> None:
    mine, his = await stage.hosted("ana", "ben")
    await mine.send("read me")
    await his.mark_all_read()
    ben = mine.participant(identity="ben")
    assert ben is not None
    await until(lambda: ben.last_read_message_index == 0)
    assert ben.last_read_timestamp is not None


async def test_counts_are_kept_for_the_time_the_server_says(stage: Stage) -> None:
    [room] = await stage.hosted("ana")
    assert await room.count_messages() == 0
    await stage.world.send(room.sid)
    assert await room.count_messages() == 0
    assert await room.count_messages(max_age=0) == 1


async def test_typing_is_shown_once_per_spell_and_ends_with_a_message(stage: Stage) -> None:
    mine, his = await stage.hosted("ana", "ben")
    events: list[object] = []
    his.on(TypingStarted, events.append)
    his.on(TypingEnded, events.append)
    mine.on(TypingStarted, events.append)
    async with mine.typing_session():
        await until(lambda: events)
        await mine.typing()
    ana = his.participant(identity="ana")
    assert ana is not None and ana.is_typing
    await mine.send("there")
    await until(lambda: len(events) == 2)
    assert [type(event) for event in events] == [TypingStarted, TypingEnded] and not ana.is_typing


async def test_typing_ends_by_itself(stage: Stage) -> None:
    from tertulia.server.settings import JobsSettings, Settings, TypingSettings

    stage.settings = Settings(jobs=JobsSettings(poll_s=60), typing=TypingSettings(timeout_s=1))
    await stage.stop()
    await stage.start_again()
    mine, his = await stage.hosted("ana", "ben")
    async with mine.typing_session():
        await his.wait_for(TypingStarted, timeout=5)
    ended = await his.wait_for(TypingEnded, timeout=5)
    assert ended.participant.identity == "ana"
