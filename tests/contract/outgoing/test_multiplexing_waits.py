"""Many calls on one connection: every wait ends, by its time, by being withdrawn or with the connection."""

from __future__ import annotations

import asyncio

import h2.errors
import h2.events
import pytest

from tertulia.server.outgoing import FailureKind
from tests.contract.outgoing.lines import (
    STREAMS,
    Line,
    kinds,
    shared,
    sharing,
    silent,
    speaking,
    together,
)
from tests.contract.outgoing.receivers import SHORT_S, Peer, call_to, calling, failure_of, receiver
from tests.contract.websocket.serving import Run


def test_a_cancelled_call_is_withdrawn(run: Run) -> None:
    async def story() -> None:
        codes: list[int] = []

        async def waiting(line: Line) -> None:
            await line.request()
            codes.append(int((await line.until(h2.events.StreamReset)).error_code))
            await line.serve()

        async with shared(speaking(waiting)) as (place, calls):
            (task,) = together(calls, place, 1)
            await place.connected(1)
            await asyncio.sleep(SHORT_S)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await calls.call(call_to(place.url, body=b"next"))).body == b"next"
            assert (codes, place.connections) == ([int(h2.errors.ErrorCodes.CANCEL)], 1)

    run(story)


def test_a_call_that_is_cancelled_while_it_waits_is_never_made(run: Run) -> None:
    async def story() -> None:
        bodies: list[bytes] = []

        async def slow(line: Line) -> None:
            for _ in range(2):
                request = await line.request()
                bodies.append(request.body)
                await asyncio.sleep(SHORT_S)
                await line.answer(request.stream_id)
            await line.until_left()

        async with shared(speaking(slow, settings={STREAMS: 1})) as (place, calls):
            tasks = together(calls, place, 3)
            await place.connected(1)
            await asyncio.sleep(SHORT_S / 2)
            tasks[1].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert bodies == [b"0", b"2"]

    run(story)


@pytest.mark.parametrize(
    ("limit", "kind"), [("read_s", FailureKind.READ_TIMEOUT), ("total_s", FailureKind.TOTAL_TIMEOUT)]
)
def test_silence_and_the_total_time_end_a_call_and_not_the_connection(run: Run, limit: str, kind: FailureKind) -> None:
    async def one_silent(line: Line) -> None:
        await line.request()
        await line.serve()

    async def story() -> None:
        async with shared(speaking(one_silent)) as (place, calls):
            assert (await failure_of(calls, call_to(place.url, **{limit: SHORT_S}))).kind is kind
            assert (await calls.call(call_to(place.url, body=b"next"))).body == b"next"
            assert place.connections == 1

    run(story)


def test_the_status_is_told_of_an_answer_without_its_end(run: Run) -> None:
    async def stalling(line: Line) -> None:
        request = await line.request()
        line.http.send_headers(request.stream_id, [(":status", "410")])
        await line.flush()
        await line.until_left()

    async def story() -> None:
        async with shared(speaking(stalling)) as (place, calls):
            failed = await failure_of(calls, call_to(place.url, read_s=SHORT_S))
            assert (failed.kind, failed.status) == (FailureKind.READ_TIMEOUT, 410)

    run(story)


def test_who_finds_no_room_in_time_is_told_so(run: Run) -> None:
    async def story() -> None:
        async with shared(speaking(silent, settings={STREAMS: 1})) as (place, calls):
            first = asyncio.create_task(calls.call(call_to(place.url)))
            await place.connected(1)
            await asyncio.sleep(0.01)
            assert (await failure_of(calls, call_to(place.url, total_s=SHORT_S))).kind is FailureKind.BUSY
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)

    run(story)


@pytest.mark.parametrize("limit", ["connect_s", "total_s"])
def test_a_receiver_that_does_not_greet_is_not_connected_to(run: Run, limit: str) -> None:
    async def mute(peer: Peer) -> None:
        await peer.until_left()

    async def story() -> None:
        async with shared(mute) as (place, calls):
            results = await asyncio.gather(*together(calls, place, 5, **{limit: SHORT_S}), return_exceptions=True)
            assert kinds(results) == [FailureKind.CONNECT_TIMEOUT] * 5
            assert place.connections == 1
            await calls.close()

    run(story)


def test_a_receiver_of_http_1_is_not_called(run: Run) -> None:
    async def old(peer: Peer) -> None:
        await peer.say(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await peer.until_left()

    async def story() -> None:
        async with shared(old) as (place, calls):
            failed = await failure_of(calls, call_to(place.url))
            assert failed.kind is FailureKind.CONNECT_FAILED and failed.kind.nothing_sent

    run(story)


def test_close_ends_calls_and_connections(run: Run) -> None:
    async def story() -> None:
        async with receiver(speaking(silent)) as place, sharing(place) as calls:
            tasks = together(calls, place, 3)
            await place.connected(1)
            await calls.close()
            assert set(kinds(await asyncio.gather(*tasks, return_exceptions=True))) == {FailureKind.BROKEN}
            with pytest.raises(RuntimeError):
                await calls.call(call_to(place.url))
            await place.rest()

    run(story)


def test_the_end_of_all_calls_is_the_end_of_these(run: Run) -> None:
    async def story() -> None:
        async with receiver(speaking(silent)) as place, calling() as outgoing:
            calls = outgoing.multiplexed(f"http://127.0.0.1:{place.port}")
            tasks = together(calls, place, 3)
            await place.connected(1)
            await outgoing.close()
            assert set(kinds(await asyncio.gather(*tasks, return_exceptions=True))) == {FailureKind.BROKEN}
            with pytest.raises(RuntimeError):
                outgoing.multiplexed(f"http://127.0.0.1:{place.port}")

    run(story)
