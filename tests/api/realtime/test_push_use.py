"""A device that connects keeps what it has registered for push for another year (semantics 7.2)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tertulia.server.domain import callers
from tertulia.server.domain.push import RegisterPush
from tertulia.server.jobs.unused_devices import UnusedDevices

from .conftest import Here

DEVICE = {"endpoint_id": "phone", "push_credential_sid": "CR" + "a" * 32}


async def connect(here: Here, **claims: str) -> None:
    peer = await here.open()
    assert (await peer.init(here.token("ana", **claims))).status == 200
    await peer.close()


@pytest.mark.parametrize(
    ("claims", "kept"),
    [
        (DEVICE, 1),
        ({**DEVICE, "endpoint_id": "another phone"}, 0),
        ({}, 0),
    ],
)
@pytest.mark.owner_demand(8)
async def test_connecting_keeps_a_device_registered(here: Here, claims: dict[str, str], kept: int) -> None:
    world = here.world
    await connect(here, **DEVICE)
    ana = callers.identity(world.account.account_sid, world.service, "ana", **DEVICE)
    await world.engine.execute(ana, RegisterPush(kind="fcm", address="one"))
    world.clock.advance(timedelta(days=300))
    await connect(here, **claims)
    world.clock.advance(timedelta(days=300))
    await UnusedDevices(world.database, world.engine, world.clock).forget()
    assert await world.count("push_registrations") == kept
