"""Machines that answer each other, or themselves, come to an end (semantics 4.5)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tertulia.server.domain import callers
from tertulia.server.domain.arrivals import AcceptArrivals, ArrivalContent, Arriving, TakeMessage
from tertulia.server.storage.paging import Page
from tests.engine.sending import PROXY, Sending, number
from tests.engine.world import World


@pytest.fixture
def sending(world: World) -> Sending:
    return Sending(world)


async def test_nothing_goes_from_one_address_of_ours_to_another(sending: Sending) -> None:
    await sending.sender()
    room = await sending.room(2)
    await sending.sender(number(1))  # since he came
    await sending.send(room)
    await sending.perform_all()
    assert sorted(await sending.outcomes()) == [("failed", 21211), ("sent", 0)]
    assert sending.channel.recipients == [(number(2),)]


async def relay(sending: Sending, room: str, count: int) -> None:
    """So many words of the first person, which go on to the others."""
    world = sending.world
    for _ in range(count):
        arriving = Arriving(
            sid=(sid := world.new_sid("RA")),
            provider_id=sid,
            sender=number(1),
            recipient=PROXY,
            content=ArrivalContent(text="hello"),
        )
        system = callers.system(world.account.account_sid)
        await world.do(AcceptArrivals, by=system, gateway=sending.gateway, arriving=(arriving,))
        person = callers.channel(world.account.account_sid, number(1))
        await world.do(TakeMessage, by=person, conversation=room, arrival=sid, body="hello")


async def test_two_machines_that_answer_each_other_come_to_an_end(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    sending = Sending(world, loop_brake_per_minute=3)
    room = await sending.room(2)
    await relay(sending, room, 10)
    await sending.perform_all()
    assert await sending.outcomes() == [("sent", 0)] * 3 + [("failed", 30001)] * 7
    assert len(await world.queries.messages(world.account, world.service, room, Page(100))) == 10, "they are kept"
    (line,) = [record for record in caplog.records if record.message == "channel.loop"]
    assert number(2) not in str(line.__dict__)
    world.clock.advance(timedelta(minutes=1))
    await relay(sending, room, 1)
    await sending.perform_all()
    assert (await sending.outcomes())[-1] == ("sent", 0)


async def test_what_people_in_the_chat_write_is_no_loop(world: World) -> None:
    sending = Sending(world, loop_brake_per_minute=3)
    room = await sending.room(1)
    for _ in range(10):
        await sending.send(room)
    await sending.perform_all()
    assert await sending.outcomes() == [("sent", 0)] * 10
