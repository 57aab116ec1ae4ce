"""Everybody comes back at once: all are served, and nobody else has to wait until they are."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from .process import Device, served

pytestmark = pytest.mark.faults

MISSED = 30


@pytest.mark.parametrize("clients", [200, pytest.param(1000, marks=pytest.mark.slow)])
async def test_all_come_back_and_a_bystander_is_answered_meanwhile(tmp_path: Path, clients: int) -> None:
    async with served(tmp_path) as server:
        shared = await server.room(*(f"user-{n}" for n in range(10)))
        sid = "ES" + shared[2:]
        devices = [Device(server, f"user-{n % 10}", sid) for n in range(clients)]
        for start in range(0, clients, 50):
            await asyncio.gather(*(device.connect() for device in devices[start : start + 50]))
        bystander = await server.peer("bystander")

        for device in devices:
            device.forget_peer()
        sender = await server.peer("user-0")
        for n in range(MISSED):
            await sender.send_message(shared, f"missed {n}")

        back = 0
        seen: list[int] = []

        async def return_(device: Device) -> None:
            nonlocal back
            await device.connect()
            back += 1

        async def stand_by() -> None:
            while back < clients:
                assert (await bystander.get("/Client/v2/Configuration")).http_status == 200
                seen.append(back)

        await asyncio.gather(stand_by(), *(return_(device) for device in devices))
        # He was answered again and again while others came back. How many are read to between two answers is told
        # exactly in tests/api/realtime/test_hub.py; here all clients share one loop, which hides it.
        assert len([count for count in seen if count < clients]) >= 3, seen
        await sender.send_message(shared, "after")
        for device in devices:
            await device.heard(sid, MISSED)
            assert [index for index, _ in device.messages[sid]] == list(range(MISSED + 1))
        for peer in (bystander, sender):
            await peer.close()
