"""Many exchanges at a time on one connection, in HTTP/2. Imports the HTTP library: loaded by the first call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import h2.errors
import h2.events
import h2.exceptions
import hpack

from tertulia.server.outgoing.calls import FailureKind, NoAnswer
from tertulia.server.outgoing.frames import Cutter, GoAway
from tertulia.server.outgoing.http2 import Http2
from tertulia.server.outgoing.pending import Pending
from tertulia.server.outgoing.streams import Stream, broken

STREAMS: Final = 500
"""Most calls at a time, however many more a receiver would take."""
STREAMS_IN_A_LIFE: Final = 2**30 - 1_000
"""Numbers of streams that a connection has, but for some."""
MOST_MOVES: Final = 3
"""How often a call is taken back from a connection before it is given up."""
MOST_IDLE_FRAMES: Final = 1_000
"""Frames that say nothing of an answer, beyond the few that each of ours may bring about."""
MOST_STRAY_FRAMES: Final = 4_000
"""Frames of answers that were broken off, since the last that was not. Some may be on their way, even in crumbs."""
ANSWERING_FRAMES: Final = 4
MOST_INFORMATIONAL: Final = 20
"""Answers before the answer; nobody needs more than one or two."""
SLICE_BYTES: Final = 8 << 10
"""What is worked on before others have their turn: a receiver must not stop the server by sending."""

WATCH_S: Final = 5.0
"""Silence, with calls under way, after which the receiver is asked whether it is there; after twice that it is not."""
RESTED_S: Final = 30.0
"""A connection that was silent for longer is asked whether it is there before a call is risked on it."""
WAKE_S: Final = 2.0
"""How long that may take."""
IDLE_S: Final = 240.0
"""How long a connection without calls is kept."""

_REFUSED: Final = h2.errors.ErrorCodes.REFUSED_STREAM


class Session:
    """One connection. Its owner gives it calls, runs ``carry`` while it lives, and closes it.

    ``freed`` is told when there may be room for another call, ``returned`` gets the calls that the receiver certainly
    has not looked at, the last one first, ``answered`` hears of each answer.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        freed: Callable[[], None],
        returned: Callable[[Pending], None],
        answered: Callable[[], None],
    ) -> None:
        self._stream = stream
        self._freed = freed
        self._returned = returned
        self._answered = answered
        self._loop = asyncio.get_running_loop()
        self._http = Http2(self.__len__)
        self._carried: dict[int, Pending] = {}
        self._cutter = Cutter(self._carried.__contains__)
        self._blocked: dict[int, Pending] = {}
        self._last_values: dict[bytes, bytes] = {}
        self._limit = 0
        self._begun = 0
        self._is_greeted = False
        self._is_leaving = False
        self._is_closed = False
        self._is_flushing = False
        self._is_waking = False
        self._is_asked = False
        self._is_unblocked = False
        self._has_news = False
        self._heard_at = self._used_at = self._waits_since = self._loop.time()
        self._watcher: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many calls it carries."""
        return len(self._carried)

    @property
    def is_open(self) -> bool:
        """Whether it takes calls, now or when others have ended."""
        return self._is_greeted and not (self._is_leaving or self._is_closed)

    @property
    def has_room(self) -> bool:
        """Whether it takes a call now."""
        return (
            self.is_open
            and len(self._carried) < self._limit
            and not (self._stream.is_over or self._stream.is_clogged)
            and (bool(self._carried) or not self.is_rested)
        )

    @property
    def is_rested(self) -> bool:
        """Whether nothing was heard for so long that it may have been forgotten on the way."""
        return self._loop.time() - self._heard_at > RESTED_S

    async def greet(self) -> None:
        """Returns when both sides have said what they can do; raises ``NoAnswer``. The caller limits the time."""
        self._http.initiate_connection()
        self._http.increment_flow_control_window(STREAMS * SLICE_BYTES)
        self._flush()
        self._watcher = self._loop.call_later(WATCH_S, self._watch)
        while not self._is_greeted:
            await self._hear()

    async def carry(self) -> None:
        """Carries calls until the connection ends; never raises for what a receiver does."""
        try:
            while not self._is_closed:
                await self._hear()
        except NoAnswer as failure:
            self._end(failure.kind, failure.detail)

    def begin(self, pending: Pending) -> None:
        """Send a call; there must be room for it."""
        if not self._carried:
            self._waits_since = self._loop.time()
        stream_id = self._http.get_next_available_stream_id()
        pending.is_sent_on(self, stream_id)
        self._http.send_headers(stream_id, self._fields(pending.head), end_stream=not pending.body)
        self._carried[stream_id] = pending
        self._begun += 1
        if self._begun >= STREAMS_IN_A_LIFE:
            self._is_leaving = True
        if pending.body:
            self._send_body(pending)
        self._flush_soon()

    def abandon(self, pending: Pending) -> None:
        """Nobody waits for this call any more."""
        if self._forget(pending.stream_id) is not None:
            self._reset(pending.stream_id, h2.errors.ErrorCodes.CANCEL)
            self._flush_soon()
            self._tell()

    def wake(self) -> None:
        """Asks whether the receiver is still there, unless that is being asked."""
        if not self._is_waking:
            self._is_waking = True
            self._ask()
            self._loop.call_later(WAKE_S, self._die_unless_heard)

    def close(self) -> None:
        """Drop the connection at once; calls on it fail."""
        self._end(FailureKind.BROKEN, "the connection was closed")

    # What is sent.

    def _fields(self, head: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """A value that was sent the last time too is worth a place in the receiver's table; one of many is not, and
        one that is secret must not be in any."""
        fields: list[tuple[bytes, bytes]] = []
        last = self._last_values
        for field in head:
            name, value = field
            if last.get(name) == value and name != b"authorization":
                fields.append(field)
            else:
                last[name] = value
                fields.append(hpack.NeverIndexedHeaderTuple(name, value))
        return fields

    def _send_body(self, pending: Pending) -> None:
        """As much as the receiver's windows let through; the rest follows when they open."""
        http, stream_id, size = self._http, pending.stream_id, len(pending.body)
        while pending.sent < size:
            room = min(http.local_flow_control_window(stream_id), http.max_outbound_frame_size)
            if room <= 0:
                self._blocked[stream_id] = pending
                return
            piece = pending.body[pending.sent : pending.sent + room]
            pending.sent += len(piece)
            http.send_data(stream_id, piece, end_stream=pending.sent == size)
            pending.moved_at = self._loop.time()
            self._cutter.idle = max(0, self._cutter.idle - ANSWERING_FRAMES)
        self._blocked.pop(stream_id, None)

    def _unblock(self) -> None:
        self._is_unblocked = False
        for pending in list(self._blocked.values()):
            if self._http.outbound_flow_control_window <= 0:
                return
            self._send_body(pending)

    def _reset(self, stream_id: int, code: h2.errors.ErrorCodes) -> None:
        with suppress(h2.exceptions.ProtocolError):  # both sides had ended it
            self._http.reset_stream(stream_id, code)

    def _ask(self) -> None:
        self._http.ping(b"tertulia")
        self._flush_soon()

    def _flush_soon(self) -> None:
        """What is sent in one turn of the event loop goes out in one piece."""
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flushing = False
        if not self._is_closed:
            self._stream.put(self._http.data_to_send())

    # What is received.

    async def _hear(self) -> None:
        """The next that comes, dealt with; raises ``NoAnswer`` at the end, and for what is not HTTP/2."""
        data = await self._stream.read(2 * IDLE_S)  # the watch ends a silence before that
        if not data:
            raise broken()
        self._heard_at = self._loop.time()
        self._has_news |= self._is_waking
        self._is_waking = self._is_asked = False
        for start in range(0, len(data), SLICE_BYTES):
            if start:
                await asyncio.sleep(0)
            self._take(data[start : start + SLICE_BYTES])
        # Whoever asks much and does not listen is not heard any further.
        await self._stream.drained(2 * WATCH_S)

    def _take(self, data: bytes) -> None:
        try:
            for part in self._cutter.cut(data):
                if isinstance(part, GoAway):
                    self._let_go(part.last_stream)
                    continue
                for event in self._http.receive_data(part):
                    react = _REACTIONS.get(type(event))
                    if react is not None:
                        react(self, event)
        except h2.exceptions.ProtocolError:
            self._flush()  # it has told the receiver what is wrong
            raise broken() from None
        if self._cutter.idle > MOST_IDLE_FRAMES or self._cutter.stray > MOST_STRAY_FRAMES:
            raise NoAnswer(FailureKind.BROKEN, "the receiver sends frame after frame that says nothing")
        if self._is_unblocked:
            self._unblock()
        self._flush()
        if self._has_news:
            self._has_news = False
            self._tell()

    def _tell(self) -> None:
        if self._is_leaving and not self._carried:
            self.close()
        self._freed()

    def _let_go(self, last_stream: int) -> None:
        self._is_leaving = self._has_news = True
        for stream_id in sorted((known for known in self._carried if known > last_stream), reverse=True):
            self._give_back(stream_id)

    def _give_back(self, stream_id: int) -> None:
        pending = self._forget(stream_id)
        if pending is not None:
            pending.is_back()
            if pending.moves > MOST_MOVES:
                pending.fail(FailureKind.BROKEN, "the receiver refuses the call on every connection")
            else:
                self._returned(pending)

    def _forget(self, stream_id: int) -> Pending | None:
        pending = self._carried.pop(stream_id, None)
        if pending is not None:
            self._blocked.pop(stream_id, None)
            pending.session = None
            self._has_news = True
            self._used_at = self._loop.time()
        return pending

    def _on_settings(self, event: h2.events.RemoteSettingsChanged) -> None:
        self._limit = min(STREAMS, self._http.remote_settings.max_concurrent_streams)
        self._is_greeted = self._has_news = self._is_unblocked = True

    def _on_window(self, event: h2.events.WindowUpdated) -> None:
        self._is_unblocked = bool(self._blocked)

    def _on_information(self, event: h2.events.InformationalResponseReceived) -> None:
        pending = self._carried.get(event.stream_id)
        if pending is not None:
            pending.informational += 1
            if pending.informational > MOST_INFORMATIONAL:
                self._break_off(event.stream_id)

    def _on_head(self, event: h2.events.ResponseReceived) -> None:
        pending = self._carried.get(event.stream_id)
        if pending is None:
            return
        fields = [(name.decode("ascii", "replace"), value.decode("latin-1")) for name, value in event.headers]
        status = next((value for name, value in fields if name == ":status"), "")
        if not (len(status) == 3 and status.isascii() and status.isdigit()):
            self._break_off(event.stream_id)
            return
        pending.head_arrived(int(status), tuple(field for field in fields if not field[0].startswith(":")))

    def _on_body(self, event: h2.events.DataReceived) -> None:
        if event.flow_controlled_length:
            self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        pending = self._carried.get(event.stream_id)
        if pending is not None and not pending.body_arrived(event.data):
            self._forget(event.stream_id)
            self._reset(event.stream_id, h2.errors.ErrorCodes.CANCEL)
            pending.complete(is_whole=False)
            self._heed_answer()

    def _on_end(self, event: h2.events.StreamEnded) -> None:
        pending = self._forget(event.stream_id)
        if pending is not None:
            if pending.sent < len(pending.body):  # answered before it had heard everything
                self._reset(event.stream_id, h2.errors.ErrorCodes.NO_ERROR)
            pending.complete(is_whole=True)
            self._heed_answer()

    def _on_reset(self, event: h2.events.StreamReset) -> None:
        pending = self._carried.get(event.stream_id)
        if pending is None:
            return
        if event.error_code == _REFUSED and pending.status is None:
            self._is_leaving = True
            self._give_back(event.stream_id)
        else:
            self._forget(event.stream_id)
            pending.fail(FailureKind.BROKEN, "the receiver broke the call off")

    def _break_off(self, stream_id: int) -> None:
        pending = self._forget(stream_id)
        if pending is not None:
            self._reset(stream_id, h2.errors.ErrorCodes.CANCEL)
            pending.fail(FailureKind.BROKEN, "the answer is not HTTP")

    def _heed_answer(self) -> None:
        self._cutter.idle = self._cutter.stray = 0
        self._answered()

    # Silence, and the end.

    def _watch(self) -> None:
        now = self._loop.time()
        if not self._carried and now - self._used_at > IDLE_S:
            with suppress(h2.exceptions.ProtocolError):
                self._http.close_connection()
            self._flush()
            self.close()
            return
        silence_s = now - max(self._heard_at, self._waits_since)
        if self._carried and silence_s > WATCH_S:
            if self._is_asked and silence_s > 2 * WATCH_S:
                self._end(FailureKind.READ_TIMEOUT, f"silence of {silence_s:.0f} s on the connection")
                return
            self._is_asked = True
            self._ask()
        self._watcher = self._loop.call_later(WATCH_S, self._watch)

    def _die_unless_heard(self) -> None:
        if self._is_waking:
            self._end(FailureKind.READ_TIMEOUT, f"silence of {WAKE_S:g} s on the connection")

    def _end(self, kind: FailureKind, detail: str) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        if self._watcher is not None:
            self._watcher.cancel()
        self._stream.close()
        while self._carried:
            pending = self._carried.popitem()[1]
            pending.session = None
            pending.fail(kind, detail)
        self._blocked.clear()
        self._freed()


_REACTIONS: Final[dict[type[h2.events.Event], Callable[..., None]]] = {
    h2.events.RemoteSettingsChanged: Session._on_settings,
    h2.events.WindowUpdated: Session._on_window,
    h2.events.InformationalResponseReceived: Session._on_information,
    h2.events.ResponseReceived: Session._on_head,
    h2.events.DataReceived: Session._on_body,
    h2.events.StreamEnded: Session._on_end,
    h2.events.StreamReset: Session._on_reset,
}
