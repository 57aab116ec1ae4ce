"""Notifications a device gets, and its registration."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tertulia.client import PushConfig
from tertulia.client.errors import InvalidArgumentError
from tertulia.client.events import PushReceived
from tertulia.client.push import PushNotification

from .stage import Stage, until

KEYS = {
    "twi_message_type": "twilio.conversations.new_message",
    "conversation_sid": "CH1",
    "conversation_title": "Tavern",
    "message_sid": "IM1",
    "message_index": "6",
    "author": "ben",
    "media_count": "1",
    "media": '{"sid":"ME1","filename":"a.png","content_type":"image/png","size":3}',
}


@pytest.mark.parametrize(
    "payload",
    [
        {"data": {**KEYS, "twi_body": "hello", "twi_title": "Ben", "twi_sound": "ping", "twi_action": "open"}},
        {
            "aps": {"alert": {"title": "Ben", "body": "hello"}, "sound": "ping", "category": "open", "badge": 2},
            **KEYS,
            "message_index": 6,
        },
    ],
    ids=["fcm", "apn"],
)
def test_a_notification_is_read_from_either_service(payload: dict[str, Any]) -> None:
    told = PushNotification.parse(payload)
    assert (told.type, told.title, told.body, told.sound, told.action) == (
        "twilio.conversations.new_message",
        *("Ben", "hello", "ping", "open"),
    )
    assert (told.conversation_sid, told.conversation_title, told.message_sid) == ("CH1", "Tavern", "IM1")
    assert (told.message_index, told.author, told.media_count, told.media["size"]) == (6, "ben", 1, 3)
    assert told.badge == (2 if "aps" in payload else None)
    assert repr(told) == "<PushNotification twilio.conversations.new_message>"


def test_an_alert_may_be_a_text() -> None:
    told = PushNotification.parse({"aps": {"alert": "hello"}, "twi_message_type": "x"})
    assert (told.title, told.body) == (None, "hello")


@pytest.mark.parametrize("payload", [{}, {"data": {}}, {"aps": {}}, {"data": {"twi_message_type": 7}}, {"data": "x"}])
def test_a_foreign_notification_is_refused(payload: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        PushNotification.parse(payload)


async def test_what_a_device_got_is_told_as_an_event(stage: Stage) -> None:
    ana = await stage.connect("ana")
    told: list[PushReceived] = []
    ana.on(PushReceived, told.append)
    assert ana.handle_push({"data": {**KEYS, "twi_body": "hello"}}) is told[0].notification


async def test_a_device_is_registered_while_the_client_is_already_usable(stage: Stage) -> None:
    ana = await stage.connect("ana", push=PushConfig(channel="apn", device_token="a1b2"))

    async def count() -> int:
        return await stage.world.count("push_registrations")

    for _ in range(200):
        if await count():
            break
        await asyncio.sleep(0.01)
    assert await count() == 1
    await ana.unregister_push("apn")
    assert await count() == 0
    await until(lambda: ana.state == "ready")
    for channel, device in (("sms", "x"), ("fcm", "")):
        with pytest.raises(InvalidArgumentError):
            await ana.register_push(channel, device)
    assert "a1b2" not in repr(PushConfig(channel="apn", device_token="a1b2"))
