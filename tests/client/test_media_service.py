"""Fetching files from a media service that does what the real one seldom does."""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest

from tertulia.client import bodies as bodies_module
from tertulia.client import media as media_module
from tertulia.client.configuration import Options
from tertulia.client.content import Text, rich_content
from tertulia.client.errors import (
    ClientShutDownError,
    MediaError,
    MediaTooLargeError,
    MediaUploadError,
    MediaUrlError,
    TokenError,
)
from tertulia.client.files import FileToSend
from tertulia.client.media import Media, MediaService

from .sessions import Talk, configuration, talking
from .stage import until

ME = "ME" + "1" * 32


class Desk:
    """Answers each HTTP request with what stands in ``answers``: a status, headers, and a body."""

    def __init__(self) -> None:
        self.answers: deque[tuple[int, dict[str, str], bytes]] = deque()
        self.heard: list[str] = []
        """Heads of requests."""
        self.url = ""
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        if sys.version_info >= (3, 12):
            await self._server.wait_closed()

    def says(self, status: int, body: object = b"", **headers: str) -> None:
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.append((status, {"Content-Length": str(len(content)), **named}, content))

    def says_and_hangs_up(self, body: bytes, **headers: str) -> None:
        """An answer that does not tell how long it is."""
        self.answers.append((200, {name.replace("_", "-"): value for name, value in headers.items()}, body))

    def gives_url(self, path: str = "/file") -> None:
        self.says(200, {"sid": ME, "links": {"content_direct_temporary": self.url + path}})

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heard.append(head)
            if not self.answers:
                await reader.read()  # says nothing
                return
            status, headers, body = self.answers.popleft()
            if "content-length" in head.lower():
                size = int(head.lower().split("content-length:")[1].split("\r\n")[0])
                await reader.readexactly(size)
            lines = [f"HTTP/1.1 {status} Said", "Connection: close", *(f"{n}: {v}" for n, v in headers.items())]
            writer.write("\r\n".join([*lines, "\r\n"]).encode())
            # What is at /crumbs comes byte by byte.
            step = 1 if head.startswith("GET /crumbs") else max(1, len(body))
            for start in range(0, len(body), step):
                writer.write(body[start : start + step])
                await writer.drain()
                await asyncio.sleep(0.005 if step == 1 else 0)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class Place:
    """A media service, the session it belongs to, and the desk it asks."""

    def __init__(self, talk: Talk, desk: Desk) -> None:
        self.desk = desk
        self.session = talk.session
        self.token: str | None = "eyJ-first"
        self.service = MediaService(talk.session, lambda: self.token)

    def file(self, content_type: str = "image/png", size: int = 3) -> Media:
        return Media(self.service, ME, "a.png", content_type, size, "media")


