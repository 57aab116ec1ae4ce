"""What waits for a connection: one write per tick, in order, bounded, shared between thousands."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest

from tertulia.server.realtime.send_queue import ENOUGH_WAITING_BYTES, FRAME_OVERHEAD_BYTES, Flusher, SendQueue

LIMIT = 1000
# Frames of these tests are that much smaller than what they are to count.
EACH = FRAME_OVERHEAD_BYTES


class Transport:
    """Takes bytes as a kernel would; `stuck` bytes wait in it."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.stuck = 0

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def get_write_buffer_size(self) -> int:
        return self.stuck


class BrokenTransport(Transport):
    def write(self, data: bytes) -> None:
        raise OSError("broken")


class Reader:
    """One connection's queue, with the transport behind it."""

    def __init__(self, flusher: Flusher, transport: Transport | None = None, limit: int = LIMIT) -> None:
        self.transport = transport or Transport()
        self.overflows = 0
        self.queue = SendQueue(self.transport, limit, flusher, self._overflowed)

    def _overflowed(self) -> None:
        self.overflows += 1

    @property
    def writes(self) -> list[bytes]:
        return self.transport.writes


async def tick() -> None:
    await asyncio.sleep(0)


@pytest.fixture
def reader() -> Reader:
    return Reader(Flusher())


async def test_frames_of_one_tick_leave_in_one_write_in_order(reader: Reader) -> None:
    for frame in (b"a", b"b", b"c"):
        reader.queue.put(frame)
    assert reader.writes == []
    await tick()
    assert reader.writes == [b"abc"]


async def test_each_tick_has_its_own_write_and_an_idle_one_has_none(reader: Reader) -> None:
    reader.queue.put(b"a")
    await tick()
    await tick()
    reader.queue.put(b"b")
    await tick()
    assert reader.writes == [b"a", b"b"]


async def test_a_lone_frame_is_not_copied(reader: Reader) -> None:
    frame = b"x" * 100
    reader.queue.put(frame)
    await tick()
    assert reader.writes[0] is frame


async def test_a_pong_overtakes_what_waits(reader: Reader) -> None:
    for frame in (b"a", b"b"):
        reader.queue.put(frame)
    reader.queue.put_pong(b"1")
    reader.queue.put(b"c")
    await tick()
    assert reader.writes == [b"1abc"]


async def test_of_unsent_pongs_the_latest_is_kept(reader: Reader) -> None:
    """RFC 6455, 5.5.3"""
    for frame in (b"1", b"22", b"333"):
        reader.queue.put_pong(frame)
    await tick()
    reader.queue.put(b"a")
    for frame in (b"4", b"5"):
        reader.queue.put_pong(frame)
    await tick()
    reader.queue.put(b"b")
    reader.queue.put(b"c")
    await tick()
    assert reader.writes == [b"333", b"5a", b"bc"]


async def test_pongs_that_nobody_takes_cost_one(reader: Reader) -> None:
    reader.queue.pause()
    reader.queue.put(b"a")
    for n in range(100_000):
        reader.queue.put_pong(b"%d" % (n % 10))
    assert reader.queue.unsent_bytes == 2 + 2 * FRAME_OVERHEAD_BYTES
    reader.queue.resume()
    await tick()
    assert (reader.writes, reader.overflows) == ([b"9a"], 0)


async def test_tiny_frames_are_counted_as_what_they_cost() -> None:
    reader = Reader(Flusher(), limit=100_000)
    reader.queue.pause()
    tracemalloc.start()
    try:
        for n in range(100_000):
            reader.queue.put(b"%d" % n)
            if reader.overflows:
                break
        assert n < 100_000 // FRAME_OVERHEAD_BYTES + 1
        assert tracemalloc.get_traced_memory()[1] < 150_000
    finally:
        tracemalloc.stop()


