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
        self._per_s: float | None = None
        self.port = 0
        self.accepted = 0
        """How many connections came."""
        self.upward = bytearray()
        """What clients have sent, all of them, if it is recorded."""
        self.records = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self.reset()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._server.wait_closed()

    @property
    def open_connections(self) -> int:
        return len(self._pairs)

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

    def admit(self) -> None:
        self._refuses = False

    def stall(self) -> None:
        """Let no byte through, in either direction, until ``resume``; connections stay."""
        self._flows.clear()

    def resume(self) -> None:
        self._flows.set()

    def throttle(self, bytes_per_s: float) -> None:
        self._per_s = bytes_per_s

    def swallow_next_answer(self) -> None:
        """The next bytes of a client reach the server; the server's next bytes end the connection instead of arriving."""
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
        try:
            await asyncio.gather(self._up(reader, to_there), self._down(there, writer))
        finally:
            self._pairs.discard(pair)
            for each in pair:
                each.transport.abort()

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                await self._flows.wait()
                if self.records:
                    self.upward += data
                writer.write(data)
                await writer.drain()
        if not writer.transport.is_closing():
            with suppress(OSError):
                writer.write_eof()

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536 if self._per_s is None else 1024):
                await self._flows.wait()
                if self._swallows:
                    self._swallows = False
                    writer.transport.abort()
                    return
                if self._per_s is not None:
                    await asyncio.sleep(len(data) / self._per_s)
                writer.write(data)
                await writer.drain()
        writer.close()
