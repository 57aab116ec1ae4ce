"""SIGTERM: what was asked is answered, clients are asked to come back, the process ends well, and goes on later."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.api.realtime.client import wish

from .process import served

pytestmark = pytest.mark.faults


async def test_a_server_that_is_asked_to_stop_answers_first_and_says_when_to_return(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        room = await server.room("ana", "ben")
        sid = "ES" + room[2:]
        ana, ben = await server.peer("ana"), await server.peer("ben")
        await ben.establish(wish(sid, -1))
        sends = [asyncio.create_task(ana.send_message(room, f"message {n}")) for n in range(100)]
        await ana.until(lambda: len(ana.of_method("reply")) > 1)
        server.ask_to_stop()
        answers = await asyncio.gather(*sends)
        assert {answer.http_status for answer in answers} == {201}
        for peer in (ana, ben):
            close = await peer.hear("close")
            assert close.status == 308
            assert close.json["backoff_policy"]["reconnect_min_ms"] > 0
            await peer.end()
        assert max(answer.order for answer in answers) < (await_close := ana.of_method("close")[0]).order, await_close
        assert await server.exit_code() == 0
        # What was acknowledged was also heard, or will be after the return.
        heard = ben.numbers(sid)

        await server.start()
        again = await server.peer("ben")
        await again.establish(wish(sid, heard[-1] if heard else -1))
        assert heard + again.numbers(sid) == list(range(100))
        assert len(await server.messages(room)) == 100
        await again.close()
        server.ask_to_stop()
        assert await server.exit_code() == 0
        assert "Traceback" not in server.log.read_text()


async def test_clients_that_do_not_hang_up_do_not_keep_it_from_stopping(tmp_path: Path) -> None:
    async with served(tmp_path, server_shutdown_grace_s=0.5) as server:
        peers = [await server.peer(f"user-{n}", acknowledges=False) for n in range(20)]
        for peer in peers:
            peer.websocket.transport.pause_reading()
        server.ask_to_stop()
        assert await server.exit_code() == 0
        for peer in peers:
            peer.cut()


async def test_it_stops_and_starts_as_often_as_asked(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        room = await server.room("ana")
        for n in range(3):
            peer = await server.peer("ana")
            assert (await peer.send_message(room, f"{n}"))["index"] == n
            server.ask_to_stop()
            await peer.hear("close")
            await peer.end()
            assert await server.exit_code() == 0
            await server.start()
        assert await server.messages(room) == [(0, "0"), (1, "1"), (2, "2")]