async def test_many_queues_are_flushed_in_one_tick() -> None:
    flusher = Flusher()
    readers = [Reader(flusher) for _ in range(100)]
    for frame in (b"a", b"b"):
        for reader in readers:
            reader.queue.put(frame)
    await tick()
    assert [reader.writes for reader in readers] == [[b"ab"]] * 100


async def test_a_transport_that_raises_does_not_hold_up_the_others() -> None:
    reported: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
    flusher = Flusher()
    readers = [Reader(flusher), Reader(flusher, BrokenTransport()), Reader(flusher), Reader(flusher)]
    for reader in readers:
        reader.queue.put(b"a")
    await tick()
    await tick()
    assert [reader.writes for reader in readers] == [[b"a"], [], [b"a"], [b"a"]]
    assert [str(error) for error in reported] == ["broken"]


async def test_a_full_transport_gets_nothing_until_it_resumes_then_one_write(reader: Reader) -> None:
    reader.queue.put(b"a")
    reader.queue.pause()
    await tick()
    reader.queue.put(b"b")
    await tick()
    assert reader.writes == []
    reader.queue.resume()
    reader.queue.put(b"c")
    await tick()
    assert reader.writes == [b"abc"]


async def test_a_pause_and_a_resume_in_one_tick_change_nothing(reader: Reader) -> None:
    reader.queue.put(b"a")
    reader.queue.pause()
    reader.queue.resume()
    await tick()
    await tick()
    assert reader.writes == [b"a"]


async def test_exactly_the_limit_may_wait(reader: Reader) -> None:
    reader.queue.pause()
    reader.queue.put(b"x" * (600 - EACH))
    reader.transport.stuck = 400 - EACH
    reader.queue.put(b"")
    assert reader.overflows == 0
    reader.queue.resume()
    await tick()
    assert reader.writes == [b"x" * (600 - EACH)]


@pytest.mark.parametrize("first", [False, True])
async def test_more_than_the_limit_is_dropped_and_reported_once(reader: Reader, first: bool) -> None:
    put = reader.queue.put_pong if first else reader.queue.put
    reader.queue.put(b"x" * (900 - EACH))
    put(b"y" * (101 - EACH))
    put(b"z" * 5000)
    put(b"a")
    await tick()
    assert reader.overflows == 1
    assert reader.writes == []


async def test_what_the_transport_holds_counts(reader: Reader) -> None:
    reader.transport.stuck = 500
    reader.queue.put(b"x" * 500)
    await tick()
    reader.queue.put(b"y" * (500 - EACH))
    assert reader.overflows == 0
    reader.queue.put(b"z")
    assert reader.overflows == 1


async def test_what_the_transport_has_sent_no_longer_counts(reader: Reader) -> None:
    for _ in range(10):
        # As if the write filled the transport, and the kernel took it before the next tick.
        reader.transport.stuck = 900
        reader.queue.put(b"x" * 90)
        await tick()
        reader.transport.stuck = 0
        reader.queue.put(b"y" * (1000 - EACH))
        await tick()
    assert reader.overflows == 0
    assert len(reader.writes) == 20


async def test_unsent_bytes_are_those_here_and_those_in_the_transport(reader: Reader) -> None:
    reader.queue.put(b"x" * 100)
    reader.queue.put_pong(b"y" * 10)
    assert reader.queue.unsent_bytes == 110 + 2 * EACH
    reader.transport.stuck = 60
    await tick()
    assert reader.queue.unsent_bytes == 60
    reader.queue.put(b"z")
    assert reader.queue.unsent_bytes == 61 + EACH
    reader.queue.drop()
    assert reader.queue.unsent_bytes == 0


async def test_a_dropped_queue_writes_and_reports_nothing(reader: Reader) -> None:
    reader.queue.put(b"a")
    reader.queue.drop()
    reader.queue.put(b"x" * 5000)
    reader.queue.put_pong(b"x" * 5000)
    reader.queue.resume()
    await tick()
    assert (reader.writes, reader.overflows) == ([], 0)


