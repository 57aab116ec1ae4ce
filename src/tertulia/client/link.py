"""The life of a connection, seen from the client: a state machine that never touches a socket.

    IDLE --start--> OPENING --opened--> GREETING --reply--> READY
                       ^                   |                  |
                       +---- WAITING <-----+---- lost --------+        ENDED (refused, expired, shut down)

Feed it what happens: ``start``, ``opened``, ``not_opened``, ``refused_token``, ``no_token``, ``read`` and then
``received``, ``heard``, ``lost``, ``tick`` when its ``deadline`` has come; and what the application wants: ``request``,
``give_up``, ``update``, ``hurry``, ``shut_down``. Each answers with steps to take, in order. What holds, whatever comes
in which order:

* between one ``Connect`` and the next the socket has been lost, dropped, or never opened;
* every request and every update is settled once, unless whoever made it has given it up;
* a token that was given is the one the next ``init`` carries.

Times are seconds of a monotonic clock. Source: realtime 3 to 7.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum
from typing import Final

import msgspec

from tertulia.wire import frames
from tertulia.wire.frames import Frame, Header, HttpRequest, MalformedFrame, Registration, Status

from .errors import (
    ClientShutDownError,
    ConnectionLostError,
    ConversationsError,
    InvalidArgumentError,
    NotConnectedError,
)
from .link_answers import EXPIRED, LONGEST_AWAY_S, outcome, time_away, token_error, words
from .link_steps import (
    START,
    AboutToExpire,
    Connect,
    Connected,
    Drop,
    Expired,
    Lost,
    NeedsToken,
    Notify,
    Probe,
    Problem,
    Send,
    Settle,
    StateChanged,
    Step,
    Steps,
)
from .patience import Patience
from .states import ConnectionState, TokenReason

log = logging.getLogger(__name__)

UPDATE_IS_FORBIDDEN: Final = 51232
MESSAGE_TYPES: Final = (
    "twilio.ipmsg.typing_indicator",
    "twilio.sync.event",
    "com.twilio.rtd.cds.document",
    "com.twilio.rtd.cds.list",
    "com.twilio.rtd.cds.map",
)


LASTED_S: Final = 30.0
"""A connection that a server ends sooner is one failure more."""


class LinkTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for all connections of a client. Seconds, bytes."""

    version: str
    renews: bool = False
    """Whether new tokens come by themselves: then nothing is given up for want of one."""
    reconnect_min: float = 1
    reconnect_max: float = 120
    patience: Patience = Patience()
    max_queued: int = 1000
    """Requests that wait for a connection."""
    received: frames.Limits = frames.Limits(max_payload_bytes=16 * 1_048_576)
    sent: frames.Limits = frames.DEFAULT_LIMITS
    """What servers take; the rest is refused here, where it can be said why."""


class _Phase(Enum):
    IDLE = 0
    OPENING = 1
    GREETING = 2
    READY = 3
    WAITING = 4
    ENDED = 5


