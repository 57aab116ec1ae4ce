"""Files on their way to a channel: their bytes, and what happens when they cannot be had (semantics 4.8)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tertulia.server.blobs.folder import FolderBlobs
from tertulia.server.channels.base import Accepted, ChannelMessage
from tertulia.server.domain.media import Media
from tests.engine.sending import Sending
from tests.engine.uploads import send, upload
from tests.engine.world import World
from tests.peers.recording import Recording


class Reading(Recording):
    """Is sent the bytes of files."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[bytes] = []

    async def send(self, message: ChannelMessage) -> Accepted:
        for media in message.media:
            self.read.append(b"".join([piece async for piece in media.read()]))
        return await super().send(message)


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[FolderBlobs]:
    blobs = FolderBlobs(tmp_path / "blobs")
    await blobs.open()
    yield blobs
    await blobs.close()


async def kept(world: World, blobs: FolderBlobs, content: bytes, **fields: Any) -> Media:
    """A file with its bytes."""
    media = await upload(world, size=len(content), **fields)

    async def pieces() -> AsyncIterator[bytes]:
        yield content

    await blobs.put(media.blob or "", pieces())
    return media


async def test_a_channel_that_is_sent_files_reads_them(world: World, blobs: FolderBlobs) -> None:
    channel = Reading()
    sending = Sending(world, channel, blobs=blobs)
    room = await sending.room(1)
    await send(world, room, await kept(world, blobs, b"a picture"))
    await sending.perform()
    assert (channel.read, await sending.outcomes()) == ([b"a picture"], [("sent", 0)])


async def test_bytes_that_are_gone_are_a_refusal(world: World, blobs: FolderBlobs) -> None:
    sending = Sending(world, Reading(), blobs=blobs)
    room = await sending.room(1)
    await send(world, room, await upload(world))
    await sending.perform()
    assert await sending.outcomes() == [("failed", 11200)]


async def test_bytes_that_are_out_of_reach_are_asked_for_again(world: World, blobs: FolderBlobs) -> None:
    channel = Reading()
    without = Sending(world, channel)
    room = await without.room(1)
    await send(world, room, await kept(world, blobs, b"a picture"))
    await without.perform()
    assert await without.states() == ["waiting"]
    await without.until_due()
    again = Sending(world, channel, blobs=blobs)
    await again.perform()
    assert (channel.read, await again.outcomes()) == ([b"a picture"], [("sent", 0)])


@pytest.mark.parametrize("is_there", [True, False])
async def test_the_page_of_an_e_mail_goes_with_it(world: World, blobs: FolderBlobs, is_there: bool) -> None:
    sending = Sending(world, blobs=blobs)
    room = (await world.conversation()).sid
    await sending.person(room, "desk@d.test", address="ana@a.test")
    page: dict[str, Any] = {"content_type": "text/html", "category": "body", "filename": None}
    media = await (kept(world, blobs, "<p>Grüße".encode(), **page) if is_there else upload(world, **page))
    await send(world, room, media, body="Grüße")
    await sending.perform()
    if not is_there:
        assert await sending.outcomes() == [("failed", 11200)]
        return
    (sent,) = sending.channel.sent
    assert sent.envelope is not None
    assert (sent.text, sent.envelope.html, sent.media) == ("Grüße", "<p>Grüße", ())


async def test_what_is_in_quarantine_goes_nowhere(world: World, blobs: FolderBlobs) -> None:
    sending = Sending(world, blobs=blobs)
    room = await sending.room(1)
    await send(world, room, await kept(world, blobs, b"bad"), body="look")
    await world.sql("UPDATE media SET quarantined_at = 1")
    await sending.perform()
    assert [(one.text, one.media) for one in sending.channel.sent] == [("look", ())]
