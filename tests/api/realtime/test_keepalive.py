"""Silence: the client is pinged, and given up when it stays silent (realtime 3.4)."""

from __future__ import annotations

from .conftest import Here, Start


async def test_a_silent_client_is_pinged_and_one_that_answers_stays(here: Here) -> None:
    peer = await here.peer()
    for count in range(1, 5):
        here.pass_time(29)
        assert len(peer.of_method("ping")) == count - 1
        here.pass_time(2)
        await peer.until(lambda: len(peer.of_method("ping")) == count)  # noqa: B023
        await peer.quiet()
    assert (await peer.get("/Client/v2/Configuration")).http_status == 200


async def test_a_ping_is_a_frame_without_payload(here: Here) -> None:
    peer = await here.peer()
    here.pass_time(31)
    ping = await peer.hear("ping")
    assert ping.header.keys() == {"method", "id", "payload_size"}
    assert ping.header["payload_size"] == 0


async def test_a_client_that_acknowledges_nothing_is_dropped(here: Here) -> None:
    peer = await here.open(acknowledges=False)
    await peer.init(here.token())
    here.pass_time(31)
    await peer.hear("ping")
    here.pass_time(28)
    await peer.websocket.ping()
    here.pass_time(4)
    await peer.end()
    assert here.server.node.connections == set()


async def test_a_client_that_speaks_is_not_pinged(here: Here) -> None:
    peer = await here.peer()
    for _ in range(10):
        here.pass_time(20)
        await peer.get("/Client/v2/Configuration")
    assert peer.of_method("ping") == []


async def test_the_operator_chooses_how_long_silence_may_last(start: Start) -> None:
    here = await start(ping_interval_s=5, ping_timeout_s=2)
    peer = await here.open(acknowledges=False)
    await peer.init(here.token())
    here.pass_time(5.5)
    await peer.hear("ping")
    here.pass_time(3)
    await peer.end()


async def test_a_dropped_client_leaves_nothing_behind(here: Here) -> None:
    room = await here.world.conversation("ana")
    peer = await here.peer()
    await peer.follow(f"{room.sid}.messages", f"{room.sid}.channel")
    peer.cut()
    await peer.end()
    # The server learns of it in its own time.
    other = await here.peer("ben")
    await other.quiet()
    assert len(here.server.node.connections) == 1
