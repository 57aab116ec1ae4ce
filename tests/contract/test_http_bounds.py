"""How much and how long HTTP listens to somebody it does not know."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import pytest

from tertulia.server.composition import Server
from tertulia.server.gateway import HEAD_BYTES, URL_BYTES, Http, http_class
from tertulia.server.settings import ServerSettings, Settings
from tests.contract.websocket import conftest as loops
from tests.contract.websocket.serving import BINARY, HEAD, RawPeer, Run, Serving, masked, raw_peer, serving
from tests.engine.world import World, new_world

run = loops.run

GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\n"
HASTY = http_class(head_timeout_s=0.05, body_timeout_s=0.05)
PATIENT = http_class(head_timeout_s=60, body_timeout_s=60)
BODY_LIMIT = 2048

App = Callable[[Any, Any, Any], Awaitable[None]]


def carrying(app: App, base: type[Http] = PATIENT) -> type[Http]:
    """The class that serves this application instead of the usual one."""

    def begin(self: Http, *arguments: Any, **keywords: Any) -> None:
        base.__init__(self, *arguments, **keywords)
        self.app = cast(Any, app)

    return type("Carrying", (base,), {"__init__": begin})


async def body_length(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the length of the body, once it is whole."""
    size, more = 0, True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        size, more = size + len(event["body"]), event["more_body"]
    text = str(size).encode()
    length = (b"content-length", str(len(text)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": text})


async def answer(peer: RawPeer) -> tuple[int, bytes, bytes]:
    """Status, head in lower case, and body of what comes next."""
    head = (await peer.head()).lower()
    length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
    return int(head.split()[1]), head, await peer.reader.readexactly(length)


async def last_answer(peer: RawPeer) -> int:
    status, head, _ = await answer(peer)
    assert b"connection: close" in head
    assert await peer.hears_the_end() == b""
    return status


# --- size


@pytest.mark.parametrize(
    ("first", "piece"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: ", b"a" * 1000),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"a: b\r\n" * 200),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"a" * 1000),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nA: ", b"a" * 1000),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"a" * 1000),
    ],
    ids=["value", "count", "name", "trailer", "chunk extension"],
)
def test_a_head_without_end_is_refused_when_its_bound_is_reached(run: Run, first: bytes, piece: bytes) -> None:
    async def story() -> None:
        async with serving(http=carrying(body_length)) as here, raw_peer(here, first, upgraded=False) as peer:
            await asyncio.sleep(0.01)  # what came before the endless part has arrived by itself
            for _ in range(HEAD_BYTES // len(piece) + 1):
                peer.send(piece)
            assert await last_answer(peer) == 431

    run(story)


def test_a_head_may_be_as_long_as_its_bound(run: Run) -> None:
    async def story() -> None:
        first = b"GET / HTTP/1.1\r\nHost: x\r\nA: "
        whole = first + b"a" * (HEAD_BYTES - len(first) - 4) + b"\r\n\r\n"
        async with serving(http=PATIENT) as here, raw_peer(here, whole, upgraded=False) as peer:
            for _ in range(2):
                assert (await answer(peer))[0] == 200
                peer.send(whole)
            assert (await answer(peer))[0] == 200

    run(story)


def test_each_request_of_a_connection_is_bounded(run: Run) -> None:
    async def story() -> None:
        async with serving(http=PATIENT) as here, raw_peer(here, GET, upgraded=False) as peer:
            assert (await answer(peer))[0] == 200
            peer.send(b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * (2 * HEAD_BYTES))
            assert await last_answer(peer) == 431

    run(story)


def test_lines_without_a_request_are_bounded(run: Run) -> None:
    async def story() -> None:
        async with serving(http=PATIENT) as here, raw_peer(here, b"\r\n", upgraded=False) as peer:
            peer.send(b"\r\n" * (HEAD_BYTES // 2))
            assert await last_answer(peer) == 431

    run(story)


def test_a_long_url_is_414(run: Run) -> None:
    async def story() -> None:
        for length, status in ((URL_BYTES, 200), (URL_BYTES + 1, 414)):
            request = b"GET /" + b"a" * (length - 1) + b" HTTP/1.1\r\nHost: x\r\n\r\n"
            async with serving(http=PATIENT) as here, raw_peer(here, request, upgraded=False) as peer:
                assert (await answer(peer))[0] == status

    run(story)


def test_a_long_body_in_large_segments_arrives_whole(run: Run) -> None:
    async def story() -> None:
        size = 5 * HEAD_BYTES
        request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
        async with (
            serving(http=carrying(body_length)) as here,
            raw_peer(here, request + request, upgraded=False) as peer,
        ):
            for _ in range(2):
                status, head, body = await answer(peer)
                assert (status, body) == (200, str(size).encode())
                assert b"connection: close" not in head

    run(story)


def test_frames_that_come_with_the_upgrade_are_kept_however_many(run: Run) -> None:
    async def story() -> None:
        words = [bytes([n]) * 30_000 for n in range(8)]
        early = b"".join(masked(BINARY, word) for word in words)
        async with serving(http=PATIENT) as here, raw_peer(here, HEAD + early) as peer:
            for word in words:
                await peer.reader.readexactly(4)
                assert await peer.reader.readexactly(len(word)) == word

    run(story)


# --- time


@pytest.mark.parametrize(
    ("first", "status"),
    [(b"", None), (b"\r\n", None), (b"GET / HTTP/1.1\r\nHost: x\r\nA: ", 408), (POST + b"ab", 408), (POST, 408)],
    ids=["nothing", "no request", "half a head", "half a body", "no body"],
)
def test_whoever_stops_speaking_is_hung_up_on(run: Run, first: bytes, status: int | None) -> None:
    async def story() -> None:
        async with serving(http=carrying(body_length, HASTY)) as here, raw_peer(here, first, upgraded=False) as peer:
            if status is None:
                assert await peer.hears_the_end() == b""
            else:
                assert await last_answer(peer) == status

    run(story)


@pytest.mark.parametrize("first", [GET[:-2] + b"A: ", POST[:-6] + b"99999\r\n\r\n"], ids=["head", "body"])
def test_a_trickle_does_not_move_the_deadline(run: Run, first: bytes) -> None:
    async def story() -> None:
        async with serving(http=carrying(body_length, HASTY)) as here, raw_peer(here, first, upgraded=False) as peer:
            async with asyncio.timeout(5):
                while not peer.reader.at_eof():
                    peer.send(b"a")
                    await asyncio.sleep(0.01)
                    if peer.writer.is_closing():
                        break

    run(story)


def test_the_next_request_has_a_deadline_too_and_silence_between_requests_has_another(run: Run) -> None:
    async def story() -> None:
        async with serving(http=HASTY) as here, raw_peer(here, GET, upgraded=False) as peer:
            assert (await answer(peer))[0] == 200
            await asyncio.sleep(0.15)
            peer.send(GET + GET[:9])
            assert (await answer(peer))[0] == 200
            assert await last_answer(peer) == 408

    run(story)


def test_nobody_is_hung_up_on_while_he_waits_for_us(run: Run) -> None:
    async def story() -> None:
        go_on = asyncio.Event()

        async def slow(scope: Any, receive: Any, send: Any) -> None:
            await go_on.wait()
            await body_length(scope, receive, send)

        first = POST + b"abcde" + GET + GET[:9]
        async with serving(http=carrying(slow, HASTY)) as here, raw_peer(here, first, upgraded=False) as peer:
            await asyncio.sleep(0.15)
            go_on.set()
            assert [(await answer(peer))[2] for _ in range(2)] == [b"5", b"0"]
            assert await last_answer(peer) == 408

    run(story)


def test_a_websocket_is_not_held_to_the_deadlines_of_http(run: Run) -> None:
    async def story() -> None:
        async with serving(http=HASTY) as here, raw_peer(here) as peer:
            await asyncio.sleep(0.15)
            peer.send((BINARY, b"x"))
            assert await peer.frame() == (BINARY, b"x")

    run(story)


# --- what is not awaited


def test_an_answer_that_does_not_wait_for_the_request_ends_the_connection(run: Run) -> None:
    async def story() -> None:
        first = POST + b"abc"
        async with serving(http=PATIENT) as here, raw_peer(here, first, upgraded=False) as peer:
            assert await last_answer(peer) == 200

    run(story)


@contextlib.asynccontextmanager
async def whole_server() -> AsyncIterator[tuple[Serving, bytes]]:
    """A server with all its faces, and the header that lets the account in."""
    async with new_world() as world:
        settings = Settings(server=ServerSettings(body_limit_bytes=BODY_LIMIT))
        server = Server(settings, world.database, world.sealer, world.clock, world.new_sid, "http://here")
        async with serving(http=carrying(server.application)) as here:
            yield here, _authorization(world)


def _authorization(world: World) -> bytes:
    known = world.credentials
    return b"Authorization: Basic " + base64.b64encode(f"{known.account_sid}:{known.auth_token}".encode())


@pytest.mark.parametrize("path", [b"/v1/Conversations", b"/v1/NoSuchResource", b"/v3/Conversations"])
@pytest.mark.parametrize("length", [b"Content-Length: 1000", b"Content-Length: 99999", b"Transfer-Encoding: chunked"])
def test_whoever_is_not_known_is_401_before_his_body_is_read(run: Run, path: bytes, length: bytes) -> None:
    async def story() -> None:
        async with whole_server() as (here, _):
            request = b"POST %s HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n" % (path, length)
            async with raw_peer(here, request, upgraded=False) as peer:
                assert await last_answer(peer) == 401

    run(story)


@pytest.mark.parametrize(
    "rest",
    [b"Content-Length: 99999\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nfff\r\n" + b"x" * 4095 + b"\r\n"],
    ids=["announced", "chunked"],
)
def test_the_rest_of_too_large_a_body_is_not_read(run: Run, rest: bytes) -> None:
    async def story() -> None:
        async with whole_server() as (here, authorization):
            request = b"POST /v1/Conversations HTTP/1.1\r\nHost: x\r\n%s\r\n" % authorization + rest
            async with raw_peer(here, request, upgraded=False) as peer:
                assert await last_answer(peer) == 413

    run(story)


def test_a_body_that_follows_its_head_later_is_taken_from_whom_we_know(run: Run) -> None:
    async def story() -> None:
        async with whole_server() as (here, authorization):
            head = b"POST /v1/Conversations HTTP/1.1\r\nHost: x\r\n%s\r\n" % authorization
            head += b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 14\r\n"
            async with raw_peer(here, head + b"Expect: 100-continue\r\n\r\n", upgraded=False) as peer:
                assert await peer.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
                peer.send(b"FriendlyName=x")
                status, answered, _ = await answer(peer)
                assert status == 201
                assert b"connection: close" not in answered

    run(story)


@pytest.mark.parametrize("hosts", [b"", b"Host: a\r\nHost: b\r\n"], ids=["none", "two"])
def test_http_1_1_has_one_host(run: Run, hosts: bytes) -> None:
    async def story() -> None:
        request = b"GET / HTTP/1.1\r\n" + hosts + b"\r\n"
        async with serving(http=PATIENT) as here, raw_peer(here, request, upgraded=False) as peer:
            assert await last_answer(peer) == 400

    run(story)


def test_http_1_0_needs_no_host(run: Run) -> None:
    async def story() -> None:
        async with serving(http=PATIENT) as here, raw_peer(here, b"GET / HTTP/1.0\r\n\r\n", upgraded=False) as peer:
            assert await last_answer(peer) == 200

    run(story)


def test_what_is_no_http_is_400(run: Run) -> None:
    async def story() -> None:
        async with serving(http=PATIENT) as here, raw_peer(here, b"\x16\x03\x01 hello\r\n\r\n", upgraded=False) as peer:
            assert await last_answer(peer) == 400

    run(story)


def test_a_request_for_another_protocol_is_answered_as_http(run: Run) -> None:
    async def story() -> None:
        request = GET[:-2] + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n"
        async with serving(http=PATIENT) as here, raw_peer(here, request, upgraded=False) as peer:
            assert await last_answer(peer) == 200

    run(story)
