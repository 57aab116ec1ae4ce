"""Many connections that do nothing but follow: what one costs to log in, and to keep."""

from __future__ import annotations

import asyncio
import time

from .crowd import Person, fill_rooms, log_in_all
from .measure import Facts, Run
from .rest import Rest, together
from .server import running

ROOM = 10
WARMING_UP = 50


async def idle(run: Run, connections: int) -> Facts:
    """Rooms of ten; everybody follows what the SDK follows after its initial load, and then is silent."""
    async with running(run.options) as server:
        rest = await Rest.connect(server)
        filled = await fill_rooms(rest, connections // ROOM, ROOM)
        rest.close()
        identities = [identity for _, members in filled for identity in members]
        # The code and the caches are there before the first counted connection.
        for person in await log_in_all(server, identities[:WARMING_UP]):
            person.client.transport.abort()
        before_kib = await server.settled_rss_kib()
        people = [Person(identity) for identity in identities]
        cpu_before, before = server.cpu_s(), time.perf_counter()
        await together([person.log_in(server.address) for person in people], at_once=32)
        cpu_s, wall_s = server.cpu_s() - cpu_before, time.perf_counter() - before
        after_kib = await server.settled_rss_kib()
        cpu_before = server.cpu_s()
        await asyncio.sleep(run.seconds(3))
        idle_cpu_s = server.cpu_s() - cpu_before
        lost = sum(person.client.is_lost for person in people)
        for person in people:
            person.client.transport.abort()
        await asyncio.sleep(1)
        return {
            "connections": connections,
            "lost": lost,
            "objects_followed": sum(len(person.followed) for person in people),
            "login_wall_s": wall_s,
            "server_cpu_s": cpu_s,
            "login_cpu_ms": cpu_s / connections * 1000,
            "idle_cpu_share": idle_cpu_s / run.seconds(3),
            "rss_before_kib": before_kib,
            "rss_kib": after_kib,
            "rss_after_all_left_kib": server.rss_kib(),
            "kib_per_connection": (after_kib - before_kib) / connections,
        }
