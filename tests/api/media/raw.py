"""Requests that no well-behaved client makes: written to the socket by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec

from .desk import Desk


class Line:
    """An open connection, with the head of an upload on its way."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, int]:
        """Status and code of the refusal, while nothing more is sent."""
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(head.split("content-length: ")[1].split("\r\n")[0])
            body = msgspec.json.decode(await self.reader.readexactly(length))
        return int(head.split()[1]), body["code"]

    async def ended(self) -> bool:
        """Whether the server closes the connection."""
        async with asyncio.timeout(10):
            try:
                return await self.reader.read(1) == b""
            except ConnectionError:
                return True


@asynccontextmanager
async def uploading(
    desk: Desk,
    *,
    by: str | None = "ana",
    length: int | None = None,
    type: str = "text/plain",
    headers: str = "",
    path: str = "",
) -> AsyncIterator[Line]:
    """The head is sent, nothing of the body. Without a length it is chunked."""
    reader, writer = await asyncio.open_connection("127.0.0.1", desk.port)
    known = "".join(f"{name}: {value}\r\n" for name, value in desk.as_(by).items()) if by != "nobody" else ""
    size = f"Content-Length: {length}" if length is not None else "Transfer-Encoding: chunked"
    head = f"POST {path or desk.media} HTTP/1.1\r\nHost: here\r\n{known}Content-Type: {type}\r\n{size}\r\n{headers}\r\n"
    try:
        writer.write(head.encode())
        yield Line(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)
