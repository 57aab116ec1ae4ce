"""E-mail through the whole way out: one mail for several people, threads, and whom of several it did not reach."""

from __future__ import annotations

import pytest

from tertulia.server.channels.base import Accepted
from tertulia.server.channels.email.mailboxes import named
from tertulia.server.channels.email.mime import read
from tertulia.server.channels.email.reading import Delivered, Ours, read_mail
from tests.contract.channels.email_cases import FAILED, RETURNED, dsn
from tests.contract.channels.email_stage import IM, channel_with
from tests.engine.sending import Sending
from tests.engine.world import World
from tests.peers.mail import SmtpPeer, says

DESK = "desk@shop.example"
ANA, BEN = "ana@home.example", "ben@home.example"


@pytest.fixture
def sending(world: World) -> Sending:
    return Sending(world)


async def room_of(sending: Sending, *addresses: str) -> str:
    room = (await sending.world.conversation()).sid
    for address in addresses:
        await sending.person(room, DESK, address=address)
    return room


async def test_whom_the_gateway_does_not_take_it_for_has_failed_and_the_others_have_it(sending: Sending) -> None:
    room = await room_of(sending, ANA, BEN)
    await sending.send(room)
    sending.channel.answers = [Accepted(handles=("h",), refused=((BEN, 63003), ("nobody@home.example", 30008)))]
    await sending.perform()
    assert sorted(await sending.outcomes()) == [("failed", 63003), ("sent", 0)]
    assert await sending.states() == ["sent"]
    await sending.report("h", "delivered")
    assert sorted(await sending.outcomes()) == [("delivered", 0), ("failed", 63003)]


@pytest.mark.node
async def test_a_thread_a_refusal_and_a_bounce(sending: Sending) -> None:
    room = await room_of(sending, ANA, BEN, "cleo@home.example")
    async with SmtpPeer() as peer, channel_with(port=peer.port, clock=sending.world.clock) as channel:
        sending.opened.of[sending.gateway] = channel
        first = await sending.send(room, "One", subject="Order 7")
        await sending.perform()
        await peer.answer_with("cleo@home.example", says(550, "5.1.1 no such user"))
        second = await sending.send(room, "Two")
        await sending.perform()
        mails = [read(taken["mail"]) for taken in await peer.taken(2)]
    assert [mail.header("subject") for mail in mails] == ["Order 7", "Re: Order 7"]
    assert mails[0].header("message-id") == f"<{named(first.sid, DESK)}@shop.example>"
    assert mails[1].header("in-reply-to") == mails[1].header("references") == mails[0].header("message-id")
    assert sorted(await sending.outcomes()) == [("failed", 63003), *[("sent", 0)] * 5]
    returned = RETURNED.replace(IM, named(second.sid, DESK))
    bounce = dsn(FAILED.format(status="5.2.2").replace("anna@", "ben@"), returned=returned)
    reports = read_mail(Delivered(data=bounce), Ours(senders=(DESK,)))
    assert isinstance(reports, tuple)
    assert await sending.reports(*reports) == 1
    assert sorted(await sending.outcomes()) == [("failed", 63003), *[("sent", 0)] * 4, ("undelivered", 30003)]