class Link:
    """One client's connection, through all its sockets. ``new_id`` gives frame ids, ``random`` numbers from 0 to 1."""

    def __init__(self, terms: LinkTerms, new_id: Callable[[], str], random: Callable[[], float]) -> None:
        self.state = ConnectionState.UNKNOWN
        self._terms = terms
        self._patience = terms.patience
        self._new_id = new_id
        self._random = random
        self._phase = _Phase.IDLE
        self._is_shut_down = False
        self._is_first = False
        self._awaits_token = False
        self._until: float | None = None
        self._heard_at = 0.0
        self._is_probing = False
        self._failures = 0
        self._ready_at = 0.0
        self._away = 0.0
        self._continuation: str | None = None
        self._init_id = ""
        self._reason = TokenReason.START
        # In order, because what waits is sent in order.
        self._queued: dict[str, bytes] = {}
        self._in_flight: dict[str, None] = {}
        self._updates: dict[str, None] = {}

    def __repr__(self) -> str:
        return f"<Link {self._phase.name}>"

    @property
    def deadline(self) -> float | None:
        """When ``tick`` is due; None when nothing is waited for."""
        if self._phase is _Phase.READY and not self._is_probing:
            return self._heard_at + self._patience.silence
        return self._until

    @property
    def retry_at(self) -> float | None:
        """When it is tried again; None while no attempt is waited for."""
        return self._until if self._phase is _Phase.WAITING else None

    @property
    def is_ready(self) -> bool:
        return self._phase is _Phase.READY

    # --- the socket

    def start(self, *, is_awaited: bool = True) -> Steps:
        """Connect for the first time. What ``is_awaited`` is settled, under ``START``, by success or final refusal."""
        if self._is_shut_down:
            return (Settle(START, ClientShutDownError()),)
        self._is_first = is_awaited
        return self._connect() if self._phase in (_Phase.IDLE, _Phase.ENDED) else ()

    def opened(self, token: str, now: float) -> Steps:
        """There is a socket: the server is told who we are."""
        if self._phase is not _Phase.OPENING:
            return (Drop(),)
        self._phase = _Phase.GREETING
        self._heard_at = now
        self._until = now + self._patience.greeting
        self._init_id = self._new_id()
        frame = frames.init(
            self._init_id,
            token,
            continuation_token=self._continuation,
            registrations=(
                Registration(
                    product="ip_messaging", type="ers", notification_protocol_version=0, message_types=MESSAGE_TYPES
                ),
            ),
            metadata={"type": "conversations", "sdk": "Python", "sdkv": self._terms.version},
        )
        return (Send(frame),)

    def not_opened(self, message: str, now: float, away: float = 0) -> Steps:
        """There is none; ``away`` is how long the server wants us to stay so."""
        if self._phase is not _Phase.OPENING:
            return ()
        self._away = min(away, LONGEST_AWAY_S)
        return (Problem(False, message), *self._wait(now))

    def refused_token(self, error: ConversationsError, now: float) -> Steps:
        """What there is for a token will not do."""
        if self._phase is not _Phase.OPENING:
            return ()
        if self._terms.renews and not self._is_first:
            # The next one may do.
            return (Problem(False, str(error)), *self._wait(now))
        return (Problem(True, str(error)), *self._end(ConnectionState.DENIED, error))

    def no_token(self, error: ConversationsError) -> Steps:
        """None of those that came by themselves will do: who waits for the first connection is told, nobody else."""
        if not (self._is_first and self._awaits_token and self._phase is _Phase.ENDED):
            return ()
        return self._end(self.state, error)

    def lost(self, now: float) -> Steps:
        """The socket is gone."""
        if self._phase is _Phase.READY:
            self._failures = 0
        return self._lose(now) if self._phase in (_Phase.GREETING, _Phase.READY) else ()

    def heard(self, now: float) -> None:
        """A sign of life."""
        self._heard_at = now
        self._is_probing = False

    def tick(self, now: float, *, was_away: bool = False) -> Steps:
        """The deadline has come; or this process ``was_away``, and nothing is known of the socket."""
        if self._phase is _Phase.READY:
            return self._tick_ready(now, was_away)
        if self._until is None or (now < self._until and not was_away):
            return ()
        if self._phase is _Phase.WAITING:
            return self._connect()
        if self._phase is _Phase.GREETING:
            return (Problem(False, "the server does not answer"), Drop(is_dead=True), *self._lose(now))
        return ()

    def read(self, message: bytes, now: float) -> Frame | None:
        """The frame in a WebSocket message, to be acknowledged and then ``received``; None if there is no sense in it.

        A server whose frames we cannot read is one of another version: that is no reason to leave.
        """
        self.heard(now)
        try:
            return frames.parse(message, self._terms.received)
        except MalformedFrame as malformed:
            log.warning("link.malformed: %s", malformed.reason, extra={"why": malformed.reason})
            return None

    def received(self, frame: Frame, now: float) -> Steps:
        """A frame came."""
        if self._phase not in (_Phase.GREETING, _Phase.READY):
            return ()
        header = frame.header
        match header.method:
            case "notification" if header.message_type is not None:
                return (Notify(header.message_type, frame.payload),)
            case "reply":
                return self._replied(header, frame.payload, now)
            case "client_update" if header.client_update_type == "token_about_to_expire":
                return (AboutToExpire(),)
            case "close":
                return self._closed(header.status or Status(500), frame.payload, now)
        return ()

    # --- what the application wants

    def request(self, request: HttpRequest, payload: bytes, payload_type: str) -> tuple[str, Steps]:
        """A request under its id: sent at once, or as soon as there is a connection."""
        id = self._new_id()
        if self._is_shut_down:
            return id, (Settle(id, ClientShutDownError()),)
        if self._phase is _Phase.ENDED and not self._awaits_token:
            return id, (Settle(id, self._no_way()),)
        frame = frames.request(id, request, payload, payload_type)
        too_large = self._too_large(len(frame) - len(payload), len(payload))
        if too_large is not None:
            return id, (Settle(id, too_large),)
        if self._phase is _Phase.READY:
            self._in_flight[id] = None
            return id, (Send(frame),)
        if len(self._queued) >= self._terms.max_queued:
            return id, (Settle(id, NotConnectedError(f"{len(self._queued)} requests wait for a connection already")),)
        self._queued[id] = frame
        return id, ()

    def give_up(self, id: str) -> bool:
        """Nobody waits for the answer any more; whether the request has been sent."""
        self._updates.pop(id, None)
        self._in_flight.pop(id, None)
        return self._queued.pop(id, b"") == b""

    def update(self, token: str) -> tuple[str, Steps]:
        """Go on with another token: on the connection there is, or by a new one."""
        id = self._new_id()
        if self._is_shut_down:
            return id, (Settle(id, ClientShutDownError()),)
        self._updates[id] = None
        self._reason = TokenReason.START
        if self._phase is _Phase.READY:
            return id, (Send(frames.update(id, token)),)
        # An attempt under way has the old token in its hands.
        is_trying = self._phase in (_Phase.OPENING, _Phase.GREETING)
        return id, (*((Drop(),) if is_trying else ()), *self._connect())

    def hurry(self, now: float) -> Steps:
        """The network may have come back: try now what would be tried later."""
        if self._phase is _Phase.WAITING:
            return self._connect()
        return self._probe(now) if self._phase is _Phase.READY and not self._is_probing else ()

    def shut_down(self) -> Steps:
        """Say goodbye, for good."""
        if self._is_shut_down:
            return ()
        self._is_shut_down = True
        steps: list[Step] = []
        if self._phase is not _Phase.IDLE:
            steps += self._become(ConnectionState.DISCONNECTING)
        if self._phase is _Phase.READY:
            steps.append(Send(frames.close(self._new_id())))
        if self._phase in (_Phase.OPENING, _Phase.GREETING, _Phase.READY):
            steps.append(Drop())
        return (*steps, *self._end(ConnectionState.DISCONNECTED, ClientShutDownError()))

    # --- replies

    def _replied(self, header: Header, payload: bytes, now: float) -> Steps:
        status = header.status or Status(500)
        if header.id in self._in_flight:
            del self._in_flight[header.id]
            return (Settle(header.id, outcome(header, status, payload)),)
        if header.id in self._updates and self._phase is _Phase.READY:
            return self._updated(header.id, status, payload, now)
        if header.id == self._init_id and self._phase is _Phase.GREETING:
            return self._greeted(header, now) if 200 <= status.code < 300 else self._refused(status, payload, now)
        return ()

    def _greeted(self, header: Header, now: float) -> Steps:
        self._phase, self._until, self._is_probing = _Phase.READY, None, False
        self._away, self._reason, self._ready_at = 0.0, TokenReason.START, now
        if header.continuation_token is not None:
            self._continuation = header.continuation_token
        settled = [Settle(id, None) for id in self._updates]
        self._updates.clear()
        if self._is_first:
            self._is_first = False
            settled.append(Settle(START, None))
        queued, self._queued = self._queued, {}
        self._in_flight.update(dict.fromkeys(queued))
        sent = [Send(frame) for frame in queued.values()]
        return (*self._become(ConnectionState.CONNECTED), *settled, *sent, Connected())

    def _refused(self, status: Status, payload: bytes, now: float) -> Steps:
        """``init`` was refused (realtime 5.1)."""
        needs_token = status.code in (401, 403)
        terminal = needs_token and not self._terms.renews
        problem = Problem(terminal, words(status), status.code, status.error_code)
        if needs_token:
            return (problem, Drop(), *self._want_token(ConnectionState.DENIED, status))
        self._away = time_away(payload, self._random())
        return (problem, Drop(), *self._lose(now))

    def _updated(self, id: str, status: Status, payload: bytes, now: float) -> Steps:
        """An ``update`` was answered (realtime 6.2). A refused one leaves the connection to the token it has."""
        if 200 <= status.code < 300:
            del self._updates[id]
            return (Settle(id, None),)
        if status.code in (401, 403):
            del self._updates[id]
            return (Settle(id, token_error(status)),)
        # Settled by the next ``init``, which carries the new token.
        self._away = time_away(payload, self._random())
        return (Drop(), *self._lose(now))

    # --- endings

    def _closed(self, status: Status, payload: bytes, now: float) -> Steps:
        """The server has ended the connection (realtime 7).

        One that has us and sends us away again and again is come back to less and less often.
        """
        if self._phase is _Phase.READY and now - self._ready_at >= LASTED_S:
            self._failures = 0
        gone = ConnectionState.DISCONNECTED
        match status.code:
            case 410:
                return (Drop(), *self._want_token(gone, Status(401, status.status, status.description, EXPIRED)))
            case 401:
                problem = Problem(not self._terms.renews, words(status), status.code, status.error_code)
                return (problem, Drop(), *self._want_token(gone, status))
            case 406 | 417:
                problem = Problem(True, words(status), status.code, status.error_code)
                return (problem, Drop(), *self._end(gone, NotConnectedError(words(status))))
        settled: list[Step] = []
        if status.error_code == UPDATE_IS_FORBIDDEN:
            settled += [Settle(id, token_error(status)) for id in self._updates]
            self._updates.clear()
        self._away = time_away(payload, self._random())
        return (*settled, Drop(), *self._lose(now))

    def _want_token(self, state: ConnectionState, status: Status) -> Steps:
        """The server wants another token before it talks to us again."""
        is_expired = status.error_code == EXPIRED
        self._reason = TokenReason.EXPIRED if is_expired else TokenReason.REJECTED
        ended = self._end(state, token_error(status), awaits_token=self._terms.renews)
        return (*ended, *((Expired(),) if is_expired else ()), NeedsToken(self._reason))

    def _lose(self, now: float) -> Steps:
        lost = (Lost(),) if self._phase is _Phase.READY else ()
        return (*lost, *self._fail_in_flight(), *self._wait(now))

    def _end(self, state: ConnectionState, error: ConversationsError, *, awaits_token: bool = False) -> Steps:
        """No further attempt by itself; what waits goes on waiting only if a token is to come."""
        steps: list[Step] = []
        if self._phase is _Phase.READY:
            steps.append(Lost())
        steps += self._fail_in_flight()
        self._phase, self._until, self._awaits_token = _Phase.ENDED, None, awaits_token
        steps += self._become(state)
        steps += [Settle(id, error) for id in self._updates]
        self._updates.clear()
        if not awaits_token:
            hopeless = error if self._is_shut_down else self._no_way()
            steps += [Settle(id, hopeless) for id in self._queued]
            self._queued.clear()
            if self._is_first:
                self._is_first = False
                steps.append(Settle(START, error))
        return steps

    def _wait(self, now: float) -> Steps:
        """Try again after a while: 1 s, doubled each time, up to two minutes, a fifth more or less (realtime 5.3)."""
        usual = min(self._terms.reconnect_min * 2.0 ** min(self._failures, 30), self._terms.reconnect_max)
        wait = max(usual * (0.8 + 0.4 * self._random()), self._away)
        self._failures += 1
        self._away = 0.0
        self._phase, self._until = _Phase.WAITING, now + wait
        return self._become(ConnectionState.CONNECTING)

    def _connect(self) -> Steps:
        self._phase, self._until = _Phase.OPENING, None
        return (*self._become(ConnectionState.CONNECTING), Connect(self._reason))

    # --- silence

    def _tick_ready(self, now: float, was_away: bool) -> Steps:
        if was_away or (not self._is_probing and now >= self._heard_at + self._patience.silence):
            return self._probe(now)
        if self._is_probing and self._until is not None and now >= self._until:
            return (Problem(False, "the server is silent"), Drop(is_dead=True), *self._lose(now))
        return ()

    def _probe(self, now: float) -> Steps:
        self._is_probing, self._until = True, now + self._patience.probe
        return (Probe(),)

    def _fail_in_flight(self) -> Steps:
        lost = "the connection was lost; the request may have been done"
        failed = [Settle(id, ConnectionLostError(lost)) for id in self._in_flight]
        self._in_flight.clear()
        return failed

    def _no_way(self) -> ConversationsError:
        return NotConnectedError(f"there is no connection, and none will come by itself: {self.state}")

    def _too_large(self, header: int, payload: int) -> ConversationsError | None:
        limits = self._terms.sent
        if payload > limits.max_payload_bytes:
            return InvalidArgumentError(f"a request of {payload} bytes; servers take {limits.max_payload_bytes}")
        if header > limits.max_header_bytes:
            return InvalidArgumentError(f"a URL and headers of {header} bytes; servers take {limits.max_header_bytes}")
        return None

    def _become(self, state: ConnectionState) -> Steps:
        if state is self.state:
            return ()
        previous, self.state = self.state, state
        return (StateChanged(state, previous),)
