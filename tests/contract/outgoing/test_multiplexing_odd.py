"""Receivers of many calls that misbehave, fall silent or are asked again after a long time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import h2.events
import h2.settings
import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tertulia.server.outgoing import CallFailed, FailureKind, multiplexing
from tests.contract.outgoing.lines import Line, Request, echoing, leaving_after, shared, speaking, together
from tests.contract.outgoing.receivers import SHORT_S, call_to
from tests.contract.websocket.serving import Run


def ping() -> Frame:
    return PingFrame(0, opaque_data=b"12345678")


def settings() -> Frame:
    return SettingsFrame(0, settings={h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 100})


FLOODS: dict[str, Callable[[Request, Line], list[Frame]]] = {
    "pings": lambda request, line: [ping() for _ in range(3_000)],
    "settings": lambda request, line: [settings() for _ in range(3_000)],
    "priorities": lambda request, line: [PriorityFrame(request.stream_id) for _ in range(3_000)],
    "windows": lambda request, line: [WindowUpdateFrame(0, window_increment=1) for _ in range(3_000)],
    "a head without end": lambda request, line: [
        HeadersFrame(request.stream_id, line.http.encoder.encode([(":status", "200")])),
        *(ContinuationFrame(request.stream_id, b"\0\1a\1b" * 100) for _ in range(3_000)),
    ],
    "a huge head": lambda request, line: [
        HeadersFrame(request.stream_id, line.http.encoder.encode([(":status", "200")])),
        *(ContinuationFrame(request.stream_id, b"\0\1a\1b" * 3_000) for _ in range(20)),
        ContinuationFrame(request.stream_id, b"", flags=["END_HEADERS"]),
    ],
    "a pushed answer": lambda request, line: [
        PushPromiseFrame(request.stream_id, 2, line.http.encoder.encode([(":method", "GET")]), flags=["END_HEADERS"])
    ],
    "a body before the head": lambda request, line: [DataFrame(request.stream_id, b"x")],
    "a head that is none": lambda request, line: [HeadersFrame(request.stream_id, b"\xff" * 40, flags=["END_HEADERS"])],
    "an answer to nobody": lambda request, line: [
        HeadersFrame(999, line.http.encoder.encode([(":status", "200")]), flags=["END_HEADERS"])
    ],
    "too much room": lambda request, line: [WindowUpdateFrame(0, window_increment=2**31 - 1) for _ in range(2)],
    "a settings frame of nonsense": lambda request, line: [
        SettingsFrame(0, settings={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 2**31})
    ],
}


@pytest.mark.parametrize("flood", FLOODS)
def test_a_receiver_that_abuses_the_protocol_loses_the_connection_and_nothing_else(run: Run, flood: str) -> None:
    async def abusing(line: Line) -> None:
        request = await line.request()
        await line.peer.say(b"".join(frame.serialize() for frame in FLOODS[flood](request, line)))
        await line.peer.until_left()

    async def story() -> None:
        async with shared(speaking(abusing, echoing)) as (place, calls):
            with pytest.raises(CallFailed) as failed:
                await calls.call(call_to(place.url))
            assert failed.value.kind is FailureKind.BROKEN
            assert (await calls.call(call_to(place.url, body=b"next"))).body == b"next"
            assert place.connections == 2

    run(story)


def test_answers_before_the_answer_have_an_end(run: Run) -> None:
    async def informing(line: Line) -> None:
        for number in (3, 30):
            request = await line.request()
            for _ in range(number):
                line.http.send_headers(request.stream_id, [(":status", "103")])
            await line.answer(request.stream_id, body=b"there")
        await line.until_left()

    async def story() -> None:
        async with shared(speaking(informing)) as (place, calls):
            assert (await calls.call(call_to(place.url))).body == b"there"
            with pytest.raises(CallFailed) as failed:
                await calls.call(call_to(place.url))
            assert failed.value.kind is FailureKind.BROKEN

    run(story)


def test_an_answer_in_crumbs_is_not_read_to_its_end(run: Run) -> None:
    async def crumbling(line: Line) -> None:
        request = await line.request()
        line.http.send_headers(request.stream_id, [(":status", "200")])
        for _ in range(3_000):
            line.http.send_data(request.stream_id, b"x")
        await line.flush()
        await line.serve()

    async def story() -> None:
        async with shared(speaking(crumbling)) as (place, calls):
            answer = await calls.call(call_to(place.url))
            assert answer.is_truncated and len(answer.body) < 1_100
            assert (await calls.call(call_to(place.url, body=b"next"))).body == b"next"

    run(story)


def test_an_answer_that_goes_on_when_nobody_waits_for_it_ends_the_connection(run: Run) -> None:
    """Each piece costs work, and there may be no call under way that would end."""

    async def flooding(line: Line) -> None:
        request = await line.request()
        line.http.send_headers(request.stream_id, [(":status", "200")])
        await line.flush()
        crumb = DataFrame(request.stream_id, b"x").serialize()
        with contextlib.suppress(ConnectionError):
            while True:
                await line.peer.say(crumb * 1_000)

    async def story() -> None:
        async with shared(speaking(flooding, echoing)) as (place, calls):
            assert (await calls.call(call_to(place.url))).is_truncated
            await place.rest()
            assert (await calls.call(call_to(place.url, body=b"next"))).body == b"next"
            assert place.connections == 2

    run(story)


def test_a_ping_is_answered(run: Run) -> None:
    async def asking(line: Line) -> None:
        line.http.ping(b"are you?")
        await line.flush()
        acknowledged = await line.until(h2.events.PingAckReceived)
        assert acknowledged.ping_data == b"are you?"
        await line.serve()

    async def story() -> None:
        async with shared(speaking(asking)) as (place, calls):
            assert (await calls.call(call_to(place.url, body=b"next"))).body == b"next"

    run(story)


def test_windows_that_shrink_below_nothing_open_again(run: Run) -> None:
    async def shrinking(line: Line) -> None:
        line.acknowledges = False
        event = await line.until(h2.events.DataReceived)
        line.http.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 10})
        await line.flush()
        await line.until(h2.events.SettingsAcknowledged)
        line.acknowledges = True
        line.http.increment_flow_control_window(200_000, event.stream_id)
        line.http.increment_flow_control_window(200_000)
        await line.flush()
        await line.serve()

    async def story() -> None:
        async with shared(speaking(shrinking)) as (place, calls):
            body = b"x" * 150_000
            assert (await calls.call(call_to(place.url, body=body))).body == body

    run(story)


def test_frames_may_come_byte_by_byte(run: Run) -> None:
    async def dripping(line: Line) -> None:
        request = await line.request()
        line.http.send_headers(request.stream_id, [(":status", "200")])
        head = line.http.data_to_send()
        line.http.send_data(request.stream_id, b"there", end_stream=True)
        for byte in head + leaving_after(request.stream_id) + line.http.data_to_send():
            await line.peer.say(bytes((byte,)))
            await asyncio.sleep(0.001)
        await line.until_left()

    async def story() -> None:
        async with shared(speaking(dripping, echoing)) as (place, calls):
            assert (await calls.call(call_to(place.url))).body == b"there"
            assert (await calls.call(call_to(place.url, body=b"next"))).body == b"next"

    run(story)


def test_a_receiver_that_falls_silent_with_calls_under_way_is_asked_and_given_up(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiplexing, "WATCH_S", SHORT_S)

    async def story() -> None:
        asked: list[bool] = []

        async def dead(line: Line) -> None:
            await line.request()
            line.peer.reader._transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.sleep(SHORT_S * 5)
            line.peer.reader._transport.resume_reading()  # type: ignore[attr-defined]
            asked.append(b"tertulia" in await line.peer.reader.read(65536))

        async with shared(speaking(dead)) as (place, calls):
            results = await asyncio.gather(*together(calls, place, 3), return_exceptions=True)
            assert {result.kind for result in results if isinstance(result, CallFailed)} == {FailureKind.READ_TIMEOUT}
        assert asked == [True]

    run(story)


def test_a_receiver_that_works_for_long_is_not_given_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiplexing, "WATCH_S", SHORT_S / 2)

    async def slow(line: Line) -> None:
        request = await line.request()
        ends = asyncio.get_running_loop().time() + SHORT_S * 3
        while (left := ends - asyncio.get_running_loop().time()) > 0:
            try:
                await asyncio.wait_for(line.hear(), left)  # it is asked, and says that it is there
            except TimeoutError:
                break
        await line.answer(request.stream_id, body=b"there")
        await line.until_left()

    async def story() -> None:
        async with shared(speaking(slow)) as (place, calls):
            assert (await calls.call(call_to(place.url))).body == b"there"

    run(story)


def test_a_connection_that_rested_is_asked_before_a_call_is_risked_on_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiplexing, "RESTED_S", SHORT_S / 5)
    monkeypatch.setattr(multiplexing, "WAKE_S", SHORT_S)

    async def story() -> None:
        asked: list[int] = []

        async def well(line: Line) -> None:
            await line.serve()
            asked.append(sum(isinstance(event, h2.events.PingReceived) for event in line.seen))

        async with shared(speaking(well)) as (place, calls):
            for one in range(3):
                await asyncio.sleep(SHORT_S / 2)
                assert (await calls.call(call_to(place.url, body=b"%d" % one))).body == b"%d" % one
            assert place.connections == 1
        assert asked == [2]

        async def dead_later(line: Line) -> None:
            request = await line.request()
            await line.answer(request.stream_id, body=request.body)
            await asyncio.sleep(SHORT_S * 3)

        async with shared(speaking(dead_later, echoing)) as (place, calls):
            assert (await calls.call(call_to(place.url, body=b"one"))).body == b"one"
            await asyncio.sleep(SHORT_S / 2)
            assert (await calls.call(call_to(place.url, body=b"two"))).body == b"two"
            assert place.connections == 2

    run(story)


def test_a_connection_that_nobody_uses_is_closed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiplexing, "WATCH_S", SHORT_S / 4)
    monkeypatch.setattr(multiplexing, "IDLE_S", SHORT_S / 2)

    async def story() -> None:
        said: list[bool] = []

        async def seeing(line: Line) -> None:
            await line.serve()
            said.append(any(isinstance(event, h2.events.ConnectionTerminated) for event in line.seen))

        async with shared(speaking(seeing)) as (place, calls):
            assert (await calls.call(call_to(place.url, body=b"one"))).body == b"one"
            await place.rest()
            assert said == [True]
            assert (await calls.call(call_to(place.url, body=b"two"))).body == b"two"
            assert place.connections == 2

    run(story)


def test_a_full_connection_is_joined_by_one_more(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tertulia.server.outgoing.multiplexed.GROWS_AFTER_S", SHORT_S)

    async def story() -> None:
        arrived = asyncio.Event()
        numbers: list[bytes] = []

        async def holding(line: Line) -> None:
            request = await line.request()
            numbers.append(request.body)
            if len(numbers) == 2:
                arrived.set()
            await arrived.wait()
            await line.answer(request.stream_id, body=request.body)
            await line.serve()

        limit: dict[int, int] = {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1}
        async with shared(speaking(holding, settings=limit)) as (place, calls):
            answers = await asyncio.gather(*together(calls, place, 6))
            assert [answer.body for answer in answers] == [b"%d" % one for one in range(6)]
            assert place.connections == 2

    run(story)
