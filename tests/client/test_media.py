"""Files: sent, fetched, refused."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import httpx
import pytest

from tertulia.client.errors import InvalidArgumentError, MediaTooLargeError, MediaUploadError, MediaUrlError
from tertulia.client.media import FileToSend

from .stage import Stage, until


async def test_files_arrive_as_they_were_in_their_order(stage: Stage, tmp_path: Path) -> None:
    mine, his = await stage.hosted("ana", "ben")
    picture, note = os.urandom(300_000), "a note ☕".encode()
    path = tmp_path / "über.png"
    path.write_bytes(picture)
    steps: list[tuple[int, int | None]] = []
    files = [
        FileToSend(path, progress=lambda sent, total: steps.append((sent, total))),
        FileToSend(note, "text/plain", "note.txt"),
        FileToSend(b"x"),
    ]
    sent = await mine.send("with files", media=files)
    assert [(each.filename, each.content_type, each.size) for each in sent.media] == [
        ("über.png", "image/png", 300_000),
        ("note.txt", "text/plain", len(note)),
        (None, "application/octet-stream", 1),
    ]
    assert steps[-1] == (300_000, 300_000) and steps == sorted(steps)
    await until(lambda: his.loaded_messages)
    first, second, _ = his.loaded_messages[0].media
    assert hashlib.sha256(await first.download()).digest() == hashlib.sha256(picture).digest()
    copy = tmp_path / "copy.png"
    assert await first.download(copy) == b""
    assert digest_of(copy) == hashlib.sha256(picture).digest()
    assert b"".join([piece async for piece in second.stream()]) == note
    assert sorted(name for name in os.listdir(tmp_path) if name != "blobs") == ["copy.png", "über.png"]


def digest_of(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


async def test_a_temporary_url_gives_the_file_to_whoever_has_it(stage: Stage) -> None:
    [room] = await stage.hosted("ana")
    message = await room.send(media=[FileToSend(b"for everybody", "text/plain")])
    [media] = message.media
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(await media.temporary_url())).content == b"for everybody"
    urls = await room._session.media.temporary_urls([media.sid])
    assert urls.keys() == {media.sid} and "127.0.0.1" in urls[media.sid]
    with pytest.raises(MediaUrlError):
        await room._session.media.temporary_urls([media.sid, "ME" + "0" * 32])
    with pytest.raises(InvalidArgumentError):
        await room._session.media.temporary_urls([])


async def test_what_is_too_large_or_not_there_is_refused_before_it_is_sent(stage: Stage, tmp_path: Path) -> None:
    [room] = await stage.hosted("ana")
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(151 * 1_048_576)
    for content, error in (
        (large, MediaTooLargeError),
        (tmp_path / "missing", InvalidArgumentError),
        (b"", InvalidArgumentError),
    ):
        with pytest.raises(error):
            await room.send(media=[FileToSend(content)])
    with pytest.raises(InvalidArgumentError, match="11 files"):
        await room.send(media=[FileToSend(b"x")] * 11)
    assert await stage.world.count("media") == 0
    assert repr(FileToSend(b"secret", filename="secret.txt")) == "<FileToSend text/plain>"


async def test_an_upload_that_fails_says_so_and_sends_no_message(stage: Stage) -> None:
    [room] = await stage.hosted("ana")
    stage.proxy.throttle(1_000_000)

    def cut(sent: int, total: int | None) -> None:
        stage.proxy.refuse()

    with pytest.raises(MediaUploadError) as failure:
        await room.send("never", media=[FileToSend(os.urandom(200_000), progress=cut)])
    assert "token" not in str(failure.value).lower() and "ey" not in str(failure.value)
    stage.proxy.admit()
    assert await room.count_messages(max_age=0) == 0


async def test_a_file_that_was_not_attached_to_anything_of_mine_is_not_mine(stage: Stage) -> None:
    mine, _ = await stage.hosted("ana", "ben")
    message = await mine.send(media=[FileToSend(b"x", "text/plain")])
    cid = await stage.connect("cid")
    with pytest.raises(MediaUrlError):
        await cid.media_urls(message.media)


async def test_a_download_that_breaks_off_leaves_no_file(stage: Stage, tmp_path: Path) -> None:
    [room] = await stage.hosted("ana")
    message = await room.send(media=[FileToSend(os.urandom(400_000), "image/png")])
    [media] = message.media
    target = tmp_path / "here"
    target.mkdir()
    stage.proxy.throttle(100_000)
    task = asyncio.ensure_future(media.download(target / "file.png"))
    await until(lambda: any(target.iterdir()))
    await asyncio.sleep(0.1)
    stage.proxy.reset()
    with pytest.raises(MediaUrlError):
        await task
    assert list(target.iterdir()) == []
