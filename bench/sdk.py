"""The client library: what it costs to receive, and to start with many conversations."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from .crowd import fill_rooms, log_in_all, token
from .fanout import TEXT, Sender, until
from .measure import Facts, Run
from .rest import Rest, together
from .server import Server, running

IN_FLIGHT = 16
EVERYWHERE = "everywhere"
"""The one who is in all conversations."""


@contextlib.asynccontextmanager
async def _client(what: str, server: Server, identity: str, count: int) -> AsyncIterator[asyncio.StreamReader]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.sdk_process", what, server.url, token(identity), str(count)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        if process.returncode is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 10)
        if process.returncode is None:
            process.kill()
            await process.wait()


def _has_sent(sender: Sender, count: int) -> bool:
    return sender.sent >= count


async def _line(lines: asyncio.StreamReader) -> dict[str, Any]:
    line = await asyncio.wait_for(lines.readline(), 60)
    facts: dict[str, Any] = json.loads(line)
    return facts


async def receive(run: Run) -> Facts:
    """Messages that one client receives, per second of its processor."""
    count = int(run.seconds(15_000))
    async with running(run.options) as server:
        rest = await Rest.connect(server)
        [(_, identities)] = await fill_rooms(rest, 1, 2)
        rest.close()
        [person] = await log_in_all(server, identities[1:])
        sender = Sender(person.client, person.messages_url)
        async with _client("receive", server, identities[0], count) as lines:
            facts = await _line(lines)
            await _line(lines)
            # Each message moves its conversation's document, too.
            for first in range(0, count, IN_FLIGHT):
                for _ in range(min(IN_FLIGHT, count - first)):
                    sender.send(TEXT)
                await until(partial(_has_sent, sender, first), 10)
            facts |= await _line(lines)
        await sender.stop()
    facts["messages_per_cpu_s"] = facts["messages"] / facts["client_cpu_s"]
    return facts


async def start_with_many(run: Run, conversations: int) -> Facts:
    """A start with many conversations: until it returns, until all are usable, and the memory they take."""
    async with running(run.options) as server:
        rest = await Rest.connect(server)
        sids = await together([rest.conversation(f"room {number}") for number in range(conversations)])
        await together([rest.add(sid, (EVERYWHERE, f"u{number}")) for number, sid in enumerate(sids)], at_once=20)
        rest.close()
        async with _client("start", server, EVERYWHERE, conversations) as lines:
            facts = await _line(lines)
            facts |= await _line(lines)
    facts["conversations"] = conversations
    facts["rss_mib"] = facts["rss_kib"] / 1024
    return facts
