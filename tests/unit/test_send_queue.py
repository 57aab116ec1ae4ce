"""What waits for a connection: one write per tick, in order, bounded, shared between thousands."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest

from tertulia.server.realtime.send_queue import Flusher, SendQueue

LIMIT = 1000


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


async def test_frames_put_first_overtake_those_that_wait_but_not_each_other(reader: Reader) -> None:
    for frame in (b"a", b"b"):
        reader.queue.put(frame)
    for frame in (b"1", b"2"):
        reader.queue.put_first(frame)
    reader.queue.put(b"c")
    await tick()
    assert reader.writes == [b"12abc"]


async def test_frames_put_first_keep_their_order_in_an_empty_queue(reader: Reader) -> None:
    for frame in (b"1", b"2"):
        reader.queue.put_first(frame)
    await tick()
    reader.queue.put(b"a")
    reader.queue.put_first(b"3")
    await tick()
    assert reader.writes == [b"12", b"3a"]


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
    reader.queue.put(b"x" * 600)
    reader.transport.stuck = 400
    reader.queue.put(b"")
    assert reader.overflows == 0
    reader.queue.resume()
    await tick()
    assert reader.writes == [b"x" * 600]


@pytest.mark.parametrize("first", [False, True])
async def test_more_than_the_limit_is_dropped_and_reported_once(reader: Reader, first: bool) -> None:
    put = reader.queue.put_first if first else reader.queue.put
    reader.queue.put(b"x" * 900)
    put(b"y" * 101)
    put(b"z" * 5000)
    put(b"a")
    await tick()
    assert reader.overflows == 1
    assert reader.writes == []


async def test_what_the_transport_holds_counts(reader: Reader) -> None:
    reader.transport.stuck = 500
    reader.queue.put(b"x" * 500)
    await tick()
    reader.queue.put(b"y" * 500)
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
        reader.queue.put(b"y" * 900)
        await tick()
    assert reader.overflows == 0
    assert len(reader.writes) == 20


async def test_unsent_bytes_are_those_here_and_those_in_the_transport(reader: Reader) -> None:
    reader.queue.put(b"x" * 100)
    reader.queue.put_first(b"y" * 10)
    assert reader.queue.unsent_bytes == 110
    reader.transport.stuck = 60
    await tick()
    assert reader.queue.unsent_bytes == 60
    reader.queue.put(b"z")
    assert reader.queue.unsent_bytes == 61
    reader.queue.drop()
    assert reader.queue.unsent_bytes == 0


async def test_a_dropped_queue_writes_and_reports_nothing(reader: Reader) -> None:
    reader.queue.put(b"a")
    reader.queue.drop()
    reader.queue.put(b"x" * 5000)
    reader.queue.put_first(b"x" * 5000)
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
