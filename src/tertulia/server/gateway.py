"""HTTP under uvicorn, as we want it: one write per answer, bounded requests, nothing lost at an upgrade, signals left
to us.

What is used of uvicorn beyond its settings is here and in ``realtime.socket``; none of it is a promise of uvicorn's,
so its minor version is pinned and tests cover the contract.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import socket
import sys
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, ClassVar, Final, cast

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from tertulia.server import observe

log = logging.getLogger(__name__)

TimesItself = Callable[[str, str], bool]
"""Whether the application times the body of requests with this method and path."""

HEAD_BYTES: Final = 64 << 10
"""What may come of a request before something of it can be passed on: its head, a line between chunks, its trailers.
The parser copies all it holds of a header with each segment, so the work grows with the square of this; an access
token, the largest header we know, has a few KiB."""

URL_BYTES: Final = 16 << 10
"""The longest URL that works. The longest of ours has a page token and some filters; proxies stop at 8 KiB."""


class JoinedWrites:
    """A transport whose writes of one tick leave together.

    uvicorn writes the head of an answer and its body apart: two system calls, of which the first wakes the reader for
    nothing. It was a fifth of the time of a page of history.
    """

    __slots__ = ("_inner", "_waiting")

    def __init__(self, inner: asyncio.Transport) -> None:
        self._inner = inner
        self._waiting: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @property
    def inner(self) -> asyncio.Transport:
        """The transport itself, with nothing left waiting here."""
        self._flush()
        return self._inner

    def write(self, data: bytes) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(data)

    def close(self) -> None:
        self.inner.close()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting and not self._inner.is_closing():
            self._inner.write(waiting[0] if len(waiting) == 1 else b"".join(waiting))


class _Phase(enum.Enum):
    IDLE = enum.auto()  # nothing of a request is here
    HEAD = enum.auto()
    BODY = enum.auto()


_IDLE, _HEAD, _BODY = _Phase


class Http(HttpToolsProtocol):
    """For uvicorn's ``http=``: joins writes, bounds requests, and keeps frames that came with the upgrade request.

    Head and body of a request have one deadline each, and a head ``HEAD_BYTES``, counted from the end of the segment
    that it begins in if that is not all its own, and never twice as many; whoever exceeds them is told so, if
    it is his turn, and the connection is closed. It is closed too after an answer that did not wait for the end of
    its request. A request that came whole has no timer; a connection between requests has only uvicorn's.

    Bodies that the application reads as they come, and times itself (``times_itself``), have no deadline here. Whoever
    takes nothing of a long answer for ``write_timeout_s`` is cut off.

    No client may send frames with the upgrade request (RFC 6455, 4.1), and uvicorn drops them without a word, which
    would leave the rest of the stream without its beginning.
    """

    head_timeout_s: ClassVar[float] = 10.0
    body_timeout_s: ClassVar[float] = 30.0
    write_timeout_s: ClassVar[float] = 30.0

    _segment = b""
    _fed = 0  # where in the segment the piece begins that the parser has now
    _phase = _IDLE
    _held = 0
    _keeps = False
    _refusal = HTTPStatus.BAD_REQUEST
    _deadline: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None

    # --- for the event loop and uvicorn

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, JoinedWrites(transport)))
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._drop_deadline()
        self._written()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._segment = data
        for start in range(0, len(data), HEAD_BYTES):
            self._fed = start
            if not self._feed(data if len(data) <= HEAD_BYTES else data[start : start + HEAD_BYTES]):
                break
        else:
            if self._deadline is None and (self._phase is not _IDLE or self._held):
                self._set_deadline()
        self._segment = b""

    def pause_writing(self) -> None:
        super().pause_writing()
        self._writing = self.loop.call_later(self.write_timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        self._written()
        super().resume_writing()

    def shutdown(self) -> None:
        self._keeps = False
        super().shutdown()

    def handle_websocket_upgrade(self) -> None:
        upgrade = sys.exception()
        self._drop_deadline()
        self.transport = cast(JoinedWrites, self.transport).inner
        super().handle_websocket_upgrade()
        if isinstance(upgrade, httptools.HttpParserUpgrade) and (early := self._segment[self._fed + upgrade.args[0] :]):
            cast(asyncio.Protocol, self.transport.get_protocol()).data_received(early)
        # The parser and this object hold each other; nobody needs them any more.
        self.parser = None  # type: ignore[assignment]

    # --- for the parser; what raises here is refused with ``_refusal``

    def on_message_begin(self) -> None:
        self._phase = _HEAD
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > URL_BYTES:
            self._refusal = HTTPStatus.REQUEST_URI_TOO_LONG
            raise ValueError("the URL is too long")

    def on_headers_complete(self) -> None:
        # Two would let a proxy and us see different hosts (RFC 9112, 3.2).
        if self.parser.get_http_version() == "1.1" and [name for name, _ in self.headers].count(b"host") != 1:
            raise ValueError("there is no one Host")
        self._drop_deadline()
        self._phase, self._held = _BODY, 0
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            # An answer that starts before its request has ended says Connection: close.
            self._keeps, self.cycle.keep_alive = self.cycle.keep_alive, False

    def on_body(self, body: bytes) -> None:
        self._held = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._drop_deadline()
        self._phase, self._held = _IDLE, 0
        if (cycle := self._latest) is not None and not cycle.response_started:
            cycle.keep_alive = self._keeps
        super().on_message_complete()

    # --- our own

    def _feed(self, piece: bytes) -> bool:
        """Whether the parser wants more of what comes."""
        self._held += len(piece)
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
                return False
            # Answered as if nothing else had been asked for; the parser takes no further request.
            self._keeps = self.cycle.keep_alive = False
        except httptools.HttpParserError:
            self._refuse(self._refusal)
        if self._held > HEAD_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        return not self.transport.is_closing()

    def _refuse(self, status: HTTPStatus) -> None:
        """Closes the connection, with a word if the next answer is that to the request in question."""
        if self.transport.is_closing():
            return
        log.debug("http.refused", extra=observe.fields(status=int(status)))
        if self._phase is _BODY:
            is_next = not self.pipeline and (self._latest is None or not self._latest.response_started)
        else:
            is_silence = self._phase is _IDLE and status is HTTPStatus.REQUEST_TIMEOUT
            is_next = not is_silence and not self._owes_answers
        if is_next:
            text = status.phrase.encode()
            lines = [name + b": " + value for name, value in self.server_state.default_headers]
            lines += [b"content-type: text/plain", b"content-length: %d" % len(text), b"connection: close", b"", text]
            self.transport.write(STATUS_LINE[status] + b"\r\n".join(lines))
        self.transport.close()

    @property
    def _owes_answers(self) -> bool:
        return self._latest is not None and not self._latest.response_complete

    def times_itself(self, _method: str, _path: str, /) -> bool:
        """Whether the application times the body of such a request."""
        return False

    @property
    def _is_timed_elsewhere(self) -> bool:
        raw_path: bytes = self.scope.get("raw_path") or b""
        return self.times_itself(self.scope["method"], raw_path.decode("ascii", "replace"))

    @property
    def _latest(self) -> RequestResponseCycle | None:
        """The request whose head came last, if there was one; uvicorn's annotation forgets the beginning."""
        return cast("RequestResponseCycle | None", self.cycle)

    def _set_deadline(self) -> None:
        seconds = self.body_timeout_s if self._phase is _BODY else self.head_timeout_s
        self._deadline = self.loop.call_later(seconds, self._pass_deadline)

    def _drop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _written(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def _pass_deadline(self) -> None:
        if self.flow.read_paused or self.pipeline or (self._phase is not _BODY and self._owes_answers):
            self._set_deadline()  # it is the peer who waits for us
        elif self._phase is _BODY and self._owes_answers and self._is_timed_elsewhere:
            self._set_deadline()
        else:
            self._deadline = None
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)


def http_class(
    *,
    head_timeout_s: float,
    body_timeout_s: float,
    write_timeout_s: float = 30.0,
    times_itself: TimesItself = lambda _method, _path: False,
) -> type[Http]:
    """The class for uvicorn's ``http=``, with these deadlines."""
    members = {
        "head_timeout_s": head_timeout_s,
        "body_timeout_s": body_timeout_s,
        "write_timeout_s": write_timeout_s,
        "times_itself": staticmethod(times_itself),
    }
    return type("BoundedHttp", (Http,), members)


class Gateway(uvicorn.Server):
    """uvicorn, with signals left to us: it would stop before clients were asked to come back."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
