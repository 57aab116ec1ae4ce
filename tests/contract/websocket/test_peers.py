"""Well-behaved peers, `websockets` and `aiohttp`, and the request that opens a connection."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
import websockets

from tests.contract.websocket.serving import BINARY, CLOSE, HEAD, Run, masked, raw_peer, serving, target

# --- well-behaved peers


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 100_000])
def test_websockets_gets_its_messages_back(run: Run, size: int) -> None:
    async def story() -> None:
        async with serving() as here, websockets.connect(here.url) as peer:
            await peer.send(b"x" * size)
            assert await peer.recv() == b"x" * size

    run(story)


def test_aiohttp_gets_its_messages_back(run: Run) -> None:
    async def story() -> None:
        async with serving() as here, aiohttp.ClientSession() as session, session.ws_connect(here.url) as peer:
            for n in range(100):
                await peer.send_bytes(b"%d" % n)
            assert [await peer.receive_bytes() for _ in range(100)] == [b"%d" % n for n in range(100)]

    run(story)


def test_a_message_in_fragments_with_pings_between_comes_back_whole(run: Run) -> None:
    async def story() -> None:
        async with serving() as here, websockets.connect(here.url) as peer:

            async def parts() -> AsyncIterator[bytes]:
                for part in (b"a", b"b", b"c"):
                    await (await peer.ping())
                    yield part

            await peer.send(parts())
            assert await peer.recv() == b"abc"

    run(story)


def test_a_thousand_small_messages_at_once_come_back_in_order(run: Run) -> None:
    async def story() -> None:
        async with serving() as here, raw_peer(here) as peer:
            peer.send(*[(BINARY, b"%d" % n) for n in range(1000)])
            assert [await peer.frame() for _ in range(1000)] == [(BINARY, b"%d" % n) for n in range(1000)]

    run(story)


def test_a_peer_that_closes_hears_its_own_code(run: Run) -> None:
    async def story() -> None:
        async with serving() as here:
            async with websockets.connect(here.url) as peer:
                await peer.close(4002, "enough")
                assert (peer.close_code, peer.close_reason) == (4002, "")
            async with aiohttp.ClientSession() as session, session.ws_connect(here.url) as other:
                await other.close(code=4003)
                assert other.close_code == 4003

    run(story)


def test_a_handler_that_closes_sends_code_and_reason_behind_its_messages(run: Run) -> None:
    async def story() -> None:
        async with serving() as here, websockets.connect(here.url) as peer:
            await peer.send(b"one")
            await peer.send(b"close")
            await peer.send(b"not read any more")
            assert await peer.recv() == b"one"
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await peer.recv()
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "as you wish")
            assert here.handlers[0].received_messages == [b"one", b"close"]

    run(story)


def test_what_was_asked_before_a_close_is_answered_before_its_echo(run: Run) -> None:
    async def story() -> None:
        async with serving() as here, raw_peer(here) as peer:
            peer.send((BINARY, b"last words"), (CLOSE, b""))
            assert await peer.frame() == (BINARY, b"last words")
            assert await peer.frame() == (CLOSE, b"")
            assert await peer.hears_the_end() == b""

    run(story)


def test_both_sides_may_close_at_once(run: Run) -> None:
    async def story() -> None:
        async with serving() as here, raw_peer(here) as peer:
            peer.send((BINARY, b"close"), (CLOSE, b"\x03\xe8"))
            assert await peer.close_code() == 4001
            assert await peer.hears_the_end() == b""

    run(story)


def test_text_is_refused_with_1003(run: Run) -> None:
    async def story() -> None:
        async with serving() as here, websockets.connect(here.url) as peer:
            await peer.send("text")
            with pytest.raises(websockets.ConnectionClosed):
                await peer.recv()
            assert peer.close_code == 1003
            assert here.handlers[0].received_messages == []

    run(story)


def test_plain_http_is_served_on_the_same_port(run: Run) -> None:
    async def story() -> None:
        async with serving() as here, aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{here.port}/") as response:
                assert await response.text() == "hello"
            async with session.ws_connect(here.url) as peer:
                await peer.send_bytes(b"x")
                assert await peer.receive_bytes() == b"x"

    run(story)


# --- the upgrade


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (target("/elsewhere"), 404),
        (target("/socket/"), 404),
        (HEAD.replace(b"GET", b"POST"), 405),
        (HEAD.replace(b"Version: 13", b"Version: 12"), 426),
        (HEAD.replace(b"dGhl", b""), 400),
        (target("/socket?refuse"), 401),
        (target("/socket?break"), 500),
    ],
)
def test_a_refused_upgrade_gets_an_http_answer_and_the_end(run: Run, request_head: bytes, status: int) -> None:
    async def story() -> None:
        async with serving() as here, raw_peer(here, request_head, upgraded=False) as peer:
            peer.send((BINARY, b"too early"))
            answer = await peer.hears_the_end()
            assert answer.startswith(b"HTTP/1.1 %d " % status)
            assert here.handlers == []

    run(story)


def test_libraries_understand_a_refusal(run: Run) -> None:
    async def story() -> None:
        async with serving() as here:
            with pytest.raises(websockets.InvalidStatus) as refused:
                await websockets.connect(here.url + "/no")
            assert refused.value.response.status_code == 404
            async with aiohttp.ClientSession() as session:
                with pytest.raises(aiohttp.WSServerHandshakeError) as other:
                    await session.ws_connect(here.url + "?refuse")
                assert other.value.status == 401

    run(story)


def test_frames_in_the_segment_of_the_upgrade_are_not_lost(run: Run) -> None:
    async def story() -> None:
        early = masked(BINARY, b"early")
        half = len(early) // 2
        async with serving() as here, raw_peer(here, HEAD + early + early[:half]) as peer:
            peer.send(early[half:], (BINARY, b"later"))
            assert [await peer.frame() for _ in range(3)] == [
                (BINARY, b"early"),
                (BINARY, b"early"),
                (BINARY, b"later"),
            ]

    run(story)


def test_a_handler_knows_whom_it_serves(run: Run) -> None:
    async def story() -> None:
        async with serving() as here, raw_peer(here, target("/socket?a=%20b")) as peer:
            host, port = peer.writer.get_extra_info("sockname")
            assert here.handlers[0].socket.peer == f"{host}:{port}"
            assert here.handlers[0].upgrade.headers["host"] == "here"
            assert await peer.frame() == (BINARY, b"a=%20b")

    run(story)


def test_a_handler_may_end_the_connection_as_it_opens(run: Run) -> None:
    async def story() -> None:
        async with serving() as here:
            async with raw_peer(here, target("/socket?close")) as peer:
                assert await peer.close_code() == 4001
            async with raw_peer(here, target("/socket?abort"), upgraded=False) as peer:
                assert await peer.hears_the_end() == b""

    run(story)
