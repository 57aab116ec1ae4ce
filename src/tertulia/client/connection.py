"""The connection of a client: opens what the link wants, carries what it says, and settles what is waited for.

One task opens a socket and reads it, one timer watches the link's deadline; whoever asks writes for himself. What a
server says is acknowledged before anybody hears of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection

from tertulia import __version__
from tertulia.wire import frames
from tertulia.wire.frames import HttpRequest
from tertulia.wire.requests import Reply

from . import link_steps as steps
from . import sockets
from .config import ClientConfig
from .errors import (
    ClientShutDownError,
    CommandTimeoutError,
    ConversationsError,
    InitializationError,
    NotConnectedError,
    TokenError,
    TokenProviderError,
)
from .events import ConnectionErrorOccurred
from .link import Link, LinkTerms
from .patience import Patience
from .pulse import Pulse
from .renewal import Renewal
from .states import ConnectionState, TokenReason
from .tokens import when_to_renew
from .urls import socket_url

log = logging.getLogger(__name__)


class Listener(Protocol):
    """Who hears what the connection tells. What it raises is logged and goes no further."""

    def state_changed(self, state: ConnectionState, previous: ConnectionState) -> None: ...
    def connected(self) -> None: ...
    def lost(self) -> None: ...
    def notified(self, message_type: str, payload: bytes) -> None: ...
    def problem(self, problem: ConnectionErrorOccurred) -> None: ...
    def token_about_to_expire(self) -> None: ...
    def token_expired(self) -> None: ...
    def token_renewed(self) -> None: ...
    def token_not_renewed(self, error: BaseException) -> None: ...


class ClientRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request to be carried by the socket. The URL is encoded, except for ``params``, which are its query."""

    method: str
    url: str
    """Its host is a label only."""
    params: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: bytes = b""
    content_type: str | None = None

    def __repr__(self) -> str:
        return f"<ClientRequest {self.method}, {len(self.body)} bytes>"

    def wrapped(self) -> HttpRequest:
        """As it travels in a frame: path and values percent-encoded once, a name that comes twice as an array."""
        parts = urlsplit(self.url)
        params: dict[str, str | list[str] | None] = {
            quote(name, safe=""): quote(text, safe="") for name, text in self.params.items()
        }
        for pair in parts.query.split("&") if parts.query else ():
            name, _, value = pair.partition("=")
            known = params.get(name)
            params[name] = value if known is None else [*([known] if isinstance(known, str) else known), value]
        headers: dict[str, str | list[str] | None] = dict(self.headers)
        if self.content_type is not None:
            headers["Content-Type"] = self.content_type
        return HttpRequest(self.method, parts.path or "/", parts.netloc, params, headers)


