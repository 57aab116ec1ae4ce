"""A receiver of webhooks: a real HTTP server on loopback that remembers what it was told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from twilio.request_validator import RequestValidator

Respond = Callable[["Told", asyncio.StreamWriter], Awaitable[None]]


class Told:
    """One request that came in."""

    def __init__(self, method: str, target: str, headers: dict[str, str], body: bytes, base: str) -> None:
        self.method = method
        self.headers = headers
        self.body = body
        self.url = base + target
        self.path = urlsplit(target).path
        sent = body.decode() if method == "POST" else urlsplit(target).query
        self.fields = dict(parse_qsl(sent, keep_blank_values=True))

    def __getitem__(self, name: str) -> str:
        return self.fields[name]

    @property
    def event(self) -> str:
        return self.fields["EventType"]

    @property
    def token(self) -> str:
        """The idempotency token."""
        return self.headers["i-twilio-idempotency-token"]

    def is_signed_with(self, auth_token: str, url: str | None = None) -> bool:
        """As the official library judges it."""
        form = self.fields if self.method == "POST" else {}
        is_valid: bool = RequestValidator(auth_token).validate(
            url or self.url, form, self.headers.get("x-twilio-signature", "")
        )
        return is_valid


class Receiver:
    """Answers 200 with nothing, unless ``respond`` says otherwise."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.respond: Respond = answer(200)
        self.port = 0
        self._came = asyncio.Condition()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def url(self, path: str = "/hook") -> str:
        return self.base + path

    @property
    def events(self) -> list[str]:
        return [one.event for one in self.told]

    def forget(self) -> list[Told]:
        """What came in since the last time."""
        told, self.told = self.told, []
        return told

    async def wait_for(self, count: int) -> list[Told]:
        """What came in, once it is so much."""
        async with self._came, asyncio.timeout(10):
            await self._came.wait_for(lambda: len(self.told) >= count)
        return self.told

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while line := (await reader.readline()).decode():
                method, target, _ = line.split(" ", 2)
                headers: dict[str, str] = {}
                while (field := (await reader.readline()).decode().strip()) != "":
                    name, _, value = field.partition(":")
                    headers[name.lower()] = value.strip()
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                told = Told(method, target, headers, body, self.base)
                async with self._came:
                    self.told.append(told)
                    self._came.notify_all()
                await self.respond(told, writer)
                await writer.drain()
        writer.close()


def answer(status: int, body: Any = b"", **headers: str) -> Respond:
    """This status, with this body."""

    async def respond(_told: Told, writer: asyncio.StreamWriter) -> None:
        content = body if isinstance(body, bytes) else str(body).encode()
        lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(content)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + content)

    return respond


async def never(_told: Told, _writer: asyncio.StreamWriter) -> None:
    """No answer, and no end of the connection."""
    await asyncio.Event().wait()


async def reset(_told: Told, writer: asyncio.StreamWriter) -> None:
    """The connection ends instead."""
    writer.transport.abort()
    raise ConnectionError


@asynccontextmanager
async def receiving(port: int = 0) -> AsyncIterator[Receiver]:
    """A receiver that listens."""
    receiver = Receiver()
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        task.add_done_callback(connections.discard)
        with contextlib.suppress(asyncio.CancelledError):
            await receiver.serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in tuple(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await server.wait_closed()
