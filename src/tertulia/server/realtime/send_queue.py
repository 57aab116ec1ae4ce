"""What waits to be written to one connection: bounded, and written once per tick of the event loop.

A frame for a room of a thousand is one `bytes` object in a thousand queues; it is copied only when a queue is joined
for its transport, and a queue whose transport is full is not joined. System calls are the cost of a small frame, so
everything one tick has for a connection leaves in one write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from tertulia.server import observe

FRAME_OVERHEAD_BYTES = 64
"""What a frame that waits costs beside its bytes: an object and a place in a list. It counts as unsent."""
ENOUGH_WAITING_BYTES = 256 * 1024
"""With more than this unsent, the reader is behind, and what can wait for it does."""


class Outlet(Protocol):
    """The part of `asyncio.WriteTransport` that a queue needs."""

    def write(self, data: bytes) -> None: ...

    def get_write_buffer_size(self) -> int: ...


class Flusher:
    """Flushes all queues of one event loop that got frames in a tick, with one callback at its end."""

    __slots__ = ("_dirty",)

    def __init__(self) -> None:
        self._dirty: list[SendQueue] = []

    def add(self, queue: SendQueue) -> None:
        """Flushes ``queue`` when the present callbacks of the loop have run."""
        if not self._dirty:
            asyncio.get_running_loop().call_soon(self._flush)
        self._dirty.append(queue)

    def _flush(self) -> None:
        waiting = self._dirty[::-1]
        self._dirty = []
        try:
            while waiting:
                waiting.pop().flush()
        finally:
            # One queue raised: the loop reports it, and the others must not suffer.
            for queue in reversed(waiting):
                self.add(queue)


class SendQueue:
    """The frames that one transport has yet to take, in order; the latest pong overtakes the others.

    Never holds more than ``limit_bytes``, what the transport has buffered included. A frame beyond that empties the
    queue for good and calls ``on_overflow``, once. Only when less than half of that waits is any frame taken, and then
    it does not count against what comes behind it: the peer has asked for something large, and would ask again.
    """

    __slots__ = (
        "_buffered",
        "_drained",
        "_excess",
        "_flusher",
        "_frames",
        "_has_pong",
        "_limit",
        "_on_overflow",
        "_outlet",
        "_paused",
        "_queued",
    )

    def __init__(self, transport: Outlet, limit_bytes: int, flusher: Flusher, on_overflow: Callable[[], None]) -> None:
        # None once the queue takes nothing any more.
        self._outlet: Outlet | None = transport
        self._limit = limit_bytes
        self._flusher = flusher
        self._on_overflow: Callable[[], None] | None = on_overflow
        # None while empty: most connections are idle, and an empty list costs 56 bytes.
        self._frames: list[bytes] | None = None
        # The first of the frames is a pong.
        self._has_pong = False
        self._queued = 0
        # At most this many bytes wait in the transport. It only drains between our writes, so the
        # transport is asked again only when this bound would mean an overflow.
        self._buffered = 0
        # The size of a frame that was taken beyond the limit and has not left yet.
        self._excess = 0
        self._paused = False
        # Only while somebody waits.
        self._drained: asyncio.Future[None] | None = None

    @property
    def unsent_bytes(self) -> int:
        """What waits here, with its overhead, and in the transport."""
        return self._queued + (self._outlet.get_write_buffer_size() if self._outlet is not None else 0)

    @property
    def is_behind(self) -> bool:
        """So much is unsent that what can wait should."""
        return self.unsent_bytes > ENOUGH_WAITING_BYTES

    def drained(self, patience_s: float, lose_patience: Callable[[], None]) -> asyncio.Future[None]:
        """Done when the queue is not behind any more, or is released: one future for all who wait, so shield it.

        When that takes longer than ``patience_s``, ``lose_patience`` is called, once. The transport must pause its
        protocol before it holds ``ENOUGH_WAITING_BYTES``; else nobody would learn that it has drained.
        """
        if self._drained is None:
            loop = asyncio.get_running_loop()
            self._drained = loop.create_future()
            timer = loop.call_later(patience_s, self._lose_patience, lose_patience)
            self._drained.add_done_callback(lambda _: timer.cancel())
        return self._drained

    def release(self) -> None:
        """Those who wait for the queue to drain wait no longer."""
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    def put(self, frame: bytes) -> None:
        """Sends ``frame``, at the end of this tick if the transport takes it."""
        queued = self._queued + len(frame) + FRAME_OVERHEAD_BYTES
        if queued + self._buffered > self._limit and self._overflows(queued):
            return
        if self._frames is not None:
            self._frames.append(frame)
        elif self._outlet is not None:
            self._frames = [frame]
            if not self._paused:
                self._flusher.add(self)
        else:
            return
        self._queued = queued

    def put_pong(self, frame: bytes) -> None:
        """Sends ``frame`` before all that waits here, instead of a pong that waits (RFC 6455, 5.5.3)."""
        if self._frames is None:
            self.put(frame)
            self._has_pong = self._frames is not None
            return
        queued = self._queued + len(frame)
        queued += -len(self._frames[0]) if self._has_pong else FRAME_OVERHEAD_BYTES
        if self._overflows(queued):
            return
        self._queued = queued
        if self._has_pong:
            self._frames[0] = frame
        else:
            self._frames.insert(0, frame)
            self._has_pong = True

    def flush(self) -> None:
        """Writes what waits, unless the transport is full."""
        if not self._paused:
            self._write()

    def pause(self) -> None:
        """The transport is full: frames wait here, unjoined."""
        self._paused = True

    def resume(self) -> None:
        """The transport takes frames again."""
        self._paused = False
        if self._frames is not None:
            self._flusher.add(self)
        elif self._drained is not None:
            self._look()

    def finish(self) -> None:
        """Hands all that waits to the transport, full or not, and takes nothing any more."""
        self._write()
        self.drop()

    def drop(self) -> None:
        """Forgets all that waits and takes nothing any more."""
        self._outlet = self._on_overflow = self._frames = None
        self._has_pong = False
        self._queued = 0

    def _write(self) -> None:
        frames = self._frames
        if frames is None or self._outlet is None:
            return
        self._frames = None
        self._has_pong = False
        self._queued = 0
        block = frames[0] if len(frames) == 1 else b"".join(frames)
        observe.WRITES.count += 1
        observe.BYTES_SENT.count += len(block)
        self._outlet.write(block)
        # The write may have ended the connection, and with it this queue.
        if self._outlet is not None:
            self._buffered = self._outlet.get_write_buffer_size()
            if self._drained is not None:
                self._look()

    def _look(self) -> None:
        if not self.is_behind:
            self.release()

    def _lose_patience(self, lose_patience: Callable[[], None]) -> None:
        if self.is_behind:
            lose_patience()
        else:
            self.release()

    def _overflows(self, queued: int) -> bool:
        if self._outlet is None or self._on_overflow is None:
            return True
        self._buffered = self._outlet.get_write_buffer_size()
        waiting = self._queued + self._buffered
        if waiting <= self._limit:
            self._excess = queued - self._queued if waiting <= self._limit // 2 else 0
        if queued + self._buffered <= self._limit + self._excess:
            return False
        on_overflow = self._on_overflow
        self.drop()
        on_overflow()
        return True