@pytest.fixture
async def place(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setattr(media_module, "PAUSES_S", (0.001, 0.002))
    desk = Desk()
    await desk.open()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(desk.close)
        talk = await stack.enter_async_context(talking())
        talk.session.configure(configuration(desk.url))
        place = Place(talk, desk)
        stack.push_async_callback(place.service.close)
        yield place


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_fetch_is_repeated_when_another_moment_may_help(place: Place, status: int) -> None:
    place.desk.says(status)
    place.desk.gives_url()
    place.desk.says(status)
    place.desk.says(status)
    place.desk.says(200, b"abc")
    assert await place.file().download() == b"abc"
    assert len(place.desk.heard) == 5


@pytest.mark.parametrize(("status", "attempts"), [(503, 3), (403, 1), (404, 1), (500, 1)])
async def test_a_refusal_is_an_error_with_the_words_of_the_server(place: Place, status: int, attempts: int) -> None:
    for _ in range(3):
        place.desk.says(status, {"code": 20404, "message": "not for you"})
    with pytest.raises(MediaUrlError, match=f"not for you.*{status}"):
        await place.service.temporary_url(ME)
    assert len(place.desk.heard) == attempts


async def test_the_server_says_when_to_come_back(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_module, "LONGEST_PAUSE_S", 0.05)
    place.desk.says(429, Retry_After="3600")
    place.desk.gives_url()
    before = asyncio.get_running_loop().time()
    await place.service.temporary_url(ME)
    assert asyncio.get_running_loop().time() - before >= 0.05


async def test_the_token_of_the_moment_goes_to_the_media_service_and_not_to_temporary_urls(place: Place) -> None:
    place.desk.gives_url()
    place.desk.says(200, b"abc")
    await place.file().download()
    place.token = "eyJ-second"
    place.desk.gives_url()
    await place.service.temporary_url(ME)
    record, content, later = place.desk.heard
    assert "eyJ-first" in record and "eyJ-second" in later and "token" not in content.lower()
    place.token = None
    with pytest.raises(TokenError):
        await place.service.temporary_url(ME)


@pytest.mark.parametrize("token", ["eyJ-\N{EURO SIGN}", "eyJ-\r\nX-More: yes"])
async def test_a_token_that_is_none_goes_nowhere(place: Place, token: str) -> None:
    place.token = token
    with pytest.raises(TokenError):
        await place.service.temporary_url(ME)
    with pytest.raises(TokenError):
        await place.service.upload(FileToSend(b"abc"))
    assert place.desk.heard == []


async def test_the_sid_of_a_file_is_no_way_to_anything_else(place: Place) -> None:
    for sid in ("../admin", "..", "ME1?x=y", "ME1#f"):
        place.desk.gives_url()
        await place.service.temporary_url(sid)
    paths = [head.split(" ")[1] for head in place.desk.heard]
    assert paths == ["/Media/..%2Fadmin", "/Media/%2E%2E", "/Media/ME1%3Fx%3Dy", "/Media/ME1%23f"]


async def test_nothing_is_redirected(place: Place) -> None:
    elsewhere = place.desk.url + "/elsewhere"
    place.desk.says(302, Location=elsewhere)
    with pytest.raises(MediaUrlError):
        await place.service.temporary_url(ME)
    place.desk.says(307, Location=elsewhere)
    with pytest.raises(MediaUploadError):
        await place.service.upload(FileToSend(b"abc"))
    place.desk.gives_url()
    place.desk.says(302, Location=elsewhere)
    with pytest.raises(MediaUrlError):
        await place.file().download()
    assert not any("/elsewhere" in head for head in place.desk.heard)


@pytest.mark.parametrize(
    "body", [b"", b"{", [], {}, {"sid": ME, "links": {}}, {"sid": ME, "links": {"content_direct_temporary": 7}}]
)
async def test_an_answer_that_makes_no_sense_gives_no_url(place: Place, body: object) -> None:
    place.desk.says(200, body)
    with pytest.raises(MediaUrlError):
        await place.service.temporary_url(ME)
    place.desk.says(200, body if body != {} else {"no": "list"})
    with pytest.raises(MediaUrlError):
        await place.service.temporary_urls([ME])


@pytest.mark.parametrize("url", ["http://", "no url", "ftp://files.example/a", "http://[::1", "http://xn--/"])
async def test_a_url_that_is_none_is_an_error(place: Place, url: str) -> None:
    place.desk.says(200, {"sid": ME, "links": {"content_direct_temporary": url}})
    with pytest.raises(MediaUrlError):
        await place.file().download()


async def test_many_files_are_asked_for_a_hundred_at_a_time_and_each_once(place: Place) -> None:
    sids = [f"ME{number:032}" for number in range(150)]
    for part in (sids[:100], sids[100:]):
        place.desk.says(
            200,
            [{"code": 200, "media_record": {"sid": sid, "links": {"content_direct_temporary": sid}}} for sid in part],
        )
    assert await place.service.temporary_urls([*sids, *sids]) == {sid: sid for sid in sids}
    assert len(place.desk.heard) == 2
    place.desk.says(200, [])
    with pytest.raises(MediaUrlError, match=ME):
        await place.service.temporary_urls([ME])


async def test_content_that_is_cut_short_is_an_error(place: Place) -> None:
    place.desk.gives_url()
    place.desk.says(200, b"abc", Content_Length="10")
    with pytest.raises(MediaUrlError, match="whole"):
        await place.file().download()


@pytest.mark.parametrize("content", [b"", b"ab", b"abcd", bytes(500_000)])
async def test_a_file_of_another_length_than_was_told_is_an_error_and_leaves_nothing(
    place: Place, tmp_path: Path, content: bytes
) -> None:
    media = place.file(size=3)
    for to in (None, tmp_path / "file.png"):
        place.desk.gives_url()
        place.desk.says_and_hangs_up(content)
        with pytest.raises(MediaUrlError, match="3 bytes"):
            await media.download(to)
    place.desk.gives_url()
    place.desk.says_and_hangs_up(content)
    with pytest.raises(MediaUrlError, match="3 bytes"):
        assert sum([len(piece) async for piece in media.stream()]) <= 3
    assert os.listdir(tmp_path) == []


async def test_a_file_whose_length_was_not_told_is_what_comes(place: Place) -> None:
    place.desk.gives_url()
    place.desk.says_and_hangs_up(b"abcdef")
    assert await place.file(size=0).download() == b"abcdef"


async def test_what_comes_packed_is_not_unpacked(place: Place) -> None:
    packed = gzip.compress(bytes(3_000_000))
    place.desk.gives_url()
    place.desk.says(200, packed, Content_Encoding="gzip")
    with pytest.raises(MediaUrlError, match="packed"):
        await place.file(size=3_000_000).download()
    place.desk.says(200, packed, Content_Encoding="gzip")
    with pytest.raises(MediaUrlError, match="packed"):
        await place.service.temporary_url(ME)
    assert all("\r\naccept-encoding: identity\r\n" in head.lower() for head in place.desk.heard)


async def test_what_comes_in_crumbs_is_given_up_and_a_slow_reader_is_not(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies_module, "LOOK_S", 0.05)
    monkeypatch.setattr(bodies_module, "LEAST_PER_S", 2000)
    place.desk.gives_url()
    place.desk.says(200, bytes(300_000))
    got = 0
    async for piece in place.file(size=300_000).stream():
        got += len(piece)
        await asyncio.sleep(0.03)
    assert got == 300_000
    place.desk.gives_url("/crumbs")
    place.desk.says(200, bytes(10_000))
    with pytest.raises(MediaUrlError, match="slowly"):
        await asyncio.wait_for(place.file(size=10_000).download(), 10)


async def test_a_file_may_have_the_longest_name_there_is(place: Place, tmp_path: Path) -> None:
    for name in ("a" * 255, "日" * 85):
        place.desk.gives_url()
        place.desk.says(200, b"abc")
        await place.file().download(tmp_path / name)
        assert (tmp_path / name).read_bytes() == b"abc"


async def test_no_log_holds_a_temporary_url_or_the_name_of_a_file(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    place.desk.gives_url("/way/to/it?Account=AC1&Signature=do-not-tell")
    place.desk.says(200, b"abc")
    await place.file().download()
    place.desk.says(201, {"sid": ME})
    await place.service.upload(FileToSend(b"abc", filename="diary.txt"))
    assert "HTTP Request: GET http://127.0.0.1" in caplog.text
    for secret in ("do-not-tell", "Signature", "/way/to/it", "diary"):
        assert secret not in caplog.text
    assert any("/way/to/it?Account=AC1&Signature=do-not-tell" in head for head in place.desk.heard)
    assert any("Filename=diary.txt" in head for head in place.desk.heard)


async def test_bytes_are_bounded_whatever_the_server_says(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_module, "MAX_IN_MEMORY", 1000)
    with pytest.raises(MediaTooLargeError):
        await place.file(size=1001).download()
    assert place.desk.heard == []
    place.desk.gives_url()
    place.desk.says(200, bytes(200_000))
    with pytest.raises(MediaTooLargeError):
        await place.file(size=0).download()
    place.desk.says(200, bytes(200_000))
    with pytest.raises(MediaUrlError, match="1000 bytes"):
        await place.service.fetch(place.desk.url + "/file", 1000)


@pytest.mark.parametrize(
    ("status", "body", "words", "code"),
    [
        (400, {"code": 50512, "message": "too large"}, "too large", 50512),
        (408, b"<html>", "refused", None),
        (201, b"{", "cannot be read", None),
    ],
)
async def test_an_upload_that_is_refused_is_not_repeated(
    place: Place, status: int, body: object, words: str, code: int | None
) -> None:
    place.desk.says(status, body)
    with pytest.raises(MediaUploadError, match=words) as failure:
        await place.service.upload(FileToSend(b"abc", filename="a b&c.txt"), "body")
    assert failure.value.code == code
    [head] = place.desk.heard
    assert head.startswith("POST /Media?Category=body&Filename=a+b%26c.txt HTTP/1.1\r\n")


async def test_a_stream_that_turns_out_too_large_is_given_up(place: Place) -> None:
    place.session.configure(configuration(place.desk.url, options=Options(media_attachment_size_limit_in_mb=1)))
    ended = False

    async def endless() -> AsyncIterator[bytes]:
        nonlocal ended
        try:
            while True:
                yield bytes(300_000)
        finally:
            ended = True

    stream = endless()
    with pytest.raises(MediaTooLargeError):
        await place.service.upload(FileToSend(stream))
    await stream.aclose()  # type: ignore[attr-defined]
    assert ended


async def test_three_files_at_most_are_on_their_way_and_one_that_fails_ends_the_others(place: Place) -> None:
    progress: dict[int, int] = {}

    def note(number: int) -> Callable[[int, int | None], None]:
        return lambda sent, total: progress.update({number: sent})

    files = [(FileToSend(bytes(10), progress=note(number)), "media") for number in range(5)]
    sending = asyncio.ensure_future(place.service.upload_all(files))
    await until(lambda: len(place.desk.heard) == 3)
    await asyncio.sleep(0.02)
    assert len(place.desk.heard) == 3 and len(progress) == 3
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    # All places are free again.
    place.desk.says(201, {"sid": ME})
    assert await place.service.upload(FileToSend(b"abc")) == ME
    place.desk.says(400, {"message": "not this one"})
    with pytest.raises(MediaUploadError, match="not this one"):
        await place.service.upload_all(files)
    place.desk.says(201, {"sid": ME})
    assert await place.service.upload(FileToSend(b"abc")) == ME


async def test_an_end_breaks_off_what_is_under_way_and_says_why(place: Place) -> None:
    upload = asyncio.ensure_future(place.service.upload(FileToSend(b"abc")))
    fetch = asyncio.ensure_future(place.service.temporary_url(ME))
    await until(lambda: len(place.desk.heard) == 2)
    place.session.is_closed = True
    await place.service.close()
    for task in (upload, fetch):
        with pytest.raises(ClientShutDownError):
            await asyncio.wait_for(task, 5)
    with pytest.raises(ClientShutDownError):
        await place.service.upload(FileToSend(b"abc"))


async def test_rich_content_is_read_from_the_first_body_that_has_it(place: Place) -> None:
    rich = "application/x-vnd.com.twilio.rich.twilio.text"
    plain = place.file("text/plain")
    assert await rich_content([plain], place.service) is None
    place.desk.gives_url()
    place.desk.says(200, {"data": {"body": "hello"}})
    content = await rich_content([plain, place.file(rich)], place.service)
    assert isinstance(content, Text) and content.body == "hello"
    for nonsense in (b"{", b"[]", b"{}", b"null"):
        place.desk.gives_url()
        place.desk.says(200, nonsense)
        with pytest.raises(MediaError):
            await rich_content([place.file(rich)], place.service)
