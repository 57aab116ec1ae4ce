"""Devices that are told of messages: pushes that Apple's service has taken, per second of the server's processor.

Apple is a program on this machine that checks each push as the real one does: HTTP/2 over TLS, signed tokens, payloads.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.peers.apns import KEY_ID, TEAM_ID, TOPIC, ApnsPeer

from .crowd import fill_rooms, token
from .fanout import TEXT
from .measure import Facts, Run
from .rest import Rest, together
from .server import SERVICE_SID, running

PUSHES = 10_000
WARM_UP = 500
"""Pushes before the measurement: connections are made, libraries are loaded."""
ALONE = 100
"""Messages before notifications are switched on: what a message costs without any."""
POSTING_AT_ONCE = 8
WITHIN_S = 45.0

_SENT = re.compile(r'^tertulia_pushes_total\{notice="new_message",state="sent"\} ([0-9.e+]+)$', re.MULTILINE)


async def push(run: Run, rooms: int, members: int) -> Facts:
    """Messages of the system in rooms of so many members, each of whom has a device.

    What is measured is all the server does from the first message to the last push that it has recorded as sent: it
    takes the messages, plans whom to tell, counts badges, sends, and records.
    """
    if shutil.which("node") is None:
        raise RuntimeError("Node is missing, which plays Apple; `make sdk-parts` brings it where it can")
    pushes = int(run.seconds(PUSHES))
    with tempfile.TemporaryDirectory(prefix="tertulia-bench-") as folder:
        async with ApnsPeer(Path(folder)) as apple:
            settings = {
                "SSL_CERT_FILE": str(apple.ca_file),
                "TERTULIA_PUSH_APNS_URL": apple.url,
                "TERTULIA_OUTGOING_ALLOW_PRIVATE": "true",
            }
            async with running(run.options, settings) as server:
                rest = await Rest.connect(server)
                sids = await _rooms_with_devices(rest, apple, rooms, members)
                before = server.cpu_s()
                await _post(rest, sids, ALONE)
                alone_s = server.cpu_s() - before
                await _switch_on(rest)
                await _post(rest, sids, WARM_UP // members)
                await _taken(rest, WARM_UP)
                await apple.sync()
                apple.received.clear()

                messages = pushes // members
                before_s, before_cpu_s, own_s = time.perf_counter(), server.cpu_s(), time.process_time()
                await _post(rest, sids, messages)
                posted_s = time.perf_counter() - before_s
                await _taken(rest, WARM_UP + messages * members)
                wall_s, cpu_s = time.perf_counter() - before_s, server.cpu_s() - before_cpu_s
                own_s = time.process_time() - own_s
                rest.close()
            await apple.sync()
    arrived = Counter(one["headers"]["apns-id"] for one in apple.received if one["answer"]["status"] == 200)
    return {
        "rooms": rooms,
        "members": members,
        "messages": messages,
        "pushes": len(arrived),
        "lost": messages * members - len(arrived),
        "twice": arrived.total() - len(arrived),
        "connections": apple.connections,
        "posting_s": posted_s,
        "wall_s": wall_s,
        "server_cpu_s": cpu_s,
        "generator_cpu_s": own_s,
        "message_without_push_cpu_ms": alone_s * 1e3 / ALONE,
        "push_cpu_ms": cpu_s * 1e3 / len(arrived),
        "pushes_per_cpu_s": len(arrived) / cpu_s,
    }


async def _rooms_with_devices(rest: Rest, apple: ApnsPeer, rooms: int, members: int) -> list[str]:
    """The SIDs of the rooms. Each member has registered a device."""
    form = {"Type": "apn", "PrivateKey": apple.p8, "KeyId": KEY_ID, "TeamId": TEAM_ID, "Topic": TOPIC}
    credential = (await rest.call("POST", "/v1/Credentials", form))["sid"]
    filled = await fill_rooms(rest, rooms, members)
    identities = [identity for _, identities in filled for identity in identities]
    await together(
        [
            rest.register(token(identity, credential), "apn", f"{number:064x}")
            for number, identity in enumerate(identities)
        ]
    )
    return [sid for sid, _ in filled]


async def _switch_on(rest: Rest) -> None:
    wishes = {"NewMessage.Enabled": "true", "NewMessage.Sound": "default", "NewMessage.BadgeCountEnabled": "true"}
    await rest.call("POST", f"/v1/Services/{SERVICE_SID}/Configuration/Notifications", wishes)


async def _post(rest: Rest, sids: list[str], messages: int) -> None:
    """Messages, to the rooms in turn."""
    await together(
        [
            rest.call("POST", f"/v1/Conversations/{sids[number % len(sids)]}/Messages", {"Body": TEXT})
            for number in range(messages)
        ],
        at_once=POSTING_AT_ONCE,
    )


async def _taken(rest: Rest, count: int) -> None:
    """Until the server has recorded so many as sent."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            found = _SENT.search(await rest.metrics())
            if found is not None and float(found[1]) >= count:
                return
            await asyncio.sleep(0.2)
