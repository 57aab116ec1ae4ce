"""Messages with files (rest 6, semantics 4.8)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.uploads import upload
from tests.engine.world import World

from .client import AccountHolder


async def uploaded(world: World, api: AccountHolder, **fields: Any) -> str:
    """SID of a file of the service."""
    return (await upload(world, service=api.service_sid, **fields)).sid


async def test_a_message_of_a_file_alone_has_no_body(world: World, api: AccountHolder, room: str) -> None:
    sid = await uploaded(world, api, filename="car.jpg", content_type="image/jpeg", size=42_056)
    made = await api.made(f"{room}/Messages", {"MediaSid": sid})
    assert made["body"] is None
    assert made["media"] == [{"sid": sid, "content_type": "image/jpeg", "filename": "car.jpg", "size": 42_056}]
    assert (await api.get(f"{room}/Messages/{made['sid']}")).body == made
    assert await api.everything(f"{room}/Messages") == [made]


async def test_a_file_without_a_name_has_none(world: World, api: AccountHolder, room: str) -> None:
    made = await api.made(f"{room}/Messages", {"MediaSid": await uploaded(world, api, filename=None), "Body": "look"})
    assert (made["body"], made["media"][0]["filename"]) == ("look", None)


async def test_long_bodies_are_told_from_files(world: World, account: AccountHolder) -> None:
    room = f"/Conversations/{await account.conversation()}"
    text = await uploaded(world, account, category="body", content_type="text/plain")
    made = await account.made(f"{room}/Messages", {"MediaSid": text})
    assert [(media["sid"], media["category"]) for media in made["media"]] == [(text, "body")]


@pytest.mark.parametrize(
    ("sid", "status", "code"),
    [("", 400, 50506), ("cat.png", 400, 50510), ("ME" + "g" * 32, 400, 50510), ("ME" + "0" * 32, 404, 50507)],
)
async def test_a_file_that_cannot_be_is_refused(
    api: AccountHolder, room: str, sid: str, status: int, code: int
) -> None:
    (await api.post(f"{room}/Messages", {"Body": "x", "MediaSid": sid})).refused_with(status, code)


async def test_a_file_is_attached_once(world: World, api: AccountHolder, room: str) -> None:
    form = {"MediaSid": await uploaded(world, api)}
    await api.made(f"{room}/Messages", form)
    (await api.post(f"{room}/Messages", form)).refused_with(409, 50508)


async def test_files_of_another_service_or_account_are_unknown(
    world: World, account: AccountHolder, other_service: AccountHolder, stranger: AccountHolder
) -> None:
    room = f"/Conversations/{await account.conversation()}"
    there = await uploaded(world, other_service)
    (await account.post(f"{room}/Messages", {"MediaSid": there})).refused_with(404, 50507)
    theirs = f"/Conversations/{await stranger.conversation()}"
    (await stranger.post(f"{theirs}/Messages", {"MediaSid": await uploaded(world, account)})).refused_with(404, 50507)


async def test_the_body_of_a_media_message_cannot_change(world: World, api: AccountHolder, room: str) -> None:
    made = await api.made(f"{room}/Messages", {"MediaSid": await uploaded(world, api), "Body": "words"})
    path = f"{room}/Messages/{made['sid']}"
    for body in ("new", ""):
        (await api.post(path, {"Body": body})).refused_with(400, 50509)
    changed = await api.post(path, {"Attributes": "[1]", "Author": "ana", "Body": "words"})
    assert (changed["body"], changed["media"], changed["attributes"]) == ("words", made["media"], "[1]")
