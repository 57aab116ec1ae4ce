"""Every error is one of ours: whatever is given, and wherever."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from tertulia.client import (
    ClientConfig,
    ClientSync,
    Conversation,
    ConversationsClient,
    ConversationSync,
    FilePushStore,
    FileTokenStore,
    Message,
    MessageDraft,
    NotificationLevel,
    PushConfig,
)
from tertulia.client.errors import ConversationsError, InvalidArgumentError
from tertulia.client.events import MessageAdded

from .stage import Stage

OBJECT = object()
ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)
NOT_JSON = (OBJECT, {1j: 1}, ENDLESS, "a\ud800", 10**5000)


Call = tuple[str, Callable[[], Awaitable[object]]]


async def first(room: Conversation, *limit: Any, **options: Any) -> Message:
    return await anext(room.messages(*limit, **options))


def attributes_of(*things: Any) -> list[Call]:
    editing = [getattr(thing, "edit", None) or thing.update for thing in things]
    return [("attributes", partial(edit, attributes=wrong)) for edit in editing for wrong in NOT_JSON]


def of_client(client: Any) -> list[Call]:
    calls: list[Call] = []
    wrong: Any
    for wrong in (5, None, b"x", "", ["x"]):
        calls += [
            (f"get_user({wrong!r})", partial(client.get_user, wrong)),
            (f"get_conversation({wrong!r})", partial(client.get_conversation, wrong)),
            (f"get_conversation_by_unique_name({wrong!r})", partial(client.get_conversation_by_unique_name, wrong)),
            (f"peek_conversation({wrong!r})", partial(client.peek_conversation, wrong)),
            (f"join_conversation({wrong!r})", partial(client.join_conversation, wrong)),
            (f"update_token({wrong!r})", partial(client.update_token, wrong)),
            (f"register_push({wrong!r})", partial(client.register_push, wrong, "phone")),
            (f"register_push(fcm, {wrong!r})", partial(client.register_push, "fcm", wrong)),
            (f"unregister_push({wrong!r})", partial(client.unregister_push, wrong)),
            (f"cleanup_push(fcm, {wrong!r})", partial(client.cleanup_push, "fcm", wrong)),
        ]
    for wrong in (0, -1, "x", None, 1.5, True):
        calls.append((f"conversations_page({wrong!r})", partial(client.conversations_page, wrong)))
    for wrong in NOT_JSON:
        calls.append(("attributes", partial(client.create_conversation, attributes=wrong)))
    for wrong in (5, b"x"):
        for name in ("friendly_name", "unique_name", "access"):
            calls.append((name, partial(client.create_conversation, **{name: wrong})))
        calls.append(("me.update", partial(client.me.update, friendly_name=wrong)))
    return [
        *calls,
        ("update nothing", lambda: client.me.update()),
        ("wait_synchronized(loud)", lambda: client.wait_synchronized("loud")),
        ("wait_synchronized(99)", lambda: client.wait_synchronized(99)),
        ("wait_synchronized timeout", lambda: client.wait_synchronized(timeout="x")),
        ("wait_for timeout", lambda: client.wait_for(MessageAdded, timeout="x")),
        ("wait_for predicate", lambda: client.wait_for(MessageAdded, 5)),
        ("media_urls(5)", lambda: client.media_urls(5)),
        ("media_urls(text)", lambda: client.media_urls("ME1")),
        ("media_urls([5])", lambda: client.media_urls([5])),
        ("media_urls([])", lambda: client.media_urls([])),
    ]


def of_room(room: Any) -> list[Call]:
    calls: list[Call] = []
    wrong: Any
    for wrong in (b"x", 12, ["x"], OBJECT, True):
        calls += [
            ("send", partial(room.send, wrong)),
            ("send without waiting", partial(room.send, wrong, wait=False)),
            ("subject", partial(room.send, "x", subject=wrong)),
            ("content_sid", partial(room.send, content_sid=wrong)),
            ("content_variables", partial(room.send, content_sid="HX1", content_variables=wrong)),
            ("content_variables", partial(room.send, content_sid="HX1", content_variables={"1": wrong})),
            ("email_bodies", partial(room.send, "x", email_bodies=wrong)),
            ("email_bodies", partial(room.send, "x", email_bodies={"text/plain": wrong})),
            (
                "email_histories",
                partial(room.send, "x", email_histories={wrong: "x"} if wrong != ["x"] else 5),
            ),
            ("draft", partial(room.send_draft, wrong)),
            ("draft body", partial(room.send_draft, MessageDraft(body=wrong))),
            ("add_address", partial(room.add_address_participant, wrong)),
            ("proxy_address", partial(room.add_address_participant, "+1", wrong)),
            ("friendly_name", partial(room.update, friendly_name=wrong)),
            ("unique_name", partial(room.update, unique_name=wrong)),
        ]
    for wrong in (5, None, b"x", "", ["x"]):
        calls += [
            ("add_participant", partial(room.add_participant, wrong)),
            ("remove_participant", partial(room.remove_participant, wrong)),
        ]
    for wrong in NOT_JSON:
        calls += [
            ("send attributes", partial(room.send, "x", attributes=wrong)),
            ("update attributes", partial(room.update, attributes=wrong)),
            ("add attributes", partial(room.add_participant, "ben", attributes=wrong)),
        ]
    for wrong in ("loud", "", 5, None, "MUTED"):
        calls.append(("level", partial(room.set_notification_level, wrong)))
    for wrong in (0, -1, 101, "x", None, 1.5):
        calls.append(("messages_page", partial(room.messages_page, wrong)))
        calls.append(("messages", partial(first, room, page_size=wrong)))
    for wrong in (-1, "x", 1.5, True):
        calls += [
            ("limit", partial(first, room, wrong)),
            ("last_messages", partial(room.last_messages, wrong)),
            ("messages_before", partial(room.messages_before, wrong, 3)),
            ("messages_before", partial(room.messages_before, 3, wrong)),
            ("messages_after", partial(room.messages_after, 3, wrong)),
            ("message_by_index", partial(room.message_by_index, wrong)),
            ("set_read_horizon", partial(room.set_read_horizon, wrong)),
            ("advance_read_horizon", partial(room.advance_read_horizon, wrong)),
        ]
    for wrong in ("x", 1.5, True, -2):
        calls += [
            ("before", partial(first, room, before=wrong)),
            ("after", partial(first, room, after=wrong)),
            ("anchor", partial(room.messages_page, anchor=wrong)),
        ]
    for wrong in ("x", math.nan, True, ["x"]):
        calls += [
            ("max_age", partial(room.count_messages, max_age=wrong)),
            ("max_age", partial(room.count_unread, max_age=wrong)),
            ("ready timeout", partial(room.ready, timeout=wrong)),
        ]
    return [
        *calls,
        ("ready level", lambda: room.ready("loud")),
        ("nothing", lambda: room.send()),
        ("no message", lambda: room.send("")),
        ("update nothing", lambda: room.update()),
        ("variables alone", lambda: room.send("x", content_variables={"1": "x"})),
    ]


async def test_every_wrong_argument_is_refused_with_what_is_right(stage: Stage) -> None:
    [room] = await stage.hosted("ana")
    message = await room.send("here")
    client = await stage.connect("ben")
    stage.proxy.record()
    editing: list[Call] = [("edit", partial(cast(Any, message).edit, body=wrong)) for wrong in (5, None, b"x")]
    asked = [*of_client(client), *of_room(room), *editing, *attributes_of(message, await client.get_user("ana"))]
    assert len(asked) > 200
    for what, call in asked:
        refusal: Exception | None = None
        given: object = None
        try:
            async with asyncio.timeout(5):
                given = await call()
        except Exception as error:  # which of them it is, is the question
            refusal = error
        assert isinstance(refusal, InvalidArgumentError), (what, refusal, given)
        assert str(refusal) and "\n" not in str(refusal) and len(str(refusal)) < 250, what
    assert stage.proxy.said() == [], "nothing of it was sent"
    assert (await room.last_messages(5)) == [message]


async def test_so_is_what_does_not_wait(stage: Stage) -> None:
    [room] = await stage.hosted("ana")
    ana: Any = await stage.connect("ben")
    wrong: list[Callable[[], object]] = [
        lambda: ana.on(5),
        lambda: ana.on(MessageAdded, 5),
        lambda: ana.on(MessageAdded, "x", MessageAdded),
        lambda: ana.on(MessageAdded)(5),
        lambda: ana.events("message"),
        lambda: ana.events(MessageAdded, max_queue=0),
        lambda: ana.events(MessageAdded, max_queue="x"),
        lambda: ana.handle_push(5),
        lambda: ana.handle_push({}),
        lambda: ana.on_device_token("x"),
        lambda: room.participant(),
        lambda: room.message_recipients(0),
        lambda: room.message_recipients("x"),  # type: ignore[arg-type]
        lambda: FileTokenStore(5),  # type: ignore[arg-type]
        lambda: FilePushStore(None),  # type: ignore[arg-type]
    ]
    for call in wrong:
        with pytest.raises(InvalidArgumentError):
            call()


@pytest.mark.parametrize(
    "options",
    [
        {"token": None},
        {"token": ""},
        {"token": "  \n"},
        {"token": 5},
        {"token": b"eyJ"},
        {"token": "e yJ\tx"},
        {"token_provider": 5},
        {"server_url": 5},
        {"server_url": ""},
        {"server_url": "chat.example"},
        {"server_url": "ftp://chat.example"},
        {"identity": 5},
        {"clock": 5},
        {"command_timeout": 9},
        {"command_timeout": None},
        {"command_timeout": "x"},
        {"start_timeout": -1},
        {"start_timeout": "x"},
        {"reconnect_min": math.nan},
        {"max_event_queue": 0},
        {"open_at_once": 0},
        {"max_cached_messages": "x"},
        {"push": "fcm"},
    ],
)
def test_a_configuration_no_client_can_work_with_is_refused_at_once(options: dict[str, Any]) -> None:
    usual = {"server_url": "https://chat.example", "token": "eyJ"}
    with pytest.raises(InvalidArgumentError) as refusal:
        ConversationsClient(ClientConfig(**{**usual, **options}))
    [name] = options
    assert name in str(refusal.value) and "eyJ" not in str(refusal.value)


def test_what_is_no_configuration_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="ClientConfig"):
        ConversationsClient("https://chat.example")  # type: ignore[arg-type]


async def test_texts_of_closed_sets_count_as_their_members(stage: Stage) -> None:
    [room] = await stage.hosted("ana")
    await room.set_notification_level("muted")
    assert room.notification_level is NotificationLevel.MUTED
    await room.set_notification_level(NotificationLevel.DEFAULT)
    with pytest.raises(InvalidArgumentError, match="default, muted, not 'loud'"):
        await room.set_notification_level("loud")
    with pytest.raises(InvalidArgumentError, match="COMPLETED"):
        await (await stage.connect("ben")).wait_synchronized("done")  # type: ignore[arg-type]
    assert await room.ready(ConversationSync.METADATA) is room
    await (await stage.connect("cid")).wait_synchronized(ClientSync.STARTED)


async def test_a_timeout_of_ones_own_is_a_timeout(stage: Stage, tmp_path: Path) -> None:
    ana = await stage.connect("ana")
    with pytest.raises(TimeoutError):
        await ana.wait_for(MessageAdded, timeout=0)
    room: Conversation = await ana.create_conversation(join=True)
    with pytest.raises(TimeoutError):
        await room.wait_for(MessageAdded, timeout=0.001)


async def test_a_device_that_is_none_is_refused_at_the_start(stage: Stage) -> None:
    for push in (PushConfig(channel="pager", device_token="x"), PushConfig(channel="fcm", device_token="")):
        with pytest.raises(ConversationsError):
            await stage.client("ana", push=push).start()
