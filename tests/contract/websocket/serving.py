"""Our WebSocket behind a uvicorn in the test's event loop, a handler that obeys, and a peer that may misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import socket as sockets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import uvicorn
from websockets.frames import Frame, Opcode

from tertulia.server.gateway import Http
from tertulia.server.realtime.socket import Socket, SocketLimits, socket_class
from tertulia.wire import websocket
from tertulia.wire.websocket import Upgrade, UpgradeRefused

BINARY, CLOSE, PING, PONG = Opcode.BINARY, Opcode.CLOSE, Opcode.PING, Opcode.PONG
# No story waits this long: what ends in time has ended by itself, not because it was cut off.
LIMITS = SocketLimits(message_bytes=100_000, queue_bytes=200_000, close_wait_s=60)
IMPATIENT = SocketLimits(message_bytes=100_000, queue_bytes=50_000_000, close_wait_s=0.3)
HEAD = (
    b"GET /socket HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)

Story = Callable[[], Awaitable[None]]
Run = Callable[[Story], None]


def masked(opcode: int, data: bytes) -> bytes:
    """A client's frame, as another library writes it."""
    return Frame(Opcode(opcode), data).serialize(mask=True)


class Echo:
    """Sends back what comes, and does what some words say."""

    socket: Socket

    def __init__(self, upgrade: Upgrade) -> None:
        self.upgrade = upgrade
        self.received_messages: list[bytes] = []
        self.times_closed = 0

    def opened(self, socket: Socket) -> None:
        self.socket = socket
        if self.upgrade.query:
            self._obey(self.upgrade.query.encode())

    def received(self, message: bytes) -> None:
        self.received_messages.append(message)
        self._obey(message)

    def closed(self) -> None:
        self.times_closed += 1
        if self.received_messages == [b"raise when closed"]:
            raise RuntimeError("on purpose")

    def _obey(self, word: bytes) -> None:
        if word == b"close":
            self.socket.close(4001, "as you wish")
        elif word == b"abort":
            self.socket.abort()
        elif word == b"raise":
            raise RuntimeError("on purpose")
        else:
            self.socket.send(websocket.binary(word))


class Serving:
    """A running server and the handlers it has made."""

    def __init__(self) -> None:
        self.handlers: list[Echo] = []
        self.port = 0
        self.server: uvicorn.Server

    def make_handler(self, upgrade: Upgrade) -> Echo:
        if upgrade.query == "refuse":
            raise UpgradeRefused(401, "Who are you?")
        if upgrade.query == "break":
            raise RuntimeError("on purpose")
        self.handlers.append(Echo(upgrade))
        return self.handlers[-1]

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/socket"

    @property
    def connections(self) -> set[object]:
        return cast("set[object]", self.server.server_state.connections)

    async def all_closed(self) -> None:
        """Waits until no connection is left, and each handler has been told once."""
        await until(lambda: not self.connections)
        await asyncio.sleep(0)
        assert [handler.times_closed for handler in self.handlers] == [1] * len(self.handlers)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_so():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.005)


async def answer_hello(
    scope: dict[str, Any], receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


@contextlib.asynccontextmanager
async def serving(
    limits: SocketLimits = LIMITS,
    http: Any = Http,
    ws: type[asyncio.Protocol] | None = None,
    certificate: Path | None = None,
) -> AsyncIterator[Serving]:
    """uvicorn in this event loop; leaves when the connections are gone."""
    made = Serving()
    config = uvicorn.Config(
        cast(Any, answer_hello),
        http=http,
        ws=ws or socket_class(made.make_handler, frozenset({"/socket"}), limits),
        lifespan="off",
        log_config=None,
        ssl_certfile=certificate,
    )
    config.load()
    made.server = uvicorn.Server(config)
    made.server.lifespan = config.lifespan_class(config)
    listener = sockets.create_server(("127.0.0.1", 0))
    made.port = listener.getsockname()[1]
    await made.server.startup(sockets=[listener])
    try:
        yield made
        await made.all_closed()
    finally:
        for server in made.server.servers:
            server.close()


class RawPeer:
    """A peer that sends any bytes and reads frame by frame."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *frames: tuple[int, bytes] | bytes) -> None:
        for frame in frames:
            self.writer.write(frame if isinstance(frame, bytes) else masked(*frame))

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def frame(self) -> tuple[int, bytes]:
        first, size = await self.reader.readexactly(2)
        if size > 125:
            size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
        return first & 0x0F, await self.reader.readexactly(size)

    async def close_code(self) -> int:
        opcode, data = await self.frame()
        assert opcode == CLOSE
        return int.from_bytes(data[:2], "big")

    async def hears_the_end(self) -> bytes:
        """What comes until the server hangs up or cuts the line."""
        with contextlib.suppress(ConnectionError):
            return await self.reader.read()
        return b""


@contextlib.asynccontextmanager
async def raw_peer(serving: Serving, first: bytes = HEAD, *, upgraded: bool = True) -> AsyncIterator[RawPeer]:
    peer = RawPeer(*await asyncio.open_connection("127.0.0.1", serving.port))
    peer.writer.write(first)
    if upgraded:
        assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
    try:
        yield peer
    finally:
        peer.writer.close()
        with contextlib.suppress(ConnectionError):
            await peer.writer.wait_closed()


def target(text: str) -> bytes:
    return HEAD.replace(b"/socket", text.encode(), 1)
