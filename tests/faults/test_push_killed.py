"""kill -9 while devices are being told: each is told of each message, and can know what it has been told already."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.peers.apns import ApnsPeer

from .pushing import CHANNELS, Pushing, pushing

pytestmark = [pytest.mark.faults, pytest.mark.node]

LEASE_S = 2
"""What a killed process had begun is begun again after this."""
BATCHES = 4
"""Under way at a time: fewer than usual, so that a burst takes long enough to be killed in it."""
NARROW = {"max_streams": 20}


async def sids(world: Pushing, room: str) -> list[str]:
    """All messages of the room, whoever was told that they were taken."""
    async with world.server.rest() as rest:
        page = (await rest.get(f"/Conversations/{room}/Messages?PageSize=100")).json()
    assert page["meta"]["next_page_url"] is None
    return [one["sid"] for one in page["messages"]]


async def slow_down(world: Pushing) -> None:
    if isinstance(world.service, ApnsPeer):
        await world.service.answer_with("*", {"status": 200, "delay_ms": 20})
    else:
        world.road.delay(0.005)


@pytest.mark.parametrize("channel", CHANNELS)
async def test_a_burst_that_is_killed_again_and_again_reaches_everybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channel: str
) -> None:
    async with pushing(
        tmp_path, monkeypatch, channel, options=NARROW, jobs_lease_s=LEASE_S, jobs_per_receiver=BATCHES
    ) as world:
        room, devices = await world.crowd(users=20, each=10)
        await slow_down(world)
        messages = await world.write(room, 6)
        for number in (130, 430, 730):
            await world.until(lambda: world.count() >= number)  # noqa: B023 (it is done before the next)
            await world.server.kill()
            assert world.deliveries("state = 'waiting'") + world.value("SELECT count(*) FROM outbox") > 0
            await world.server.start()
        messages += await world.write(room)
        await world.settled()
        assert await sids(world, room) == messages
        world.has_reached(devices, messages)
        assert world.repeats() > 0, "what was under way is sent again"
        assert world.deliveries("state <> 'sent'") == 0


async def test_messages_that_are_written_while_it_is_killed_are_told_of_if_they_were_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pushing(tmp_path, monkeypatch, "apn", jobs_lease_s=LEASE_S) as world:
        room, devices = await world.crowd(users=20, each=5)
        acknowledged: set[str] = set()
        for round_number in range(1, 4):
            writing = asyncio.create_task(write_until_it_dies(world, room))
            await world.until(lambda: world.count() >= round_number * 200)  # noqa: B023 (it is done before the next)
            await world.server.kill()
            acknowledged |= await writing
            await world.server.start()
        messages = await sids(world, room)
        assert acknowledged <= set(messages)
        await world.settled()
        world.has_reached(devices, messages)
        world.repeats()


async def write_until_it_dies(world: Pushing, room: str) -> set[str]:
    """What was acknowledged."""
    written: set[str] = set()
    while True:
        try:
            written.update(await world.write(room))
        except httpx.TransportError:
            return written
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("channel", CHANNELS)
async def test_what_waits_for_a_service_that_is_down_survives_and_what_is_taken_back_meanwhile_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channel: str
) -> None:
    async with pushing(tmp_path, monkeypatch, channel, jobs_lease_s=LEASE_S) as world:
        room, devices = await world.crowd(users=20, each=10)
        await world.road.close()
        messages = await world.write(room, 3)
        await world.until(lambda: world.deliveries("attempts > 0") > 0)
        await world.server.kill()
        await world.server.start()
        for device in devices[::10]:
            async with world.client(device.identity) as peer:
                answer = await peer.request("DELETE", f"/v1/registrations/{device.registration}")
                assert answer.http_status == 204
        await world.server.kill()
        await world.road.open()
        await world.server.start()
        await world.settled()
        world.has_reached([one for one in devices if one not in devices[::10]], messages)
        world.repeats()


async def test_a_server_that_is_asked_to_stop_in_a_burst_goes_on_after_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pushing(
        tmp_path, monkeypatch, "apn", options=NARROW, jobs_lease_s=60, server_shutdown_grace_s=0.1
    ) as world:
        room, devices = await world.crowd(users=20, each=20)
        await slow_down(world)
        messages = await world.write(room, 5)
        await world.until(lambda: world.count() >= 100)
        world.server.ask_to_stop()
        assert await world.server.exit_code() == 0
        assert world.owed() > 0
        assert world.leased() == 0, "nobody has to wait for a lease to run out"
        await world.server.start()
        await world.settled()
        world.has_reached(devices, messages)
        world.repeats()
        assert "Traceback" not in world.server.log.read_text()


PLANNED = 'INSERT INTO "push_notices"'
TOLD = "UPDATE push_deliveries SET state"


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize(
    ("moment", "sent", "repeated"),
    [
        (f"before:{PLANNED}", 0, 0),
        (f"after:{PLANNED}", 0, 0),
        (f"before:{TOLD}", 10, 10),
        (f"after:{TOLD}", 10, 0),
    ],
)
async def test_each_moment_it_may_die_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channel: str, moment: str, sent: int, repeated: int
) -> None:
    async with pushing(tmp_path, monkeypatch, channel, jobs_lease_s=1) as world:
        room, devices = await world.crowd(users=2, each=5)
        await world.server.end()
        world.server.die = moment
        await world.server.start()
        writing = asyncio.create_task(world.write(room))
        await world.server.death()
        await asyncio.gather(writing, return_exceptions=True)  # its answer may have been lost
        await world.sync()
        assert world.count() == sent
        world.server.die = None
        await world.server.start()
        await world.settled()
        messages = await sids(world, room)
        assert len(messages) == 1
        world.has_reached(devices, messages)
        assert world.repeats() == repeated
