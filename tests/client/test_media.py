"""Files: sent, fetched, refused."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tertulia.client.errors import InvalidArgumentError, MediaTooLargeError, MediaUploadError, MediaUrlError
from tertulia.client.files import FileToSend

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
    await until(lambda: any(each.stat().st_size for each in target.iterdir()))
    stage.proxy.reset()
    with pytest.raises(MediaUrlError):
        await task
    assert list(target.iterdir()) == []


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 100_000):
        yield content[start : start + 100_000]


class Pipe(io.BytesIO):
    """Cannot go back."""

    def seekable(self) -> bool:
        return False


async def test_an_open_file_or_a_stream_is_sent_without_its_size_being_known(stage: Stage) -> None:
    [room] = await stage.hosted("ana")
    content = os.urandom(250_000)
    steps: list[tuple[int, int | None]] = []
    for stream in (pieces(content), Pipe(content)):
        file = FileToSend(stream, "image/png", "a.png", progress=lambda sent, total: steps.append((sent, total)))
        [media] = (await room.send(media=[file])).media
        assert (media.filename, media.size) == ("a.png", 250_000)
        assert await media.download() == content
        assert steps[-1] == (250_000, None) and steps == sorted(steps)
        steps.clear()


async def test_an_open_file_is_sent_from_where_it_stands_and_stands_there_again(stage: Stage, tmp_path: Path) -> None:
    [room] = await stage.hosted("ana")
    path = tmp_path / "log.txt"
    path.write_bytes(b"old lines\nnew lines\n")
    with path.open("rb") as file:
        file.seek(10)
        for _ in range(2):
            [media] = (await room.send(media=[FileToSend(file, "text/plain")])).media
            assert await media.download() == b"new lines\n"
        file.seek(0, os.SEEK_END)
        with pytest.raises(InvalidArgumentError, match="empty"):
            await room.send(media=[FileToSend(file)])
    with pytest.raises(InvalidArgumentError):
        await room.send(media=[FileToSend(file)])


async def test_a_name_that_is_no_text_is_told_with_signs_for_what_it_is_not(stage: Stage, tmp_path: Path) -> None:
    [room] = await stage.hosted("ana")
    path = tmp_path / os.fsdecode(b"caf\xe9.txt")
    path.write_bytes(b"abc")
    files = [FileToSend(path), FileToSend(b"abc", filename="half \ud83d of a pair.txt")]
    media = (await room.send(media=files)).media
    assert [each.filename for each in media] == [
        "caf\N{REPLACEMENT CHARACTER}.txt",
        "half \N{REPLACEMENT CHARACTER} of a pair.txt",
    ]
    assert await media[0].download() == b"abc"


async def test_what_is_no_file_is_refused(stage: Stage) -> None:
    [room] = await stage.hosted("ana")
    wrong: list[object] = ["a.png", None, 7, io.StringIO("words"), {"content": b"x"}]
    for content in wrong:
        with pytest.raises(InvalidArgumentError):
            await room.send(media=[FileToSend(content)])  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="ASCII"):
        await room.send(media=[FileToSend(b"x", "text/pläin")])
    assert await stage.world.count("media") == 0


async def test_an_empty_stream_is_refused_by_the_server(stage: Stage) -> None:
    [room] = await stage.hosted("ana")
    with pytest.raises(MediaUploadError) as failure:
        await room.send(media=[FileToSend(pieces(b""))])
    assert failure.value.code == 50512


async def test_an_outbox_takes_what_can_wait(stage: Stage) -> None:
    ana = await stage.connect("ana", outbox=True)
    room = await (await ana.create_conversation(join=True)).ready(timeout=10)
    for content in (pieces(b"abc"), io.BytesIO(b"abc")):
        with pytest.raises(InvalidArgumentError, match="outbox"):
            await room.send(media=[FileToSend(content)])
    [media] = (await room.send(media=[FileToSend(b"abc")])).media
    assert await media.download() == b"abc"


async def test_an_upload_that_is_cancelled_leaves_no_file_and_takes_no_place(stage: Stage) -> None:
    [room] = await stage.hosted("ana")
    for _ in range(4):
        steps: list[int] = []

        async def slow(steps: list[int] = steps) -> AsyncIterator[bytes]:
            yield b"abc"
            steps.append(1)
            await asyncio.sleep(60)

        sending = asyncio.ensure_future(room.send(media=[FileToSend(slow())]))
        await until(steps.copy)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
    assert await stage.world.count("media") == 0
    [media] = (await room.send(media=[FileToSend(b"abc")])).media
    assert media.size == 3
    assert await room.count_messages(max_age=0) == 1
