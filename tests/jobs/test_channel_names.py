"""What we have named ourselves is known by that name whatever became of the attempt (gateways 8.0)."""

from __future__ import annotations

import pytest

from tertulia.server.channels.base import Accepted, NotNow, Unsure
from tertulia.server.domain.channels import Report
from tertulia.server.domain.receipts import ReceiptStatus
from tests.engine.sending import Sending
from tests.engine.world import World
from tests.peers.recording import Naming


@pytest.fixture
def naming(world: World) -> Sending:
    return Sending(world, Naming())


async def test_who_was_said_not_to_have_got_it_has_got_it_when_the_gateway_says_so(naming: Sending) -> None:
    await naming.send(await naming.room(1))
    naming.channel.answers = [Unsure("no answer")]
    await naming.perform_all()
    (record,) = await naming.records()
    assert await naming.outcomes() == [("failed", 30008)]
    assert await naming.report(record.sid) == 1
    assert await naming.outcomes() == [("delivered", 0)]


async def test_what_is_reported_while_it_is_sent_is_not_undone_by_the_answer(naming: Sending) -> None:
    await naming.send(await naming.room(1))
    (record,) = await naming.records()

    async def reported_first() -> Accepted:
        await naming.report(record.sid, "undelivered", error_code=30005)
        return Accepted(handles=(record.sid,))

    naming.channel.answers = [reported_first]
    await naming.perform_all()
    assert await naming.outcomes() == [("undelivered", 30005)]
    assert await naming.report(record.sid, "sent") == 0
    assert await naming.report(record.sid) == 1


async def test_what_was_reported_too_early_for_its_name_is_joined_to_it(naming: Sending) -> None:
    await naming.send(await naming.room(1))
    (record,) = await naming.records()
    await naming.report(record.sid)
    naming.channel.answers = [Unsure("no answer")]
    await naming.perform_all()
    assert await naming.report(record.sid, "delivered") == 1
    assert await naming.outcomes() == [("delivered", 0)]


async def test_what_was_put_off_has_no_name_with_a_gateway_that_does_not_have_it(naming: Sending) -> None:
    await naming.sender()
    await naming.send(await naming.room(1))
    (record,) = await naming.records()
    naming.channel.answers = [NotNow("busy"), Accepted(handles=(record.sid,))]
    await naming.perform()
    assert await naming.world.count("handles") == 0
    await naming.world.sql("UPDATE senders SET gateway_sid = $1", "GW" + "2" * 32)
    await naming.perform_all()
    await naming.reports(Report(status=ReceiptStatus.DELIVERED, handle=record.sid), gateway="GW" + "2" * 32)
    assert await naming.outcomes() == [("delivered", 0)]
