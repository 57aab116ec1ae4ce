"""Notifications a device gets, and its registration."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from tertulia.client import ConversationsClient, PushConfig, push
from tertulia.client.errors import ClientShutDownError, InvalidArgumentError, PushRegistrationError
from tertulia.client.events import PushReceived
from tertulia.client.push import PushNotification, PushRegistrar
from tertulia.client.push_store import FilePushStore, PushRecord
from tests.engine.subscriptions import subscription

from .connecting import nothing_left
from .sessions import talking
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


# --- which device is registered, for whom, and how often that is asked


MONTH_S = 31 * 86_400


async def devices(stage: Stage) -> list[str]:
    """Who is notified on which device, as the server has it."""
    async with stage.world.database.snapshot() as connection:
        found = await connection.value(
            "SELECT group_concat(identity || ' ' || address, char(10)) FROM push_registrations"
        )
    return sorted(str(found).splitlines()) if found else []


async def become(stage: Stage, *expected: str) -> None:
    for _ in range(400):
        if await devices(stage) == sorted(expected):
            return
        await asyncio.sleep(0.01)
    assert await devices(stage) == sorted(expected)


def config_of(path: Path, device_token: str = "phone", **options: Any) -> PushConfig:
    return PushConfig(channel="fcm", device_token=device_token, store=FilePushStore(path), **options)


async def start(stage: Stage, identity: str, config: PushConfig) -> tuple[ConversationsClient, list[bytes]]:
    """A client with this device, and what it asks about devices on the way to being registered."""
    stage.proxy.record()
    client = await stage.connect(identity, push=config)
    background = client._life.push._background
    assert background is not None
    await asyncio.wait_for(asyncio.shield(background), 5)
    return client, asked(stage)


def asked(stage: Stage) -> list[bytes]:
    """Requests about devices since the recording began."""
    return [message for message in stage.proxy.said() if b"/v1/registrations" in message]


async def test_what_is_registered_is_not_registered_again(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "push"
    first, said = await start(stage, "ana", config_of(path))
    assert len(said) == 1
    await first.register_push("fcm", "phone")
    assert len(asked(stage)) == 1
    await first.shutdown()
    _, said = await start(stage, "ana", config_of(path))
    assert said == [] and await devices(stage) == ["ana phone"]


@pytest.mark.parametrize("older", [{"registered_at": -MONTH_S}, {"registered_at": MONTH_S}, {"message_types": ()}])
async def test_an_old_registration_or_another_wish_is_told(stage: Stage, tmp_path: Path, older: dict[str, Any]) -> None:
    store = FilePushStore(tmp_path / "push")
    first, _ = await start(stage, "ana", config_of(tmp_path / "push"))
    name = first._life.push._name("fcm")
    known = store.load(name)
    assert known is not None
    await first.shutdown()
    at = known.registered_at + older.get("registered_at", 0)
    types = older.get("message_types", known.message_types)
    store.save(
        name,
        PushRecord(device_token="phone", registration_id=known.registration_id, message_types=types, registered_at=at),
    )
    _, said = await start(stage, "ana", config_of(tmp_path / "push"))
    assert len(said) == 1 and await devices(stage) == ["ana phone"]
    assert store.load(name) == known


async def test_a_new_device_token_takes_the_place_of_the_old(stage: Stage, tmp_path: Path) -> None:
    ana, _ = await start(stage, "ana", config_of(tmp_path / "push", "old"))
    ana.on_device_token("new")
    await become(stage, "ana new")
    await ana.shutdown()
    _, said = await start(stage, "ana", config_of(tmp_path / "push", "newest"))
    assert await devices(stage) == ["ana newest"]
    assert [b"DELETE" in message for message in said] == [True, False]


async def test_the_id_of_a_registration_is_no_way_to_anything_else() -> None:
    async with talking() as talk:
        registrar = PushRegistrar(talk.session)
        talk.answers({"id": "../admin?x=y"}, {})
        await registrar.register("fcm", "phone")
        await registrar.unregister("fcm")
        assert [path for path, _ in talk.asked()] == ["/v1/registrations", "/v1/registrations/..%2Fadmin%3Fx%3Dy"]


async def test_a_device_token_needs_to_be_told_what_it_is_for(stage: Stage) -> None:
    ana = await stage.connect("ana")
    with pytest.raises(InvalidArgumentError, match="PushConfig"):
        ana.on_device_token("phone")


async def test_a_device_comes_back_from_another_user(stage: Stage, tmp_path: Path) -> None:
    for identity in ("ana", "ben", "ana"):
        client, said = await start(stage, identity, config_of(tmp_path / "push"))
        assert len(said) == 1 and await devices(stage) == [f"{identity} phone"]
        await client.shutdown()


async def test_a_device_that_was_removed_can_be_registered_again(stage: Stage, tmp_path: Path) -> None:
    ana, _ = await start(stage, "ana", config_of(tmp_path / "push"))
    await ana.remove_push_registrations("fcm", "phone")
    await ana.remove_push_registrations("fcm", "phone")
    assert await devices(stage) == []
    await ana.register_push("fcm", "phone")
    assert await devices(stage) == ["ana phone"]
    await ana.unregister_push("fcm")
    await ana.unregister_push("fcm")
    assert await devices(stage) == []
    browser = subscription("browser").replace(" ", "")
    await ana.register_push("webpush", browser)
    await ana.unregister_push("webpush", subscription("another"))
    assert await devices(stage) == [f"ana {browser}"]


async def test_clean_ups_are_asked_for_once_a_day(stage: Stage, tmp_path: Path) -> None:
    store = FilePushStore(tmp_path / "push")
    ana, _ = await start(stage, "ana", config_of(tmp_path / "push"))
    ben = await stage.connect("ben")
    await ben.register_push("fcm", "tablet")
    assert await ana.cleanup_push("fcm", "tablet")
    assert not await ana.cleanup_push("fcm", "phone")
    assert await devices(stage) == ["ana phone", "ben tablet"]  # of others nothing is removed
    await ana.shutdown()
    stage.pass_time(86_400)
    ana, said = await start(stage, "ana", config_of(tmp_path / "push"))
    assert said == [] and await ana.cleanup_push("fcm", "phone")
    assert await devices(stage) == ["ben tablet"]
    await ana.register_push("fcm", "phone")
    await ana.unregister_push("fcm")
    assert not await ana.cleanup_push("fcm", "phone")
    known = store.load(ana._life.push._name("fcm"))
    assert known is not None and known.device_token == ""


async def test_a_logout_leaves_no_device_and_nothing_on_it(stage: Stage, tmp_path: Path) -> None:
    store = FilePushStore(tmp_path / "push")
    ana, _ = await start(stage, "ana", config_of(tmp_path / "push"))
    name = ana._life.push._name("fcm")
    await ana.logout()
    assert await devices(stage) == [] and store.load(name) is None
    assert b"phone" not in (tmp_path / "push").read_bytes()


async def test_a_logout_may_leave_the_device(stage: Stage, tmp_path: Path) -> None:
    ana, _ = await start(stage, "ana", config_of(tmp_path / "push"))
    await ana.logout(unregister_push=False)
    assert await devices(stage) == ["ana phone"]


async def test_a_registration_whose_answer_was_lost_is_taken_back_as_well(stage: Stage, tmp_path: Path) -> None:
    ana = await stage.connect("ana")
    ana._life.session.calls.replays_mutations_s = 0
    stage.proxy.swallow_next_answer()
    with pytest.raises(PushRegistrationError):
        await ana.register_push("fcm", "phone")
    assert await devices(stage) == ["ana phone"]
    await ana.unregister_push("fcm")
    assert await devices(stage) == []


async def test_what_fails_is_tried_again_until_something_else_is_wanted(
    stage: Stage, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(push, "LONGEST_PAUSE_S", 0.02)
    refused = "x" * 5000

    def failures() -> int:
        return sum(record.message.startswith("client.push_not_registered: ") for record in caplog.records)

    with caplog.at_level(logging.WARNING, logger="tertulia.client.push"):
        ana = await stage.connect("ana", push=config_of(tmp_path / "push", refused))
        await until(lambda: failures() >= 3)
        ana.on_device_token("phone")
        await become(stage, "ana phone")
        so_far = failures()
        await asyncio.sleep(0.05)
        assert failures() == so_far
        ana.on_device_token(refused)
        await until(lambda: failures() >= so_far + 2)
        await ana.register_push("fcm", "tablet")
        so_far = failures()
        await asyncio.sleep(0.05)
    assert failures() == so_far and await devices(stage) == ["ana tablet"]
    assert refused not in caplog.text


async def test_a_shutdown_ends_all_attempts(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "FIRST_PAUSE_S", 0.01)
    async with nothing_left():
        ana = await stage.connect("ana", push=config_of(tmp_path / "push", "x" * 5000))
        stage.proxy.stall()
        waiting = asyncio.ensure_future(ana.register_push("apn", "phone"))
        await asyncio.sleep(0.03)
        stage.proxy.resume()
        stage.proxy.refuse()
        await ana.shutdown()
        with pytest.raises((ClientShutDownError, PushRegistrationError)):
            await waiting
    with pytest.raises(ClientShutDownError):
        await ana.register_push("fcm", "phone")


# --- what is kept on the device


def test_a_store_is_private_keeps_names_apart_and_forgets_what_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "push"
    store = FilePushStore(path)
    record = PushRecord(device_token="phone", registration_id="BS1", message_types=("a",), registered_at=1.5)
    assert store.load("ana") is None
    store.save("ana", record)
    store.save("ben", PushRecord(device_token="b", registration_id="BS2", message_types=(), registered_at=2))
    assert FilePushStore(path).load("ana") == record
    assert os.stat(path).st_mode & 0o777 == 0o600 and os.listdir(path.parent) == ["push"]
    store.clear("ben")
    store.clear("nobody")
    assert (store.load("ana"), store.load("ben")) == (record, None)
    assert "phone" not in repr(record) + repr(store)
    path.write_bytes(b"{")
    assert store.load("ana") is None
    store.save("ana", record)
    assert store.load("ana") == record
