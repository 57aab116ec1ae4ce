"""Push services that are away, slow or silent: nothing is lost, nothing comes too late, and little is under way."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.peers.apns import ApnsPeer
from tests.peers.fcm import STALLED, TAKEN

from .process import SERVICE
from .pushing import CHANNELS, Pushing, ask, pushing

pytestmark = [pytest.mark.faults, pytest.mark.node]

BATCHES = 16
"""``jobs.per_receiver``."""
CALLS = {"apn": 500, "fcm": 16}
"""Most calls of an account under way."""


@pytest.mark.parametrize("channel", CHANNELS)
async def test_pushes_wait_for_a_service_that_is_down_but_not_those_that_nobody_should_get_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channel: str
) -> None:
    async with pushing(tmp_path, monkeypatch, channel) as world:
        room, devices = await world.crowd(users=20, each=10)
        await world.road.close()
        messages = await world.write(room, 5)
        await world.until(lambda: world.deliveries("attempts > 0") == 1000)
        assert world.deliveries("state = 'waiting'") == 1000
        assert world.count() == 0

        messages, stay = await changed_their_minds(world, room, devices, messages)
        await world.road.open()
        await world.settled()
        world.has_reached(stay, messages)
        assert world.repeats() == 0
        assert world.deliveries("state = 'withdrawn'") == 1000 - len(stay) * len(messages)
        assert world.deliveries("state = 'sent'") == len(stay) * len(messages)


async def changed_their_minds(
    world: Pushing, room: str, devices: list[Any], messages: list[str]
) -> tuple[list[str], list[Any]]:
    """Some of the messages and of the devices are not to be told of any more; what is left of both."""
    of = {identity: [one for one in devices if one.identity == identity] for identity in {d.identity for d in devices}}
    async with world.server.rest() as rest:
        await ask(rest, "DELETE", f"/Conversations/{room}/Messages/{messages[0]}")
        for device in of["user-0"]:
            await ask(rest, "DELETE", f"/Services/{SERVICE}/Bindings/{device.registration}")
        people = (await rest.get(f"/Conversations/{room}/Participants")).json()["participants"]
        (left,) = [one["sid"] for one in people if one["identity"] == "user-1"]
        await ask(rest, "DELETE", f"/Conversations/{room}/Participants/{left}")
        user = f"/Services/{SERVICE}/Users/user-2/Conversations/{room}"
        await ask(rest, "POST", user, {"NotificationLevel": "muted"})
    async with world.client("user-3") as peer:
        for number, device in enumerate(of["user-3"]):
            # By its number, and by its address: as the SDK does it, and as applications that have lost the number.
            if number % 2:
                answer = await peer.request("DELETE", f"/v1/registrations/{device.registration}")
            else:
                body = {"binding_type": world.channel, "address": device.address}
                answer = await peer.request("DELETE", "/v1/registrations", body)
            assert answer.http_status == 204
    await world.register("a stranger", *(device.address for device in of["user-4"]))
    gone = {f"user-{n}" for n in range(5)}
    return messages[1:], [one for one in devices if one.identity not in gone]


@pytest.mark.parametrize("channel", CHANNELS)
async def test_a_slow_service_gets_everything_once_and_only_so_much_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channel: str
) -> None:
    async with pushing(tmp_path, monkeypatch, channel) as world:
        room, devices = await world.crowd(users=20, each=20 if channel == "apn" else 5)
        await slow_down(world)
        messages = await world.write(room, 5)
        looks: list[tuple[int, int]] = []

        def is_done() -> bool:
            looks.append((world.leased(), world.road.open_connections))
            return not world.owed()

        await world.until(is_done)
        await world.settled()
        world.has_reached(devices, messages)
        assert world.repeats() == 0
        batches, connections = map(max, zip(*looks, strict=True))
        assert 0 < batches <= BATCHES
        if isinstance(world.service, ApnsPeer):
            assert 0 < connections <= 2
            at_once = max(one["under_way"] for one in world.service.received)
        else:
            at_once = connections  # one call at a time on each
        assert CALLS[channel] / 2 < at_once <= CALLS[channel]


async def slow_down(world: Pushing) -> None:
    """Its answers come late."""
    if isinstance(world.service, ApnsPeer):
        await world.service.answer_with("*", {"status": 200, "delay_ms": 300})
    else:
        world.road.delay(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("channel", CHANNELS)
async def test_who_gets_no_answer_is_told_again_and_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channel: str
) -> None:
    async with pushing(tmp_path, monkeypatch, channel) as world:
        room, devices = await world.crowd(users=10, each=20)
        silent = [device.address for device in devices[::50]]
        for address in silent:
            if isinstance(world.service, ApnsPeer):
                await world.service.answer_with(address, {"stall": True}, {"status": 200})
            else:
                world.service.answer_with(address, STALLED, TAKEN)
        messages = await world.write(room, 2)
        await world.until(lambda: world.count() == 400)
        assert world.deliveries("state = 'waiting'") > 0
        await world.settled()
        world.has_reached(devices, messages)
        assert world.repeats() == len(silent)
        if isinstance(world.service, ApnsPeer):
            assert sorted(world.service.withdrawn) == sorted(silent)


@pytest.mark.slow
async def test_a_service_that_takes_connections_and_says_nothing_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pushing(tmp_path, monkeypatch, "apn") as world:
        room, devices = await world.crowd(users=20, each=10)
        world.road.stall()
        messages = await world.write(room, 3)
        await world.until(lambda: world.deliveries("attempts > 0") == 600)
        assert world.road.open_connections <= 2
        assert world.count() == 0
        world.road.reset()
        world.road.resume()
        await world.settled()
        world.has_reached(devices, messages)
        assert world.repeats() == 0


GOOD = {"status": 200}


@pytest.mark.parametrize(
    "end", [{**GOOD, "goaway": True}, {"destroy": True}, {"reset": True}], ids=["goaway", "destroy", "reset"]
)
async def test_a_connection_that_ends_in_the_middle_of_a_burst_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: dict[str, Any]
) -> None:
    async with pushing(tmp_path, monkeypatch, "apn") as world:
        assert isinstance(world.service, ApnsPeer)
        room, devices = await world.crowd(users=20, each=20)
        await world.service.answer_with("*", *[*[GOOD] * 600, end] * 3, GOOD)
        messages = await world.write(room, 5)
        await world.settled()
        world.has_reached(devices, messages)
        world.repeats()
        assert world.deliveries("state = 'sent'") == 2000
        # An end in order costs nobody an attempt.
        assert (world.deliveries("attempts > 1") == 0) == ("goaway" in end)


async def test_a_service_that_comes_and_goes_gets_everything_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pushing(tmp_path, monkeypatch, "apn", options={"max_streams": 20}) as world:
        room, devices = await world.crowd(users=20, each=10)
        writing = asyncio.create_task(world.write(room, 5))
        for number in (50, 200, 500):
            await world.until(lambda: world.count() >= number)  # noqa: B023 (it is done before the next)
            world.road.refuse()
            await asyncio.sleep(0.05)
            world.road.admit()
        messages = await writing
        await world.settled()
        world.has_reached(devices, messages)
        world.repeats()
        assert world.deliveries("state = 'sent'") == 1000
