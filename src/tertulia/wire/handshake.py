"""The life of a connection, seen from the server: a state machine that never touches a socket.

    NEW --init--> VERIFYING --accept--> READY --+--> CLOSING --> CLOSED
                      +-------refuse------------+

Feed it what happens: ``received``, ``malformed``, ``heard``, ``accept``, ``refuse``, ``offload``, ``revoke``, ``lost``,
and ``tick`` when its ``deadline_us`` has come. Each answers with steps to take, in order. It never asks for the time
and waits for nothing; a call that comes too late for the state has no steps. What holds for every connection:

* nothing is served before ``Ready``, nor after ``Goodbye``;
* ``Goodbye`` comes once; after it only one ``Drop``, and a reply if the client says ``close`` too;
* one token at a time is being verified: each ``VerifyToken`` is answered by ``accept`` or ``refuse``.

Times are unix microseconds. Source: realtime 3 to 7.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, Literal

import msgspec

from tertulia.wire import continuation, frames, redaction, requests, tokens, websocket
from tertulia.wire.frames import Backoff, Frame, Header, MalformedFrame, Registration, Status
from tertulia.wire.steps import (
    Drop,
    Ending,
    Goodbye,
    Ready,
    RequestReceived,
    Send,
    Step,
    Steps,
    TokenUpdated,
    VerifyToken,
)
from tertulia.wire.tokens import Claims

SECOND_US: Final = 1_000_000

CLIENT_UPDATE: Final = "client_update"

UPDATE_IS_FORBIDDEN: Final = 51232
TOKEN_EXPIRED: Final = 51207
TOO_MANY_REQUESTS: Final = 51202


class Terms(msgspec.Struct, frozen=True):
    """What holds for all connections of a server."""

    sign: continuation.Sign
    on_expiry: Literal["reauth", "close"] = "reauth"
    """Drop the socket, so that the client hears of it from its next ``init``; or close with 410 (realtime 6.3)."""
    init_within_s: float = 30
    ping_after_s: float = 30
    """After how much silence the client is pinged. Native clients want a frame every 45 s (realtime 3.4)."""
    silence_s: float = 30
    """How long after the ping the connection is given up."""
    warn_before_s: int = 180
    """How long before its end a token is said to be about to expire."""
    linger_s: int = 10
    """How long a client may take to hang up, and an ``update`` to be verified when the old token has run out."""


class State(Enum):
    """Where a connection stands."""

    NEW = 0
    VERIFYING = 1
    READY = 2
    CLOSING = 3
    CLOSED = 4


class ServerHandshake:
    """One connection. ``seed`` is 16 random bytes: every id it needs is made from them."""

    __slots__ = (
        "_expires_us",
        "_frames",
        "_heard_us",
        "_pending",
        "_pinged_us",
        "_seed",
        "_terms",
        "_token_mark",
        "_until_us",
        "_warn_us",
        "_warns",
        "claims",
        "state",
    )

    def __init__(self, terms: Terms, seed: bytes, now_us: int) -> None:
        self.state = State.NEW
        self.claims: Claims | None = None
        self._terms = terms
        self._seed = seed
        self._frames = 0
        self._pending: Header | None = None
        self._token_mark: int | None = None
        self._warns = False
        self._warn_us: int | None = None
        self._expires_us = 0
        self._heard_us = now_us
        self._pinged_us: int | None = None
        self._until_us = now_us + int(terms.init_within_s * SECOND_US)

    @property
    def deadline_us(self) -> int | None:
        """When ``tick`` is due; None once there is nothing to wait for.

        Hearing from the client only ever makes it later: a shell need not look again before the time it knew has come.
        """
        if self.state is State.READY:
            ends = self._ends_us()
            soon = ends if self._warn_us is None else min(ends, self._warn_us)
            return min(soon, self._silent_us())
        return None if self.state is State.CLOSED else self._until_us

    @property
    def awaits_pong(self) -> bool:
        """The client was pinged, and has given no sign of life since."""
        return self._pinged_us is not None

    def heard(self, now_us: int) -> None:
        """The client gave a sign of life that needs no answer: an acknowledgement, say."""
        self._heard_us = now_us
        self._pinged_us = None

    def received(self, frame: Frame, now_us: int) -> Steps:
        """A frame came."""
        self.heard(now_us)
        header = frame.header
        if self.state is State.CLOSED or (self.state is State.CLOSING and header.method != "close"):
            return ()
        if header.method == "message":
            return self._request(frame, now_us)
        answer = _ANSWERS.get(header.method, ServerHandshake._unknown)
        return answer(self, header)

    def malformed(self, error: MalformedFrame, now_us: int) -> Steps:
        """A message came that is no usable frame.

        If it says which frame it is, that one is refused and the connection goes on; else the two sides do not speak
        the same language, and the WebSocket is closed. Never by a ``close`` frame 406 or 417, from which the official
        SDK does not recover (realtime 15, 26).
        """
        self.heard(now_us)
        if self.state in (State.CLOSING, State.CLOSED):
            return ()
        if error.frame_id is None:
            return self._drop(Ending.MALFORMED, websocket.INVALID_DATA, "not a twilsock frame")
        if error.method == "reply":
            return ()
        return (Send(frames.reply(error.frame_id, _status(error.status, error.reason))),)

    def accept(self, claims: Claims, now_us: int) -> Steps:
        """The token that was to be verified is good, and its user may connect."""
        header, self._pending = self._pending, None
        if header is None:
            return ()
        if self.state is State.VERIFYING:
            steps = self._become_ready(header, claims, now_us)
        else:
            steps = self._replace_token(header, claims, now_us)
        return (*steps, *self.tick(now_us)) if self.state is State.READY else steps

    def refuse(self, status: int, code: int, message: str, now_us: int, backoff: Backoff | None = None) -> Steps:
        """The token that was to be verified is not good, or its user may not connect now (realtime 5.1, 6.2).

        A refused ``update`` leaves the connection to its old token. ``backoff`` goes with 429 only.
        """
        header, self._pending = self._pending, None
        if header is None:
            return ()
        answer = Send(frames.reply(header.id, _status(status, message, code), backoff.payload() if backoff else b""))
        if self.state is State.VERIFYING:
            # Clients hang up by themselves when they have read the answer.
            return (answer, self._say_goodbye(Ending.REFUSED, now_us))
        return (answer,)

    def offload(self, backoff: Backoff, now_us: int) -> Steps:
        """This node is about to stop. Answer what is pending first: clients listen no more after this (realtime 7)."""
        if self.state is State.READY:
            return self._close(
                Ending.OFFLOADED, Status(308, "OFFLOAD", "Connection is being offloaded"), now_us, backoff
            )
        if self.state in (State.NEW, State.VERIFYING):
            return self._drop(Ending.OFFLOADED, websocket.GOING_AWAY, "try again")
        return ()

    def revoke(self) -> Steps:
        """What the token stood on is gone: its key, its service, its user. The next ``init`` tells the client what."""
        if self.state in (State.CLOSING, State.CLOSED):
            return ()
        return self._drop(Ending.REVOKED, websocket.GOING_AWAY, "access was withdrawn")

    def lost(self) -> Steps:
        """The socket is gone."""
        ended = self.state in (State.CLOSING, State.CLOSED)
        self._finish()
        return () if ended else (Goodbye(Ending.LOST),)

    def tick(self, now_us: int) -> Steps:
        """The deadline has come, perhaps. Called earlier it does nothing."""
        if self.state is State.READY:
            return self._tick_ready(now_us)
        if self.state is State.CLOSED or now_us < self._until_us:
            return ()
        if self.state is State.CLOSING:
            self._finish()
            return (Drop(websocket.NORMAL, ""),)
        return self._drop(Ending.NO_INIT, websocket.GOING_AWAY, "no init in time")

    # --- frames of the client ---

    def _request(self, frame: Frame, now_us: int) -> Steps:
        header = frame.header
        if self.state is not State.READY:
            return (self._too_early(header),)
        if header.http_request is None:
            return (_refusal(header, 400, "A message needs an http_request"),)
        if now_us >= self._expires_us:
            expired = requests.error_reply(401, tokens.EXPIRED, tokens.EXPIRED_MESSAGE)
            return (Send(requests.tunnelled(header.id, expired)),)
        return (RequestReceived(frame),)

    def _init(self, header: Header) -> Steps:
        if self.state is not State.NEW:
            return (_refusal(header, 400, "A connection has one init"),)
        self.state = State.VERIFYING
        self._pending = header
        return (VerifyToken(header.token or "", "init"),)

    def _update(self, header: Header) -> Steps:
        if self.state is not State.READY:
            return (self._too_early(header),)
        if self._pending is not None:
            # A client that gets this reconnects with the newer token, which is what it wanted.
            busy = _status(429, "Another update is being verified", TOO_MANY_REQUESTS)
            return (Send(frames.reply(header.id, busy, Backoff(1000, 2000).payload())),)
        self._pending = header
        return (VerifyToken(header.token or "", "update"),)

    def _leave(self, header: Header) -> Steps:
        ended = self.state is State.CLOSING
        self._finish()
        goodbye = () if ended else (Goodbye(Ending.LEFT),)
        return (Send(frames.reply(header.id)), *goodbye, Drop(websocket.NORMAL, ""))

    def _acknowledge(self, header: Header) -> Steps:
        return (Send(frames.reply(header.id)),) if self.state is State.READY else (self._too_early(header),)

    def _ignore(self, header: Header) -> Steps:
        return ()

    def _unknown(self, header: Header) -> Steps:
        return (_refusal(header, 400, "Unknown method"),)

    def _too_early(self, header: Header) -> Step:
        return _refusal(header, 401, "The connection is not initialised")

    # --- tokens ---

    def _become_ready(self, header: Header, claims: Claims, now_us: int) -> Steps:
        settled = continuation.settle(
            self._terms.sign,
            header.continuation_token,
            identity=claims.identity,
            service_sid=claims.service_sid,
            endpoint_id=claims.endpoint_id,
            fresh_id=self._seed.hex(),
        )
        registrations = header.registrations or ()
        # realtime 5: confirming `telemetry.v1` only makes traffic; offline storage must not be offered (9.8).
        capabilities = tuple(word for word in header.capabilities or () if word == CLIENT_UPDATE)
        answer = frames.initialised(
            header.id,
            capabilities=capabilities,
            continuation_token=settled.token,
            continuation_status=settled.status,
            registrations=[self._echo(registration, index) for index, registration in enumerate(registrations)],
        )
        self.state = State.READY
        self._warns = bool(capabilities)
        self._arm(header, claims, now_us)
        types = frozenset(word for registration in registrations for word in registration.message_types)
        return (Send(answer), Ready(claims, settled.endpoint_id, types, redaction.described(header.metadata)))

    def _replace_token(self, header: Header, claims: Claims, now_us: int) -> Steps:
        if self.claims is None or _whose(claims) != _whose(self.claims):
            # realtime 6.2: no reply; the client reconnects as whom the new token says.
            forbidden = Status(308, "UPDATE_IS_FORBIDDEN", "The token is somebody else's", UPDATE_IS_FORBIDDEN)
            return self._close(Ending.REPLACED, forbidden, now_us)
        self._arm(header, claims, now_us)
        return (Send(frames.reply(header.id)), TokenUpdated(claims))

    def _arm(self, header: Header, claims: Claims, now_us: int) -> None:
        self.claims = claims
        mark = hash(header.token)
        if mark == self._token_mark:
            # Once per token: what was armed or said for it stands.
            return
        self._token_mark = mark
        self._expires_us = int(claims.expires_at * SECOND_US)
        self._warn_us = self._when_to_warn(claims, now_us) if self._warns else None

    def _when_to_warn(self, claims: Claims, now_us: int) -> int:
        # realtime 6.1: an application that only ever gets short tokens must not be told at once, each time.
        warn_us = self._expires_us - self._terms.warn_before_s * SECOND_US
        if warn_us < now_us and claims.lifetime_s < self._terms.warn_before_s:
            return now_us + (self._expires_us - now_us) // 2
        return max(warn_us, now_us)

    # --- time ---

    def _tick_ready(self, now_us: int) -> Steps:
        if now_us >= self._ends_us():
            return self._expire(now_us)
        steps: list[Step] = []
        if self._warn_us is not None and now_us >= self._warn_us:
            self._warn_us = None
            steps.append(Send(frames.client_update(self._new_id(), "token_about_to_expire")))
        if now_us >= self._silent_us():
            if self._pinged_us is not None:
                return self._drop(Ending.SILENT, websocket.GOING_AWAY, "no sign of life")
            self._pinged_us = now_us
            steps.append(Send(frames.ping(self._new_id())))
        return steps

    def _ends_us(self) -> int:
        # An update under way may still save the connection; no request is served meanwhile.
        grace_us = self._terms.linger_s * SECOND_US if self._pending is not None else 0
        return self._expires_us + grace_us

    def _silent_us(self) -> int:
        if self._pinged_us is not None:
            return self._pinged_us + int(self._terms.silence_s * SECOND_US)
        return self._heard_us + int(self._terms.ping_after_s * SECOND_US)

    def _expire(self, now_us: int) -> Steps:
        if self._terms.on_expiry == "close":
            expired = Status(410, "TOKEN_EXPIRED", "Token expired", TOKEN_EXPIRED)
            return self._close(Ending.EXPIRED, expired, now_us)
        return self._drop(Ending.EXPIRED, websocket.GOING_AWAY, "token expired")

    # --- endings ---

    def _close(self, ending: Ending, status: Status, now_us: int, backoff: Backoff | None = None) -> Steps:
        close = Send(frames.close(self._new_id(), status, backoff.payload() if backoff else b""))
        return (close, self._say_goodbye(ending, now_us))

    def _say_goodbye(self, ending: Ending, now_us: int) -> Step:
        self._pending = None
        self.state = State.CLOSING
        self._until_us = now_us + self._terms.linger_s * SECOND_US
        return Goodbye(ending)

    def _drop(self, ending: Ending, code: int, reason: str) -> Steps:
        self._finish()
        return (Goodbye(ending), Drop(code, reason))

    def _finish(self) -> None:
        self._pending = None
        self.state = State.CLOSED

    # --- ids ---

    def _new_id(self) -> str:
        self._frames += 1
        return f"TM{self._seed[:12].hex()}{self._frames:08x}"

    def _echo(self, registration: Registration, index: int) -> Registration:
        # In the form of a UUID, as the public service has it; clients only hand it back.
        digits = f"{self._seed.hex()[:28]}{index:04x}"
        context = "-".join((digits[:8], digits[8:12], f"4{digits[13:16]}", f"a{digits[17:20]}", digits[20:]))
        return Registration(
            product=registration.product,
            type=registration.type,
            message_types=registration.message_types,
            notification_ctx_id=context,
        )


_ANSWERS: Final[dict[str, Callable[[ServerHandshake, Header], Steps]]] = {
    "init": ServerHandshake._init,
    "update": ServerHandshake._update,
    "close": ServerHandshake._leave,
    "put_notification_ctx": ServerHandshake._acknowledge,
    "delete_notification_ctx": ServerHandshake._acknowledge,
    "telemetry.v1": ServerHandshake._ignore,
    "reply": ServerHandshake._ignore,
}


def _refusal(header: Header, code: int, why: str) -> Send:
    return Send(frames.reply(header.id, _status(code, why)), why)


def _whose(claims: Claims) -> tuple[str, str, str]:
    return claims.identity, claims.account_sid, claims.service_sid


def _status(code: int, description: str, error_code: int | None = None) -> Status:
    return Status(code, requests.phrase(code).upper().replace(" ", "_"), description, error_code)
