"""Push as a whole, with the official SDK on the telephone: what is registered is woken, by what it can read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from .push_scene import PushScene, address, phones, push_scene
from .side_by_side.companion import Companion

SDKS = {"3.0.1": "@twilio/conversations", "2.6.5": "conversations-2"}
PNG = b"\x89PNG\r\n\x1a\n and some more"
KIND = "twilio.conversations."

pytestmark = pytest.mark.node

each_once = pytest.mark.parametrize(
    ("held", "channel"), list(zip(SDKS.values(), ("apn", "fcm"), strict=True)), indirect=True
)
"""Where the versions and the channels have nothing to do with each other."""


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PushScene]:
    async with push_scene(tmp_path, monkeypatch) as running:
        yield running


@pytest.fixture(params=list(SDKS.values()), ids=list(SDKS))
async def held(request: pytest.FixtureRequest, node: str, scene: PushScene) -> AsyncIterator[Companion]:
    async with phones(node, request.param, scene) as running:
        yield running


@pytest.fixture(params=["apn", "fcm"])
def channel(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


async def switched_on(scene: PushScene, held: Companion, identity: str, channel: str) -> str:
    """The user's telephone is on and registered; the address of its device. It is called as he is."""
    device = address()
    await held.do("start", identity, scene.token(identity, channel, f"{identity}'s"))
    await held.do("register", identity, channel, device)
    await scene.registered(identity)
    return device


async def test_what_somebody_writes_wakes_the_others_device_which_can_read_it(
    scene: PushScene, held: Companion, channel: str
) -> None:
    room = await scene.room("ana", "ben")
    hers = await switched_on(scene, held, "ana", channel)
    his = await switched_on(scene, held, "ben", channel)
    assert await held.do("write", "ana", room, "Good evening! ☕") == 0
    (payload,) = await scene.got(channel, his)
    (message,) = (await scene.ask("GET", f"/Conversations/{room}/Messages"))["messages"]
    expected = {
        "type": f"{KIND}new_message",
        "title": None,
        "body": "The tavern:ana: Good evening! ☕",
        "sound": "ding",
        "badge": 1 if channel == "apn" else None,
        "action": None,
        "data": {
            "conversationSid": room,
            "conversationTitle": "The tavern",
            "messageSid": message["sid"],
            "messageIndex": 0,
        },
    }
    assert await held.do("read", payload) == expected
    assert await held.do("handle", "ben", payload) == expected
    assert await scene.got(channel, hers) == []

    # The answer wakes her, and nobody twice.
    assert await held.do("write", "ben", room, "Evening, Ana.") == 1
    (payload,) = await scene.got(channel, hers)
    told = await held.do("read", payload)
    assert (told["body"], told["data"]["messageIndex"]) == ("The tavern:ben: Evening, Ana.", 1)
    assert len(await scene.got(channel, his)) == 1


@each_once
async def test_a_message_with_a_file_says_which(scene: PushScene, held: Companion, channel: str) -> None:
    room = await scene.room("ana")
    hers = await switched_on(scene, held, "ana", channel)
    uploaded = await scene.rest.post(
        f"/v1/Services/{scene.server.service_sid}/Media?Filename=cat.png",
        content=PNG,
        headers={"content-type": "image/png"},
    )
    assert uploaded.status_code == 201, uploaded.text
    form = {"Author": "ben", "MediaSid": uploaded.json()["sid"]}
    await scene.ask("POST", f"/Conversations/{room}/Messages", form)
    (payload,) = await scene.got(channel, hers)
    told = await held.do("read", payload)
    assert told["body"] == "You have a new message in The tavern with 1 media files: cat.png"
    assert told["data"]["mediaCount"] == 1
    assert told["data"]["media"] == {
        "sid": form["MediaSid"],
        "filename": "cat.png",
        "content_type": "image/png",
        "size": len(PNG),
    }


async def test_who_is_added_or_removed_is_told_and_nobody_else(scene: PushScene, held: Companion, channel: str) -> None:
    hers, his = [await switched_on(scene, held, identity, channel) for identity in ("ana", "ben")]
    room = await held.do("open", "ana", "The tavern")
    await held.do("add", "ana", room, "cleo")
    cleos = await switched_on(scene, held, "cleo", channel)
    await held.do("add", "ana", room, "ben")
    (payload,) = await scene.got(channel, his)
    expected: dict[str, Any] = {
        "type": f"{KIND}added_to_conversation",
        "title": None,
        "body": "You have been added to the conversation The tavern by ana",
        "sound": None,
        "badge": None,
        "action": None,
        "data": {"conversationSid": room, "conversationTitle": "The tavern"},
    }
    assert await held.do("read", payload) == expected
    await held.do("expel", "ana", room, "ben")
    _, payload = await scene.got(channel, his)
    body = "ana has removed you from the conversation The tavern"
    assert await held.do("read", payload) == {**expected, "type": f"{KIND}removed_from_conversation", "body": body}
    assert [await scene.got(channel, one) for one in (hers, cleos)] == [[], []]


