"""The life of a connection, seen from the client: a state machine that never touches a socket.

    IDLE --start--> OPENING --opened--> GREETING --reply--> READY
                       ^                   |                  |
                       +---- WAITING <-----+---- lost --------+        ENDED (refused, expired, shut down)

Feed it what happens: ``start``, ``opened``, ``not_opened``, ``received``, ``heard``, ``lost``, ``tick`` when its
``deadline`` has come, and what the application wants: ``request``, ``give_up``, ``update``, ``hurry``, ``shut_down``.
Each answers with steps to take, in order. What holds, whatever comes in which order:

* between one ``Connect`` and the next the socket has been lost, dropped, or never opened;
* every request is settled once, unless whoever made it has given it up;
* what the server sends is acknowledged before anything else is made of it.

Times are seconds of a monotonic clock. Source: realtime 3 to 7.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final

import msgspec

from tertulia.wire import frames
from tertulia.wire.frames import Header, HttpRequest, MalformedFrame, Registration, Status
from tertulia.wire.requests import Reply

from .errors import (
    ClientShutDownError,
    ConnectionLostError,
    ConversationsError,
    NotConnectedError,
    TokenExpiredError,
    TokenRejectedError,
)
from .states import ConnectionState, TokenReason

log = logging.getLogger(__name__)

EXPIRED: Final = 20104
UPDATE_IS_FORBIDDEN: Final = 51232
MESSAGE_TYPES: Final = (
    "twilio.ipmsg.typing_indicator",
    "twilio.sync.event",
    "com.twilio.rtd.cds.document",
    "com.twilio.rtd.cds.list",
    "com.twilio.rtd.cds.map",
)
START: Final = "start"
"""The name under which the first connection is settled."""


class LinkTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for all connections of a client. Seconds."""

    version: str
    renews: bool = False
    """Whether new tokens come by themselves: then nothing is given up for want of one."""
    reconnect_min: float = 1
    reconnect_max: float = 120
    greeting: float = 30
    """For the answer to ``init``."""
    silence: float = 75
    """A server says something every 30 seconds; after so much silence it is asked whether it is there."""
    probe: float = 5
    """For the answer to that."""
    max_queued: int = 1000
    """Requests that wait for a connection."""
    limits: frames.Limits = frames.Limits(max_payload_bytes=16 * 1_048_576)


# --- steps


class Connect(msgspec.Struct, frozen=True):
    """Get a token for this reason, open a socket, then say ``opened`` or ``not_opened``."""

    reason: TokenReason


class Send(msgspec.Struct, frozen=True):
    """Send this WebSocket message, as binary."""

    frame: bytes


class Probe(msgspec.Struct, frozen=True):
    """Ask the socket for a sign of life; if one comes, say ``heard``."""


class Drop(msgspec.Struct, frozen=True):
    """Close the socket, whatever it holds; nothing that comes from it counts any more."""


class Settle(msgspec.Struct, frozen=True):
    """What became of a request, an update, or the start: an answer (None of the latter two), or an error."""

    id: str
    outcome: Reply | ConversationsError | None


class Notify(msgspec.Struct, frozen=True):
    """The server tells something."""

    message_type: str
    payload: bytes


class StateChanged(msgspec.Struct, frozen=True):
    state: ConnectionState
    previous: ConnectionState


class Connected(msgspec.Struct, frozen=True):
    """Requests are served, and notifications come."""


class Lost(msgspec.Struct, frozen=True):
    """They are not any more."""


class Problem(msgspec.Struct, frozen=True):
    """Something failed; the application is told."""

    terminal: bool
    message: str
    http_status: int | None = None
    code: int | None = None


class AboutToExpire(msgspec.Struct, frozen=True):
    """The token ends soon."""


class Expired(msgspec.Struct, frozen=True):
    """It has ended."""


class NeedsToken(msgspec.Struct, frozen=True):
    """There is no way on without another token: get one for this reason, then ``update``."""

    reason: TokenReason