class Connection:
    """The one connection of a client, through all its sockets. ``token`` gives a token, for a reason."""

    def __init__(
        self,
        config: ClientConfig,
        token: Callable[[TokenReason], Awaitable[str]],
        listener: Listener,
        *,
        patience: Patience | None = None,
    ) -> None:
        self._patience = patience = patience or Patience()
        self._sockets = sockets.Sockets(socket_url(config.server_url), config.ssl, patience)
        self._token = token
        self._listener = listener
        self._renews = config.token_provider is not None
        terms = LinkTerms(
            version=__version__,
            renews=self._renews,
            reconnect_min=config.reconnect_min,
            reconnect_max=config.reconnect_max,
            patience=patience,
        )
        self._link = Link(terms, lambda: frames.new_id(os.urandom(16)), random.random)
        self._wall = config.clock
        self._pulse = Pulse(patience.pulse, patience.jump, config.clock, self._woke)
        self._renewal = Renewal(
            token,
            self.update_token,
            self._renewed,
            self._goes_on,
            pause_min=config.reconnect_min,
            pause_max=config.reconnect_max,
        )
        self._renew_at: float | None = None
        self._waiting: dict[str, asyncio.Future[Reply | None]] = {}
        self._steps: deque[steps.Step] = deque()
        self._is_applying = False
        self._socket: ClientConnection | None = None
        # Whoever has a socket, or is about to, holds it: never two at a time.
        self._turn = asyncio.Lock()
        self._reader: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Connection {self.state}>"

    @property
    def state(self) -> ConnectionState:
        return self._link.state

    @property
    def retries_in(self) -> float | None:
        """Seconds until it is tried again; None while no attempt is waited for."""
        due = self._link.retry_at
        return None if due is None else max(0.0, due - time.monotonic())

    async def start(self) -> None:
        """Returns when connected for the first time. Raises ``InitializationError`` when the server refuses for good.

        Whatever else fails is tried again, for as long as it takes.
        """
        if self._closed.is_set():
            raise ClientShutDownError
        if self._link.is_ready:
            return
        first = self._waiting.get(steps.START) or self._expect(steps.START)
        # Who waited may have been cancelled: then nobody is left to hear how it ended.
        first.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._begin(is_awaited=True)
        try:
            await asyncio.shield(first)
        except ClientShutDownError:
            raise
        except ConversationsError as error:
            raise InitializationError(f"the server refused the connection: {error}") from error

    def start_soon(self) -> None:
        """Connect in the background."""
        self._begin(is_awaited=False)

    async def request(self, request: ClientRequest, timeout: float) -> Reply:
        """The server's answer, whatever it is.

        Waits for a connection if there is none. Raises ``NotConnectedError`` when none came in time (the request was
        never sent), ``CommandTimeoutError`` and ``ConnectionLostError`` (it may have been done),
        ``InvalidArgumentError`` (no server takes so much), ``ClientShutDownError``.
        """
        content_type = request.content_type or frames.JSON_TYPE
        id, todo = self._link.request(request.wrapped(), request.body, content_type)
        reply = await self._settled(id, todo, timeout)
        assert reply is not None
        return reply

    async def update_token(self, token: str, timeout: float = 30) -> None:
        """Returns when the server has taken it: on the live connection, or on a new one, which is opened at once.

        Raises ``TokenRejectedError``, ``TokenExpiredError``, and the network's.
        """
        id, todo = self._link.update(token)
        await self._settled(id, todo, timeout)
        self._renew_at = when_to_renew(token, self._wall())

    def renew_token(self, reason: TokenReason) -> None:
        """Get a token from where they come from, in the background, until the server takes one."""
        if self._renews and not self._closed.is_set():
            self._renewal.need(reason)

    def hurry(self) -> None:
        """Try now what would be tried later, and look whether the socket is alive."""
        self._take(self._link.hurry(time.monotonic()))

    async def pause(self, seconds: float) -> None:
        """Wait for so long. Raises ``ClientShutDownError`` as soon as that is so."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        if self._closed.is_set():
            raise ClientShutDownError

    async def close(self) -> None:
        """The end: a goodbye if there is somebody to hear it, and nothing is left."""
        if self._closing is None:
            self._closed.set()
            self._pulse.stop()
            socket = self._socket
            self._take(self._link.shut_down())
            self._closing = asyncio.get_running_loop().create_task(self._close(socket))
        await asyncio.shield(self._closing)

    async def _close(self, socket: ClientConnection | None) -> None:
        await self._renewal.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._patience.closing)
        if self._tasks:
            if socket is not None:
                socket.transport.abort()
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ClientShutDownError())
        self._waiting.clear()

    def _begin(self, *, is_awaited: bool) -> None:
        self._pulse.begin()
        self._take(self._link.start(is_awaited=is_awaited))

    # --- steps

    def _take(self, todo: steps.Steps) -> None:
        """Take steps where nobody can wait: what is to be sent is sent by a task of its own.

        Above all the reader cannot: a server that waits for us to read would wait for ever.
        """
        frames_out = self._apply(todo)
        if frames_out and self._socket is not None:
            self._spawn(self._write(self._socket, frames_out))

    def _apply(self, todo: steps.Steps) -> list[bytes]:
        """Take all steps but those that send; gives what is to be sent.

        Who is told something may want something at once: those steps come behind the ones there are.
        """
        self._steps.extend(todo)
        if self._is_applying:
            return []
        self._is_applying = True
        frames_out: list[bytes] = []
        try:
            while self._steps:
                step = self._steps.popleft()
                match step:
                    case steps.Send(frame):
                        frames_out.append(frame)
                    case steps.Notify(message_type, payload):
                        self._tell(self._listener.notified, message_type, payload)
                    case steps.Settle(id, outcome):
                        self._settle(id, outcome)
                    case steps.Connect(reason):
                        self._reader = self._spawn(self._run(reason))
                    case steps.Drop(is_dead):
                        # What is still to be written before it, goodbye above all, goes first.
                        self._drop(frames_out, is_dead)
                        frames_out = []
                    case steps.Probe():
                        if self._socket is not None:
                            self._spawn(self._ask_for_life(self._socket))
                    case _:
                        self._announce(step)
        finally:
            self._is_applying = False
        if not self._closed.is_set():
            self._pulse.arm(self._link.deadline)
        return frames_out

    def _announce(self, step: steps.Step) -> None:
        listener = self._listener
        match step:
            case steps.StateChanged(state, previous):
                self._tell(listener.state_changed, state, previous)
            case steps.Connected():
                self._tell(listener.connected)
            case steps.Lost():
                self._tell(listener.lost)
            case steps.Problem(terminal, message, http_status, code):
                self._tell(listener.problem, ConnectionErrorOccurred(terminal, message, http_status, code))
            case steps.AboutToExpire():
                self._renew_at = None
                self._tell(listener.token_about_to_expire)
            case steps.Expired():
                self._tell(listener.token_expired)
            case steps.NeedsToken(reason):
                self.renew_token(reason)

    def _tell(self, tell: Callable[..., None], *what: Any) -> None:
        try:
            tell(*what)
        except Exception as error:
            # The connection does not end because somebody could not bear what it told.
            log.error("connection.listener_failed", exc_info=error)

    def _renewed(self) -> None:
        self._tell(self._listener.token_renewed)

    def _goes_on(self, error: ConversationsError, attempt: int) -> bool:
        self._tell(self._listener.token_not_renewed, error)
        # Whoever starts is told, rather than kept waiting for a back end that errs.
        ended = self._link.no_token(error) if attempt > 1 and isinstance(error, TokenError) else ()
        self._take(ended)
        return not ended

    # --- sockets

    async def _run(self, reason: TokenReason) -> None:
        """One socket, from its opening to its end."""
        async with self._turn:
            opened = await self._opened(reason)
            if opened is None:
                return
            socket, token = opened
            self._socket = socket
            try:
                await self._greet_and_read(socket, token)
            finally:
                if self._socket is socket:
                    self._socket = None
                    self._take(self._link.lost(time.monotonic()))
                await self._sockets.close(socket)

    async def _opened(self, reason: TokenReason) -> tuple[ClientConnection, str] | None:
        try:
            token = await self._token(reason)
            return await self._sockets.open(), token
        except ClientShutDownError:
            return None
        except TokenProviderError as error:
            todo = self._link.not_opened(str(error), time.monotonic())
        except ConversationsError as error:
            todo = self._link.refused_token(error, time.monotonic())
        except Exception as error:
            # Whatever it is, it is tried again.
            if not isinstance(error, sockets.GONE):
                log.error("connection.opening_failed", exc_info=error)
            away = sockets.time_away(error)
            todo = self._link.not_opened(sockets.what_failed(error), time.monotonic(), away)
        self._take(todo)
        return None

    async def _greet_and_read(self, socket: ClientConnection, token: str) -> None:
        with contextlib.suppress(*sockets.GONE):
            await self._write(socket, self._apply(self._link.opened(token, time.monotonic())))
            while self._socket is socket:
                message = await socket.recv(decode=False)
                frame = self._link.read(message, time.monotonic())
                if frame is None:
                    continue
                is_reply = frame.header.method == "reply"
                if not is_reply:
                    await socket.send(frames.acknowledgement(frame.header.id))
                    if self._socket is not socket:
                        return
                elif not self._link.is_ready:
                    self._renew_at = when_to_renew(token, self._wall())
                self._take(self._link.received(frame, time.monotonic()))

    async def _write(self, socket: ClientConnection, frames_out: Iterable[bytes]) -> None:
        with contextlib.suppress(*sockets.GONE):
            for frame in frames_out:
                await socket.send(frame)

    def _drop(self, last_words: list[bytes], is_dead: bool) -> None:
        socket, self._socket = self._socket, None
        if socket is None:
            if self._reader is not None:
                self._reader.cancel()
        elif is_dead:
            socket.transport.abort()
        else:
            self._spawn(self._part(socket, last_words))

    async def _part(self, socket: ClientConnection, last_words: list[bytes]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience.closing):
                await self._write(socket, last_words)
        await self._sockets.close(socket)

    async def _ask_for_life(self, socket: ClientConnection) -> None:
        if await self._sockets.is_alive(socket) and self._socket is socket:
            self._link.heard(time.monotonic())

    def _woke(self, now: float, was_away: bool) -> None:
        self._take(self._link.tick(now, was_away=was_away))
        if self._renew_at is not None and self._link.is_ready and self._wall() >= self._renew_at:
            self._renew_at = None
            self._tell(self._listener.token_about_to_expire)

    # --- waiting

    def _expect(self, id: str) -> asyncio.Future[Reply | None]:
        future = self._waiting[id] = asyncio.get_running_loop().create_future()
        return future

    async def _settled(self, id: str, todo: steps.Steps, timeout: float) -> Reply | None:
        future = self._expect(id)
        try:
            async with asyncio.timeout(timeout):
                frames_out = self._apply(todo)
                if frames_out and self._socket is not None:
                    await self._write(self._socket, frames_out)
                return await future
        except TimeoutError:
            if self._link.give_up(id):
                raise CommandTimeoutError(f"no answer within {timeout:g} s; the request may have been done") from None
            raise NotConnectedError(f"no connection within {timeout:g} s; the request was not sent") from None
        finally:
            self._waiting.pop(id, None)
            self._link.give_up(id)

    def _settle(self, id: str, outcome: Reply | ConversationsError | None) -> None:
        future = self._waiting.pop(id, None)
        if future is None or future.done():
            return
        if isinstance(outcome, ConversationsError):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
