"""A client whose process is stopped for a while: it finds out by itself, and catches up."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from textwrap import dedent

import pytest

from tests.client.stage import Stage
from tests.engine.world import new_world

AWAY_S = 6.5

pytestmark = [pytest.mark.faults, pytest.mark.slow]

PROGRAM = dedent(
    """
    import asyncio, sys
    from tertulia.client import ClientConfig, ConversationsClient
    from tertulia.client.events import ConnectionStateChanged, MessageAdded

    async def main(url, token, now):
        config = ClientConfig(server_url=url, token=token, clock=lambda: float(now), reconnect_min=0.05)
        client = ConversationsClient(config)
        client.on(ConnectionStateChanged, lambda event: print("state", event.state, flush=True))
        client.on(MessageAdded, lambda event: print("message", event.message.body, flush=True))
        await client.start()
        await client.wait_synchronized()
        print("ready", flush=True)
        await asyncio.sleep(60)

    asyncio.run(main(*sys.argv[1:]))
    """
)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with new_world() as world:
        stage = Stage(world, tmp_path / "blobs")
        await stage.open()
        try:
            yield stage
        finally:
            await stage.close()


async def test_a_suspended_process_catches_up_although_its_socket_has_died_in_silence(stage: Stage) -> None:
    sid = await stage.room("ana")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, stage.url, stage.token("ana"), str(stage.now())),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    lines = process.stdout

    async def said(text: str) -> None:
        async with asyncio.timeout(25):
            while (await lines.readline()).decode().strip() != text:
                pass

    try:
        await said("ready")
        await stage.world.send(sid, "before")
        await said("message before")
        process.send_signal(signal.SIGSTOP)
        stage.proxy.stall()  # what is on the way, and the socket itself, is lost without a word
        await stage.world.send(sid, "while it was stopped")
        await asyncio.sleep(AWAY_S)
        process.send_signal(signal.SIGCONT)
        await said("state connecting")
        stage.proxy.reset()
        stage.proxy.resume()
        await said("message while it was stopped")
        await stage.world.send(sid, "after")
        await said("message after")
    finally:
        process.kill()
        await process.wait()
