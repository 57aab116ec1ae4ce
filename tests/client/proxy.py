"""A way to the server that can be cut, stalled, closed, and that can lose an answer."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress


class Proxy:
    """TCP on loopback, byte by byte, in front of a port."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._refuses = False
        self._swallows = False
        self._marker: bytes | None = None
        self._loses = False
        self._per_s: float | None = None
        self._delay_s = 0.0
        self.port = 0
        self.accepted = 0
        """How many connections came."""
        self._recorded: list[bytearray] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self.resume()
            self.reset()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._server.wait_closed()

    @property
    def open_connections(self) -> int:
        return len(self._pairs)

    def cut(self) -> None:
        """End all connections in order, at both ends, without a word of theirs."""
        for pair in tuple(self._pairs):
            for writer in pair:
                writer.close()

    def reset(self) -> None:
        """End all connections by RST, at both ends."""
        for pair in tuple(self._pairs):
            for writer in pair:
                known = writer.get_extra_info("socket")
                with suppress(OSError):
                    known.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()

    def refuse(self) -> None:
        """Cut everything, and let nobody through until ``admit``."""
        self._refuses = True
        self.reset()

    def admit_no_more(self) -> None:
        """Let nobody else through until ``admit``; who is connected stays."""
        self._refuses = True

    def admit(self) -> None:
        self._refuses = False

    def stall(self) -> None:
        """Let no byte through, in either direction, until ``resume``; connections stay."""
        self._flows.clear()

    def resume(self) -> None:
        self._flows.set()

    def throttle(self, bytes_per_s: float) -> None:
        self._per_s = bytes_per_s

    def delay(self, seconds: float) -> None:
        """What is read from now on takes so much longer, in each direction."""
        self._delay_s = seconds

    def record(self) -> None:
        """Remember from now on what clients send on new connections, and forget what was before."""
        self._recorded = []

    def said(self) -> list[bytes]:
        """The WebSocket messages that clients have sent since, unmasked."""
        return [message for sent in self._recorded or () for message in _messages(bytes(sent))]

    def lose_request_after(self, marker: bytes) -> None:
        """When a client has sent these bytes, the next that are more than an acknowledgement are lost, and all is cut.

        Everything is refused from then on, until ``admit``.
        """
        self._marker = marker

    def swallow_next_answer(self) -> None:
        """The next bytes of a client reach the server; its answer ends the connection instead of arriving."""
        self._swallows = True

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._refuses:
            writer.transport.abort()
            return
        try:
            there, to_there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, to_there)
        self._pairs.add(pair)
        record: bytearray | None = None
        if self._recorded is not None:
            record = bytearray()
            self._recorded.append(record)
        try:
            await asyncio.gather(self._up(reader, to_there, record), self._down(there, writer))
        finally:
            self._pairs.discard(pair)
            for each in pair:
                each.transport.abort()

    async def _may_pass(self) -> None:
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        await self._flows.wait()

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: bytearray | None) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                await self._may_pass()
                if self._loses and len(data) > 200:
                    self._loses = False
                    self.refuse()
                    return
                if self._marker is not None and self._marker in data:
                    self._marker, self._loses = None, True
                if record is not None:
                    record += data
                writer.write(data)
                await writer.drain()
        if not writer.transport.is_closing():
            with suppress(OSError):
                writer.write_eof()

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536 if self._per_s is None else 1024):
                await self._may_pass()
                if self._swallows:
                    self._swallows = False
                    writer.transport.abort()
                    return
                if self._per_s is not None:
                    await asyncio.sleep(len(data) / self._per_s)
                writer.write(data)
                await writer.drain()
        writer.close()


def _messages(sent: bytes) -> list[bytes]:
    """What stands behind the upgrade; nothing of what was no WebSocket."""
    head, end, frames = sent.partition(b"\r\n\r\n")
    if not end or b"sec-websocket-key" not in head.lower():
        return []
    found: list[bytes] = []
    at = 0
    while at + 2 <= len(frames):
        size, start = frames[at + 1] & 0x7F, at + 2
        if size > 125:
            width = 2 if size == 126 else 8
            size, start = int.from_bytes(frames[start : start + width], "big"), start + width
        mask, data = frames[start : start + 4], frames[start + 4 : start + 4 + size]
        found.append(bytes(byte ^ mask[place & 3] for place, byte in enumerate(data)))
        at = start + 4 + size
    return found