Step = (
    Connect
    | Send
    | Probe
    | Drop
    | Settle
    | Notify
    | StateChanged
    | Connected
    | Lost
    | Problem
    | AboutToExpire
    | Expired
    | NeedsToken
)
Steps = Sequence[Step]


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
        self._new_id = new_id
        self._random = random
        self._phase = _Phase.IDLE
        self._is_shut_down = False
        self._until: float | None = None
        self._heard_at = 0.0
        self._probing = False
        self._failures = 0
        self._min_wait: float | None = None
        self._continuation: str | None = None
        self._init_id = ""
        self._queued: dict[str, bytes] = {}
        self._in_flight: set[str] = set()
        self._updates: set[str] = set()
        self._reason = TokenReason.START

    @property
    def deadline(self) -> float | None:
        """When ``tick`` is due; None when nothing is waited for."""
        if self._phase is _Phase.READY:
            return self._until if self._probing else self._heard_at + self._terms.silence
        return self._until

    @property
    def retry_at(self) -> float | None:
        """When it is tried again; None while no attempt is waited for."""
        return self._until if self._phase is _Phase.WAITING else None

    @property
    def is_ready(self) -> bool:
        return self._phase is _Phase.READY

    # --- the socket

    def start(self) -> Steps:
        """Connect for the first time."""
        return () if self._phase is not _Phase.IDLE else self._connect()

    def opened(self, token: str, now: float) -> Steps:
        """There is a socket: the server is told who we are."""
        if self._phase is not _Phase.OPENING:
            return (Drop(),)
        self._phase = _Phase.GREETING
        self._heard_at = now
        self._until = now + self._terms.greeting
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

    def not_opened(self, message: str, now: float) -> Steps:
        """There is none, because of the network or for want of a token."""
        if self._phase is not _Phase.OPENING:
            return ()
        return (Problem(False, message), *self._wait(now))

    def refused_token(self, error: ConversationsError) -> Steps:
        """There is no token, and none will come by itself."""
        if self._phase is not _Phase.OPENING:
            return ()
        told = (Expired(),) if isinstance(error, TokenExpiredError) else ()
        return (Problem(True, str(error)), *self._end(ConnectionState.DENIED, error), *told)

    def lost(self, now: float) -> Steps:
        """The socket is gone."""
        if self._phase not in (_Phase.GREETING, _Phase.READY):
            return ()
        return self._lose(now)

    def heard(self, now: float) -> None:
        """A sign of life."""
        self._heard_at = now
        self._probing = False

    def tick(self, now: float, *, stalled: bool = False) -> Steps:
        """The deadline has come; ``stalled`` when this process itself was away, and nothing is known of the socket."""
        if self._phase is _Phase.READY:
            if stalled or (not self._probing and now >= self._heard_at + self._terms.silence):
                return self._probe(now)
            if self._probing and self._until is not None and now >= self._until:
                return (Problem(False, "the server is silent"), Drop(), *self._lose(now))
            return ()
        if self._until is None or (now < self._until and not stalled):
            return ()
        if self._phase is _Phase.WAITING:
            return self._connect()
        if self._phase is _Phase.GREETING:
            return (Problem(False, "the server does not answer"), Drop(), *self._lose(now))
        return ()

    def received(self, message: bytes, now: float) -> Steps:
        """A WebSocket message came."""
        if self._phase not in (_Phase.GREETING, _Phase.READY):
            return ()
        self.heard(now)
        try:
            frame = frames.parse(message, self._terms.limits)
        except MalformedFrame as malformed:
            log.warning("link.malformed", extra={"reason": malformed.reason})
            return ()
        header = frame.header
        if header.method == "reply":
            return self._replied(header, frame.payload, now)
        acknowledgement = Send(frames.acknowledgement(header.id))
        match header.method:
            case "notification" if header.message_type is not None:
                return (acknowledgement, Notify(header.message_type, frame.payload))
            case "client_update" if header.client_update_type == "token_about_to_expire":
                return (acknowledgement, AboutToExpire())
            case "close":
                return (acknowledgement, *self._closed(header.status or Status(500), frame.payload, now))
        return (acknowledgement,)

    # --- what the application wants

    def request(self, request: HttpRequest, payload: bytes, payload_type: str) -> tuple[str, Steps]:
        """A request under its id: sent at once, or as soon as there is a connection."""
        id = self._new_id()
        if self._is_shut_down:
            return id, (Settle(id, ClientShutDownError()),)
        if self._phase is _Phase.ENDED and not self._terms.renews:
            return id, (Settle(id, self._no_way()),)
        frame = frames.request(id, request, payload, payload_type)
        if self._phase is _Phase.READY:
            self._in_flight.add(id)
            return id, (Send(frame),)
        if len(self._queued) >= self._terms.max_queued:
            return id, (Settle(id, NotConnectedError(f"{len(self._queued)} requests wait for a connection already")),)
        self._queued[id] = frame
        return id, ()

    def give_up(self, id: str) -> bool:
        """Nobody waits for the answer any more; whether the request has been sent."""
        self._updates.discard(id)
        self._in_flight.discard(id)
        return self._queued.pop(id, None) is None

    def update(self, token: str) -> tuple[str, Steps]:
        """Go on with another token: on the connection there is, or by a new one."""
        id = self._new_id()
        if self._is_shut_down:
            return id, (Settle(id, ClientShutDownError()),)
        self._updates.add(id)
        self._reason = TokenReason.START
        if self._phase is _Phase.READY:
            return id, (Send(frames.update(id, token)),)
        if self._phase in (_Phase.WAITING, _Phase.ENDED, _Phase.IDLE):
            return id, self._connect()
        return id, ()

    def hurry(self, now: float) -> Steps:
        """The network may have come back: try now what would be tried later."""
        if self._phase is _Phase.WAITING:
            return self._connect()
        return self._probe(now) if self._phase is _Phase.READY and not self._probing else ()

    def shut_down(self) -> Steps:
        """Say goodbye, for good."""
        if self._is_shut_down:
            return ()
        self._is_shut_down = True
        goodbye: Steps = (Send(frames.close(self._new_id())),) if self._phase is _Phase.READY else ()
        leaving = () if self._phase is _Phase.IDLE else self._become(ConnectionState.DISCONNECTING)
        return (*leaving, *goodbye, *self._end(ConnectionState.DISCONNECTED, ClientShutDownError(), always=True))

    # --- replies

    def _replied(self, header: Header, payload: bytes, now: float) -> Steps:
        status = header.status or Status(500)
        if header.id == self._init_id and self._phase is _Phase.GREETING:
            if 200 <= status.code < 300:
                return self._greeted(header)
            return self._refused(status, payload, now)
        if header.id in self._updates:
            return self._updated(header.id, status, payload, now)
        if header.id in self._in_flight:
            self._in_flight.discard(header.id)
            return (Settle(header.id, _outcome(header, status, payload)),)
        return ()

    def _greeted(self, header: Header) -> Steps:
        self._phase = _Phase.READY
        self._probing = False
        self._failures, self._min_wait, self._until = 0, None, None
        self._reason = TokenReason.START
        if header.continuation_token is not None:
            self._continuation = header.continuation_token
        settled = [Settle(id, None) for id in (*self._updates, START)]
        self._updates.clear()
        queued, self._queued = self._queued, {}
        self._in_flight.update(queued)
        return (
            *self._become(ConnectionState.CONNECTED),
            *settled,
            *(Send(frame) for frame in queued.values()),
            Connected(),
        )

    def _refused(self, status: Status, payload: bytes, now: float) -> Steps:
        """``init`` was refused (realtime 5.1)."""
        message = status.description or status.status
        if status.code not in (401, 403):
            self._min_wait = _directed(payload)
            return (Problem(False, message, status.code, status.error_code), Drop(), *self._lose(now))
        return (
            Problem(not self._terms.renews, message, status.code, status.error_code),
            Drop(),
            *self._want_token(status),
        )

    def _updated(self, id: str, status: Status, payload: bytes, now: float) -> Steps:
        """An ``update`` was answered (realtime 6.2). A refused one leaves the connection to the token it has."""
        self._updates.discard(id)
        if 200 <= status.code < 300:
            return (Settle(id, None),)
        if status.code in (401, 403):
            return (Settle(id, _token_error(status)),)
        self._min_wait = _directed(payload)
        self._updates.add(id)  # settled by the next ``init``, which carries the new token
        return (Drop(), *self._lose(now))

    # --- endings

    def _closed(self, status: Status, payload: bytes, now: float) -> Steps:
        """The server has ended the connection (realtime 7)."""
        message = status.description or status.status
        match status.code:
            case 410:
                return (Drop(), *self._want_token(Status(401, status.status, status.description, EXPIRED)))
            case 401 | 406 | 417:
                error = _token_error(status) if status.code == 401 else NotConnectedError(message)
                problem = Problem(True, message, status.code, status.error_code)
                return (problem, Drop(), *self._end(ConnectionState.DISCONNECTED, error))
        settled: Steps = ()
        if status.error_code == UPDATE_IS_FORBIDDEN:
            settled = [Settle(id, _token_error(status)) for id in self._updates]
            self._updates.clear()
        self._min_wait = _directed(payload)
        return (*settled, Drop(), *self._lose(now))

    def _want_token(self, status: Status) -> Steps:
        """The server wants another token before it talks to us again."""
        is_expired = status.error_code == EXPIRED
        self._reason = TokenReason.EXPIRED if is_expired else TokenReason.REJECTED
        steps = [*([Expired()] if is_expired else [])]
        state = ConnectionState.DENIED if self._phase is _Phase.GREETING else ConnectionState.DISCONNECTED
        return (*self._end(state, _token_error(status)), *steps, NeedsToken(self._reason))

    def _lose(self, now: float) -> Steps:
        lost = (Lost(),) if self._phase is _Phase.READY else ()
        return (*lost, *self._fail_in_flight(), *self._wait(now))

    def _end(self, state: ConnectionState, error: ConversationsError, *, always: bool = False) -> Steps:
        """No further attempt by itself. With ``always`` nothing is kept for one that somebody else asks for."""
        lost = (Lost(),) if self._phase is _Phase.READY else ()
        failed = self._fail_in_flight()
        gone = Drop() if self._phase in (_Phase.OPENING, _Phase.GREETING, _Phase.READY) and always else None
        self._phase, self._until = _Phase.ENDED, None
        settled = [Settle(id, error) for id in self._updates]
        self._updates.clear()
        if always or not self._terms.renews:
            waiting = ClientShutDownError() if always else self._no_way()
            settled += [Settle(id, waiting) for id in self._queued]
            settled.append(Settle(START, error))
            self._queued.clear()
        return (*([gone] if gone else []), *lost, *failed, *self._become(state), *settled)

    def _wait(self, now: float) -> Steps:
        """Try again after a while: 1 s, doubled each time, up to two minutes, a fifth more or less (realtime 5.3)."""
        longest = self._terms.reconnect_max
        usual = min(self._terms.reconnect_min * 2.0 ** min(self._failures, 30), longest)
        wait = max(usual * (0.8 + 0.4 * self._random()), self._min_wait or 0.0)
        self._failures += 1
        self._min_wait = None
        self._phase, self._until = _Phase.WAITING, now + wait
        return self._become(ConnectionState.CONNECTING)

    def _connect(self) -> Steps:
        self._phase, self._until = _Phase.OPENING, None
        return (*self._become(ConnectionState.CONNECTING), Connect(self._reason))

    def _probe(self, now: float) -> Steps:
        self._probing, self._until = True, now + self._terms.probe
        return (Probe(),)

    def _fail_in_flight(self) -> Steps:
        failed = [Settle(id, ConnectionLostError("the connection was lost; the request may have been done"))
                  for id in self._in_flight]  # fmt: skip
        self._in_flight.clear()
        return failed

    def _no_way(self) -> ConversationsError:
        return NotConnectedError(f"there is no connection, and none will come by itself: {self.state}")

    def _become(self, state: ConnectionState) -> Steps:
        if state is self.state:
            return ()
        previous, self.state = self.state, state
        return (StateChanged(state, previous),)


class _Policy(msgspec.Struct):
    reconnect_min_ms: float = 0


class _Directed(msgspec.Struct):
    backoff_policy: _Policy = msgspec.field(default_factory=_Policy)


def _directed(payload: bytes) -> float | None:
    """How long the server wants us to stay away, in seconds; never more than ten minutes."""
    if not payload:
        return None
    try:
        wanted = msgspec.json.decode(payload, type=_Directed).backoff_policy.reconnect_min_ms / 1000
    except ValueError:
        return None
    return min(max(wanted, 0.0), 600.0)


def _outcome(header: Header, status: Status, payload: bytes) -> Reply | ConversationsError:
    if not 200 <= status.code < 300:
        return ConnectionLostError(f"the request could not be carried: {status.code} {status.status}")
    if header.http_status is None:
        return ConnectionLostError("the answer has no status")
    told = header.http_headers or {}
    headers = tuple((name, value if isinstance(value, str) else ", ".join(value)) for name, value in told.items())
    return Reply(header.http_status.code, payload, headers)


def _token_error(status: Status) -> ConversationsError:
    message = status.description or status.status or "the token was refused"
    if status.error_code == EXPIRED:
        return TokenExpiredError(message)
    return TokenRejectedError(message, status=status.code, code=status.error_code)
