"""The client library alone in a process, so that what it costs can be told from what the load costs.

``python -m bench.sdk_process receive|start URL TOKEN COUNT`` prints lines of JSON: first what a start took, then what
was to be measured. It is started by ``bench.sdk``.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from tertulia.client import ClientConfig, ConversationsClient
from tertulia.client.events import MessageAdded

WAIT_S = 50.0


def rss_kib() -> int:
    """The resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4


async def receive(client: ConversationsClient, count: int) -> dict[str, float]:
    """What a number of received messages costs, a handler of the application included."""
    heard = 0
    done = asyncio.Event()

    def hear(event: MessageAdded) -> None:
        nonlocal heard
        heard += 1
        if heard == count:
            done.set()

    client.on(MessageAdded, hear)
    await client.wait_synchronized()
    _tell(ready=True)
    before, began = time.process_time(), time.perf_counter()
    async with asyncio.timeout(WAIT_S):
        await done.wait()
    cpu_s = time.process_time() - before
    return {"messages": heard, "client_cpu_s": cpu_s, "wall_s": time.perf_counter() - began}


async def synchronise(client: ConversationsClient, count: int) -> dict[str, float]:
    """What it takes until all conversations are usable."""
    before = time.process_time()
    async with asyncio.timeout(WAIT_S):
        await client.wait_synchronized()
    assert len(client.known_conversations) == count
    await asyncio.sleep(0.5)
    return {
        "synchronised_cpu_s": time.process_time() - before,
        "rss_kib": rss_kib(),
        "tasks": len(asyncio.all_tasks()),
    }


async def main(what: str, url: str, token: str, count: int) -> None:
    at_rest = rss_kib()
    began, cpu = time.perf_counter(), time.process_time()
    async with ConversationsClient(ClientConfig(server_url=url, token=token)) as client:
        _tell(start_s=time.perf_counter() - began, start_cpu_s=time.process_time() - cpu, imported_rss_kib=at_rest)
        work = receive if what == "receive" else synchronise
        _tell(**await work(client, count))


def _tell(**facts: float) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
