"""How fast an address of ours sends, and how its messages wait (gateways 8.0)."""

from __future__ import annotations

import logging

import pytest

from tertulia.server.jobs.channels import NEXT_SLOT
from tests.engine.sending import OTHER_PROXY, PROXY, Sending
from tests.engine.world import World


@pytest.fixture
def sending(world: World) -> Sending:
    return Sending(world)


async def test_a_sender_sends_no_faster_than_it_may_and_nobody_waits_twice(sending: Sending) -> None:
    await sending.sender(per_minute=60)
    room = await sending.room(4)
    await sending.send(room)
    assert await sending.perform() == 4
    began = sending.world.clock.now()
    at = []
    while await sending.jobs():
        await sending.until_due()
        await sending.perform()
        at.append((sending.world.clock.now() - began) / 1_000_000)
    assert at == [1.0, 2.0, 3.0]
    assert len(sending.channel.sent) == 4
    assert [one.status for one in await sending.receipts()] == ["sent"] * 4


async def test_waiting_for_a_slot_is_said_to_be_that_and_nobody_is_warned(
    sending: Sending, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await sending.sender()
    room = await sending.room(2)
    await sending.send(room)
    await sending.perform()
    assert [job.last_error for job in await sending.jobs()] == [NEXT_SLOT]
    assert [one.levelname for one in caplog.records if one.message == "job.retry"] == ["INFO"]
    assert await sending.states() == ["sent", "waiting"]


async def test_senders_do_not_wait_for_each_other_and_the_simulator_for_nobody(sending: Sending) -> None:
    room = await sending.room(5)
    await sending.send(room)
    await sending.perform()
    assert len(sending.channel.sent) == 5
    for address in (PROXY, OTHER_PROXY):
        await sending.sender(address)
    room = (await sending.world.conversation()).sid
    for proxy in (PROXY, OTHER_PROXY):
        await sending.person(room, proxy)
    await sending.send(room)
    await sending.perform()
    assert len(sending.channel.sent) == 7


async def test_what_has_no_slot_while_it_is_of_use_has_failed_at_once(world: World) -> None:
    sending = Sending(world)
    await sending.sender(per_minute=1)
    room = await sending.room(3)
    await sending.send(room)
    await sending.world.sql("UPDATE channel_messages SET valid_until = created_at + 90000000")
    await sending.perform()
    assert [one for one in await sending.outcomes()] == [("sent", 0), ("queued", 0), ("failed", 30001)]
    await sending.perform_all()
    assert [one for one in await sending.outcomes()] == [("sent", 0), ("sent", 0), ("failed", 30001)]
