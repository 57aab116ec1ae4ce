"""A WebSocket connection: uvicorn's ``ws=`` on one side, a handler of messages on the other.

uvicorn parses the upgrade request, makes our class, replays the request head to it and hands it the transport. The
protocol itself is in `tertulia.wire.websocket`, waiting to write in `send_queue.py`; here is what takes a transport
and time: the life of a connection and its bounded end. There is no task, no timer and no logger per connection.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Callable, MutableSet
from typing import ClassVar, Protocol, cast

import msgspec

from tertulia.server import observe
from tertulia.wire import websocket
from tertulia.wire.websocket import Closed, Event, Failed, FrameReader, Message, Ping, Upgrade, UpgradeRefused

from .send_queue import Flusher, SendQueue

log = logging.getLogger(__name__)

TRANSPORT_BYTES = 64 * 1024
"""With more than this in the transport, frames wait in the queue."""


class SocketHandler(Protocol):
    """What is done with one connection. Nothing here may wait; what raises closes the connection with 1011."""

    def opened(self, socket: Socket) -> None:
        """The upgrade is accepted; frames may be sent."""

    def received(self, message: bytes) -> None:
        """A whole binary message came."""

    def closed(self) -> None:
        """The connection is gone. Called once for each that was opened, however it ended."""


class SocketLimits(msgspec.Struct, frozen=True):
    """What one connection may cost."""

    message_bytes: int = 1 << 20
    """A longer message from the peer closes with 1009."""
    queue_bytes: int = 1 << 20
    """A peer with more unread than this is dropped; larger than the largest frame that is sent."""
    close_wait_s: float = 5.0
    """How long the end of a connection may take before it is cut."""


class _Terms(msgspec.Struct, frozen=True):
    """What all connections of one class share."""

    factory: Callable[[Upgrade], SocketHandler]
    paths: frozenset[str]
    limits: SocketLimits
    flusher: Flusher


class _Phase(enum.Enum):
    NEW = enum.auto()
    OPEN = enum.auto()
    CLOSING = enum.auto()  # our close frame is on its way, the peer's is not here
    ENDED = enum.auto()  # nothing more is said, and nothing heard


_NEW, _OPEN, _CLOSING, _ENDED = _Phase


class _ServerState(Protocol):
    @property
    def connections(self) -> MutableSet[object]: ...


class Socket(asyncio.Protocol):
    """One WebSocket connection. All methods belong to the thread of the event loop."""

    __slots__ = ("_connections", "_handler", "_phase", "_queue", "_reader", "_timer", "_transport")

    _terms: ClassVar[_Terms]
    _transport: asyncio.Transport
    _queue: SendQueue
    _reader: FrameReader

    def __init__(self, config: object, server_state: _ServerState, app_state: object) -> None:
        self._connections = server_state.connections
        self._handler: SocketHandler | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._phase = _NEW

    # --- for the handler

    @property
    def peer(self) -> str:
        """Address and port at the other end, which may be a proxy's; empty when unknown."""
        name = self._transport.get_extra_info("peername")
        return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else name or ""

    @property
    def is_behind(self) -> bool:
        """The peer has not taken most of what was sent, as far as we know."""
        return self._queue.is_behind

    def drained(self, patience_s: float, lose_patience: Callable[[], None]) -> asyncio.Future[None]:
        """Done when the peer is not behind any more or the connection is gone: one for all who wait, so shield it.

        ``lose_patience`` is called when that takes too long.
        """
        return self._queue.drained(patience_s, lose_patience)

    def send(self, frame: bytes) -> None:
        """Sends a whole frame, or several joined, with all else this tick has; nothing once the end has begun."""
        if self._phase is _OPEN:
            self._queue.put(frame)

    def close(self, code: int = websocket.NORMAL, reason: str = "") -> None:
        """Ends the connection in good order: what waits is sent, then the close frame; the peer's is awaited.

        No message is received any more. A peer that takes too long is cut off.
        """
        if self._phase is _OPEN:
            frame = websocket.close(code, reason)
            self._phase = _CLOSING
            self._bound_the_end()
            self._queue.put(frame)

    def abort(self) -> None:
        """Cuts the connection off; what waits is lost."""
        self._phase = _ENDED
        self._queue.drop()
        self._transport.abort()

    # --- for uvicorn and the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        limits = self._terms.limits
        self._transport = cast(asyncio.Transport, transport)
        # What TLS would hold by itself is more than we call behind, and we would not hear that it has drained.
        self._transport.set_write_buffer_limits(high=TRANSPORT_BYTES)
        self._queue = SendQueue(self._transport, limits.queue_bytes, self._terms.flusher, self._overflow)
        self._reader = FrameReader(limits.message_bytes)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._phase is _NEW:
            data = self._upgrade(data)
        if self._phase is _ENDED:
            return
        for event in self._reader.feed(data):
            if type(event) is Message and event.binary and self._phase is _OPEN and self._handler is not None:
                try:
                    self._handler.received(event.data)
                except Exception:  # one of the request edges
                    self._handler_failed("received")
            else:
                self._react(event)

    def eof_received(self) -> None:
        # Without a close frame, or after it: in both cases nobody is there to wait for (7.1.5).
        self._hang_up()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._phase = _ENDED
        # Also unties the circle of socket, queue and handler: memory returns at once, not with the next collection.
        self._queue.drop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        handler, self._handler = self._handler, None
        if handler is not None:
            try:
                handler.closed()
            except Exception:  # one of the request edges
                self._handler_failed("closed")
        # Behind the handler: who goes on finds the connection ended.
        self._queue.release()

    def pause_writing(self) -> None:
        self._queue.pause()

    def resume_writing(self) -> None:
        self._queue.resume()

    def shutdown(self) -> None:
        """uvicorn stops, and waits for its connections to end."""
        if self._phase is _NEW:
            self._hang_up()
        else:
            self.close(websocket.GOING_AWAY, "server is stopping")

    # --- inside

    def _upgrade(self, data: bytes) -> bytes:
        """Answers the request; what came behind its head."""
        head, _, rest = data.partition(b"\r\n\r\n")
        try:
            upgrade = websocket.parse_upgrade(head)
            if upgrade.path not in self._terms.paths:
                raise UpgradeRefused(404, "No WebSocket here")
            handler = self._make_handler(upgrade)
        except UpgradeRefused as refusal:
            self._say_last(refusal.answer())
            return b""
        self._phase = _OPEN
        self._handler = handler
        # Queued, not written: until uvicorn has set this protocol, the transport would pause another one.
        self._queue.put(upgrade.answer())
        try:
            handler.opened(self)
        except Exception:  # one of the request edges
            self._handler_failed("opened")
        return rest

    def _make_handler(self, upgrade: Upgrade) -> SocketHandler:
        try:
            return self._terms.factory(upgrade)
        except UpgradeRefused:
            raise
        except Exception as error:  # one of the request edges
            self._handler_failed("factory")
            raise UpgradeRefused(500, "Internal error") from error

    def _react(self, event: Event) -> None:
        if isinstance(event, Ping):
            if self._phase is _OPEN:
                self._queue.put_pong(websocket.pong(event.data))
        elif isinstance(event, Message):
            self.close(websocket.UNSUPPORTED_DATA, "only binary messages are understood")
        elif isinstance(event, Closed):
            # 5.5.1: the echo, unless both sides closed at once. Then the server hangs up first (7.1.1).
            self.close(event.code)
            self._hang_up()
        elif isinstance(event, Failed):
            self._say_last(websocket.close(event.code, event.reason))

    def _hang_up(self) -> None:
        """Closes the transport when it has written what waits."""
        self._phase = _ENDED
        self._queue.finish()
        self._transport.close()
        self._bound_the_end()

    def _say_last(self, data: bytes) -> None:
        """Sends ``data`` behind what waits, then nothing, and swallows what comes until the peer hangs up.

        Closing at once, with bytes unread, would make the kernel send a reset that can overtake ``data``.
        """
        if self._phase is not _CLOSING:
            self._queue.put(data)
        if not self._transport.can_write_eof():  # TLS
            return self._hang_up()
        self._phase = _ENDED
        self._queue.finish()
        if not self._transport.is_closing():
            self._transport.write_eof()
        self._bound_the_end()

    def _bound_the_end(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._terms.limits.close_wait_s, self.abort)

    def _overflow(self) -> None:
        # The peer comes back and catches up.
        observe.SEND_QUEUE_OVERFLOWS.count += 1
        log.warning(
            "socket.reader_too_slow", extra=observe.fields(peer=self.peer, limit_bytes=self._terms.limits.queue_bytes)
        )
        self.abort()

    def _handler_failed(self, place: str) -> None:
        log.error("socket.handler_failed", exc_info=True, extra=observe.fields(peer=self.peer, place=place))
        self.close(websocket.INTERNAL_ERROR, "internal error")


def socket_class(
    factory: Callable[[Upgrade], SocketHandler],
    paths: frozenset[str],
    limits: SocketLimits = SocketLimits(),  # noqa: B008 (frozen)
) -> type[Socket]:
    """The class for uvicorn's ``ws=``: connections to one of ``paths``, each with a handler of its own.

    The factory may refuse with `UpgradeRefused`. One class serves one event loop.
    """

    class ServingSocket(Socket):
        __slots__ = ()
        _terms = _Terms(factory, paths, limits, Flusher())

    return ServingSocket