async def test_a_finished_queue_has_written_all_at_once_though_the_transport_is_full(reader: Reader) -> None:
    reader.queue.pause()
    reader.queue.put(b"a")
    reader.queue.put(b"b")
    reader.queue.finish()
    assert reader.writes == [b"ab"]
    reader.queue.put(b"c")
    reader.queue.finish()
    await tick()
    assert reader.writes == [b"ab"]


async def test_a_queue_that_overflows_while_others_wait_leaves_them_alone() -> None:
    flusher = Flusher()
    slow, quick = Reader(flusher), Reader(flusher)
    slow.queue.pause()
    for _ in range(20):
        for reader in (slow, quick):
            reader.queue.put(b"x" * 100)
        await tick()
    assert (slow.overflows, quick.overflows) == (1, 0)
    assert len(quick.writes) == 20


async def test_frames_that_wait_in_a_thousand_queues_are_one_object() -> None:
    flusher = Flusher()
    readers = [Reader(flusher, limit=1 << 20) for _ in range(1000)]
    for reader in readers:
        reader.queue.pause()
    tracemalloc.start()
    try:
        frame = b"x" * 100_000
        for reader in readers:
            reader.queue.put(frame)
        assert tracemalloc.get_traced_memory()[1] < 3 * len(frame)
    finally:
        tracemalloc.stop()


async def test_memory_stays_flat_however_much_is_sent_to_a_peer_that_does_not_read() -> None:
    reader = Reader(Flusher(), limit=100_000)
    reader.queue.pause()
    tracemalloc.start()
    try:
        for _ in range(10_000):
            reader.queue.put(bytes(1000))
            await tick()
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


# --- waiting for a reader


class Patience:
    """What somebody who waits for a queue to drain has heard."""

    def __init__(self, reader: Reader, seconds: float = 60) -> None:
        self.lost = 0
        self.future = reader.queue.drained(seconds, self._lose)

    def _lose(self) -> None:
        self.lost += 1


@pytest.fixture
async def behind() -> Reader:
    """Its transport is full, and more waits."""
    reader = Reader(Flusher(), limit=1 << 22)
    reader.queue.pause()
    reader.queue.put(bytes(ENOUGH_WAITING_BYTES))
    assert reader.queue.is_behind
    return reader


async def test_all_who_wait_for_a_reader_wait_for_one_thing(behind: Reader) -> None:
    assert Patience(behind).future is Patience(behind).future
    behind.queue.release()


async def test_it_is_told_when_the_transport_has_taken_what_waits(behind: Reader) -> None:
    patience = Patience(behind)
    await tick()
    assert not patience.future.done()
    behind.queue.resume()
    await tick()
    assert patience.future.done() and not behind.queue.is_behind


async def test_what_the_transport_has_not_sent_is_waited_for(behind: Reader) -> None:
    patience = Patience(behind)
    behind.queue.resume()
    behind.transport.stuck = ENOUGH_WAITING_BYTES + 1
    await tick()
    behind.queue.pause()
    assert behind.writes and not patience.future.done()
    behind.transport.stuck = 0
    behind.queue.resume()
    assert patience.future.done()


async def test_patience_is_lost_with_a_reader_that_takes_nothing_and_only_then(behind: Reader) -> None:
    patience = Patience(behind, 0.01)
    quick = Reader(Flusher())
    other = Patience(quick, 0.01)
    await asyncio.sleep(0.05)
    assert (patience.lost, patience.future.done()) == (1, False)
    assert (other.lost, other.future.done()) == (0, True)
    behind.queue.release()
    assert patience.future.done()


async def test_who_waits_for_a_reader_does_not_wait_beyond_its_end(behind: Reader) -> None:
    patience = Patience(behind, 0.01)
    behind.queue.drop()
    behind.queue.release()
    await asyncio.sleep(0.05)
    assert (patience.lost, patience.future.done()) == (0, True)
