"""One reader stops reading: the server stays flat, the others notice nothing, and he loses nothing when he returns."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Callable

from .client import SENT_AT, Client, stamped
from .crowd import Person, fill_rooms, log_in_all
from .fanout import Sender, until
from .measure import Facts, Run, latencies
from .rest import Rest
from .server import Server, running

MEMBERS = 10
PER_SECOND = 100
CALM_S = 5.0
MOST_S = 25.0
TEXT = "x" * 8000
SETTINGS = {"TERTULIA_REALTIME_SEND_QUEUE_BYTES": str(1 << 20)}
_EVENT = re.compile(rb'\{"id":(\d+),[^{}]*"item_index":(\d+)')
"""The number of an event of the list, and the index of its message."""
_CONNECTIONS = re.compile(rb"^tertulia_connections ([\d.]+)$", re.MULTILINE)


async def slow_reader(run: Run) -> Facts:
    """Large messages at a steady pace; after a while one of ten members reads nothing until he is dropped."""
    async with running(run.options, SETTINGS) as server:
        rest = await Rest.connect(server)
        [(_, identities)] = await fill_rooms(rest, 1, MEMBERS)
        rest.close()
        writer, slow, *others = await log_in_all(server, identities)
        heard: dict[int, int] = {}
        sample: list[int] = []
        slow.client.on_event = _collect_indexes(heard)
        for person in others:
            person.client.on_event = _collect_times(sample)
        sender = Sender(writer.client, writer.messages_url)

        await _write(sender, 1, lambda: False)
        sample.clear()
        first_kib = server.rss_kib()
        await _write(sender, CALM_S, lambda: False)
        calm, calm_kib = latencies(sample, "calm_"), server.rss_kib()
        sample.clear()
        _stop_reading(slow.client)
        rest = await Rest.connect(server, 1)
        watch = _Watch(server, rest)
        watching = asyncio.create_task(watch.until_one_is_dropped())
        begun, sent_before = time.perf_counter(), sender.sent
        await _write(sender, MOST_S, watching.done)
        rest.close()
        if not watching.done():
            watching.cancel()
            raise RuntimeError(f"the slow reader was not dropped in {MOST_S} s")
        await watching
        dropped_s, sent_meanwhile = time.perf_counter() - begun, sender.sent - sent_before
        during = latencies(sample, "during_")
        slow.client.transport.abort()
        await sender.stop()
        await _return(slow, server, heard, sender.sent)
        return {
            "members": MEMBERS,
            "per_second": PER_SECOND,
            "messages": sender.sent,
            "bytes_per_message": len(TEXT),
            "send_queue_kib": 1 << 10,
            "dropped_after_s": dropped_s,
            "dropped_after_messages": sent_meanwhile,
            "lost": len(set(range(sender.sent)) - heard.keys()),
            "calm_messages": int(CALM_S * PER_SECOND),
            "calm_rss_growth_kib": calm_kib - first_kib,
            "during_rss_growth_kib": watch.peak_kib - calm_kib,
            **calm,
            **during,
        }


def _collect_indexes(heard: dict[int, int]) -> Callable[[bytes], None]:
    """From the index of a message to the number of its event."""
    return lambda frame: heard.update({int(index): int(number) for number, index in _EVENT.findall(frame)})


def _collect_times(sample: list[int]) -> Callable[[bytes], None]:
    def hear(frame: bytes) -> None:
        now = time.monotonic_ns()
        sample.extend(now - int(sent_at) for sent_at in SENT_AT.findall(frame))

    return hear


def _stop_reading(client: Client) -> None:
    client.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.transport.pause_reading()


async def _return(slow: Person, server: Server, heard: dict[int, int], sent: int) -> None:
    """He comes back with the last event he has, and is read to until he has all."""
    for followed in slow.followed:
        if followed.type == "list":
            followed.last_event_id = max(heard.values())
    await slow.come_back(server.address, _collect_indexes(heard))
    await until(lambda: len(heard) >= sent, 15)


async def _write(sender: Sender, seconds: float, is_enough: Callable[[], bool]) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time()
    for _ in range(int(seconds * PER_SECOND)):
        if is_enough():
            return
        sender.send(stamped(TEXT))
        due += 1 / PER_SECOND
        await asyncio.sleep(max(0.0, due - loop.time()))


class _Watch:
    """Looks at the server's memory and at how many connections it has."""

    def __init__(self, server: Server, rest: Rest) -> None:
        self._server = server
        self._rest = rest
        self.peak_kib = server.rss_kib()

    async def until_one_is_dropped(self) -> None:
        while True:
            await asyncio.sleep(0.2)
            self.peak_kib = max(self.peak_kib, self._server.rss_kib())
            answer = await self._rest.connections[0].ask(self._rest.request("GET", "/metrics"))
            found = _CONNECTIONS.search(answer.body)
            if found is not None and float(found[1]) < MEMBERS:
                return
