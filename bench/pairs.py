"""Many rooms of two: every member writes, waits for the answer, writes again. Nothing can be joined but commits."""

from __future__ import annotations

import asyncio
import time

from .crowd import fill_rooms, log_in_all
from .fanout import Sender, until
from .measure import Facts, Run
from .rest import Rest
from .server import running


async def pairs(run: Run, rooms: int) -> Facts:
    """Durable messages, each answered to its author, delivered to both and acknowledged by both."""
    async with running(run.options) as server:
        rest = await Rest.connect(server)
        filled = await fill_rooms(rest, rooms, 2)
        rest.close()
        people = await log_in_all(server, [identity for _, identities in filled for identity in identities])
        await asyncio.sleep(0.3)
        delivered = 0

        def hear(frame: bytes) -> None:
            nonlocal delivered
            delivered += b"list_item_added" in frame

        senders = []
        for person in people:
            person.client.on_event = hear
            senders.append(Sender(person.client, person.messages_url))
        for sender in senders:
            sender.start(1)
        await asyncio.sleep(run.seconds(2))

        def counts() -> tuple[float, float, int, int]:
            return time.perf_counter(), server.cpu_s(), sum(sender.sent for sender in senders), delivered

        before, own_before = counts(), time.process_time()
        await asyncio.sleep(run.seconds(9))
        after, own_after = counts(), time.process_time()
        await asyncio.gather(*(sender.stop() for sender in senders))
        sent = sum(sender.sent for sender in senders)
        await until(lambda: delivered == 2 * sent, 5)
        wall_s, cpu_s = after[0] - before[0], after[1] - before[1]
        messages = after[2] - before[2]
        return {
            "rooms": rooms,
            "acknowledge": "joined",
            "messages": messages,
            "deliveries": after[3] - before[3],
            "lost": 2 * sent - delivered,
            "wall_s": wall_s,
            "server_cpu_s": cpu_s,
            "generator_cpu_s": own_after - own_before,
            "messages_per_s": messages / wall_s,
            "messages_per_cpu_s": messages / cpu_s,
        }
