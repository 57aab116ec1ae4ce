"""How events reach an application: handlers, streams, and what neither of them may do to others."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from tertulia.client.errors import ClientShutDownError, EventOverflowError, InvalidArgumentError
from tertulia.client.events import (
    ConnectionStateChanged,
    Event,
    HandlerFailed,
    MessageAdded,
    MessageRemoved,
    MessageUpdated,
)
from tertulia.client.files import FileToSend

from .stage import Stage, until


async def test_an_event_reaches_message_conversation_and_client_in_this_order(stage: Stage) -> None:
    from tertulia.client.events import MessageUpdated

    ana = await stage.connect("ana")
    room = await ana.create_conversation(join=True)
    message = await room.send("one")
    heard: list[str] = []
    ana.on(MessageUpdated, lambda event: heard.append("client"))
    room.on(MessageUpdated, lambda event: heard.append("conversation"))
    message.on(MessageUpdated, lambda event: heard.append("message"))
    await message.edit(body="two")
    assert heard == ["message", "conversation", "client"]


async def test_a_handler_is_called_until_it_is_taken_off_and_with_replay_also_for_the_last(stage: Stage) -> None:
    [room] = await stage.hosted("ana")
    heard: list[str | None] = []

    @room.on(MessageAdded)
    def hear(event: MessageAdded) -> None:
        heard.append(event.message.body)

    await room.send("one")
    room.off(MessageAdded, hear)
    room.off(MessageAdded, hear)
    await room.send("two")
    assert heard == ["one"]
    room.on(MessageAdded, hear, replay=True)
    assert heard == ["one", "two"]


async def test_coroutine_handlers_have_their_events_one_after_the_other(stage: Stage) -> None:
    [room] = await stage.hosted("ana")
    heard: list[str | None] = []

    async def hear(event: MessageAdded) -> None:
        # The first takes longest; the others wait for it.
        await asyncio.sleep(0.02 if not heard else 0)
        heard.append(event.message.body)

    room.on(MessageAdded, hear)
    for number in range(5):
        await room.send(f"{number}")
    await until(lambda: len(heard) == 5)
    assert heard == ["0", "1", "2", "3", "4"]


async def test_a_handler_that_raises_is_told_of_and_disturbs_nobody(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    [room] = await stage.hosted("ana")
    failed: list[HandlerFailed] = []
    heard: list[str | None] = []

    def raises(event: MessageAdded) -> None:
        raise RuntimeError("plain")

    async def raises_later(event: MessageAdded) -> None:
        raise RuntimeError("later")

    def raises_again(event: HandlerFailed) -> None:
        raise RuntimeError("about that")

    room.on(MessageAdded, raises)
    room.on(MessageAdded, raises_later)
    room.on(HandlerFailed, failed.append)
    room.on(HandlerFailed, raises_again)
    room.on(MessageAdded, lambda event: heard.append(event.message.body))
    for number in range(2):
        await room.send(f"{number}")
    await until(lambda: len(failed) == 4)
    assert heard == ["0", "1"] and {str(each.error) for each in failed} == {"plain", "later"}
    assert all(isinstance(each.event, MessageAdded) for each in failed)


async def test_acknowledgements_do_not_wait_for_handlers(stage: Stage) -> None:
    stage.proxy.record()
    [room] = await stage.hosted("ana")
    stuck = asyncio.Event()
    heard: list[Event] = []

    async def hear(event: MessageAdded) -> None:
        heard.append(event)
        await stuck.wait()

    room.on(MessageAdded, hear)

    def acknowledged() -> int:
        return sum(b'"method":"reply"' in said for said in stage.proxy.said())

    before = acknowledged()
    for number in range(10):
        await stage.world.send(room.sid, f"{number}")
    # Each message is two events: of the list, and of the conversation's document.
    await until(lambda: acknowledged() >= before + 20)
    assert len(heard) == 1
    stuck.set()
    await until(lambda: len(heard) == 10)


async def test_a_handler_too_far_behind_loses_events_and_is_told_of(stage: Stage) -> None:
    [room] = await stage.hosted("ana", max_event_queue=3)
    stuck = asyncio.Event()
    heard: list[str | None] = []
    failed: list[HandlerFailed] = []

    async def hear(event: MessageAdded) -> None:
        heard.append(event.message.body)
        await stuck.wait()

    room.on(MessageAdded, hear)
    room.on(HandlerFailed, failed.append)
    for number in range(6):
        await room.send(f"{number}")
    assert [type(each.error) for each in failed] == [EventOverflowError, EventOverflowError]
    stuck.set()
    await until(lambda: len(heard) == 4)
    assert heard == ["0", "1", "2", "3"]


async def test_a_stream_gives_what_comes_and_says_when_it_was_read_too_slowly(stage: Stage) -> None:
    [room] = await stage.hosted("ana")
    async with room.events(MessageAdded, max_queue=3) as stream:
        for number in range(5):
            await room.send(f"{number}")
        assert [(await anext(stream)).message.body for _ in range(3)] == ["0", "1", "2"]
        with pytest.raises(EventOverflowError, match="3"):
            await anext(stream)
    async with room.events(MessageAdded, replay_last=True) as stream:
        assert (await anext(stream)).message.body == "4"


async def test_waiting_for_an_event_ends_with_it_in_time_or_with_the_client(stage: Stage) -> None:
    ana = await stage.connect("ana")
    room = await ana.create_conversation(join=True)
    waiting = asyncio.ensure_future(
        room.wait_for(MessageAdded, lambda event: event.message.body == "that one", timeout=10)
    )
    await asyncio.sleep(0)
    await room.send("another")
    await room.send("that one")
    assert (await waiting).message.index == 1
    with pytest.raises(TimeoutError):
        await room.wait_for(MessageAdded, timeout=0.01)
    waiting = asyncio.ensure_future(room.wait_for(MessageAdded))
    stream_ended = asyncio.ensure_future(_all(ana.events(ConnectionStateChanged)))
    await asyncio.sleep(0)
    await ana.shutdown()
    with pytest.raises(ClientShutDownError):
        await waiting
    await stream_ended


async def _all(stream: object) -> None:
    async with stream as events:  # type: ignore[attr-defined]
        async for _ in events:
            pass


async def test_a_second_client_of_the_same_user_is_warned_of(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    first = await stage.connect("ana")
    assert "client.second_of_same_user" not in caplog.text
    await stage.connect("ana")
    assert "client.second_of_same_user" in caplog.text
    await first.shutdown()


async def test_what_was_read_last_is_reported_before_a_shutdown(stage: Stage) -> None:
    [room] = await stage.hosted("ana")
    for number in range(3):
        await room.send(f"{number}")
    await room.advance_read_horizon(0)
    waiting = asyncio.ensure_future(room.advance_read_horizon(2))
    await asyncio.sleep(0)
    client = room._session.emitter
    await client.shutdown()  # type: ignore[attr-defined]
    assert await waiting == 0


async def test_an_event_that_is_printed_shows_nothing_that_people_wrote(stage: Stage) -> None:
    ana = await stage.connect("ana")
    printed: list[str] = []
    ana.on(Event, lambda event: printed.append(repr(event)))
    room = await ana.create_conversation(friendly_name="secret room", attributes={"a": "secret"}, join=True)
    message = await room.send(
        "secret words", attributes={"b": "secret"}, media=[FileToSend(b"x", filename="secret.txt")]
    )
    [participant] = room.participants.values()
    await message.edit(attributes={})
    await (await room.send("secret")).edit(body="secret too")
    await room.update(friendly_name="secret hall")
    await participant.update(attributes={"c": "secret"})
    await participant.update(attributes={})
    await ana.me.update(friendly_name="secret name")
    await ana.me.update(friendly_name="secret other")
    printed += [repr(each.snapshot()) for each in (room, message, participant, ana.me)]
    assert any(message.sid in text and "previous=" in text for text in printed)
    assert [text for text in printed if "secret" in text] == []


async def test_what_is_no_event_class_is_refused(stage: Stage) -> None:
    [mine] = await stage.hosted("ana")
    name: Any = "messageAdded"
    for ask in (lambda: mine.on(name, print), lambda: mine.events(name)):
        with pytest.raises(InvalidArgumentError, match="class"):
            ask()
    with pytest.raises(InvalidArgumentError, match="async with"):
        await anext(aiter(mine.events(MessageAdded)))


async def test_one_handler_hears_several_kinds_in_their_order(stage: Stage) -> None:
    [room] = await stage.hosted("ana")
    heard: list[str] = []
    slow: list[str] = []

    @room.on(MessageAdded, MessageUpdated, MessageRemoved)
    def note(event: MessageAdded | MessageUpdated | MessageRemoved) -> None:
        heard.append(f"{type(event).__name__} {event.message.index}")

    @room.on(MessageAdded, MessageUpdated)
    async def think(event: MessageAdded | MessageUpdated) -> None:
        await asyncio.sleep(0)
        slow.append(f"{type(event).__name__} {event.message.body}")

    async with room.events(MessageAdded, MessageRemoved) as stream:
        message = await room.send("one")
        await message.edit(body="two")
        await message.delete()
        told = [await anext(stream), await anext(stream)]
    assert [type(event) for event in told] == [MessageAdded, MessageRemoved]
    assert heard == ["MessageAdded 0", "MessageUpdated 0", "MessageRemoved 0"]
    await until(lambda: len(slow) == 2)
    assert [line.split()[0] for line in slow] == ["MessageAdded", "MessageUpdated"]
    room.off(MessageUpdated, note)
    room.off(MessageUpdated, note)
    second = await room.send("three")
    await second.edit(body="four")
    room.off(MessageAdded, note)
    room.off(MessageRemoved, note)
    await second.delete()
    assert heard[3:] == ["MessageAdded 1"]
