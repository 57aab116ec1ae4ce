"""Reading history by REST: pages of fifty messages over kept connections."""

from __future__ import annotations

import asyncio
import time

from .measure import Facts, Run, latencies
from .rest import Keeping, Rest
from .server import running

MESSAGES = 2000
CONNECTIONS = 8
TEXT = "Are we still meeting at seven, or did that move to the other place again? "


async def history(run: Run) -> Facts:
    """Each connection asks for one page after the other, all pages of a conversation in turn."""
    async with running(run.options) as server:
        rest = await Rest.connect(server, CONNECTIONS)
        conversation = await rest.conversation("history")
        await rest.send(conversation, [f"{TEXT}{number}" for number in range(MESSAGES)])
        requests = []
        url = f"/v1/Conversations/{conversation}/Messages?PageSize=50"
        while url:
            page = await rest.call("GET", url)
            requests.append(rest.request("GET", url))
            following = page["meta"]["next_page_url"]
            url = following.removeprefix(server.url) if following else ""
        if len(requests) < MESSAGES // 50:
            raise RuntimeError(f"{len(requests)} pages of {MESSAGES} messages")
        readers = [_Reader(connection, requests) for connection in rest.connections]
        end = time.perf_counter() + run.seconds(9)
        await asyncio.gather(*(reader.read(time.perf_counter() + 1) for reader in readers))
        for reader in readers:
            reader.times.clear()
        cpu_before, before, own_before = server.cpu_s(), time.perf_counter(), time.process_time()
        await asyncio.gather(*(reader.read(end) for reader in readers))
        wall_s, cpu_s = time.perf_counter() - before, server.cpu_s() - cpu_before
        times = [each for reader in readers for each in reader.times]
        rest.close()
        return {
            "connections": CONNECTIONS,
            "page_size": 50,
            "pages": len(times),
            "bytes_per_page": max(reader.size for reader in readers),
            "wall_s": wall_s,
            "server_cpu_s": cpu_s,
            "generator_cpu_s": time.process_time() - own_before,
            "pages_per_cpu_s": len(times) / cpu_s,
            **latencies(times),
        }


class _Reader:
    def __init__(self, connection: Keeping, requests: list[bytes]) -> None:
        self._connection = connection
        self._requests = requests
        self._next = 0
        self.times: list[int] = []
        self.size = 0

    async def read(self, until: float) -> None:
        while time.perf_counter() < until:
            self._next = (self._next + 1) % len(self._requests)
            before = time.monotonic_ns()
            answer = await self._connection.ask(self._requests[self._next])
            self.times.append(time.monotonic_ns() - before)
            if answer.status != 200:
                raise RuntimeError(f"a page was answered with {answer.status}")
            self.size = max(self.size, len(answer.body))
