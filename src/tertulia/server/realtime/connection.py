"""One client's connection: its token, its requests, what it follows.

The life itself is decided by ``wire.handshake``; this shell pumps: frames in, steps out, and the few things that take
time (verifying, answering, catching up) as tasks of the node.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque

import msgspec

from tertulia.server import observe
from tertulia.server.domain.errors import (
    BAD_PARAMETER,
    SYNC_READ_ONLY,
    SYNC_TOO_MANY,
    TOO_MANY_REQUESTS,
    UNAVAILABLE,
    TertuliaError,
    TooMany,
    too_many,
)
from tertulia.server.storage.database import StorageError
from tertulia.server.web.auth import user
from tertulia.server.web.errors import client_failure
from tertulia.wire import frames, requests, sync, websocket
from tertulia.wire.frames import Backoff, Frame, MalformedFrame
from tertulia.wire.handshake import ServerHandshake
from tertulia.wire.requests import Reply, Request
from tertulia.wire.steps import (
    Drop,
    Goodbye,
    Ready,
    RequestReceived,
    Send,
    Steps,
    TokenUpdated,
    VerifyToken,
)
from tertulia.wire.tokens import Claims, TokenRefused
from tertulia.wire.websocket import Upgrade, UpgradeRefused

from .allowance import Place
from .node import Node
from .socket import Socket

log = logging.getLogger(__name__)

SUBSCRIPTIONS_PATH = "/v4/Subscriptions"
SYNC_PATHS = ("/v3/", "/v4/")
ESTIMATED_DELIVERY_MS = 10_000
SUBSCRIPTIONS_WAITING = 100
"""Batches of one connection that may wait their turn; clients send the next when one is settled."""

READS_AT_ONCE = 8
"""Reads of one connection that are worked on at a time; what more it asks for waits as the frames it came in."""
READER_PATIENCE_S = 30.0
"""A client that takes nothing of what it has asked for is dropped after this; it comes back and catches up."""
BACKOFF_SPREAD_MS = 4000
"""Over how long clients that were told to come back later are spread."""
LONGEST_HOST = 255

_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[A-Za-z0-9:.]+\])(:[0-9]*)?")
_decode_subscription = msgspec.json.Decoder(sync.SubscriptionCommand).decode
_encode = msgspec.json.Encoder().encode


class Connection:
    """A handler of one socket, and a follower of objects."""

    __slots__ = (
        "_base_url",
        "_claims",
        "_endpoint",
        "_handshake",
        "_in_flight",
        "_node",
        "_place",
        "_reading",
        "_sequel",
        "_socket",
        "_unread",
        "due_us",
        "followed",
        "identity",
        "is_open",
        "service_sid",
        "takes_typing",
    )

    def __init__(self, node: Node, upgrade: Upgrade) -> None:
        now = node.clock.now()
        self._node = node
        self._handshake = ServerHandshake(node.terms, node.randomness.draw(16), now)
        host = _host(upgrade)
        self._base_url = node.conditions.base_url or f"http://{host}"
        self._claims: Claims | None = None
        self._in_flight = 0
        self._reading = 0
        # None while empty, which it nearly always is.
        self._unread: deque[tuple[Frame, Claims]] | None = None
        self._sequel: list[sync.SubscriptionCommand] | None = None
        self._socket: Socket | None = None
        self._place: Place | None = None
        self.due_us: int | None = None
        self.followed: set[str] = set()
        self._endpoint = ""
        self.identity = ""
        self.service_sid = ""
        self.takes_typing = False
        self.is_open = False

    # --- for the socket

    def opened(self, socket: Socket) -> None:
        self._socket = socket
        self._put_down()
        observe.CONNECTIONS.inc()

    def received(self, message: bytes) -> None:
        observe.FRAMES_RECEIVED.count += 1
        now = self._node.clock.now()
        if frames.is_acknowledgement(message):
            self._handshake.heard(now)
            return
        try:
            frame = frames.parse(message, self._node.conditions.frames)
        except MalformedFrame as error:
            log.info("connection.malformed", extra=observe.fields(reason=error.reason))
            self._run(self._handshake.malformed(error, now))
            return
        self._run(self._handshake.received(frame, now))

    def closed(self) -> None:
        self._run(self._handshake.lost())
        self._socket = None
        if self._place is not None:
            self._place.leave()
            self._place = None
        self._node.deadlines.put(self, None)
        observe.CONNECTIONS.dec()

    # --- for the hub, the replays and the sweep

    def deliver(self, block: bytes) -> None:
        if self._socket is not None:
            self._socket.send(block)

    def notify(self, message_type: str, body: bytes) -> None:
        self.deliver(self._node.envelopes.seal(message_type, body))

    @property
    def is_behind(self) -> bool:
        """The client has not taken most of what was sent."""
        return self._socket is not None and self._socket.is_behind

    async def let_read(self) -> None:
        while self._socket is not None and self._socket.is_behind:
            # Shielded, because it is the same for all who wait.
            await asyncio.shield(self._socket.drained(READER_PATIENCE_S, self._drop_slow))

    @property
    def key_sid(self) -> str:
        return self._claims.key_sid if self._claims is not None else ""

    @property
    def is_busy(self) -> bool:
        return self._in_flight > 0

    @property
    def awaits_pong(self) -> bool:
        return self._handshake.awaits_pong

    def _drop_slow(self) -> None:
        if self._socket is not None:
            log.warning("connection.reader_too_slow", extra=observe.fields(peer=self._socket.peer))
            self._socket.abort()

    def revoke(self) -> None:
        self._run(self._handshake.revoke())

    def offload(self, backoff: Backoff) -> None:
        """The node stops; the client comes back, here or elsewhere."""
        self._run(self._handshake.offload(backoff, self._node.clock.now()))

    def tick(self, now_us: int) -> None:
        self._run(self._handshake.tick(now_us))
        self._put_down()

    def _put_down(self) -> None:
        self._node.deadlines.put(self, self._handshake.deadline_us)

    # --- steps

    def _run(self, steps: Steps) -> None:
        for step in steps:
            if isinstance(step, Send):
                if step.refusal is not None:
                    log.info("connection.frame_refused", extra=observe.fields(reason=step.refusal))
                self.deliver(websocket.binary(step.frame))
            elif isinstance(step, RequestReceived):
                self._take(step.frame)
            elif isinstance(step, VerifyToken):
                self._node.tasks.spawn(self._verify(step.token))
            elif isinstance(step, Ready):
                self._become(step)
            elif isinstance(step, TokenUpdated):
                self._claims = step.claims
                self._put_down()
            elif isinstance(step, Goodbye):
                self._leave(step)
            elif isinstance(step, Drop):
                self._drop(step)

    def _become(self, ready: Ready) -> None:
        self._claims = ready.claims
        self.identity, self.service_sid = ready.claims.identity, ready.claims.service_sid
        self.takes_typing = sync.TYPING in ready.message_types
        self.is_open = True
        self._endpoint = ready.endpoint_id
        self._node.hub.connect(self)
        self._node.connections.add(self)
        self._node.presence.came(self.service_sid, self.identity, self._endpoint)
        self._put_down()
        # Masked by their own names, then told apart from our facts.
        words = observe.fields(**ready.client)["facts"]
        told = {f"client_{name}": word for name, word in words.items()}
        log.info("connection.ready", extra=observe.fields(service=self.service_sid, **told))

    def _leave(self, goodbye: Goodbye) -> None:
        if self.is_open:
            self.is_open = False
            self._node.hub.disconnect(self)
            self._node.connections.discard(self)
            self._node.presence.went(self.service_sid, self.identity, self._endpoint, goodbye.ending)
        self._put_down()
        observe.CONNECTION_ENDS.labels(goodbye.ending).inc()
        log.info("connection.end", extra=observe.fields(reason=goodbye.ending))

    def _drop(self, drop: Drop) -> None:
        if self._socket is not None:
            self._socket.close(drop.code, drop.reason)

    async def _verify(self, token: str) -> None:
        now = self._node.clock.now
        # Nobody knows yet of which account it is.
        await self._node.turns.take(None, self)
        try:
            claims = await self._node.admit(token, self._let_in)
        except TokenRefused as refusal:
            observe.TOKENS_REFUSED.labels(str(refusal.code)).inc()
            self._refuse(refusal.status, refusal.code, str(refusal))
        except TertuliaError as error:
            # Our trouble, not the token's: the client tries again (realtime 5.1).
            backoff = self._backoff(error) if isinstance(error, TooMany) else None
            self._refuse(error.status, error.code, error.message, backoff)
        except StorageError as trouble:
            log.warning("connection.unavailable", extra=observe.fields(why=str(trouble)))
            unavailable = UNAVAILABLE()
            self._refuse(unavailable.status, unavailable.code, unavailable.message)
        else:
            self._run(self._handshake.accept(claims, now()))

    def _let_in(self, claims: Claims) -> None:
        """Takes a place of the account's, which a renewed token has already. Raises 51202."""
        allowance = self._node.allowance
        if allowance is not None and self._place is None and self._socket is not None:
            self._place = allowance.let_in(claims.account_sid)

    def _backoff(self, refusal: TooMany) -> Backoff:
        """When to try again; not everybody who was refused at the same time."""
        spread = int.from_bytes(self._node.randomness.draw(2)) % BACKOFF_SPREAD_MS
        least = refusal.retry_after_s * 1000 + spread
        return Backoff(least, least + BACKOFF_SPREAD_MS)

    def _refuse(self, status: int, code: int, message: str, backoff: Backoff | None = None) -> None:
        if self.is_open:
            log.info("connection.update_refused", extra=observe.fields(status=status, code=code))
        self._run(self._handshake.refuse(status, code, message, self._node.clock.now(), backoff))

    # --- requests

    def _take(self, frame: Frame) -> None:
        claims = self._claims
        if claims is None or frame.header.http_request is None:
            return
        wait_us = self._place.wait_us() if self._place is not None else 0
        is_full = self._in_flight >= self._node.conditions.requests_in_flight
        if wait_us or is_full:
            if is_full and not wait_us:
                observe.refused_by("requests_in_flight")
            # Each layer of the SDK knows its own code for it (realtime 8.1).
            is_sync = frame.header.http_request.path.startswith(SYNC_PATHS)
            self._reply(frame, client_failure(too_many(SYNC_TOO_MANY if is_sync else TOO_MANY_REQUESTS, wait_us)))
            return
        self._in_flight += 1
        if frame.header.http_request.method.upper() != "GET":
            self._node.tasks.spawn(self._write(frame, claims))
        elif self._reading < READS_AT_ONCE:
            self._start_reading(frame, claims)
        elif self._unread is None:
            self._unread = deque([(frame, claims)])
        else:
            self._unread.append((frame, claims))

    async def _write(self, frame: Frame, claims: Claims) -> None:
        """Answers a request that changes something; only behind other requests of the same user must it wait."""
        try:
            request, turns, whose = _unwrap(frame), self._node.turns, _whose_turn(claims)
            if request.path == SUBSCRIPTIONS_PATH or turns.is_wanted_by(*whose):
                await turns.take(*whose)
            await self._answer(frame, request, claims)
        finally:
            self._in_flight -= 1

    def _start_reading(self, frame: Frame, claims: Claims) -> None:
        self._reading += 1
        self._node.tasks.spawn(self._read(frame, claims))

    async def _read(self, frame: Frame, claims: Claims) -> None:
        """Answers a request for something, which may be large: no faster than the answers are taken."""
        try:
            while True:
                await self.let_read()
                await self._node.turns.take(*_whose_turn(claims))
                if not self.is_open:
                    return
                # Nothing may come between this look and the reading, or all that wait would pass it together.
                if not self.is_behind:
                    break
            await self._answer(frame, _unwrap(frame), claims)
        except asyncio.CancelledError:
            self._forget_unread()
            raise
        finally:
            self._in_flight -= 1
            self._reading -= 1
            self._read_on()

    def _read_on(self) -> None:
        if self._unread is None:
            return
        if not self.is_open:
            self._forget_unread()
            return
        frame, claims = self._unread.popleft()
        if not self._unread:
            self._unread = None
        self._start_reading(frame, claims)

    def _forget_unread(self) -> None:
        if self._unread is not None:
            self._in_flight -= len(self._unread)
            self._unread = None

    async def _answer(self, frame: Frame, request: Request, claims: Claims) -> None:
        if request.path == SUBSCRIPTIONS_PATH:
            await self._subscribe(frame, request, claims)
        else:
            caller = user(claims, request.headers.get("x-twilio-mutation-id"))
            self._reply(frame, await self._node.route(request, caller, self._base_url))

    def _reply(self, frame: Frame, reply: Reply) -> None:
        self.deliver(websocket.binary(requests.tunnelled(frame.header.id, reply)))

    # --- subscriptions

    async def _subscribe(self, frame: Frame, request: Request, claims: Claims) -> None:
        conditions = self._node.conditions
        if request.method != "POST":
            self._reply(frame, client_failure(SYNC_READ_ONLY()))
            return
        try:
            command = _decode_subscription(request.body)
            if command.action not in ("establish", "cancel") or len(command.requests) > conditions.max_batch:
                raise BAD_PARAMETER("A subscription is to establish or cancel, of a bounded batch")
        except (msgspec.MsgspecError, TertuliaError):
            self._reply(frame, client_failure(BAD_PARAMETER("The subscription is malformed")))
            return
        if self._sequel is not None and len(self._sequel) >= SUBSCRIPTIONS_WAITING:
            observe.refused_by("subscriptions_waiting")
            self._reply(frame, client_failure(too_many(SYNC_TOO_MANY)))
            return
        accepted = sync.SubscriptionAccepted(ESTIMATED_DELIVERY_MS, conditions.max_batch, conditions.subscription_ttl_s)
        self._reply(frame, Reply(202, _encode(accepted)))
        if self._sequel is not None:
            self._sequel.append(command)  # one at a time, in order
            return
        self._sequel = [command]
        try:
            while self._sequel and self.is_open:
                await self._settle(self._sequel[0], claims)
                self._sequel.pop(0)
        finally:
            self._sequel = None

    async def _settle(self, command: sync.SubscriptionCommand, claims: Claims) -> None:
        if command.action == "cancel":
            self._node.following.cancel(self, command.correlation_id, command.requests)
            return
        await self._node.turns.take(*_whose_turn(claims))
        await self._node.following.establish(self, user(claims), command.correlation_id, command.requests)


def _host(upgrade: Upgrade) -> str:
    """What the client calls us, which every URL of its answers will begin with. Raises ``UpgradeRefused``."""
    host = upgrade.headers.get("host", "localhost")
    if len(host) > LONGEST_HOST or not _HOST.fullmatch(host):
        raise UpgradeRefused(400, "Host must be a name or an address, and perhaps a port")
    return host


def _unwrap(frame: Frame) -> Request:
    wrapped = frame.header.http_request
    assert wrapped is not None, "only frames with a request are answered"
    return requests.from_http_request(wrapped, frame.payload, frame.header.payload_type)


def _whose_turn(claims: Claims) -> tuple[str, tuple[str, str]]:
    """An account's, and in it a user's, however many connections he has."""
    return claims.account_sid, (claims.service_sid, claims.identity)
