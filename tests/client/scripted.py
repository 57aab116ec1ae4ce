"""A server that says what a test wants it to say, for what the real one never does; and what clients are heard with."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from http import HTTPStatus

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tertulia.client.events import ConnectionErrorOccurred
from tertulia.client.states import ConnectionState
from tertulia.wire import frames, requests
from tertulia.wire.frames import ContinuationStatus, Frame
from tertulia.wire.requests import Reply


def greeting(init: Frame) -> bytes:
    """The answer to a first frame that is welcome."""
    return frames.initialised(
        init.header.id,
        capabilities=("client_update",),
        continuation_token="continued",
        continuation_status=ContinuationStatus(False),
        registrations=(),
    )


class Scripted:
    """Greets, answers each request with what stands in ``answers`` (200 and ``{}`` when nothing does), and listens."""

    def __init__(self) -> None:
        self.heard: list[Frame] = []
        self.answers: deque[Reply | bytes | None] = deque()
        """A reply to a request, the bytes of a whole frame instead, or None for silence."""
        self.welcome: Callable[[Frame], bytes | None] = greeting
        self.refusals: deque[tuple[HTTPStatus, dict[str, str]]] = deque()
        """How upgrades are refused, one after the other."""
        self.came = 0
        self._sockets: set[ServerConnection] = set()
        self._server: Server | None = None
        self._scheme = "http"

    async def open(self, context: ssl.SSLContext | None = None) -> None:
        self._scheme = "http" if context is None else "https"
        self._server = await serve(
            self._serve, "127.0.0.1", 0, compression=None, process_request=self._upgrade, ssl=context
        )

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"{self._scheme}://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}"

    async def say(self, message: bytes | str) -> None:
        """To everybody."""
        for socket in tuple(self._sockets):
            await socket.send(message)

    async def hang_up(self) -> None:
        for socket in tuple(self._sockets):
            await socket.close()

    async def hears(self, count: int) -> None:
        """Returns when so many requests have come."""
        async with asyncio.timeout(10):
            while len(self.said("message")) < count:  # noqa: ASYNC110 (what is waited for has no event)
                await asyncio.sleep(0.001)

    def said(self, method: str) -> list[Frame]:
        """What was heard of one kind."""
        return [frame for frame in self.heard if frame.header.method == method]

    def _upgrade(self, socket: ServerConnection, request: Request) -> Response | None:
        self.came += 1
        if not self.refusals:
            return None
        status, headers = self.refusals.popleft()
        return Response(status, status.phrase, Headers({**headers, "Content-Length": "0"}), b"")

    async def _serve(self, socket: ServerConnection) -> None:
        self._sockets.add(socket)
        try:
            while True:
                message = await socket.recv()
                assert isinstance(message, bytes), "clients send binary messages"
                frame = frames.parse(message)
                self.heard.append(frame)
                answer = self._answer(frame)
                if answer is not None:
                    await socket.send(answer)
        except ConnectionClosed:
            return
        finally:
            self._sockets.discard(socket)

    def _answer(self, frame: Frame) -> bytes | None:
        match frame.header.method:
            case "init":
                return self.welcome(frame)
            case "update":
                return frames.reply(frame.header.id)
            case "message":
                answer = self.answers.popleft() if self.answers else Reply(200, b"{}")
                return requests.tunnelled(frame.header.id, answer) if isinstance(answer, Reply) else answer
        return None


class Ear:
    """Listens to a connection."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.states: list[ConnectionState] = []
        self.problems: list[ConnectionErrorOccurred] = []
        self.notices: list[tuple[str, bytes]] = []
        self.errors: list[BaseException] = []
        self._is_connected = False
        self.wrong: list[str] = []
        """What ought not to have been told like that."""
        self.bad: Exception | None = None
        """What it raises when it hears a notice."""

    def state_changed(self, state: ConnectionState, previous: ConnectionState) -> None:
        if previous != (self.states[-1] if self.states else ConnectionState.UNKNOWN):
            self.wrong.append(f"{state} after {previous}")
        self.states.append(state)

    def connected(self) -> None:
        if self.states[-1] is not ConnectionState.CONNECTED or self._is_connected:
            self.wrong.append(f"connected while {self.states[-1]}")
        self._is_connected = True
        self.told.append("connected")

    def lost(self) -> None:
        if not self._is_connected:
            self.wrong.append("lost what there was not")
        self._is_connected = False
        self.told.append("lost")

    def notified(self, message_type: str, payload: bytes) -> None:
        self.notices.append((message_type, payload))
        if self.bad is not None:
            raise self.bad

    def problem(self, problem: ConnectionErrorOccurred) -> None:
        self.problems.append(problem)

    def token_about_to_expire(self) -> None:
        self.told.append("about to expire")

    def token_expired(self) -> None:
        self.told.append("expired")

    def token_renewed(self) -> None:
        self.told.append("renewed")

    def token_not_renewed(self, error: BaseException) -> None:
        self.errors.append(error)


async def settle() -> None:
    """Lets everything happen that needs no waiting."""
    for _ in range(20):
        await asyncio.sleep(0)
