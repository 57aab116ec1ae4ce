"""Our own client and the official one in one conversation: both see the same, whoever does it."""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import datetime
from typing import Any

import pytest

from tertulia.client import ClientConfig, Conversation, ConversationsClient, Message
from tertulia.client.events import (
    ConversationUpdated,
    Event,
    MessageAdded,
    MessageRemoved,
    MessageUpdated,
    ParticipantJoined,
    ParticipantLeft,
    TypingEnded,
    TypingStarted,
)
from tertulia.wire import tokens
from tests.cli.command import Credentials

from .companion import Companion, companion

SDKS = {"3.0.1": "@twilio/conversations", "2.6.5": "conversations-2"}

pytestmark = [pytest.mark.node, pytest.mark.parametrize("sdk", SDKS.values(), ids=SDKS)]


def token(known: Credentials, identity: str) -> str:
    return tokens.mint(
        account_sid=known.account_sid,
        key_sid=known.api_key,
        secret=known.api_secret,
        identity=identity,
        service_sid=known.service_sid,
        now_s=time.time(),
    )


def named(name: str) -> str:
    return f"{name}-{secrets.token_hex(4)}"


def millis(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)


def shown(message: Message) -> dict[str, Any]:
    """As the companion shows its own."""
    delivery = message.delivery
    return {
        "sid": message.sid,
        "index": message.index,
        "author": message.author,
        "body": message.body,
        "attributes": message.attributes,
        "dateCreated": millis(message.date_created),
        "dateUpdated": millis(message.date_updated),
        "delivery": None if delivery is None else {"total": delivery.total, "delivered": delivery.delivered},
    }


async def heard(events: list[Event], kind: type[Event], count: int = 1) -> list[Any]:
    async with asyncio.timeout(15):
        while len(found := [event for event in events if isinstance(event, kind)]) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return found


async def enter(client: ConversationsClient, other: Companion, identity: str) -> Conversation:
    """A room of the client's that the companion is in, too."""
    room = await client.create_conversation(friendly_name="Side by side", join=True)
    await room.ready(timeout=15)
    await room.add_participant(identity)
    await other.do("enter", room.sid)
    return room


async def test_both_see_the_same_history_events_and_typing(node: str, known: Credentials, sdk: str) -> None:
    ana, ben = named("ana"), named("ben")
    config = ClientConfig(server_url=known.base_url, token=token(known, ana))
    async with ConversationsClient(config) as client, companion(node, sdk, known, token(known, ben)) as other:
        room = await enter(client, other, ben)
        events: list[Event] = []
        room.on(Event, events.append)

        # Each writes, the other hears.
        mine = await room.send("from Python ☕", attributes={"n": [1, "ü"]})
        told = await other.hears("messageAdded", index=0)
        assert {name: told[name] for name in shown(mine)} == shown(mine)
        await other.do("send", "from JavaScript", {"mood": "fine"})
        added = await heard(events, MessageAdded, 2)
        assert (added[1].message.author, added[1].message.body) == (ben, "from JavaScript")
        assert added[1].message.attributes == {"mood": "fine"}

        # Edited and taken back, either way.
        await mine.edit(body="from Python, edited")
        assert "body" in (await other.hears("messageUpdated", index=0, body="from Python, edited"))["updateReasons"]
        await other.do("edit", 1, "from JavaScript, edited")
        [update] = [each for each in await heard(events, MessageUpdated, 2) if each.message.index == 1]
        assert update.previous.body == "from JavaScript" and update.message.body == "from JavaScript, edited"
        await room.send("to be removed")
        await room.loaded_messages[2].delete()
        await other.hears("messageRemoved", index=2)
        await other.do("send", "his, to be removed")
        await other.do("remove", 3)
        assert [each.message.index for each in await heard(events, MessageRemoved, 2)] == [2, 3]

        # Typing, reading, and the conversation itself.
        await room.typing()
        await other.hears("typingStarted", identity=ana)
        await room.send("done typing")
        await other.hears("typingEnded", identity=ana)
        await other.do("typing")
        [started] = await heard(events, TypingStarted)
        assert started.participant.identity == ben
        await other.do("send", "his last word")
        await heard(events, TypingEnded)
        await room.mark_all_read()
        newest = max(room.loaded_messages)
        await other.hears("participantUpdated", identity=ana, read=newest)
        await other.do("read", 1)
        participant = room.participant(identity=ben)
        assert participant is not None
        async with asyncio.timeout(15):
            while participant.last_read_message_index != 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await room.update(friendly_name="Renamed", attributes={"tables": 7})
        await other.hears("updated", name="Renamed", attributes={"tables": 7})
        await heard(events, ConversationUpdated)
        await room.add_participant(named("cid"))
        await room.remove_participant(next(p for p in room.participants.values() if p.identity not in (ana, ben)))
        await other.hears("participantLeft")
        await heard(events, ParticipantJoined)
        await heard(events, ParticipantLeft)

        # And the history, from the beginning to the end.
        history = [shown(message) async for message in room.messages(newest_first=False)]
        assert history == await other.do("history")
        assert [event["index"] for event in other.heard if event["what"] == "messageAdded"] == [
            event.message.index for event in events if isinstance(event, MessageAdded)
        ]


async def test_both_write_at_once_and_hear_one_order(node: str, known: Credentials, sdk: str) -> None:
    ana, ben = named("ana"), named("ben")
    config = ClientConfig(server_url=known.base_url, token=token(known, ana))
    async with ConversationsClient(config) as client, companion(node, sdk, known, token(known, ben)) as other:
        room = await enter(client, other, ben)
        events: list[Event] = []
        room.on(MessageAdded, events.append)
        await asyncio.gather(
            *(room.send(f"py {number}") for number in range(30)), _in_turn(other, [f"js {n}" for n in range(30)])
        )
        added = await heard(events, MessageAdded, 60)
        assert [event.message.index for event in added] == list(range(60))
        async with asyncio.timeout(15):
            while len([told for told in other.heard if told["what"] == "messageAdded"]) < 60:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert [told["body"] for told in other.heard if told["what"] == "messageAdded"] == [
            event.message.body for event in added
        ]


async def _in_turn(other: Companion, bodies: list[str]) -> None:
    for body in bodies:
        await other.do("send", body)
