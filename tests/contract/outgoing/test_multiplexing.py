"""Many calls on one connection: who gets which answer, who waits, and what of a receiver's leaving a caller sees."""

from __future__ import annotations

import asyncio
import socket

import h2.errors
import h2.events
import pytest

from tertulia.server import observe
from tertulia.server.outgoing import FailureKind
from tertulia.server.settings import OutgoingSettings, Settings
from tests.contract.outgoing.lines import (
    STREAMS,
    WINDOW,
    Line,
    echoing,
    kinds,
    leaving_after,
    shared,
    speaking,
    together,
)
from tests.contract.outgoing.receivers import SHORT_S, call_to, calling, failure_of, receiver
from tests.contract.websocket.serving import Run


def test_calls_share_one_connection_and_each_gets_its_own_answer(run: Run) -> None:
    async def backwards(line: Line) -> None:
        requests = [await line.request() for _ in range(50)]
        for request in reversed(requests):
            await line.answer(request.stream_id, body=request.body, x_for=request.headers[":path"])
        await line.until_left()

    async def story() -> None:
        async with shared(speaking(backwards)) as (place, calls):
            answers = await asyncio.gather(*together(calls, place, 50))
            assert [answer.body for answer in answers] == [str(one).encode() for one in range(50)]
            assert {answer.header("x-for") for answer in answers} == {"/hook"}
            assert place.connections == 1

    run(story)


def test_a_request_has_the_form_of_http_2(run: Run) -> None:
    async def story() -> None:
        heads: list[dict[str, str]] = []

        async def keeping(line: Line) -> None:
            for _ in range(3):
                request = await line.request()
                heads.append(request.headers)
                await line.answer(request.stream_id, 404, b"no", Content_Type="text/plain")

        async with shared(speaking(keeping)) as (place, calls):
            for _ in range(3):  # the second one stands in the table, the third one is read from it
                headers = (("X-One", "ä"), ("Authorization", "bearer s3cret"), ("User-Agent", "me"))
                answer = await calls.call(call_to(place.url + "?query=1#part", headers=headers, body=b"body!"))
                assert (answer.status, answer.body, answer.header("content-type")) == (404, b"no", "text/plain")
        assert (
            heads
            == [
                {
                    ":method": "POST",
                    ":scheme": "http",
                    ":authority": f"127.0.0.1:{place.port}",
                    ":path": "/hook?query=1",
                    "accept": "*/*",
                    "accept-encoding": "identity",
                    "x-one": "ä",
                    "authorization": "bearer s3cret",
                    "user-agent": "me",
                    "content-length": "5",
                }
            ]
            * 3
        )

    run(story)


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "http://elsewhere.example/hook"},
        {"url": "{origin}.example/hook"},
        {"url": "{origin}/ho ok"},
        {"url": "{origin}/hoök"},
        {"headers": (("X-One", "s3cret\r\nquery: 1"),)},
        {"headers": (("X One", "s3cret"),)},
        {"headers": (("Connection", "close"),)},
        {"headers": (("Host", "elsewhere.example"),)},
        {"method": "PO ST"},
    ],
)
def test_what_cannot_be_sent_is_not(run: Run, fields: dict[str, object]) -> None:
    async def story() -> None:
        async with shared(speaking(echoing)) as (place, calls):
            origin = f"http://127.0.0.1:{place.port}"
            chosen = {"url": f"{origin}/hook", **fields}
            chosen["url"] = str(chosen["url"]).replace("{origin}", origin)
            failed = await failure_of(calls, call_to(**chosen))  # type: ignore[arg-type]
            assert failed.kind is FailureKind.BAD_REQUEST
            assert place.connections == 0

    run(story)


def test_no_more_calls_are_under_way_than_the_receiver_takes(run: Run) -> None:
    async def story() -> None:
        seen: list[int] = []

        async def two_at_a_time(line: Line) -> None:
            for _ in range(5):
                requests = [await line.request(), await line.request()]
                seen.append(line.http.open_inbound_streams)
                for request in requests:
                    await line.answer(request.stream_id, body=request.body)
            await line.until_left()

        async with shared(speaking(two_at_a_time, settings={STREAMS: 2})) as (place, calls):
            answers = await asyncio.gather(*together(calls, place, 10))
            assert [answer.body for answer in answers] == [str(one).encode() for one in range(10)]
            assert (seen, place.connections) == ([2] * 5, 1)

    run(story)


