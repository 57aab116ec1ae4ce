"""Messages with files, as clients send them and find them in the list (client-commands 4.3, 5.3)."""

from __future__ import annotations

from typing import Any

import pytest

from tertulia.server.settings import MediaSettings, Settings
from tests.engine.uploads import upload
from tests.engine.world import World

from .sdk import Face, Sdk


@pytest.fixture
async def room(ana: Sdk) -> str:
    return await ana.create()


def messages(room: str) -> str:
    return f"/Client/v2/Conversations/{room}/Messages"


async def item(sdk: Sdk, room: str, index: int) -> dict[str, Any]:
    """The data of a message in the list."""
    (found,) = (await sdk.get(f"/v3/Lists/{room}.messages/Items", Index=index))["items"]
    data: dict[str, Any] = found["data"]
    return data


async def test_several_files_are_sent_and_stand_in_the_list_in_their_order(ana: Sdk, room: str, world: World) -> None:
    by = world.user("ana")
    cat = await upload(world, by)
    dog = await upload(world, by, filename=None, content_type="image/webp", size=7)
    sent = await ana.post(messages(room), {"media_sids": [dog.sid, cat.sid], "attributes": "{}", "body": "pets"})
    assert sent["media"] == [
        {"sid": dog.sid, "size": 7, "content_type": "image/webp", "filename": None},
        {"sid": cat.sid, "size": 3, "content_type": "image/png", "filename": "cat.png"},
    ]
    assert (await ana.get(f"{messages(room)}/{sent['sid']}")).json == sent.json
    data = await item(ana, room, sent["index"])
    assert (data["type"], data["text"]) == ("media", "pets")
    assert data["medias"] == [
        {"sid": dog.sid, "category": "media", "filename": None, "contentType": "image/webp", "size": 7},
        {"sid": cat.sid, "category": "media", "filename": "cat.png", "contentType": "image/png", "size": 3},
    ]
    assert data["media"] == {"sid": dog.sid, "filename": None, "contentType": "image/webp", "size": 7}


async def test_a_message_of_files_alone_has_no_text(ana: Sdk, room: str, world: World) -> None:
    # `sendMessage` of a file sends no body; the builder an absent one.
    for body in ({}, {"body": None}, {"body": ""}):
        media = await upload(world, world.user("ana"))
        sent = await ana.post(messages(room), {"media_sids": [media.sid], "attributes": "{}", **body})
        assert sent["body"] is None
        data = await item(ana, room, sent["index"])
        assert (data["text"], data["type"]) == (None, "media")


async def test_a_message_of_words_has_no_media_at_all(ana: Sdk, room: str) -> None:
    sent = await ana.post(messages(room), {"body": "words", "media_sids": [], "attributes": "{}"})
    assert sent["media"] is None
    data = await item(ana, room, sent["index"])
    assert data["type"] == "text" and not data.keys() & {"media", "medias"}


async def test_long_bodies_are_medias_and_no_attachment(ana: Sdk, room: str, world: World) -> None:
    by = world.user("ana")
    body = await upload(world, by, category="body", content_type="text/html", filename=None)
    history = await upload(world, by, category="history", content_type="text/plain", filename=None)
    fields = {"media_sids": [body.sid, history.sid], "subject": "Hello", "attributes": "{}"}
    sent = await ana.post(messages(room), fields)
    assert [media["category"] for media in sent["media"]] == ["body", "history"]
    assert sent["subject"] == "Hello"
    data = await item(ana, room, sent["index"])
    assert [(one["category"], one["contentType"]) for one in data["medias"]] == [
        ("body", "text/html"),
        ("history", "text/plain"),
    ]
    assert (data["type"], data["subject"]) == ("text", "Hello") and "media" not in data


async def test_a_change_repeats_the_files(ana: Sdk, room: str, world: World) -> None:
    media = await upload(world, world.user("ana"))
    sent = await ana.post(messages(room), {"media_sids": [media.sid], "attributes": "{}"})
    before = await item(ana, room, sent["index"])
    await ana.post(f"{messages(room)}/{sent['sid']}", {"attributes": "[1]"})
    after = await item(ana, room, sent["index"])
    assert after["attributes"] == "[1]"
    assert (after["media"], after["medias"]) == (before["media"], before["medias"])
    assert (await ana.post(f"{messages(room)}/{sent['sid']}", {"body": "new"})).failure == (400, 50509)


@pytest.mark.parametrize(
    ("sids", "failure"),
    [
        ([""], (400, 50506)),
        (["cat.png"], (400, 50510)),
        (["ME" + "0" * 32], (404, 50507)),
        (["ME" + "0" * 32] * 2, (409, 50508)),
        ([f"ME{n:032x}" for n in range(15)], (400, 50512)),
    ],
)
async def test_files_that_cannot_be_are_refused(ana: Sdk, room: str, sids: list[str], failure: tuple[int, int]) -> None:
    assert (await ana.post(messages(room), {"media_sids": sids, "body": "x"})).failure == failure


async def test_somebody_elses_upload_is_unknown(ana: Sdk, room: str, world: World) -> None:
    media = await upload(world, world.user("ben"))
    assert (await ana.post(messages(room), {"media_sids": [media.sid]})).failure == (404, 50507)


async def test_a_file_is_sent_once(ana: Sdk, room: str, world: World) -> None:
    media = await upload(world, world.user("ana"))
    wish = {"media_sids": [media.sid]}
    assert (await ana.post(messages(room), wish)).status == 201
    assert (await ana.post(messages(room), wish)).failure == (409, 50508)


@pytest.mark.parametrize(("most", "shown"), [(150 << 20, 150), (20 << 20, 20), ((2 << 20) + 1, 2), (1000, 1)])
async def test_the_size_of_an_upload_that_clients_may_assume_is_the_settings(
    world: World, most: int, shown: int
) -> None:
    sdk = await Face(world, Settings(media=MediaSettings(max_bytes=most))).sdk("ana")
    options = (await sdk.get("/Client/v2/Configuration"))["options"]
    assert options["media_attachment_size_limit_in_mb"] == shown
    assert options["media_attachments_total_size_limit_in_mb"] == 150


async def test_what_clients_may_assume_is_what_holds(ana: Sdk) -> None:
    options = (await ana.get("/Client/v2/Configuration"))["options"]
    assert options["media_attachments_count_limit"] == 10
    assert options["media_attachment_size_limit_in_mb"] == 150
    assert options["media_attachments_total_size_limit_in_mb"] == 150
    for texts in ("email_bodies_allowed_mime_types", "email_histories_allowed_mime_types"):
        assert options[texts] == ["text/plain", "text/html"]
