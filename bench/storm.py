"""A thousand clients are cut off at once and come back at once, while two others talk: what do these two notice?

The two are in a process of their own (``python -m bench.storm URL``), so that what they measure is the server, not the
generator that is busy reconnecting a thousand.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator

from .client import MESSAGE_ADDED, SENT_AT, stamped
from .crowd import Person, fill_rooms, log_in_all
from .fanout import TEXT, Sender
from .measure import Facts, Run, latencies
from .rest import Rest, together
from .server import Server, running

ROOM = 10
PAIR = ("watcher", "watched")
PER_SECOND = 50
CALM_S = 5.0
NICENESS = 5


async def reconnect_storm(run: Run, clients: int) -> Facts:
    """The 99th percentile of the pair, before and during; and whether everybody has what was written meanwhile."""
    async with running(run.options) as server:
        rest = await Rest.connect(server)
        filled = await fill_rooms(rest, clients // ROOM, ROOM)
        await rest.add(await rest.conversation("pair"), PAIR)
        rest.close()
        people = await log_in_all(server, [identity for _, members in filled for identity in members])
        pair = await _start_pair(server)
        try:
            await asyncio.sleep(run.seconds(CALM_S) + 1)
            rest = await Rest.connect(server)
            with _nice():
                begun, cpu_before = time.monotonic_ns(), server.cpu_s()
                for person in people:
                    person.client.transport.abort()
                await together([rest.send(sid, ["while you were away"]) for sid, _ in filled])
                heard = [0] * len(people)
                await asyncio.gather(*(_come_back(person, server, heard, n) for n, person in enumerate(people)))
                ended, cpu_s = time.monotonic_ns(), server.cpu_s() - cpu_before
            await asyncio.sleep(0.5)
            lost = sum(person.client.is_lost for person in people)
        finally:
            samples = await _stop_pair(pair)
        rest.close()
        calm = [late for sent_at, late in samples if sent_at + late < begun]
        during = [late for sent_at, late in samples if begun <= sent_at + late and sent_at <= ended]
        return {
            "clients": clients,
            "came_back": len(people) - lost,
            "without_what_they_missed": sum(count != 1 for count in heard),
            "storm_s": (ended - begun) / 1e9,
            "server_cpu_s": cpu_s,
            "cpu_ms_per_return": cpu_s / clients * 1000,
            **latencies(calm, "calm_"),
            **latencies(during, "during_"),
        }


async def _come_back(person: Person, server: Server, heard: list[int], number: int) -> None:
    def hear(frame: bytes) -> None:
        heard[number] += frame.count(b'"event_type":"' + MESSAGE_ADDED)

    await person.come_back(server.address, hear)


@contextlib.contextmanager
def _nice() -> Iterator[None]:
    """The storm leaves the pair its share of a machine with few cores."""
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, usual + NICENESS)
    try:
        yield
    finally:
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, usual)


# --- the pair, in its own process


async def _start_pair(server: Server) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    pair = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.storm", server.url, stdin=pipe, stdout=pipe, limit=1 << 24
    )
    assert pair.stdout is not None
    await asyncio.wait_for(pair.stdout.readline(), 20)
    return pair


async def _stop_pair(pair: asyncio.subprocess.Process) -> list[tuple[int, int]]:
    """What it has measured: when a message was sent, and how long it took."""
    assert pair.stdin is not None
    assert pair.stdout is not None
    try:
        pair.stdin.close()
        return [(sent_at, late) for sent_at, late in json.loads(await asyncio.wait_for(pair.stdout.readline(), 20))]
    finally:
        if pair.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                pair.kill()
        await pair.wait()


async def _talk(url: str) -> None:
    """Send at a steady pace until standard input ends, then print what the other one got, and when."""
    host, _, port = url.removeprefix("http://").partition(":")
    writer, reader = Person(PAIR[0]), Person(PAIR[1])
    samples: list[tuple[int, int]] = []

    def hear(frame: bytes) -> None:
        now = time.monotonic_ns()
        samples.extend((int(sent_at), now - int(sent_at)) for sent_at in SENT_AT.findall(frame))

    for person in (writer, reader):
        await person.log_in((host, int(port)))
    reader.client.on_event = hear
    sender = Sender(writer.client, writer.messages_url)
    print("talking", flush=True)
    loop = asyncio.get_running_loop()
    ended = loop.run_in_executor(None, sys.stdin.read)
    due = loop.time()
    while not ended.done():
        sender.send(stamped(TEXT))
        due += 1 / PER_SECOND
        await asyncio.sleep(max(0.0, due - loop.time()))
    await sender.stop()
    await asyncio.sleep(0.2)
    print(json.dumps(samples), flush=True)


if __name__ == "__main__":
    asyncio.run(_talk(sys.argv[1]))
