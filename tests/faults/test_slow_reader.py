"""A client that stops reading: it is dropped, memory stays flat, others notice nothing, and it resumes by replay."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import pytest

from tests.api.realtime.client import Peer, wish

from .process import Device, ServerProcess, served

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(sys.platform != "linux", reason="reads memory where Linux tells it"),
]

MIB = 1 << 20
SIZE = 30_000
MESSAGES = 1200


async def reluctant(server: ServerProcess, identity: str) -> Peer:
    """A connection with little room in the kernel."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", server.port))
    return await server.peer(identity, sock=raw)


async def test_memory_stays_flat_and_it_comes_back_to_everything(tmp_path: Path) -> None:
    async with served(tmp_path, realtime_send_queue_bytes=MIB) as server:
        room = await server.room("ana", "ben", "eve")
        sid = "ES" + room[2:]
        ana, ben = await server.peer("ana"), await server.peer("ben")
        await ben.establish(wish(sid, -1))
        stuck = [await reluctant(server, "eve") for _ in range(5)]
        for peer in stuck:
            await peer.establish(wish(sid, -1))
            peer.websocket.transport.pause_reading()
        for n in range(50):
            await ana.send_message(room, f"{n} " + "x" * SIZE)
        before = server.memory()
        most = before
        for n in range(50, MESSAGES):
            answer = await ana.send_message(room, f"{n} " + "x" * SIZE)
            assert answer.http_status == 201
            if n % 50 == 0:
                most = max(most, server.memory())
        # 35 MB have been said, and five have not listened.
        assert most - before < 20 * MIB, f"{(most - before) / MIB:.1f} MiB more"
        assert server.log.read_text().count("reader_too_slow") == len(stuck)
        # The others have heard everything.
        await ben.until(lambda: len(ben.numbers(sid)) == MESSAGES)
        assert ben.numbers(sid) == list(range(MESSAGES))
        # Who did not listen hears what was on its way and then the end; and comes back to the rest.
        eve = Device(server, "eve", sid)
        eve.peer = stuck[0]
        stuck[0].websocket.transport.resume_reading()
        await stuck[0].end()
        eve.forget_peer()
        assert len(eve.messages[sid]) < MESSAGES
        await eve.connect()
        await eve.heard(sid, MESSAGES - 1)
        assert [index for index, _ in eve.messages[sid]] == list(range(MESSAGES))
        for peer in (ana, ben, *stuck):
            peer.cut()


async def test_a_client_that_asks_for_much_and_reads_nothing_costs_no_memory(tmp_path: Path) -> None:
    """Its answers are made when it takes them; none is lost, and it is not dropped for having asked."""
    async with served(tmp_path) as server:
        room = await server.room("ana", "eve")
        sid = "ES" + room[2:]
        ana = await server.peer("ana")
        for n in range(50):
            await ana.send_message(room, f"{n} " + "x" * SIZE)
        slow = await reluctant(server, "eve")
        before = server.memory()
        pages = [asyncio.create_task(slow.get(f"/v3/Lists/{sid}/Items", PageSize=50)) for _ in range(60)]
        await asyncio.sleep(0)
        slow.websocket.transport.pause_reading()
        # Until the server has had time for all of them.
        for _ in range(20):
            assert (await ana.get("/Client/v2/Configuration")).http_status == 200
            await asyncio.sleep(0.01)
        assert server.memory() - before < 20 * MIB
        slow.websocket.transport.resume_reading()
        assert [len((await page)["items"]) for page in pages] == [50] * 60
        assert "reader_too_slow" not in server.log.read_text()
        for peer in (ana, slow):
            await peer.close()


async def test_a_client_that_reads_slowly_gets_its_replay_at_its_pace(tmp_path: Path) -> None:
    """What it has missed is more than may wait for it; it is not dropped for that."""
    async with served(tmp_path, realtime_send_queue_bytes=MIB) as server:
        room = await server.room("ana", "eve")
        sid = "ES" + room[2:]
        ana = await server.peer("ana")
        for n in range(200):
            await ana.send_message(room, f"{n} " + "x" * SIZE)
        slow = await reluctant(server, "eve")
        asked = await slow.subscribe([wish(sid, -1)])
        transport = slow.websocket.transport
        # 6 MB in steps, with pauses in which the server must hold back.
        while len(slow.numbers(sid)) < 150:
            transport.pause_reading()
            await asyncio.sleep(0.02)
            transport.resume_reading()
            await asyncio.sleep(0.01)
        await slow.until(lambda: asked in slow.settled)
        assert slow.numbers(sid) == list(range(200))
        await ana.send_message(room, "live")
        await slow.until(lambda: slow.numbers(sid)[-1] == 200)
        assert "reader_too_slow" not in server.log.read_text()
        for peer in (ana, slow):
            await peer.close()
