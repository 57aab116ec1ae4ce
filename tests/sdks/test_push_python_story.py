"""Push as a whole, with our own client on the device: what is registered is woken, by what it can read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tertulia.client import ClientConfig, ConversationsClient, FilePushStore, PushConfig
from tertulia.client.events import PushReceived

from .push_scene import PushScene, address, push_scene

pytestmark = pytest.mark.node


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PushScene]:
    async with push_scene(tmp_path, monkeypatch) as running:
        yield running


@pytest.fixture(params=["apn", "fcm"])
def channel(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


def client(scene: PushScene, identity: str, channel: str, push: PushConfig | None = None) -> ConversationsClient:
    token, clock = scene.token(identity, channel), scene.server.clock.time
    return ConversationsClient(
        ClientConfig(server_url=scene.server.base_url, token=token, push=push, clock=clock),
    )


async def test_it_registers_is_woken_reads_it_and_is_left_alone_after_logging_out(
    scene: PushScene, channel: str
) -> None:
    device = address()
    async with client(scene, "ana", channel) as ana, client(scene, "ben", channel) as ben:
        await ana.register_push(channel, device)
        room = await ben.create_conversation(friendly_name="The tavern")
        await room.join()
        added = await room.add_participant("ana")
        await scene.server.settle_async()
        sent = await room.send("Good evening! ☕")
        heard: list[PushReceived] = []
        ana.on(PushReceived, heard.append)
        invitation, message = [ana.handle_push(payload) for payload in await scene.got(channel, device)]
        assert [one.notification for one in heard] == [invitation, message]
        assert invitation.type == "twilio.conversations.added_to_conversation"
        assert invitation.body == "You have been added to the conversation The tavern by ben"
        assert message.type == "twilio.conversations.new_message"
        assert (message.title, message.body, message.sound) == (None, "The tavern:ben: Good evening! ☕", "ding")
        assert (message.conversation_sid, message.conversation_title) == (room.sid, "The tavern")
        assert (message.message_sid, message.message_index, message.author) == (sent.sid, 0, "ben")
        assert message.badge == (1 if channel == "apn" else None)

        await room.remove_participant(added)
        *_, farewell = [ana.handle_push(payload) for payload in await scene.got(channel, device)]
        assert farewell.type == "twilio.conversations.removed_from_conversation"
        await room.add_participant("ana")
        before = await scene.got(channel, device)

        await ana.logout()
        assert await scene.devices("ana") == []
        await room.send("Ana?")
        assert await scene.got(channel, device) == before


async def test_the_device_of_another_user_and_a_new_address_of_it(scene: PushScene, channel: str) -> None:
    hers_room, his_room = await scene.room("ana"), await scene.room("ben")
    old, new = address(), address()
    async with client(scene, "ana", channel) as ana:
        await ana.register_push(channel, old)
    # She has not logged out, and he takes the device.
    async with client(scene, "ben", channel, PushConfig(channel=channel, device_token=old)) as ben:
        await scene.registered("ben")
        assert await scene.devices("ana") == []
        await scene.write(hers_room, "a secret of ana's")
        await scene.write(his_room, "one")
        assert await scene.told(channel, old) == ["The tavern:host: one"]
        before = await scene.devices("ben")
        ben.on_device_token(new)
        await scene.registered("ben", other_than=before)
        await scene.write(his_room, "two")
        assert await scene.told(channel, old) == ["The tavern:host: one"]
        assert await scene.told(channel, new) == ["The tavern:host: two"]


async def test_who_starts_now_and_then_stays_registered_for_good_and_who_does_not_is_forgotten(
    scene: PushScene, channel: str, tmp_path: Path
) -> None:
    devices = {"ana": address(), "ben": address()}

    def config(identity: str) -> PushConfig:
        store = FilePushStore(tmp_path / f"{identity}.json")
        return PushConfig(channel=channel, device_token=devices[identity], store=store)

    for identity in devices:
        async with client(scene, identity, channel, config(identity)):
            await scene.registered(identity)
    before = await renewed(scene, "ana")
    await scene.passes(days=200)
    async with client(scene, "ana", channel, config("ana")), asyncio.timeout(20):
        while await renewed(scene, "ana") == before:  # noqa: ASYNC110 (it registers in the background)
            await asyncio.sleep(0.01)
    await scene.passes(days=166)
    assert (len(await scene.devices("ana")), await scene.devices("ben")) == (1, [])
    await scene.write(await scene.room("ana", "ben"), "a year later")
    assert (await scene.told(channel, devices["ana"]))[-1:] == ["The tavern:host: a year later"]
    assert await scene.told(channel, devices["ben"]) == []


async def renewed(scene: PushScene, identity: str) -> list[str]:
    """When the user's devices were registered last."""
    listed = await scene.ask("GET", f"/Services/{scene.server.service_sid}/Bindings?Identity={identity}")
    return [one["date_updated"] for one in listed["bindings"]]
