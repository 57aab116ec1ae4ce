"""Receivers on loopback that do to each connection what a script says, and what is said about their failures."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from tertulia.server.outgoing import Call, CallFailed, Multiplexed, Outgoing
from tertulia.server.settings import OutgoingSettings, Settings

OPEN = Settings(outgoing=OutgoingSettings(allow_private=True))
SHORT_S = 0.1
"""A limit that a test waits for."""
LONG_S = 10.0
"""A limit that no test waits for."""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Peer:
    """One connection, as the receiver sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """The next request, head and body; raises ``EOFError`` when there is none."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
        return head + await self.reader.readexactly(int(length or 0))

    async def say(self, data: bytes) -> None:
        if self.writer.is_closing():
            raise ConnectionResetError
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        self.writer.transport.abort()

    async def until_left(self) -> None:
        """Until the caller has dropped the connection."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                continue


Script = Callable[[Peer], Awaitable[None]]


class Receiver:
    """Where a script listens, and what has happened there."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._working: set[asyncio.Task[None]] = set()
        self._came = asyncio.Condition()
        self.connections = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(Peer(reader, writer)))
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _serve(self, peer: Peer) -> None:
        async with self._came:
            self.connections += 1
            self._came.notify_all()
        try:
            with contextlib.suppress(EOFError, ConnectionError):
                await self._script(peer)
        finally:
            peer.writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await peer.writer.wait_closed()

    async def connected(self, times: int) -> None:
        """Until so many connections have come."""
        async with self._came:
            await self._came.wait_for(lambda: self.connections >= times)

    async def rest(self) -> None:
        """Until no connection is left."""
        while self._working:
            await asyncio.wait(self._working)


@contextlib.asynccontextmanager
async def receiver(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver; at the end every connection must have been dropped, as far as it lies with the caller."""
    place = Receiver(script)
    server = await asyncio.start_server(place.serve, "127.0.0.1", 0, ssl=tls)
    place.port = server.sockets[0].getsockname()[1]
    try:
        yield place
        await place.rest()
    finally:
        server.close()


@contextlib.asynccontextmanager
async def calling(
    settings: Settings = OPEN, **parts: Callable[[str, int], Awaitable[list[str]]]
) -> AsyncIterator[Outgoing]:
    """A caller that has loaded its library, so that short limits are not spent on that."""
    outgoing = Outgoing(settings, **parts)
    with pytest.raises(CallFailed):
        await outgoing.call(Call(method="GET", url="none"))
    try:
        yield outgoing
    finally:
        await outgoing.close()


def call_to(url: str, **fields: object) -> Call:
    """A POST with limits that no test waits for, unless it says so."""
    chosen = {"method": "POST", "connect_s": LONG_S, "read_s": LONG_S, "total_s": LONG_S, **fields}
    return Call(url=url, **chosen)  # type: ignore[arg-type]


async def failure_of(outgoing: Outgoing | Multiplexed, call: Call) -> CallFailed:
    """How a call fails; its text must hold nothing of the call but the receiver."""
    with pytest.raises(CallFailed) as failed:
        await outgoing.call(call)
    text = f"{failed.value} {failed.value!r} {call!r} {outgoing!r}"
    assert [secret for secret in ("/hook", "s3cret", "query", "body!") if secret in text] == []
    return failed.value


@contextlib.contextmanager
def no_files_left() -> Iterator[None]:
    """The process may open nothing: what is open stays."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def answering(*answers: bytes) -> Script:
    """Gives these answers to the requests of each connection, then hangs up."""

    async def script(peer: Peer) -> None:
        for answer in answers:
            await peer.request()
            await peer.say(answer)

    return script


def resolving(*addresses: str) -> Callable[[str, int], Awaitable[list[str]]]:
    """A name server that has the same answer to everything."""

    async def resolve(host: str, port: int) -> list[str]:
        return list(addresses)

    return resolve
