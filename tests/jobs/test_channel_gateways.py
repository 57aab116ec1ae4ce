"""By which gateway a message leaves whose sender was moved, removed or added meanwhile (gateways 8.0)."""

from __future__ import annotations

import pytest

from tertulia.server.domain.channel_messages import BeginSending
from tests.engine.sending import Sending
from tests.engine.world import World
from tests.peers.recording import Repeating


@pytest.fixture
def sending(world: World) -> Sending:
    return Sending(world)


async def test_when_the_last_sender_is_gone_nobody_is_told_that_a_phone_of_ours_got_it(sending: Sending) -> None:
    await sending.sender()
    room = await sending.room(1)
    await sending.send(room)
    await sending.world.sql("DELETE FROM senders")
    await sending.perform()
    assert (await sending.outcomes(), sending.opened.used) == ([("failed", 21212)], [])


async def test_what_was_meant_for_a_phone_of_ours_does_not_leave_by_the_first_sender(sending: Sending) -> None:
    room = await sending.room(1)
    await sending.send(room)
    await sending.sender()
    await sending.perform()
    assert (await sending.outcomes(), sending.opened.used) == ([("failed", 21212)], [])


async def test_what_was_begun_is_not_repeated_by_another_gateway_that_cannot_know_of_it(world: World) -> None:
    sending = Sending(world, Repeating())
    gateway = await sending.sender()
    room = await sending.room(1)
    await sending.send(room)
    (record,) = await sending.records()
    await world.do(BeginSending, channel_message=record.sid, gateway=gateway)
    await world.sql("UPDATE senders SET gateway_sid = $1", "GW" + "2" * 32)
    await sending.perform()
    assert (await sending.outcomes(), sending.channel.sent) == ([("failed", 30008)], [])
