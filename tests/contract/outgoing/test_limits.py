"""Every wait of a call ends: for a slot, a name, a connection, the next byte, the whole."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest

from tertulia.server import observe
from tertulia.server.outgoing import FailureKind
from tertulia.server.outgoing.resolving import LOOK_UPS_AT_ONCE
from tertulia.server.settings import OutgoingSettings, Settings
from tests.contract.outgoing.receivers import (
    OK,
    SHORT_S,
    Peer,
    Script,
    answering,
    call_to,
    calling,
    failure_of,
    receiver,
    resolving,
)
from tests.contract.websocket.serving import Run


async def silent(peer: Peer) -> None:
    await peer.request()
    await peer.until_left()


async def dripping(peer: Peer) -> None:
    """A byte of the body every now and then, never the last one."""
    await peer.request()
    await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        await peer.say(b"x")
        await asyncio.sleep(SHORT_S / 10)


async def dripping_head(peer: Peer) -> None:
    await peer.request()
    await peer.say(b"HTTP/1.1 200 OK\r\n")
    while True:
        await peer.say(b"X: y\r\n")
        await asyncio.sleep(SHORT_S / 10)


async def stalling(peer: Peer) -> None:
    await peer.request()
    await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nx")
    await peer.until_left()


async def never_reading(peer: Peer) -> None:
    await peer.reader.readuntil(b"\r\n\r\n")
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(SHORT_S * 2)


def test_silence_ends_a_call(run: Run) -> None:
    async def story() -> None:
        async with receiver(silent) as place, calling() as outgoing:
            failed = await failure_of(outgoing, call_to(place.url, read_s=SHORT_S))
            assert (failed.kind, failed.status) == (FailureKind.READ_TIMEOUT, None)

    run(story)


def test_silence_within_an_answer_ends_a_call(run: Run) -> None:
    async def story() -> None:
        async with receiver(stalling) as place, calling() as outgoing:
            failed = await failure_of(outgoing, call_to(place.url, read_s=SHORT_S))
            assert (failed.kind, failed.status) == (FailureKind.READ_TIMEOUT, 200)

    run(story)


def test_a_receiver_that_reads_nothing_ends_a_call(run: Run) -> None:
    async def story() -> None:
        async with receiver(never_reading) as place, calling() as outgoing:
            failed = await failure_of(outgoing, call_to(place.url, read_s=SHORT_S, body=bytes(32 << 20)))
            assert failed.kind is FailureKind.READ_TIMEOUT

    run(story)


@pytest.mark.parametrize(("script", "status"), [(silent, None), (dripping_head, None), (dripping, 200)])
def test_no_drip_outlasts_the_total_time(run: Run, script: Script, status: int | None) -> None:
    async def story() -> None:
        async with receiver(script) as place, calling() as outgoing:
            failed = await failure_of(outgoing, call_to(place.url, total_s=SHORT_S))
            assert (failed.kind, failed.status) == (FailureKind.TOTAL_TIMEOUT, status)

    run(story)


def test_a_silent_name_server_ends_a_call(run: Run) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        raise AssertionError

    async def story() -> None:
        async with calling(resolve=resolve) as outgoing:
            failed = await failure_of(outgoing, call_to("http://slow.example/hook", connect_s=SHORT_S))
            assert failed.kind is FailureKind.CONNECT_TIMEOUT
            failed = await failure_of(outgoing, call_to("http://slow.example/hook", total_s=SHORT_S))
            assert failed.kind is FailureKind.TOTAL_TIMEOUT

    run(story)


def test_an_account_whose_name_servers_are_silent_leaves_look_ups_to_others(run: Run) -> None:
    """They go on after the calls: the system's look-up cannot be broken off."""

    async def resolve(host: str, port: int) -> list[str]:
        if host.startswith("slow"):
            await asyncio.Event().wait()
        return ["127.0.0.1"]

    async def story() -> None:
        async with receiver(answering(OK)) as place, calling(resolve=resolve) as outgoing:
            kinds = set()
            for number in range(LOOK_UPS_AT_ONCE):
                url = f"http://slow{number}.example/hook"
                slow = call_to(url, total_s=SHORT_S / 5, account_sid="AC1")
                kinds.add((await failure_of(outgoing, slow)).kind)
            assert kinds == {FailureKind.TOTAL_TIMEOUT, FailureKind.UNRESOLVABLE}
            other = place.url.replace("127.0.0.1", "other.example")
            assert (await outgoing.call(call_to(other, account_sid="AC2"))).status == 200

    run(story)