def test_a_receiver_may_give_more_room_later(run: Run) -> None:
    async def opening_up(line: Line) -> None:
        first = await line.request()
        line.http.update_settings({STREAMS: 100})
        await line.answer(first.stream_id, body=first.body)
        requests = [await line.request() for _ in range(9)]  # they come without an answer in between
        for request in requests:
            await line.answer(request.stream_id, body=request.body)
        await line.until_left()

    async def story() -> None:
        async with shared(speaking(opening_up, settings={STREAMS: 1})) as (place, calls):
            answers = await asyncio.gather(*together(calls, place, 10))
            assert [answer.body for answer in answers] == [str(one).encode() for one in range(10)]
            assert place.connections == 1

    run(story)


@pytest.mark.parametrize("window", [1, 1_000, 65_535])
def test_bodies_larger_than_the_windows_go_through(run: Run, window: int) -> None:
    async def story() -> None:
        async with shared(speaking(echoing, settings={WINDOW: window})) as (place, calls):
            size = 2_000 if window == 1 else 200_000
            bodies = [bytes([65 + one]) * size for one in range(5)]
            answers = await asyncio.gather(*(calls.call(call_to(place.url, body=body)) for body in bodies))
            assert [answer.body for answer in answers] == bodies

    run(story)


def test_an_answer_is_read_up_to_the_limit_and_the_connection_goes_on(run: Run) -> None:
    async def story() -> None:
        async with shared(speaking(echoing)) as (place, calls):
            answer = await calls.call(call_to(place.url, body=b"x" * 300_000, answer_limit_bytes=1_000))
            assert (answer.body, answer.is_truncated) == (b"x" * 1_000, True)
            assert (await calls.call(call_to(place.url, body=b"next"))).body == b"next"

    run(story)


def test_an_early_answer_is_an_answer(run: Run) -> None:
    async def refusing(line: Line) -> None:
        line.acknowledges = False
        event = await line.until(h2.events.DataReceived)
        await line.answer(event.stream_id, 413, b"too large")
        await line.until(h2.events.StreamReset)
        await line.until_left()

    async def story() -> None:
        async with shared(speaking(refusing)) as (place, calls):
            answer = await calls.call(call_to(place.url, body=b"x" * 200_000))
            assert (answer.status, answer.body) == (413, b"too large")

    run(story)


def test_who_leaves_finishes_what_it_looked_at_and_the_rest_goes_elsewhere_unnoticed(run: Run) -> None:
    async def story() -> None:
        served: list[bytes] = []

        async def leaving(line: Line) -> None:
            requests = [await line.request() for _ in range(10)]
            await line.peer.say(leaving_after(requests[4].stream_id))
            for request in requests[:5]:
                served.append(request.body)
                await line.answer(request.stream_id, body=request.body)
            await line.until_left()

        async def taking_over(line: Line) -> None:
            while True:
                request = await line.request()
                served.append(request.body)
                await line.answer(request.stream_id, body=request.body)

        async with shared(speaking(leaving, taking_over)) as (place, calls):
            answers = await asyncio.gather(*together(calls, place, 10))
            assert [answer.body for answer in answers] == [str(one).encode() for one in range(10)]
            assert served == [str(one).encode() for one in range(10)]  # in their order, and none of them twice
            assert place.connections == 2

    run(story)


def test_a_refused_stream_goes_elsewhere_unnoticed(run: Run) -> None:
    async def refusing(line: Line) -> None:
        for one in range(3):
            request = await line.request()
            if one == 1:
                line.http.reset_stream(request.stream_id, h2.errors.ErrorCodes.REFUSED_STREAM)
                await line.flush()
            else:
                await line.answer(request.stream_id, body=request.body)
        await line.until_left()

    async def story() -> None:
        async with shared(speaking(refusing, echoing)) as (place, calls):
            answers = await asyncio.gather(*together(calls, place, 3))
            assert [answer.body for answer in answers] == [b"0", b"1", b"2"]
            assert place.connections == 2

    run(story)


def test_a_receiver_that_refuses_every_call_is_not_asked_forever(run: Run) -> None:
    async def refusing(line: Line) -> None:
        while True:
            request = await line.request()
            line.http.reset_stream(request.stream_id, h2.errors.ErrorCodes.REFUSED_STREAM)
            await line.flush()

    async def story() -> None:
        async with shared(speaking(refusing)) as (place, calls):
            failed = await failure_of(calls, call_to(place.url))
            assert failed.kind in (FailureKind.BROKEN, FailureKind.CONNECT_FAILED)
            assert place.connections <= 5

    run(story)