@pytest.mark.parametrize("way", ["unset", "remove"])
async def test_after_logging_out_nothing_arrives_any_more(
    scene: PushScene, held: Companion, channel: str, way: str
) -> None:
    room = await scene.room("ana", "ben")
    hers = await switched_on(scene, held, "ana", channel)
    await scene.write(room, "one")
    await scene.got(channel, hers)
    await held.do(way, "ana", channel, *([] if way == "unset" else [hers]))
    await scene.registered("ana", 0)
    await held.do("stop", "ana")
    await scene.write(room, "two")
    assert await scene.told(channel, hers) == ["The tavern:host: one"]

    # She comes back.
    await held.do("start", "ana", scene.token("ana", channel))
    await held.do("register", "ana", channel, hers)
    await scene.registered("ana")
    await scene.write(room, "three")
    assert await scene.told(channel, hers) == ["The tavern:host: one", "The tavern:host: three"]


@each_once
async def test_whoever_has_the_device_now_gets_his_own_alone(scene: PushScene, held: Companion, channel: str) -> None:
    hers_room, his_room = await scene.room("ana"), await scene.room("ben")
    device = await switched_on(scene, held, "ana", channel)
    await scene.write(hers_room, "for ana")
    assert await scene.told(channel, device) == ["The tavern:host: for ana"]
    await held.do("stop", "ana")  # she says no goodbye
    await held.do("start", "ben", scene.token("ben", channel))
    await held.do("register", "ben", channel, device)
    await scene.registered("ben")
    assert await scene.devices("ana") == []
    await scene.write(hers_room, "a secret of ana's")
    await scene.write(his_room, "for ben")
    assert await scene.told(channel, device) == ["The tavern:host: for ana", "The tavern:host: for ben"]


async def test_a_new_address_takes_the_place_of_the_old_one(scene: PushScene, held: Companion, channel: str) -> None:
    room = await scene.room("ana")
    old, new = await switched_on(scene, held, "ana", channel), address()
    before = await scene.devices("ana")
    await scene.write(room, "one")
    assert await scene.told(channel, old) == ["The tavern:host: one"]
    await held.do("register", "ana", channel, new)
    await scene.registered("ana", other_than=before)
    await scene.write(room, "two")
    assert await scene.told(channel, old) == ["The tavern:host: one"]
    assert await scene.told(channel, new) == ["The tavern:host: two"]


@each_once
async def test_what_was_of_no_use_for_a_year_is_gone_and_what_was_of_use_is_not(
    scene: PushScene, held: Companion, channel: str
) -> None:
    names = ("idle", "connects", "registers", "is woken")
    devices = {name: await switched_on(scene, held, name, channel) for name in names}
    for name in names:
        await held.do("stop", name)
    await scene.passes(days=200)
    await held.do("start", "connects", scene.token("connects", channel, "connects's"))
    await held.do("stop", "connects")
    await held.do("start", "registers", scene.token("registers", channel))
    await held.do("register", "registers", channel, devices["registers"])
    await scene.registered("registers")
    await held.do("stop", "registers")
    await scene.write(await scene.room("is woken"), "hello")
    assert len(await scene.got(channel, devices["is woken"])) == 2  # added, and the message
    await scene.passes(days=164)
    assert [len(await scene.devices(name)) for name in names] == [1, 1, 1, 1]
    await scene.passes(days=2)
    assert [len(await scene.devices(name)) for name in names] == [0, 1, 1, 1]

    room = await scene.room(*names)
    await scene.write(room, "a year later")
    last = {name: (await scene.told(channel, device))[-1:] for name, device in devices.items()}
    woken = ["The tavern:host: a year later"]
    assert last == {"idle": [], "connects": woken, "registers": woken, "is woken": woken}
    await scene.passes(days=200)
    assert [len(await scene.devices(name)) for name in names[1:]] == [1, 1, 1]