def test_calls_that_need_the_same_name_at_the_same_time_ask_once(run: Run) -> None:
    async def story() -> None:
        asked, begun, answered = [], asyncio.Event(), asyncio.Event()

        async def resolve(host: str, port: int) -> list[str]:
            asked.append((host, port))
            begun.set()
            await answered.wait()
            return ["127.0.0.1"]

        async with receiver(answering(OK)) as place, calling(resolve=resolve) as outgoing:
            call = call_to(place.url.replace("127.0.0.1", "one.example"), account_sid="AC1")
            given_up = asyncio.create_task(outgoing.call(call))
            others = [asyncio.create_task(outgoing.call(call)) for _ in range(LOOK_UPS_AT_ONCE // 2)]
            await begun.wait()
            given_up.cancel()
            answered.set()
            assert {answer.status for answer in await asyncio.gather(*others)} == {200}
            assert asked == [("one.example", place.port)]
            await outgoing.call(call_to(call.url, account_sid="AC2"))
            assert len(asked) == 2

    run(story)


@contextlib.contextmanager
def full_backlog() -> Iterator[int]:
    """The port of a listener that accepts nobody and has no room for one more to wait."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_connection_that_is_not_made_ends_a_call(run: Run) -> None:
    async def story() -> None:
        with full_backlog() as port:
            async with calling() as outgoing:
                failed = await failure_of(outgoing, call_to(f"http://127.0.0.1:{port}/hook", connect_s=SHORT_S))
        assert failed.kind is FailureKind.CONNECT_TIMEOUT
        assert failed.kind.nothing_sent

    run(story)


def test_a_refused_connection_is_told_from_a_slow_one(run: Run) -> None:
    async def story() -> None:
        async with receiver(silent) as place, calling() as outgoing:
            pass
        async with calling() as outgoing:
            failed = await failure_of(outgoing, call_to(place.url))
        assert (failed.kind, str(failed)) == (
            FailureKind.CONNECT_FAILED,
            f"http://127.0.0.1:{place.port}: Connection refused",
        )

    run(story)


def test_a_name_without_address_is_told(run: Run) -> None:
    async def story() -> None:
        async with calling() as outgoing:
            for host in ("no-such-host.invalid", "a..b", "x" * 64, "127.0.0.256", "%00"):
                failed = await failure_of(outgoing, call_to(f"http://{host}/hook"))
                assert failed.kind is FailureKind.UNRESOLVABLE

    run(story)


def test_an_address_that_does_not_answer_leaves_the_turn_to_the_next(run: Run) -> None:
    async def story() -> None:
        # Nobody listens on the first two: connecting to them fails, or hangs until the third one has won.
        addresses = resolving("127.0.0.2", "127.0.0.3", "127.0.0.1")
        async with receiver(answering(OK)) as place, calling(resolve=addresses) as outgoing:
            assert (await outgoing.call(call_to(f"http://many.example:{place.port}/hook"))).status == 200
            assert place.connections == 1

    run(story)


def test_a_slow_address_is_overtaken(run: Run) -> None:
    async def story() -> None:
        with full_backlog() as port:
            place = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.2", port)
            async with place, calling(resolve=resolving("127.0.0.1", "127.0.0.2")) as outgoing:
                failed = await failure_of(outgoing, call_to(f"http://many.example:{port}/hook"))
        assert failed.kind is FailureKind.BROKEN  # so there was a connection

    run(story)


def limited(**limits: int) -> Settings:
    return Settings(outgoing=OutgoingSettings(allow_private=True, **limits))


def test_one_host_gets_no_more_calls_at_a_time_than_the_setting_says(run: Run) -> None:
    async def story() -> None:
        under_way = most = 0

        async def script(peer: Peer) -> None:
            nonlocal under_way, most
            while True:
                await peer.request()
                under_way += 1
                most = max(most, under_way)
                await asyncio.sleep(0.005)
                under_way -= 1
                await peer.say(OK)

        async with receiver(script) as place:
            async with calling(limited(concurrency=50, concurrency_per_host=3)) as outgoing:
                answers = await asyncio.gather(*(outgoing.call(call_to(place.url)) for _ in range(12)))
            assert len(answers) == 12
        assert most == place.connections == 3

    run(story)


def test_a_slow_host_does_not_take_the_slots_of_others(run: Run) -> None:
    async def story() -> None:
        async with receiver(silent) as slow, receiver(answering(OK)) as place:
            async with calling(limited(concurrency=3, concurrency_per_host=2)) as outgoing:
                stuck = [asyncio.create_task(failure_of(outgoing, call_to(slow.url))) for _ in range(6)]
                await slow.connected(2)
                other = place.url.replace("127.0.0.1", "localhost")
                assert (await outgoing.call(call_to(other))).status == 200
                for task in stuck:
                    task.cancel()
                await asyncio.gather(*stuck, return_exceptions=True)
            assert slow.connections == 2

    run(story)


def test_who_gets_no_slot_in_time_is_told_that_it_was_us(run: Run) -> None:
    async def story() -> None:
        async with receiver(silent) as place, calling(limited(concurrency_per_host=1)) as outgoing:
            first = asyncio.create_task(failure_of(outgoing, call_to(place.url, total_s=SHORT_S * 2)))
            await place.connected(1)
            second = await failure_of(outgoing, call_to(place.url, total_s=SHORT_S))
            assert second.kind is FailureKind.BUSY and second.kind.nothing_sent
            assert (await first).kind is FailureKind.TOTAL_TIMEOUT

    run(story)


def test_slots_and_connections_come_back_from_calls_that_were_given_up(run: Run) -> None:
    async def story() -> None:
        async with receiver(silent) as place, calling(limited(concurrency=2, concurrency_per_host=2)) as outgoing:
            for _ in range(3):
                tasks = [asyncio.create_task(outgoing.call(call_to(place.url))) for _ in range(2)]
                await place.connected(place.connections + 2)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await place.rest()
            assert place.connections == 6

    run(story)


def test_more_hosts_than_connections_take_turns(run: Run) -> None:
    async def story() -> None:
        async with receiver(answering(OK)) as one, receiver(answering(OK)) as other:
            async with calling(limited(concurrency=1)) as outgoing:
                for place in (one, other, one, other):
                    await outgoing.call(call_to(place.url))
            assert (one.connections, other.connections) == (2, 2)

    run(story)


def test_calls_are_counted_by_outcome(run: Run) -> None:
    def count(outcome: str) -> float:
        name = "tertulia_outgoing_seconds_count"
        return observe.REGISTRY.get_sample_value(name, {"outcome": outcome}) or 0.0

    async def story() -> None:
        before = count("2xx"), count("broken")
        async with receiver(answering(OK, b"")) as place, calling() as outgoing:
            await outgoing.call(call_to(place.url))
            await failure_of(outgoing, call_to(place.url))
        assert (count("2xx"), count("broken")) == (before[0] + 1, before[1] + 1)

    run(story)
