"""A gateway brings what was written to the addresses that it serves, and to no others (gateways 8.0)."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from tertulia.server.domain.gateways import AddGateway, AddSender, UpdateSender
from tests.contract.channels.heard import NAME

from .inbound import ANA, OURS, Inbound

MAILBOX, REPLIES = "desk@ours.test", "reply@ours.test"


async def test_what_another_gateway_says_was_written_to_our_number_is_not_heard(
    inbound: Inbound, caplog: pytest.LogCaptureFixture
) -> None:
    room, _ = await inbound.pair()
    other = await inbound.serve("+15550003000", "other")
    with caplog.at_level(logging.WARNING):
        await inbound.hear_by(other, inbound.incoming("do-not-log"), inbound.incoming("STOP"))
    await inbound.settle()
    assert (await inbound.bodies(room.sid), await inbound.states(), await inbound.replies()) == ([], [], [])
    assert [await inbound.world.count(table) for table in ("last_heard", "opt_outs")] == [0, 0]
    (line,) = [record for record in caplog.records if record.message == "channel.dropped"]
    assert "do-not-log" not in str(line.__dict__) and ANA not in str(line.__dict__)


async def test_what_comes_with_it_is_heard(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    await inbound.hear(inbound.incoming("for nobody", recipient="+15550003000"), inbound.incoming("for us"))
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["for us"]


async def test_after_a_move_the_old_gateway_is_heard_for_a_day(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    inbound.world.clock.advance(timedelta(hours=1))
    await inbound.world.do(AddGateway, name="other", adapter=NAME, settings={})
    await inbound.world.do(UpdateSender, address=OURS, gateway="other")
    for text in ("on its way", "strayed"):
        await inbound.hears(text)
        inbound.world.clock.advance(timedelta(days=1))
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["on its way"]


async def test_after_a_move_no_gateway_is_heard_that_cannot_have_served_it(inbound: Inbound) -> None:
    await inbound.serve(MAILBOX)
    room, _ = await inbound.pair(address="ana@home.test", proxy=MAILBOX)
    inbound.world.clock.advance(timedelta(hours=1))
    await inbound.world.do(UpdateSender, address=MAILBOX, pool="shop")
    smsc = await inbound.world.do(
        AddGateway, name="smsc", adapter="smpp", settings={"host": "127.0.0.1", "system_id": "us"}
    )
    await inbound.hear_by(smsc.sid, inbound.incoming("a text to a mailbox", sender="ana@home.test", recipient=MAILBOX))
    await inbound.settle()
    assert await inbound.bodies(room.sid) == []


async def test_a_mailbox_for_answers_alone_is_no_sender_and_leads_to_the_conversation_that_is_named(
    inbound: Inbound,
) -> None:
    await inbound.world.do(AddSender, address=MAILBOX, gateway=inbound.gateway)
    room, _ = await inbound.pair(address="ana@home.test", proxy=MAILBOX)
    answer = inbound.incoming("yes", sender="ana@home.test", recipient=REPLIES)
    await inbound.hear(answer)
    await inbound.hears("yes!", sender="ana@home.test", recipient=REPLIES, conversation_sid=room.sid)
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["yes!"]


async def test_while_there_is_no_sender_the_simulator_speaks_for_all_and_others_for_none(inbound: Inbound) -> None:
    await inbound.world.sql("DELETE FROM senders")
    room, _ = await inbound.pair()
    simulator = "GW" + inbound.world.account.account_sid[2:]
    await inbound.hears("by a gateway")
    await inbound.hear_by(simulator, inbound.incoming("by the simulator"))
    await inbound.serve("+15550003000")
    await inbound.hear_by(simulator, inbound.incoming("by the simulator, too late"))
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["by the simulator"]
