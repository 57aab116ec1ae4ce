"""Our client while its connections are reset again and again, under load."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tertulia.client import Conversation
from tertulia.client.errors import ConversationsError
from tertulia.client.events import MessageAdded, MessageSent
from tests.client.stage import Stage, until
from tests.engine.world import new_world

SECONDS = float(os.environ.get("STORM_SECONDS", "60"))
PER_SECOND = 20

pytestmark = [pytest.mark.faults, pytest.mark.slow]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with new_world() as world:
        stage = Stage(world, tmp_path / "blobs")
        await stage.open()
        try:
            yield stage
        finally:
            await stage.close()


async def storm(stage: Stage, seconds: float) -> None:
    """All connections are reset every 0.3 to 2 seconds; now and then nobody gets through for a while."""
    source = random.Random(7)
    end = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < end:
        await asyncio.sleep(source.uniform(0.3, 2))
        if source.random() < 0.2:
            stage.proxy.refuse()
            await asyncio.sleep(source.uniform(0.1, 0.5))
            stage.proxy.admit()
        else:
            stage.proxy.reset()


async def test_in_a_storm_nothing_is_lost_doubled_or_out_of_order(stage: Stage) -> None:
    ana, ben = await stage.hosted("ana", "ben", outbox=True)
    heard: dict[str, list[int]] = {"ana": [], "ben": []}
    ana.on(MessageAdded, lambda event: heard["ana"].append(event.message.index))
    ben.on(MessageAdded, lambda event: heard["ben"].append(event.message.index))
    written: dict[str, list[str]] = {"server": [], "ana": [], "ben": []}
    end = asyncio.get_running_loop().time() + SECONDS

    async def write(name: str, room: Conversation | None) -> None:
        number = 0
        while asyncio.get_running_loop().time() < end:
            body = f"{name} {number}"
            if room is None:
                await stage.world.send(ana.sid, body)
            else:
                # Taken at any time, connected or not.
                await room.post(body)
            written[name].append(body)
            number += 1
            await asyncio.sleep(1 / PER_SECOND)

    await asyncio.gather(storm(stage, SECONDS), write("server", None), write("ana", ana), write("ben", ben))
    total = sum(map(len, written.values()))
    await until(lambda: len(heard["ana"]) >= total and len(heard["ben"]) >= total)
    await until(lambda: not ana.pending_messages and not ben.pending_messages)
    history = [message async for message in ben.messages(newest_first=False, page_size=100)]
    assert [message.index for message in history] == list(range(total))
    assert heard["ana"] == heard["ben"] == list(range(total))
    for name, bodies in written.items():
        assert [message.body for message in history if (message.body or "").startswith(name)] == bodies


async def test_what_is_written_offline_arrives_once_and_in_order(stage: Stage) -> None:
    [room] = await stage.hosted("ana", outbox=True)
    sent: list[str | None] = []
    room.on(MessageSent, lambda event: sent.append(event.pending.body))
    stage.proxy.refuse()
    pending = [await room.post(f"{number}") for number in range(20)]
    assert [each.body for each in room.pending_messages] == [f"{number}" for number in range(20)]
    stage.proxy.admit()
    # The first answer is lost as well: the message may have arrived, and is not sent twice.
    stage.proxy.swallow_next_answer()
    messages = [await each.sent() for each in pending]
    assert [message.index for message in messages] == list(range(20))
    assert sent == [f"{number}" for number in range(20)] and not room.pending_messages


async def test_a_change_whose_answer_was_lost_is_done_once(stage: Stage) -> None:
    [room] = await stage.hosted("ana")
    for number in range(10):
        await asyncio.sleep(0.06)  # what is still under way would be swallowed in its place
        stage.proxy.swallow_next_answer()
        try:
            await room.send(f"{number}")
        except ConversationsError as error:  # pragma: no cover (says what went wrong)
            pytest.fail(f"{number}: {error!r}")
    assert [message.body for message in await room.last_messages(20)] == [f"{number}" for number in range(10)]
