"""The socket: opens what the link wants, carries what it says, and settles what is waited for.

One task opens sockets and reads them, one timer watches the link's deadline; whoever asks writes for himself. A
socket's message is acknowledged on the wire before anybody hears of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, Protocol
from urllib.parse import quote, urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidURI, WebSocketException

from tertulia import __version__
from tertulia.wire import frames
from tertulia.wire.frames import HttpRequest
from tertulia.wire.requests import Reply

from . import link as steps
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
from .states import ConnectionState, TokenReason
from .urls import socket_url

log = logging.getLogger(__name__)

OPEN_S: Final = 15.0
"""For a socket to open."""
CLOSE_S: Final = 2.0
"""For a socket to close in peace."""
LARGEST_MESSAGE: Final = 32 * 1_048_576
JUMP_S: Final = 5.0
"""Who wakes so much later than he wanted was suspended."""
PULSE_S: Final = 10.0
"""How often it is looked at whether we were."""


class Listener(Protocol):
    """Who hears what the connection tells."""

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
        """As it travels in a frame: path and values percent-encoded once (realtime 8)."""
        parts = urlsplit(self.url)
        params: dict[str, str | list[str] | None] = {name: quote(text, safe="") for name, text in self.params.items()}
        for pair in parts.query.split("&") if parts.query else ():
            name, _, value = pair.partition("=")
            params[name] = value
        headers: dict[str, str | list[str] | None] = dict(self.headers)
        if self.content_type is not None:
            headers["Content-Type"] = self.content_type
        return HttpRequest(self.method, parts.path or "/", parts.netloc, params, headers)


class Connection:
    """The one connection of a client, through all its sockets. ``token`` gives a token, for a reason."""

    def __init__(
        self, config: ClientConfig, token: Callable[[TokenReason], Awaitable[str]], listener: Listener
    ) -> None:
        self._url = socket_url(config.server_url)
        self._ssl = config.ssl
        self._token = token
        self._listener = listener
        self._renews = config.token_provider is not None
        terms = LinkTerms(
            version=__version__,
            renews=self._renews,
            reconnect_min=config.reconnect_min,
            reconnect_max=config.reconnect_max,
        )
        self._link = Link(terms, lambda: frames.new_id(os.urandom(16)), random.random)
        self._waiting: dict[str, asyncio.Future[Reply | None]] = {}
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._chores: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._woke = (0.0, 0.0)
        self._is_closed = False

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
        future = self._expect(steps.START)
        self.start_soon()
        try:
            await future
        except ClientShutDownError:
            raise
        except ConversationsError as error:
            raise InitializationError(f"the server refused the connection: {error}") from error
        finally:
            self._waiting.pop(steps.START, None)

    def start_soon(self) -> None:
        """Connect in the background."""
        self._watch_for_jumps()
        self._take(self._link.start())

    async def request(self, request: ClientRequest, timeout: float) -> Reply:
        """The server's answer, whatever it is.

        Waits for a connection if there is none. Raises ``NotConnectedError`` when none came in time (the request was
        never sent), ``CommandTimeoutError`` and ``ConnectionLostError`` (it may have been done),
        ``ClientShutDownError``.
        """
        content_type = request.content_type or frames.JSON_TYPE
        id, todo = self._link.request(request.wrapped(), request.body, content_type)
        reply = await self._settled(id, todo, timeout)
        assert reply is not None
        return reply

    async def update_token(self, token: str, timeout: float = 30) -> None:
        """Returns when the server has taken it.

        Raises ``TokenRejectedError``, ``TokenExpiredError``, and the network's.
        """
        id, todo = self._link.update(token)
        await self._settled(id, todo, timeout)

    def hurry(self) -> None:
        """Try now what would be tried later, and look whether the socket is alive."""
        self._take(self._link.hurry(time.monotonic()))

    async def close(self) -> None:
        """The end: a goodbye if there is somebody to hear it, and nothing is left."""
        if self._is_closed:
            return
        self._is_closed = True
        socket = self._socket
        self._take(self._link.shut_down())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        tasks = [task for task in (self._reader, self._renewal) if task is not None]
        tasks = [task for task in tasks if task is not asyncio.current_task()]
        if self._renewal is not None:
            self._renewal.cancel()
        if self._reader is not None and socket is None:
            self._reader.cancel()
        done = asyncio.gather(*tasks, *self._chores, return_exceptions=True)
        try:
            async with asyncio.timeout(CLOSE_S):
                await asyncio.shield(done)
        except TimeoutError:
            if socket is not None:
                socket.transport.abort()
            for task in (*tasks, *self._chores):
                task.cancel()
            await done
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ClientShutDownError())
        self._waiting.clear()

    # --- steps

    def _take(self, todo: steps.Steps) -> None:
        """Take steps outside of the reader; what is to be sent is sent by a task of its own, in order."""
        frames_out = self._apply(todo)
        if frames_out and self._socket is not None:
            self._chore(self._write(self._socket, frames_out))

    def _apply(self, todo: steps.Steps) -> list[bytes]:
        """Take all steps but those that send; gives what is to be sent."""
        frames_out: list[bytes] = []
        for step in todo:
            match step:
                case steps.Send(frame):
                    frames_out.append(frame)
                case steps.Notify(message_type, payload):
                    self._listener.notified(message_type, payload)
                case steps.Settle(id, outcome):
                    self._settle(id, outcome)
                case steps.Connect(reason):
                    self._reader = asyncio.get_running_loop().create_task(self._run(reason, self._reader))
                case steps.Drop():
                    # What is still to be written before it, goodbye above all, goes first.
                    self._drop(frames_out)
                    frames_out = []
                case steps.Probe():
                    if self._socket is not None:
                        self._chore(self._ask_for_life(self._socket))
                case _:
                    self._tell(step)
        self._arm()
        return frames_out

    def _tell(self, step: steps.Step) -> None:
        listener = self._listener
        match step:
            case steps.StateChanged(state, previous):
                listener.state_changed(state, previous)
            case steps.Connected():
                listener.connected()
            case steps.Lost():
                listener.lost()
            case steps.Problem(terminal, message, http_status, code):
                listener.problem(ConnectionErrorOccurred(terminal, message, http_status, code))
            case steps.AboutToExpire():
                listener.token_about_to_expire()
            case steps.Expired():
                listener.token_expired()
            case steps.NeedsToken(reason) if self._renews and not self._is_closed:
                if self._renewal is None or self._renewal.done():
                    self._renewal = asyncio.get_running_loop().create_task(self._renew(reason))

    async def _renew(self, reason: TokenReason) -> None:
        """Ask for tokens until the server takes one: twice at once, then less and less often."""
        attempt = 0
        while not self._is_closed:
            try:
                token = await self._token(reason)
                await self.update_token(token)
            except ClientShutDownError:
                return
            except ConversationsError as error:
                self._listener.token_not_renewed(error)
                if attempt and isinstance(error, TokenError) and steps.START in self._waiting:
                    # Whoever starts is told, rather than kept waiting for a back end that errs.
                    self._settle(steps.START, error)
                    return
                attempt += 1
                await asyncio.sleep(0 if attempt == 1 else min(2.0**attempt, 120.0))
                reason = TokenReason.REJECTED if isinstance(error, TokenError) else reason
            else:
                self._listener.token_renewed()
                return

    # --- sockets

    async def _run(self, reason: TokenReason, before: asyncio.Task[None] | None) -> None:
        """One socket, from its opening to its end."""
        if before is not None:
            await asyncio.wait({before})  # never two at a time
        try:
            token = await self._token(reason)
            socket = await self._open()
        except (TokenError, ConversationsError) as error:
            if isinstance(error, TokenProviderError):
                self._take(self._link.not_opened(str(error), time.monotonic()))
            elif not isinstance(error, ClientShutDownError):
                self._take(self._link.refused_token(error))
            return
        except (OSError, WebSocketException, TimeoutError) as error:
            self._take(self._link.not_opened(_described(error), time.monotonic()))
            return
        self._socket = socket
        try:
            await self._greet_and_read(socket, token)
        finally:
            if self._socket is socket:
                self._socket = None
            await self._let_go(socket)
        self._take(self._link.lost(time.monotonic()))

    async def _open(self) -> ClientConnection:
        context: ssl.SSLContext | None = None
        if self._url.startswith("wss:"):
            context = self._ssl or ssl.create_default_context()
        async with asyncio.timeout(OPEN_S):
            return await connect(
                self._url,
                ssl=context,
                compression=None,
                open_timeout=None,
                ping_interval=None,
                close_timeout=CLOSE_S,
                max_size=LARGEST_MESSAGE,
                user_agent_header=f"tertulia/{__version__}",
                proxy=None,
            )

    async def _greet_and_read(self, socket: ClientConnection, token: str) -> None:
        with contextlib.suppress(OSError, WebSocketException):
            await self._write(socket, self._apply(self._link.opened(token, time.monotonic())))
            while self._socket is socket:
                message = await socket.recv(decode=False)
                await self._hear(socket, message)

    async def _hear(self, socket: ClientConnection, message: bytes) -> None:
        todo = self._link.received(message, time.monotonic())
        first = todo[0] if todo else None
        if isinstance(first, steps.Send):
            # The acknowledgement is on its way before anybody hears what it acknowledges.
            await socket.send(first.frame)
            todo = todo[1:]
        if todo:
            await self._write(socket, self._apply(todo))
        elif self._timer is None:
            self._arm()

    async def _write(self, socket: ClientConnection, frames_out: Iterable[bytes]) -> None:
        with contextlib.suppress(OSError, WebSocketException):
            for frame in frames_out:
                await socket.send(frame)

    def _drop(self, last_words: list[bytes]) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            self._chore(self._part(socket, last_words))

    async def _part(self, socket: ClientConnection, last_words: list[bytes]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._write(socket, last_words)
        await self._let_go(socket)

    async def _let_go(self, socket: ClientConnection) -> None:
        try:
            async with asyncio.timeout(CLOSE_S):
                await socket.close()
        except (OSError, WebSocketException, TimeoutError):
            socket.transport.abort()

    async def _ask_for_life(self, socket: ClientConnection) -> None:
        with contextlib.suppress(OSError, WebSocketException, TimeoutError):
            async with asyncio.timeout(steps.LinkTerms(version="").probe * 2):
                await (await socket.ping())
                if self._socket is socket:
                    self._link.heard(time.monotonic())
                    self._arm()

    # --- time

    def _arm(self) -> None:
        """Look at the link when its deadline comes, and often enough to notice that we were away."""
        if self._is_closed:
            return
        loop, now = asyncio.get_running_loop(), time.monotonic()
        deadline = self._link.deadline
        due = now + PULSE_S if deadline is None else min(deadline, now + PULSE_S)
        if self._timer is not None:
            if self._timer.when() <= loop.time() + (due - now) + 0.001 and not self._timer.cancelled():
                return  # it looks early enough
            self._timer.cancel()
        self._timer = loop.call_later(max(0.0, due - now), self._tick, due)

    def _tick(self, due: float) -> None:
        self._timer = None
        now, wall = time.monotonic(), time.time()
        passed, passed_on_wall = now - self._woke[0], wall - self._woke[1]
        self._woke = (now, wall)
        # Late, or with the world's clock ahead of ours: the process was stopped, or the machine asleep.
        stalled = now - due > JUMP_S or passed_on_wall - passed > JUMP_S
        if stalled:
            log.info("connection.woke_up")
        self._take(self._link.tick(now, stalled=stalled))
        self._arm()

    def _watch_for_jumps(self) -> None:
        self._woke = (time.monotonic(), time.time())

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
        future = self._waiting.get(id)
        if future is None or future.done():
            return
        if isinstance(outcome, ConversationsError):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    def _chore(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)


def _described(error: BaseException) -> str:
    """What kept a socket from opening, without URLs or headers."""
    match error:
        case TimeoutError():
            return "the server did not answer in time"
        case InvalidHandshake() | InvalidURI():
            return f"the server does not speak WebSocket there ({type(error).__name__})"
        case OSError():
            return error.strerror or "the server cannot be reached"
    return f"the connection failed ({type(error).__name__})"
