"""Files that a template names by URL: sent as files where they can be had, else named in words (semantics 4.8)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tertulia.server.channels.base import Capabilities
from tertulia.server.domain.content import CreateContent
from tertulia.server.domain.content_types import read_types
from tertulia.server.outgoing import Outgoing
from tertulia.server.settings import OutgoingSettings, Settings
from tests.contract.outgoing.receivers import Receiver, answering, receiver
from tests.engine.sending import Sending
from tests.engine.world import World
from tests.peers.recording import PHONES, Recording

PICTURE = b"\x89PNG a picture"
TEXT_ONLY = Capabilities(text_chars=1600)


def http(content: bytes = PICTURE, content_type: str = "image/png", status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(content)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + content


@pytest.fixture
async def outgoing() -> AsyncIterator[Outgoing]:
    outgoing = Outgoing(Settings(outgoing=OutgoingSettings(allow_private=True)))
    yield outgoing
    await outgoing.close()


async def sent(
    world: World, outgoing: Outgoing, urls: list[str], capabilities: Capabilities = PHONES, **media: Any
) -> tuple[str | None, list[tuple[str, str, int, str | None]], list[bytes], list[tuple[str, int]]]:
    """The text, the files, their bytes and the outcome of a template of these URLs."""
    channel = Recording(capabilities)
    sending = Sending(world, channel, outgoing=outgoing)
    types = read_types(json.dumps({"twilio/media": {"media": urls, **media}}).encode())
    made = await world.do(CreateContent, language="en", variables={"1": "cat.png"}, types=types)
    room = await sending.room(1)
    await sending.send(room, None, content_sid=made.sid)
    await sending.perform()
    if not channel.sent:
        return None, [], [], await sending.outcomes()
    [message] = channel.sent
    files = [(one.url, one.content_type, one.size, one.filename) for one in message.media]
    read = [b"".join([piece async for piece in one.read()]) for one in message.media]
    return message.text, files, read, await sending.outcomes()


def at(place: Receiver, path: str = "/cat.png") -> str:
    return f"http://127.0.0.1:{place.port}{path}"


@pytest.mark.parametrize("words", [{}, {"body": "look"}])
async def test_a_file_that_can_be_had_is_sent_as_one(world: World, outgoing: Outgoing, words: dict[str, Any]) -> None:
    async with receiver(answering(http())) as place:
        text, files, read, outcomes = await sent(world, outgoing, [at(place, "/{{1}}")], **words)
        await outgoing.close()
    assert text == words.get("body")
    assert files == [(at(place), "image/png", len(PICTURE), "cat.png")]
    assert (read, outcomes) == ([PICTURE], [("sent", 0)])


@pytest.mark.parametrize(
    "answer",
    [
        http(status="404 Not Found"),
        http(b""),
        http(content_type="text/html"),
        http(b"x" * (PHONES.media_bytes + 1)),
        b"",
    ],
    ids=["missing", "empty", "page", "large", "silent"],
)
async def test_one_that_cannot_is_named_in_words(world: World, outgoing: Outgoing, answer: bytes) -> None:
    async with receiver(answering(answer)) as place:
        text, files, _, outcomes = await sent(world, outgoing, [at(place)], body="look")
        await outgoing.close()
    assert (text, files, outcomes) == (f"look\n{at(place)}", [], [("sent", 0)])


async def test_a_private_machine_is_not_asked(world: World) -> None:
    outgoing = Outgoing(Settings(outgoing=OutgoingSettings(allow_private=False)))
    async with receiver(answering(http())) as place:
        text, files, _, _ = await sent(world, outgoing, [at(place)])
        await outgoing.close()
        assert place.connections == 0
    assert (text, files) == (at(place), [])


async def test_a_channel_without_files_is_told_where_they_are(world: World, outgoing: Outgoing) -> None:
    text, files, _, outcomes = await sent(world, outgoing, ["https://a.test/{{1}}"], TEXT_ONLY, body="look")
    assert (text, files, outcomes) == ("look\nhttps://a.test/cat.png", [], [("sent", 0)])


async def test_where_they_are_may_be_too_long_to_say(world: World, outgoing: Outgoing) -> None:
    async with receiver(answering(http(status="404 Not Found"))) as place:
        small = Capabilities(text_chars=20, media_types=PHONES.media_types, media_bytes=1000)
        assert (await sent(world, outgoing, [at(place)], small))[3] == [("failed", 11200)]
        await outgoing.close()
