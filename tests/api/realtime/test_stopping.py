"""A server that stops: what is pending is answered, then clients are asked to come back (realtime 7, 15.26)."""

from __future__ import annotations

import asyncio

from .client import wish
from .conftest import Here


async def test_pending_requests_are_answered_before_the_client_is_sent_away(here: Here) -> None:
    """Also one that came while others were waited for: after a ``close`` frame it would hang for 30 seconds."""
    room = await here.world.conversation("ana")
    ana, idle = await here.peer("ana"), await here.peer("ben")
    async with here.world.database.transaction():
        sends = [asyncio.create_task(ana.send_message(room.sid, f"message {n}")) for n in range(3)]
        await ana.quiet()
        draining = asyncio.create_task(here.server.drain())
        # Who waits for nothing need not wait for others.
        await idle.hear("close")
        sends.append(asyncio.create_task(ana.send_message(room.sid, "in the meantime")))
        await ana.quiet()
        assert ana.of_method("close") == []
    answers = await asyncio.gather(*sends)
    assert [answer.http_status for answer in answers] == [201] * 4
    close = await ana.hear("close")
    assert max(answer.order for answer in answers) < close.order
    await draining
    assert here.server.node.connections == set()


async def test_clients_are_told_to_wait_each_a_different_while(here: Here) -> None:
    peers = [await here.peer(f"user-{n}") for n in range(30)]
    await here.server.drain()
    waits = set()
    for peer in peers:
        close = await peer.hear("close")
        assert close.status == 308
        assert close.header["status"]["status"] == "OFFLOAD"
        assert close.header["payload_type"].startswith("application/json")
        policy = close.json["backoff_policy"]
        assert 0 < policy["reconnect_min_ms"] < policy["reconnect_max_ms"] < 30_000
        waits.add(policy["reconnect_min_ms"])
    assert len(waits) > 10


async def test_a_client_that_was_sent_away_is_served_no_more(here: Here) -> None:
    room = await here.world.conversation("ana")
    peer = await here.peer("ana")
    await peer.establish(wish("ES" + room.sid[2:], -1))
    await here.server.drain()
    await peer.hear("close")
    await here.world.send(room.sid, "unheard")
    await peer.say({"id": "TM1", "method": "close"})
    assert await peer.end() == 1000
    assert peer.events == []


async def test_a_client_in_the_middle_of_a_long_replay_is_sent_away_as_well(here: Here) -> None:
    """It comes back with the number it has."""
    room = await here.world.conversation("ana")
    for _ in range(600):
        await here.world.send(room.sid, "x" * 2000)
    peer = await here.open(acknowledges=False)
    await peer.init(here.token("ana"))
    asked = await peer.subscribe([wish("ES" + room.sid[2:], -1)])
    await asyncio.wait_for(here.server.drain(), 10)
    await peer.hear("close")
    numbers = peer.numbers("ES" + room.sid[2:])
    assert numbers == list(range(len(numbers)))
    assert asked not in peer.settled or len(numbers) == 600


async def test_readiness_ends_when_the_server_is_about_to_stop(here: Here) -> None:
    assert await here.server._is_ready()
    await here.server.drain()
    assert not await here.server._is_ready()
