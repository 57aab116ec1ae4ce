"""``Multiplexed``: many calls at a time to one place, over as few connections as carry them."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from tertulia import __version__
from tertulia.server import observe
from tertulia.server.outgoing.calls import (
    Answer,
    Call,
    CallFailed,
    ClientCertificate,
    FailureKind,
    NoAnswer,
    reason_of,
    receiver_of,
)
from tertulia.server.outgoing.pending import Pending
from tertulia.server.outgoing.resolving import Resolve
from tertulia.server.outgoing.targets import OURS, Target, target_of

if TYPE_CHECKING:
    from tertulia.server.outgoing.multiplexing import Session
    from tertulia.server.outgoing.opening import Opener

log = logging.getLogger(__name__)

CONNECTIONS: Final = 2
"""Connections that take calls at a time; others may be there to finish what they carry."""
MOST_CONNECTIONS: Final = 8
CALLS: Final = 500
"""Calls under way at a time, on all connections."""
MOST_WAITING: Final = 10_000
GROWS_AFTER_S: Final = 1.0
"""How long calls wait for room on a new connection before another one joins it: a receiver may begin with little room
and give more when it knows us."""
MOST_FRUITLESS: Final = 4
"""Connections made one after the other without one answer, before those who wait are told that there is none."""
FRUITLESS_WAIT_S: Final = 0.05

_NAME: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_USUAL: Final = {b"user-agent": f"Tertulia/{__version__}".encode(), b"accept": b"*/*", b"accept-encoding": b"identity"}
_NOT_IN_HTTP_2: Final = OURS | {"keep-alive", "proxy-connection", "te", "upgrade"}


class Multiplexed:
    """Calls to one origin. Made by ``Outgoing.multiplexed``; for any number of tasks of one event loop.

    At most ``CALLS`` are under way, as many on a connection as the receiver allows; others wait in the order of asking.
    One connection is made at a time, for all who wait: its failure is told to all of them when there is no other. What
    a receiver certainly has not looked at when it ends a connection (``GOAWAY``, ``REFUSED_STREAM``) is sent on the
    next one without the caller noticing; nothing else is ever sent twice. Addresses and certificates are judged as
    for any call; over ``https`` the receiver has to speak HTTP/2, over ``http`` it has to expect it.
    """

    def __init__(
        self,
        origin: str,
        certificate: ClientCertificate | None,
        *,
        resolve: Resolve,
        allow_private: bool,
        answer_limit_bytes: int,
        forget: Callable[[Multiplexed], None],
    ) -> None:
        self._origin = origin.rstrip("/")
        self._certificate = certificate
        self._resolve = resolve
        self._allow_private = allow_private
        self._answer_limit = answer_limit_bytes
        self._let_owner_forget = forget
        self._target: Target | None = None
        self._opener: Opener | None = None
        self._loading: asyncio.Task[None] | None = None
        self._waiting: OrderedDict[Pending, None] = OrderedDict()
        self._sessions: list[Session] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_connecting = False
        self._fruitless = 0
        self._connect_s = 0.0
        self._tried_at = 0.0
        self._pump_at: asyncio.TimerHandle | None = None
        self._is_closed = False

    def __repr__(self) -> str:
        return f"Multiplexed({receiver_of(self._origin)})"

    @property
    def is_closed(self) -> bool:
        """Whether no call can be made any more."""
        return self._is_closed

    async def call(self, request: Call) -> Answer:
        """The receiver's answer, whatever its status; raises ``CallFailed`` when there is none.

        As ``Outgoing.call``, but for its slots. The URL has to be one of the origin. Cancelled, the call is withdrawn
        from the receiver.
        """
        loop = asyncio.get_running_loop()
        if self._opener is None or self._is_closed:
            await self._load()
        started = loop.time()
        outcome = "abandoned"
        pending: Pending | None = None
        try:
            limit = self._answer_limit if request.answer_limit_bytes is None else request.answer_limit_bytes
            pending = Pending(
                self._head(request),
                request.body,
                limit=limit,
                read_s=request.read_s,
                total_s=request.total_s,
                started=started,
            )
            self._queue(pending, request.connect_s)
            answer = await pending.answer
            outcome = f"{answer.status // 100}xx"
            return answer
        except NoAnswer as failure:
            kind, detail = failure.kind, failure.detail
            if kind is FailureKind.BUSY and not any(session.is_open for session in self._sessions):
                kind, detail = FailureKind.CONNECT_TIMEOUT, f"no connection in {request.total_s:g} s"
            outcome = kind.value
            status = None if pending is None else pending.status
            raise CallFailed(kind, request.receiver, detail, status) from None
        finally:
            if pending is not None:
                self._leave(pending)
            observe.outgoing_call(outcome, loop.time() - started)

    async def close(self) -> None:
        """Drop all connections; calls under way fail. A call after it raises ``RuntimeError``."""
        self._is_closed = True
        self._let_owner_forget(self)
        self._fail_waiting(NoAnswer(FailureKind.BROKEN, "no calls are made any more"))
        for session in list(self._sessions):
            session.close()
        for task in self._tasks:
            task.cancel()
        if self._pump_at is not None:
            self._pump_at.cancel()
        # The loading is in a thread that cannot be broken off.
        await asyncio.gather(*self._tasks, *([self._loading] if self._loading else []), return_exceptions=True)

    # One call.

    def _head(self, request: Call) -> list[tuple[bytes, bytes]]:
        """The request's fields, in the order and spelling of HTTP/2; raises ``NoAnswer`` (bad request)."""
        assert self._target is not None
        url, at = request.url, len(self._origin)
        path = url[at:].partition("#")[0]
        if not url.startswith(self._origin) or path[:1] not in ("/", "?", ""):
            raise _unfit("the URL is not one of this origin")
        if not (path.isascii() and path.isprintable()) or " " in path:
            raise _unfit("the URL has characters that must be encoded")
        if not (request.method.isascii() and request.method.isalpha()):
            raise _unfit("the method is not HTTP")
        target = self._target
        fields = [
            (b":method", request.method.encode("ascii")),
            (b":scheme", target.scheme.encode("ascii")),
            (b":authority", self._authority),
            (b":path", (path if path[:1] == "/" else f"/{path}").encode("ascii")),
        ]
        usual = dict(_USUAL)
        given: list[tuple[bytes, bytes]] = []
        for name, value in request.headers:
            field_name = _field_name(name)
            if not value.isprintable() or value != value.strip():
                raise _unfit("a header is not HTTP")
            usual.pop(field_name, None)
            given.append((field_name, value.encode("utf-8")))
        fields += usual.items()
        fields += given
        if request.body or request.method not in ("GET", "HEAD", "DELETE"):
            fields.append((b"content-length", b"%d" % len(request.body)))
        return fields

    def _queue(self, pending: Pending, connect_s: float) -> None:
        if len(self._waiting) >= MOST_WAITING:
            raise NoAnswer(FailureKind.BUSY, "too many calls wait")
        self._connect_s = connect_s
        self._waiting[pending] = None
        self._pump()

    def _leave(self, pending: Pending) -> None:
        self._waiting.pop(pending, None)
        if pending.session is not None:
            pending.session.abandon(pending)
        pending.end()

    # Who goes where.

    def _pump(self) -> None:
        """Gives those who wait to the connections with room, and sees to another connection if there is none."""
        while self._waiting:
            if sum(map(len, self._sessions)) >= CALLS:
                return
            session = next((one for one in self._sessions if one.has_room), None)
            if session is None:
                self._grow()
                return
            session.begin(self._waiting.popitem(last=False)[0])

    def _grow(self) -> None:
        takers = [session for session in self._sessions if session.is_open]
        for session in takers:
            if not len(session) and session.is_rested:
                session.wake()
                return
        has_most = len(takers) >= CONNECTIONS or len(self._sessions) >= MOST_CONNECTIONS
        if self._is_connecting or self._is_closed or has_most:
            return
        if self._fruitless >= MOST_FRUITLESS and not takers:
            self._not_connected(NoAnswer(FailureKind.CONNECT_FAILED, "connections end before they bring an answer"))
            return
        wait_s = FRUITLESS_WAIT_S * 2**self._fruitless if self._fruitless > 1 else 0.0
        not_before = self._tried_at + (max(wait_s, GROWS_AFTER_S) if takers else wait_s)
        if asyncio.get_running_loop().time() < not_before:
            self._pump_later(not_before)
            return
        self._is_connecting = True
        self._fruitless += 1
        task = asyncio.create_task(self._keep_connection(self._connect_s), name="multiplexed")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _pump_later(self, at: float) -> None:
        if self._pump_at is None:
            self._pump_at = asyncio.get_running_loop().call_at(at, self._pump_again)

    def _pump_again(self) -> None:
        self._pump_at = None
        self._pump()

    def _take_back(self, pending: Pending) -> None:
        if not pending.answer.done():
            self._waiting[pending] = None
            self._waiting.move_to_end(pending, last=False)

    def _on_answer(self) -> None:
        self._fruitless = 0

    def _fail_waiting(self, failure: NoAnswer) -> None:
        while self._waiting:
            self._waiting.popitem(last=False)[0].fail(failure.kind, failure.detail)

    # One connection.

    async def _keep_connection(self, connect_s: float) -> None:
        """Makes a connection, and hears what comes on it until it ends."""
        session: Session | None = None
        try:
            session = await self._connected(connect_s)
            self._sessions.append(session)
            self._has_tried()
            self._pump()
            await session.carry()
        except NoAnswer as failure:
            self._has_tried()
            self._not_connected(failure)
        except Exception:
            log.exception("outgoing.connection_failed", extra=observe.fields(receiver=receiver_of(self._origin)))
            self._has_tried()
            self._not_connected(NoAnswer(FailureKind.BROKEN, "the connection failed"))
        finally:
            if session is not None:
                session.close()
                self._sessions.remove(session)
        self._pump()

    async def _connected(self, connect_s: float) -> Session:
        from tertulia.server.outgoing.multiplexing import Session
        from tertulia.server.outgoing.trust import HTTP_2

        assert self._opener is not None
        assert self._target is not None
        loop = asyncio.get_running_loop()
        started = loop.time()
        stream = await self._opener.open(self._target, connect_s, None)
        session = Session(stream, freed=self._pump, returned=self._take_back, answered=self._on_answer)
        try:
            if self._target.scheme == "https" and stream.agreed_protocol != HTTP_2:
                raise NoAnswer(FailureKind.TLS, "the receiver does not speak HTTP/2")
            async with asyncio.timeout_at(started + connect_s):
                await session.greet()
        except BaseException as error:
            session.close()
            if isinstance(error, TimeoutError):
                raise NoAnswer(FailureKind.CONNECT_TIMEOUT, f"no connection in {connect_s:g} s") from None
            if isinstance(error, NoAnswer) and error.kind is FailureKind.BROKEN:
                detail = "the receiver ended the connection before anything was asked, or speaks no HTTP/2"
                raise NoAnswer(FailureKind.CONNECT_FAILED, detail) from None
            raise
        return session

    def _has_tried(self) -> None:
        self._is_connecting = False
        self._tried_at = asyncio.get_running_loop().time()

    def _not_connected(self, failure: NoAnswer) -> None:
        """Tells all who wait, unless they may still find room on another connection."""
        if not any(session.is_open for session in self._sessions):
            self._fruitless = 0
            self._fail_waiting(failure)

    async def _load(self) -> None:
        """Loads the library, and what certificates are judged by, which takes a tenth of a second once.

        For all who wait at once: who came first must not fail before the others have asked.
        """
        if self._is_closed:
            raise RuntimeError("no calls after close()")
        if self._loading is None:
            self._loading = asyncio.create_task(self._get_opener(), name="multiplexed")
        loading = self._loading
        try:
            await asyncio.shield(loading)
        except CallFailed:
            # It may be another matter the next time: there was no room for a file, say.
            if self._loading is loading:
                self._loading = None
            raise
        if self._is_closed:
            raise RuntimeError("no calls after close()")

    async def _get_opener(self) -> None:
        try:
            self._target = target_of(Call(method="GET", url=self._origin))
            self._authority = next(value for name, value in self._target.headers if name == b"Host")
            self._opener = await asyncio.to_thread(self._new_opener)
        except NoAnswer as failure:
            raise CallFailed(failure.kind, receiver_of(self._origin), failure.detail) from None
        except ValueError as error:
            raise CallFailed(FailureKind.BAD_REQUEST, receiver_of(self._origin), str(error)) from None
        except OSError as error:
            raise CallFailed(FailureKind.CONNECT_FAILED, receiver_of(self._origin), reason_of(error)) from None

    def _new_opener(self) -> Opener:
        # Imported here: a server that calls nobody like this does not pay for it.
        import tertulia.server.outgoing.multiplexing  # noqa: F401
        from tertulia.server.outgoing.opening import Opener
        from tertulia.server.outgoing.trust import HTTP_2, presenting, trusting

        tls = trusting(HTTP_2) if self._certificate is None else presenting(self._certificate, HTTP_2)
        return Opener(self._resolve, tls, allow_private=self._allow_private)


@lru_cache(maxsize=256)
def _field_name(name: str) -> bytes:
    lower = name.lower()
    if not _NAME.fullmatch(lower):
        raise _unfit("a header is not HTTP")
    if lower in _NOT_IN_HTTP_2:
        raise _unfit(f"{lower} follows from the call itself")
    return lower.encode("ascii")


def _unfit(detail: str) -> NoAnswer:
    return NoAnswer(FailureKind.BAD_REQUEST, detail)
