"""Webhooks of what comes in: who is asked, who is told, in which order (semantics 1.2 to 1.6, 4.3)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tertulia.server.domain.conversations import UpdateConversation
from tertulia.server.domain.webhooks import EVENTS, CallWebhook, ConfigureHooks
from tertulia.server.jobs.webhooks import WebhookPerformer
from tests.api.webhooks.receiver import Receiver, Told, answer, receiving
from tests.contract.channels.heard import installed

from .inbound import ANA, BEN, OURS, OURS_TOO, Inbound, inbound_of
from .world import World

ALL = tuple(sorted(EVENTS))


async def asked_and_told(inbound: Inbound, receiver: Receiver) -> None:
    """The receiver is asked and told about everything."""
    pre, post = receiver.url("/pre"), receiver.url("/post")
    await inbound.world.do(ConfigureHooks, service=None, pre_url=pre, post_url=post, filters=ALL)
    performer = WebhookPerformer(inbound.world.webhook_calls, post_retry=False)
    inbound.performers = {**inbound.performers, CallWebhook: performer}


@pytest.fixture
async def receiver(inbound: Inbound) -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        await asked_and_told(inbound, receiver)
        yield receiver


def says(pre: Callable[[Told], Awaitable[tuple[int, bytes]]] | None = None, **fields: Any) -> Any:
    """What a receiver answers who is asked; told of something, he has nothing to say."""

    async def respond(told: Told, writer: asyncio.StreamWriter) -> None:
        status, body = 200, b""
        if told.path == "/pre":
            status, body = await pre(told) if pre is not None else (200, json.dumps(fields).encode())
        await answer(status, body)(told, writer)

    return respond


async def no(_told: Told) -> tuple[int, bytes]:
    return 403, b""


def events(receiver: Receiver) -> list[str]:
    """What came in, those asked before marked with a question mark."""
    return [f"{told.event}{'?' if told.path == '/pre' else ''}" for told in receiver.told]


async def test_a_message_is_asked_about_and_told(inbound: Inbound, receiver: Receiver) -> None:
    room, person = await inbound.pair()
    await inbound.hears("hello")
    await inbound.settle()
    assert events(receiver) == ["onMessageAdd?", "onMessageAdded"]
    asked, told = receiver.told
    assert (asked["Body"], asked["Author"], asked["ParticipantSid"]) == ("hello", ANA, person.sid)
    assert (told["Source"], told["ConversationSid"], told["Author"]) == ("SDK", room.sid, ANA)
    assert "ClientIdentity" not in told.fields
    assert "MessageSid" not in asked.fields and "Index" not in asked.fields


async def test_the_channel_is_named_where_the_operator_wants_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with installed(tmp_path / "installed", monkeypatch):
        async with (
            inbound_of(world, tmp_path / "blobs", extended_source=True) as inbound,
            receiving() as receiver,
        ):
            await asked_and_told(inbound, receiver)
            await inbound.pair()
            await inbound.hears()
            await inbound.settle()
            assert [told["Source"] for told in receiver.told] == ["SMS", "SMS"]


async def test_a_message_that_is_rejected_is_dropped(inbound: Inbound, receiver: Receiver) -> None:
    room, _ = await inbound.pair()
    receiver.respond = says(no)
    await inbound.hears()
    await inbound.settle()
    assert await inbound.bodies(room.sid) == []
    [arrival] = await inbound.arrivals()
    assert (arrival.state.value, arrival.content) == ("dropped", None)
    assert await inbound.owed("TakeIn") == 0


async def test_a_rejected_message_does_not_hold_up_the_next(inbound: Inbound, receiver: Receiver) -> None:
    room, _ = await inbound.pair()

    async def not_the_first(told: Told) -> tuple[int, bytes]:
        return (403, b"") if told["Body"] == "first" else (200, b"")

    receiver.respond = says(not_the_first)
    await inbound.hear(inbound.incoming("first"), inbound.incoming("second"))
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["second"]


async def test_the_receiver_may_put_other_words_in(inbound: Inbound, receiver: Receiver) -> None:
    room, person = await inbound.pair()
    receiver.respond = says(body="other words", attributes='{"seen": true}')
    await inbound.hears("hello")
    await inbound.settle()
    [message] = await inbound.messages(room.sid)
    assert (message.body, message.author, message.participant_sid) == ("other words", ANA, person.sid)
    assert json.loads(message.attributes) == {"seen": True}


async def test_the_receiver_may_name_another_author(inbound: Inbound, receiver: Receiver) -> None:
    room, _ = await inbound.pair("zoe")
    receiver.respond = says(author="zoe")
    await inbound.hears()
    await inbound.settle()
    [message] = await inbound.messages(room.sid)
    zoe = await inbound.world.queries.participant(inbound.world.account, inbound.world.service, room.sid, "zoe")
    assert (message.author, message.participant_sid) == ("zoe", zoe.sid)


async def test_an_author_who_is_not_in_the_group_is_refused(inbound: Inbound, receiver: Receiver) -> None:
    room = await inbound.group(ANA, BEN)
    receiver.respond = says(author="nobody")
    await inbound.hears(others=(BEN,))
    await inbound.settle()
    assert await inbound.bodies(room.sid) == []
    [arrival] = await inbound.arrivals()
    assert arrival.why == "refused with 50513"


async def test_words_that_are_too_long_are_refused(inbound: Inbound, receiver: Receiver) -> None:
    await inbound.pair()
    receiver.respond = says(body="x" * 40_000)
    await inbound.hears()
    await inbound.settle()
    [arrival] = await inbound.arrivals()
    assert arrival.why == "refused with 50504"


async def test_what_closes_while_the_receiver_thinks_gets_nothing(inbound: Inbound, receiver: Receiver) -> None:
    await inbound.welcome()
    room, _ = await inbound.pair()

    async def closing(told: Told) -> tuple[int, bytes]:
        if told.event == "onMessageAdd":
            await inbound.world.do(UpdateConversation, conversation=room.sid, state="closed")
        return 200, b""

    receiver.respond = says(closing)
    await inbound.hears()
    await inbound.settle()
    assert await inbound.states() == ["waiting"]
    inbound.world.clock.advance(timedelta(seconds=2))
    await inbound.settle()
    assert await inbound.bodies(room.sid) == []
    (_, _, _, _), (new, _, _, _) = await inbound.conversations()
    assert await inbound.bodies(new) == ["hello"]


async def test_the_pair_that_is_taken_while_the_receiver_thinks_is_used(inbound: Inbound, receiver: Receiver) -> None:
    await inbound.welcome()
    rooms = []

    async def taking(told: Told) -> tuple[int, bytes]:
        if told.event == "onConversationAdd":
            rooms.append((await inbound.pair())[0].sid)
        return 200, b""

    receiver.respond = says(taking)
    await inbound.hears()
    await inbound.settle()
    inbound.world.clock.advance(timedelta(seconds=2))
    await inbound.settle()
    assert [await inbound.bodies(sid) for sid in rooms] == [["hello"]]
    assert len(await inbound.conversations()) == 1


async def test_two_workers_with_one_arrival_make_one_message(inbound: Inbound, receiver: Receiver) -> None:
    """The lease of the first runs out while the receiver thinks; what it then does comes too late."""
    room, _ = await inbound.pair()
    asked = []

    async def slowly(told: Told) -> tuple[int, bytes]:
        asked.append(told.event)
        if len(asked) == 1:
            inbound.world.clock.advance(timedelta(minutes=2))
            await inbound.worker().run_due()
        return 200, b""

    receiver.respond = says(slowly)
    await inbound.hears("once")
    await inbound.settle()
    assert asked == ["onMessageAdd", "onMessageAdd"]
    assert await inbound.bodies(room.sid) == ["once"]
    assert await inbound.states() == ["taken"]


# ------------------------------------------------------------------------------------------------------- strangers


async def test_a_new_conversation_is_asked_about_and_all_of_it_told(inbound: Inbound, receiver: Receiver) -> None:
    await inbound.welcome()
    await inbound.hears("hello")
    await inbound.settle()
    assert events(receiver) == ["onConversationAdd?", "onConversationAdded", "onParticipantAdded", "onMessageAdded"]
    asked, added, _, _ = receiver.told
    pair = ("MessagingBinding.ProxyAddress", "MessagingBinding.Address")
    for told in (asked, added):
        assert tuple(told[name] for name in pair) == (OURS, ANA)
        assert "MessagingBinding.AuthorAddress" not in told.fields
    assert (asked["MessageBody"], asked["State"], asked["FriendlyName"]) == ("hello", "active", ANA)
    assert "MessageBody" not in added.fields


async def test_a_new_conversation_that_is_rejected_is_none(inbound: Inbound, receiver: Receiver) -> None:
    await inbound.welcome()
    receiver.respond = says(no)
    await inbound.hears()
    await inbound.settle()
    assert await inbound.conversations() == []
    assert await inbound.states() == ["dropped"]
    assert events(receiver) == ["onConversationAdd?"]


async def test_the_receiver_may_name_the_conversation(inbound: Inbound, receiver: Receiver) -> None:
    await inbound.welcome()
    receiver.respond = says(friendly_name="Ana of the shop")
    await inbound.hears()
    await inbound.settle()
    [(_, _, name, _)] = await inbound.conversations()
    assert name == "Ana of the shop"


async def test_a_new_group_is_being_set_up_until_it_is_active(inbound: Inbound, receiver: Receiver) -> None:
    await inbound.welcome()
    await inbound.hears("hello", others=(BEN, OURS_TOO))
    await inbound.settle()
    assert events(receiver) == [
        "onConversationAdd?",
        "onConversationAdded",
        *["onParticipantAdded"] * 4,
        "onConversationStateUpdated",
        "onMessageAdded",
    ]
    asked, added, *_, changed, _ = receiver.told
    for told in (asked, added):
        assert told["State"] == "initializing"
        assert sorted(told["MessagingBinding.Address"].split(",")) == sorted((BEN, OURS, OURS_TOO))
        assert told["MessagingBinding.AuthorAddress"] == ANA
        assert "MessagingBinding.ProxyAddress" not in told.fields
    assert (changed["StateFrom"], changed["StateTo"]) == ("initializing", "active")


async def test_an_idle_conversation_that_wakes_is_told_of(inbound: Inbound, receiver: Receiver) -> None:
    room, _ = await inbound.pair()
    await inbound.world.do(UpdateConversation, conversation=room.sid, state="inactive")
    await inbound.settle()
    receiver.forget()
    await inbound.hears()
    await inbound.settle()
    assert events(receiver) == ["onMessageAdd?", "onMessageAdded", "onConversationStateUpdated"]
    assert receiver.told[-1]["Reason"] == "EVENT"