def test_a_receiver_that_leaves_whenever_it_is_called_is_not_called_forever(run: Run) -> None:
    async def leaving(line: Line) -> None:
        line.http.close_connection(last_stream_id=0)
        await line.flush()

    async def story() -> None:
        async with shared(speaking(leaving)) as (place, calls):
            results = await asyncio.gather(*together(calls, place, 20), return_exceptions=True)
            assert set(kinds(results)) <= {FailureKind.CONNECT_FAILED, FailureKind.BROKEN}
            assert place.connections <= 5

    run(story)


def test_a_call_that_is_broken_off_fails_alone(run: Run) -> None:
    async def breaking(line: Line) -> None:
        for one in range(3):
            request = await line.request()
            if one == 1:
                line.http.send_headers(request.stream_id, [(":status", "200")])
                line.http.reset_stream(request.stream_id, h2.errors.ErrorCodes.INTERNAL_ERROR)
                await line.flush()
            else:
                await line.answer(request.stream_id, body=request.body)
        await line.serve()

    async def story() -> None:
        async with shared(speaking(breaking)) as (place, calls):
            results = await asyncio.gather(*together(calls, place, 3), return_exceptions=True)
            assert kinds(results)[1] is FailureKind.BROKEN
            assert (await calls.call(call_to(place.url, body=b"next"))).body == b"next"
            assert place.connections == 1

    run(story)


def test_a_connection_that_ends_fails_its_calls_and_the_next_call_gets_another(run: Run) -> None:
    async def ending(line: Line) -> None:
        for _ in range(3):
            await line.request()
        line.peer.reset()

    async def story() -> None:
        async with shared(speaking(ending, echoing)) as (place, calls):
            results = await asyncio.gather(*together(calls, place, 3), return_exceptions=True)
            assert kinds(results) == [FailureKind.BROKEN] * 3
            assert (await calls.call(call_to(place.url, body=b"next"))).body == b"next"

    run(story)


def test_a_connection_that_ended_while_nobody_called_costs_no_call(run: Run) -> None:
    async def once(line: Line) -> None:
        request = await line.request()
        await line.answer(request.stream_id)

    async def story() -> None:
        async with shared(speaking(once)) as (place, calls):
            for times in range(1, 4):
                assert (await calls.call(call_to(place.url))).status == 200
                await place.rest()
                await asyncio.sleep(0.01)  # our side learns of it in a turn of the loop
                assert place.connections == times

    run(story)


def test_nobody_there_is_found_out_once_for_all_who_wait(run: Run) -> None:
    async def story() -> None:
        asked: list[str] = []

        async def resolve(host: str, port: int) -> list[str]:
            asked.append(host)
            return ["127.0.0.1"]

        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            async with calling(resolve=resolve) as outgoing:
                url = f"http://gone.example:{unused.getsockname()[1]}"
                calls = outgoing.multiplexed(url)
                results = await asyncio.gather(
                    *(calls.call(call_to(f"{url}/hook")) for _ in range(30)), return_exceptions=True
                )
                assert kinds(results) == [FailureKind.CONNECT_FAILED] * 30
                assert len(asked) == 1

    run(story)


def test_addresses_are_judged(run: Run) -> None:
    async def story() -> None:
        closed = Settings(outgoing=OutgoingSettings(allow_private=False))
        async with receiver(speaking(echoing)) as place, calling(closed) as outgoing:
            calls = outgoing.multiplexed(f"http://127.0.0.1:{place.port}")
            assert (await failure_of(calls, call_to(place.url))).kind is FailureKind.REFUSED_ADDRESS
            assert place.connections == 0

    run(story)


def test_calls_are_counted_by_their_outcome(run: Run) -> None:
    def counted(outcome: str) -> float:
        return observe.REGISTRY.get_sample_value("tertulia_outgoing_seconds_count", {"outcome": outcome}) or 0.0

    async def story() -> None:
        before = {outcome: counted(outcome) for outcome in ("2xx", "read_timeout", "abandoned")}

        async def one_then_none(line: Line) -> None:
            request = await line.request()
            await line.answer(request.stream_id)
            await line.until_left()

        async with shared(speaking(one_then_none)) as (place, calls):
            await calls.call(call_to(place.url))
            await failure_of(calls, call_to(place.url, read_s=SHORT_S))
            (task,) = together(calls, place, 1)
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert {outcome: counted(outcome) - number for outcome, number in before.items()} == {
            "2xx": 1,
            "read_timeout": 1,
            "abandoned": 1,
        }

    run(story)
