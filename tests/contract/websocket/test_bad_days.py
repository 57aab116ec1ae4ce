"""Handlers that fail, and peers that break the rules, do not read, do not hang up or vanish."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import tracemalloc
from typing import cast

import aiohttp
import pytest
import websockets
from websockets.frames import Frame

from tertulia.server.realtime.send_queue import SendQueue
from tertulia.server.realtime.socket import Socket
from tertulia.wire import websocket
from tests.contract.websocket.serving import (
    BINARY,
    CLOSE,
    HEAD,
    IMPATIENT,
    LIMITS,
    PING,
    PONG,
    Echo,
    Run,
    masked,
    raw_peer,
    serving,
    target,
)

# --- handlers that fail


@pytest.mark.parametrize("where", ["opened", "received"])
def test_a_handler_that_raises_closes_with_1011_and_one_log_line(
    run: Run, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with serving() as here:
            async with raw_peer(here, target("/socket?raise") if where == "opened" else HEAD) as peer:
                if where == "received":
                    peer.send((BINARY, b"raise"), (BINARY, b"unread"))
                assert await peer.close_code() == 1011
                peer.send((CLOSE, b""))
                assert await peer.hears_the_end() == b""
            async with websockets.connect(here.url) as other:
                await other.send(b"still here")
                assert await other.recv() == b"still here"

    run(story)
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == [
        "socket.handler_failed"
    ]


def test_a_handler_that_raises_when_closed_is_only_logged(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with serving() as here, websockets.connect(here.url) as peer:
            await peer.send(b"raise when closed")
            await peer.recv()

    run(story)
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == [
        "socket.handler_failed"
    ]


# --- bad days

BAD_FRAME = b"\x83\x80\0\0\0\0"
CLOSE_FRAME = masked(CLOSE, b"")
EVIL = {
    "unmasked": (Frame(BINARY, b"x").serialize(mask=False), 1002),
    "reserved bit": (b"\xc2\x80\0\0\0\0", 1002),
    "reserved opcode": (b"\x83\x80\0\0\0\0", 1002),
    "fragmented ping": (b"\x09\x80\0\0\0\0", 1002),
    "long ping": (b"\x89\xfe\0\x7e", 1002),
    "lone continuation": (b"\x80\x80\0\0\0\0", 1002),
    "half a close code": (b"\x88\x81\0\0\0\0\x03", 1002),
    "close code 1006": (b"\x88\x82\0\0\0\0\x03\xee", 1002),
    "bad UTF-8 in a reason": (b"\x88\x83\0\0\0\0\x03\xe8\xff", 1007),
    "bad UTF-8 in a text": (b"\x81\x81\0\0\0\0\xff", 1007),
    "too long": (b"\x82\xff\0\0\0\0\0\x0f\0\0", 1009),
    "a garbled length": (b"\x82\xff\xff\0\0\0\0\0\0\0", 1002),
}


@pytest.mark.parametrize("case", EVIL)
def test_a_violation_is_told_its_code_after_what_came_before_it(run: Run, case: str) -> None:
    async def story() -> None:
        frame, code = EVIL[case]
        async with serving() as here, raw_peer(here) as peer:
            peer.send((BINARY, b"before"), frame, (BINARY, b"after"))
            assert await peer.frame() == (BINARY, b"before")
            assert await peer.close_code() == code
            assert await peer.hears_the_end() == b""
            assert here.handlers[0].received_messages == [b"before"]

    run(story)


def test_a_peer_in_the_middle_of_a_long_message_hears_why_it_is_refused(run: Run) -> None:
    async def story() -> None:
        async with serving() as here:
            async with websockets.connect(here.url) as peer:
                with contextlib.suppress(websockets.ConnectionClosed):
                    await peer.send(b"x" * 3_000_000)
                    await peer.recv()
                assert peer.close_code == 1009
            async with aiohttp.ClientSession() as session, session.ws_connect(here.url) as other:
                await other.send_bytes(b"x" * 3_000_000)
                assert (await other.receive()).data == 1009

    run(story)


def test_a_peer_that_listens_only_after_its_long_message_hears_why_it_is_refused(run: Run) -> None:
    async def story() -> None:
        async with serving() as here, raw_peer(here) as peer:
            peer.send((BINARY, b"x" * 20_000_000))
            await peer.writer.drain()
            assert await peer.close_code() == 1009

    run(story)


def test_one_close_frame_is_sent_though_the_peer_breaks_the_rules_after_it(run: Run) -> None:
    async def story() -> None:
        async with serving() as here, raw_peer(here) as peer:
            peer.send((BINARY, b"close"), BAD_FRAME)
            assert await peer.close_code() == 4001
            assert await peer.hears_the_end() == b""

    run(story)


def test_the_latest_ping_is_answered_before_what_waits(run: Run) -> None:
    """RFC 6455, 5.5.3: earlier ones that came with it need no answer of their own."""

    async def story() -> None:
        async with serving() as here, raw_peer(here) as peer:
            peer.send((BINARY, b"a"), (PING, b"1"), (PONG, b"unasked"), (PING, b"2"))
            assert [await peer.frame() for _ in range(2)] == [(PONG, b"2"), (BINARY, b"a")]

    run(story)


@pytest.mark.parametrize("word", [b"close", b"raise"])
def test_a_peer_that_never_finishes_the_closing_handshake_is_cut_off(run: Run, word: bytes) -> None:
    async def story() -> None:
        async with serving(IMPATIENT) as here, raw_peer(here) as peer:
            peer.send((BINARY, word))
            await peer.close_code()
            peer.send((BINARY, b"unread"), (PING, b"unanswered"))
            assert await peer.hears_the_end() == b""
            await here.all_closed()

    run(story)


@pytest.mark.parametrize("last", [BAD_FRAME, CLOSE_FRAME], ids=["violation", "close"])
def test_a_peer_that_does_not_hang_up_is_cut_off(run: Run, last: bytes) -> None:
    async def story() -> None:
        async with serving(IMPATIENT) as here, raw_peer(here) as peer:
            peer.send(last)
            await here.all_closed()

    run(story)


@pytest.mark.parametrize("how", ["we close", "half-close", "violation", "close"])
def test_the_end_is_bounded_though_the_peer_reads_nothing(run: Run, how: str) -> None:
    async def story() -> None:
        async with serving(IMPATIENT) as here, raw_peer(here) as peer:
            cast(asyncio.Transport, peer.writer.transport).pause_reading()
            here.handlers[0].socket.send(websocket.binary(bytes(20_000_000)))
            await asyncio.sleep(0.05)
            if how == "we close":
                here.handlers[0].socket.close()
            elif how == "half-close":
                peer.writer.write_eof()
            else:
                peer.send(BAD_FRAME if how == "violation" else CLOSE_FRAME)
            await here.all_closed()

    run(story)


@pytest.mark.parametrize("middle", [b"", b"\x82\xfe"], ids=["between frames", "inside a frame"])
def test_a_peer_that_half_closes_gets_its_answers_and_the_end(run: Run, middle: bytes) -> None:
    async def story() -> None:
        async with serving() as here, raw_peer(here) as peer:
            peer.send((BINARY, b"answer me"), middle)
            peer.writer.write_eof()
            assert await peer.frame() == (BINARY, b"answer me")
            assert await peer.hears_the_end() == b""

    run(story)


def test_a_peer_that_vanishes_closes_its_handler_once(run: Run) -> None:
    async def story() -> None:
        async with serving() as here, raw_peer(here) as peer:
            peer.writer.transport.abort()
            await here.all_closed()

    run(story)


def test_an_aborted_connection_says_nothing_more(run: Run) -> None:
    async def story() -> None:
        async with serving() as here, raw_peer(here) as peer:
            peer.send((BINARY, b"lost"), (BINARY, b"abort"), (BINARY, b"unread"))
            assert await peer.hears_the_end() == b""
            (handler,) = here.handlers
            assert handler.received_messages == [b"lost", b"abort"]
            for call in (handler.socket.abort, handler.socket.close, handler.socket.shutdown):
                call()
            handler.socket.send(b"nothing")

    run(story)


def test_a_slow_reader_is_dropped_and_the_others_notice_nothing(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        frame, rounds = websocket.binary(bytes(50_000)), 0
        async with serving() as here, raw_peer(here) as slow, websockets.connect(here.url, max_queue=None) as quick:
            cast(asyncio.Transport, slow.writer.transport).pause_reading()
            first, second = here.handlers
            tracemalloc.start()
            try:
                while not first.times_closed:
                    first.socket.send(frame)
                    second.socket.send(frame)
                    assert await quick.recv() == bytes(50_000)
                    rounds += 1
                    assert rounds < 2000
                assert tracemalloc.get_traced_memory()[1] < 10 * LIMITS.queue_bytes
            finally:
                tracemalloc.stop()
            await quick.send(b"still here")
            assert await quick.recv() == b"still here"

    run(story)
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == [
        "socket.reader_too_slow"
    ]


def test_a_peer_that_pings_without_reading_costs_no_memory(run: Run) -> None:
    async def story() -> None:
        async with serving() as here, raw_peer(here) as peer:
            cast(asyncio.Transport, peer.writer.transport).pause_reading()
            pings = masked(PING, b"") * 5000
            tracemalloc.start()
            try:
                for _ in range(100):
                    peer.writer.write(pings)
                    await peer.writer.drain()
                    await asyncio.sleep(0)
                assert tracemalloc.get_traced_memory()[1] < 10 * LIMITS.queue_bytes
            finally:
                tracemalloc.stop()
            assert not here.handlers[0].socket.is_behind
            peer.send((BINARY, b"close"))
            cast(asyncio.Transport, peer.writer.transport).resume_reading()
            while (frame := await peer.frame())[0] == PONG:
                pass
            assert frame[0] == CLOSE

    run(story)


def test_what_waits_for_several_slow_readers_is_one_object(run: Run) -> None:
    async def story() -> None:
        async with serving(IMPATIENT) as here, contextlib.AsyncExitStack() as peers:
            for _ in range(5):
                peer = await peers.enter_async_context(raw_peer(here))
                cast(asyncio.Transport, peer.writer.transport).pause_reading()
            tracemalloc.start()
            try:
                frame = websocket.binary(bytes(100_000))
                for _ in range(150):
                    for handler in here.handlers:
                        handler.socket.send(frame)
                    await asyncio.sleep(0)
                assert tracemalloc.get_traced_memory()[1] < 10_000_000
            finally:
                tracemalloc.stop()
            for handler in here.handlers:
                handler.socket.abort()

    run(story)


@pytest.mark.parametrize(
    "last",
    [(BINARY, b"close"), (BINARY, b"abort"), (CLOSE, b""), BAD_FRAME],
    ids=["we close", "abort", "close", "violation"],
)
def test_a_connection_that_ended_leaves_nothing_for_the_garbage_collector(
    run: Run, last: tuple[int, bytes] | bytes
) -> None:
    async def story() -> None:
        async with serving() as here:
            async with raw_peer(here) as peer:
                peer.send((BINARY, b"hello"), last)
                await peer.frame() if last != (BINARY, b"abort") else None
                peer.send((CLOSE, b""))
                await peer.hears_the_end()
            await here.all_closed()
            here.handlers.clear()
            await asyncio.sleep(0.01)
            assert [thing for thing in gc.get_objects() if isinstance(thing, (Socket, SendQueue, Echo))] == []

    gc.collect()
    gc.disable()
    try:
        run(story)
    finally:
        gc.enable()
