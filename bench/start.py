"""How long a server takes to be there again, on a database that is in use."""

from __future__ import annotations

import asyncio
import socket
import time

from . import server as servers
from .crowd import fill_rooms
from .measure import Facts, Run
from .rest import Rest, together

ROOMS = 100
MESSAGES = 50
STARTS = 5
POLL_S = 0.005


async def cold_start(run: Run) -> Facts:
    """From exec until ``/readyz`` answers 200, and until the line that says so; the best of some starts."""
    with servers.fresh_folder(run.options) as data:
        first = await servers.start(run.options, data)
        rest = await Rest.connect(first)
        filled = await fill_rooms(rest, ROOMS, 5)
        await together([rest.send(sid, [f"message {n}" for n in range(MESSAGES)]) for sid, _ in filled], at_once=10)
        rest.close()
        await first.stop()
        answered, printed, cpu = [], [], []
        for _ in range(STARTS):
            port = _free_port()
            polling = asyncio.create_task(_answers(port, time.perf_counter()))
            server = await servers.start(run.options, data, port=port)
            answered.append(await polling)
            printed.append(server.ready_s)
            cpu.append(server.cpu_s())
            await server.stop()
        return {
            "conversations": ROOMS,
            "messages": ROOMS * MESSAGES,
            "starts": STARTS,
            "server_cpu_s": min(cpu),
            "readyz_s": min(answered),
            "readyz_worst_s": max(answered),
            "printed_s": min(printed),
        }


async def _answers(port: int, begun: float) -> float:
    """When ``/readyz`` was answered with 200 for the first time, in seconds from ``begun``."""
    async with asyncio.timeout(20):
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                answer = await reader.read(16)
                writer.close()
            except OSError:
                answer = b""
            if answer.startswith(b"HTTP/1.1 200"):
                return time.perf_counter() - begun
            await asyncio.sleep(POLL_S)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
