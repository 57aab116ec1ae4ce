"""What this machine allows: the paced scenario against a process that does nothing but write and read the same bytes.

No server can do better on this event loop. How far ours is above it is what our own code costs.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

from . import server as servers
from .fanout import PER_SECOND
from .measure import Facts, Run

BLOCK_BYTES = 1930
"""A message's two frames, as its members get them."""
ACKNOWLEDGEMENTS_BYTES = 352


async def paced(run: Run, members: int) -> Facts:
    """A block for everybody every fiftieth of a second, each answered with two acknowledgements in one write."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.floor", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        port = int(await asyncio.wait_for(process.stdout.readline(), 10))
        loop = asyncio.get_running_loop()
        answering = [(await loop.create_connection(_Answering, "127.0.0.1", port))[1] for _ in range(members)]
        await asyncio.sleep(1)
        cpu_before, read_before = servers.cpu_s(process.pid), sum(each.read for each in answering)
        await asyncio.sleep(run.seconds(15))
        cpu_s = servers.cpu_s(process.pid) - cpu_before
        deliveries = (sum(each.read for each in answering) - read_before) // BLOCK_BYTES
        return {
            "members": members,
            "per_second": PER_SECOND,
            "deliveries": deliveries,
            "server_cpu_s": cpu_s,
            "deliveries_per_cpu_s": deliveries / cpu_s,
        }
    finally:
        process.kill()
        await process.wait()


class _Answering(asyncio.Protocol):
    def __init__(self) -> None:
        self.read = 0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.read += len(data)
        self._transport.write(b"a" * ACKNOWLEDGEMENTS_BYTES)


# --- the process that is measured


class _Writing(asyncio.Protocol):
    def __init__(self, everybody: list[asyncio.Transport]) -> None:
        self._everybody = everybody

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._everybody.append(cast(asyncio.Transport, transport))

    def data_received(self, data: bytes) -> None:
        """Acknowledged."""


async def _write() -> None:
    loop, everybody = asyncio.get_running_loop(), list[asyncio.Transport]()
    server = await loop.create_server(lambda: _Writing(everybody), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    block, due = b"x" * BLOCK_BYTES, loop.time()
    ended = loop.run_in_executor(None, sys.stdin.read)
    while not ended.done():
        due += 1 / PER_SECOND
        await asyncio.sleep(max(0.0, due - loop.time()))
        for transport in everybody:
            if not transport.is_closing():
                transport.write(block)


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(_write())
    else:
        uvloop.run(_write())
