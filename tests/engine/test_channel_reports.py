"""What gateways report of our messages: early and late, by part, by person, of all until a moment (gateways 8.0)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tertulia.server.channels.base import Accepted
from tertulia.server.domain.channels import Report
from tertulia.server.domain.conversations import UpdateConversation
from tertulia.server.domain.participants import RemoveParticipant
from tertulia.server.domain.receipts import ReceiptStatus
from tertulia.server.engine.channel_reports import MOST_UNTIL
from tertulia.server.jobs.channel_log import ChannelLog

from .sending import OTHER_PROXY, PROXY, Sending, number
from .world import World

MINUTE = timedelta(minutes=1)


@pytest.fixture
def sending(world: World) -> Sending:
    return Sending(world)


async def sent(sending: Sending, *handles: str, people: int = 1) -> str:
    """The room of a message that has gone out to these people, in these parts."""
    room = await sending.room(people)
    await sending.send(room)
    if handles:
        sending.channel.answers = [Accepted(handles=handles, segments=len(handles))]
    await sending.perform()
    return room


# --- by handle


async def test_a_report_moves_the_receipt_of_its_handle(sending: Sending) -> None:
    await sent(sending, people=2)
    assert await sending.report("h2", "delivered") == 1
    assert sorted(await sending.outcomes()) == [("delivered", 0), ("sent", 0)]
    assert await sending.report("h2", "delivered") == 0


@pytest.mark.parametrize(
    ("statuses", "end"),
    [
        (["delivered", "sent"], ("delivered", 0)),
        (["read", "delivered"], ("read", 0)),
        (["undelivered"], ("undelivered", 30003)),
        (["failed"], ("failed", 30003)),
        (["undelivered", "sent"], ("undelivered", 30003)),
        (["undelivered", "delivered"], ("delivered", 0)),
        (["failed", "read"], ("read", 0)),
        (["delivered", "undelivered"], ("delivered", 0)),
        (["queued"], ("sent", 0)),
    ],
)
async def test_reports_never_go_back_but_a_late_delivery_wins(
    sending: Sending, statuses: list[str], end: tuple[str, int]
) -> None:
    await sent(sending)
    for status in statuses:
        await sending.report("h1", status, error_code=30003 if status in ("failed", "undelivered") else 0)
    assert await sending.outcomes() == [end]


async def test_a_handle_may_be_spelled_in_two_ways(sending: Sending) -> None:
    await sent(sending, "26")
    assert await sending.report("1A", "delivered", alias="26") == 1
    await sent(sending, "1A")
    assert await sending.report("1A", "read", alias="26") == 1
    assert await sending.outcomes() == [("delivered", 0), ("read", 0)], "of the one whose first spelling it is"


async def test_the_same_handle_of_another_gateway_is_another(sending: Sending) -> None:
    await sent(sending, "h")
    report = Report(status=ReceiptStatus.DELIVERED, handle="h")
    assert await sending.reports(report, gateway="GW" + "9" * 32) == 0
    assert await sending.outcomes() == [("sent", 0)]


async def test_a_handle_that_is_given_again_is_of_the_newer_message(sending: Sending) -> None:
    await sent(sending, "1")
    await sending.report("1", "delivered")
    await sent(sending, "1")
    await sending.report("1", "undelivered", error_code=30003)
    assert await sending.outcomes() == [("delivered", 0), ("undelivered", 30003)]


async def test_many_reports_at_once(sending: Sending) -> None:
    await sent(sending, people=3)
    many = [Report(status=ReceiptStatus.DELIVERED, handle=f"h{n}") for n in (1, 2, 3, 4)]
    assert await sending.reports(*many) == 3


async def test_a_closed_conversation_still_takes_reports(sending: Sending) -> None:
    room = await sent(sending)
    await sending.world.do(UpdateConversation, conversation=room, state="closed")
    assert await sending.report("h1", "read") == 1
    assert await sending.outcomes() == [("read", 0)]


async def test_clients_hear_of_it(sending: Sending) -> None:
    await sent(sending)
    sending.world.told()
    await sending.report("h1", "delivered")
    assert sending.world.told() == ["list_item_updated ES"]


# --- parts


@pytest.mark.parametrize(
    ("reports", "end"),
    [
        ([("a", "delivered")], ("sent", 0)),
        ([("a", "delivered"), ("b", "delivered")], ("sent", 0)),
        ([("a", "delivered"), ("b", "delivered"), ("c", "delivered")], ("delivered", 0)),
        ([("a", "read"), ("b", "read"), ("c", "delivered")], ("delivered", 0)),
        ([("c", "undelivered")], ("undelivered", 30003)),
        ([("c", "undelivered"), ("a", "delivered"), ("b", "delivered")], ("undelivered", 30003)),
        ([("a", "undelivered"), ("a", "delivered"), ("b", "delivered"), ("c", "delivered")], ("delivered", 0)),
    ],
)
async def test_a_message_has_come_as_far_as_the_worst_of_its_parts(
    sending: Sending, reports: list[tuple[str, str]], end: tuple[str, int]
) -> None:
    await sent(sending, "a", "b", "c")
    for handle, status in reports:
        await sending.report(handle, status, error_code=30003 if status == "undelivered" else 0)
    assert await sending.outcomes() == [end]


# --- early


async def test_a_report_that_comes_before_the_answer_is_joined(sending: Sending) -> None:
    room = await sending.room(1)
    await sending.send(room)

    async def reported_meanwhile() -> Accepted:
        assert await sending.report("h", "delivered") == 0
        return Accepted(handles=("h",))

    sending.channel.answers = [reported_meanwhile]
    await sending.perform()
    assert await sending.outcomes() == [("delivered", 0)]
    assert await sending.world.count("early_reports") == 0


@pytest.mark.parametrize(
    ("early", "end"),
    [
        ([("a", "delivered")], ("sent", 0)),
        ([("a", "delivered"), ("b", "delivered")], ("delivered", 0)),
        ([("b", "undelivered"), ("a", "delivered")], ("undelivered", 30003)),
        ([("a", "undelivered"), ("a", "delivered"), ("b", "delivered")], ("delivered", 0)),
        ([("b", "delivered"), ("a", "sent"), ("a", "delivered")], ("delivered", 0)),
    ],
)
async def test_early_reports_of_parts_come_to_the_same(
    sending: Sending, early: list[tuple[str, str]], end: tuple[str, int]
) -> None:
    room = await sending.room(1)
    await sending.send(room)
    for handle, status in early:
        await sending.report(handle, status, error_code=30003 if status == "undelivered" else 0)
    sending.channel.answers = [Accepted(handles=("a", "b"))]
    await sending.perform()
    assert await sending.outcomes() == [end]


async def test_an_early_report_is_joined_by_its_other_spelling(sending: Sending) -> None:
    await sending.report("1A", "delivered", alias="26")
    await sent(sending, "26")
    assert await sending.outcomes() == [("delivered", 0)]


@pytest.mark.parametrize(("later", "end"), [(MINUTE, "delivered"), (MINUTE + timedelta(microseconds=1), "sent")])
async def test_an_early_report_is_kept_for_a_minute(sending: Sending, later: timedelta, end: str) -> None:
    await sending.report("h1", "delivered")
    sending.world.clock.advance(later)
    await sent(sending)
    assert await sending.outcomes() == [(end, 0)]


# --- by person


async def test_of_a_group_each_has_come_as_far_as_is_said_of_him(sending: Sending) -> None:
    room = await sending.group()
    message = await sending.send(room, author="ana")
    await sending.perform()
    assert await sending.report("h1", "delivered", recipient=number(2)) == 1
    assert await sending.outcomes() == [("sent", 0), ("delivered", 0)]
    assert await sending.report("h1", "undelivered", recipient=number(1), error_code=30003) == 1
    delivery = await sending.delivery(message) or {}
    assert (delivery["total"], delivery["delivered"], delivery["undelivered"]) == (2, "some", "some")
    assert await sending.report("h1", "read") == 2


async def test_clients_hear_once_of_what_moves_several(sending: Sending) -> None:
    room = await sending.group()
    await sending.send(room, author="ana")
    await sending.perform()
    sending.world.told()
    assert await sending.report("h1", "delivered") == 2
    assert sending.world.told() == ["list_item_updated ES"]


async def test_an_early_report_of_one_of_a_group_is_joined(sending: Sending) -> None:
    room = await sending.group()
    await sending.send(room, author="ana")
    await sending.report("h1", "delivered", recipient=number(2))
    await sending.perform()
    assert await sending.outcomes() == [("sent", 0), ("delivered", 0)]


async def test_the_case_of_a_mailbox_does_not_matter(sending: Sending) -> None:
    room = (await sending.world.conversation()).sid
    for address in ("Ana@A.test", "ben@b.test"):
        await sending.person(room, "desk@d.test", address=address)
    await sending.send(room)
    await sending.perform()
    assert await sending.report("h1", "undelivered", recipient="ana@a.TEST", error_code=30003) == 1
    assert await sending.outcomes() == [("undelivered", 30003), ("sent", 0)]


async def test_an_early_report_of_one_message_is_not_joined_to_another_by_its_other_spelling(sending: Sending) -> None:
    await sending.report("1A", "delivered", alias="26")
    await sent(sending, "1A")
    await sent(sending, "26")
    assert await sending.outcomes() == [("delivered", 0), ("sent", 0)]


async def test_an_early_report_that_was_joined_by_its_other_spelling_is_used_up(sending: Sending) -> None:
    await sending.report("1A", "delivered", alias="26")
    await sent(sending, "26")
    await sent(sending, "1A")
    assert await sending.outcomes() == [("delivered", 0), ("sent", 0)]


async def test_a_spelling_of_one_is_no_report_of_the_other(sending: Sending) -> None:
    await sending.report("26", "delivered")
    await sending.report("1A", "delivered", alias="26")
    await sent(sending, "1A")
    await sent(sending, "26")
    assert await sending.outcomes() == [("delivered", 0), ("delivered", 0)]


async def test_whoever_comes_second_meets_whoever_came_first(sending: Sending) -> None:
    """What is unknown is put down where its message will be: on a database with several writers one waits there for the
    other, and then sees what it has written."""
    await sending.report("1A", "delivered", alias="26")
    place = "SELECT gateway_sid, handle, channel_message_sid FROM handles ORDER BY handle"
    async with sending.world.database.snapshot() as connection:
        assert await connection.rows(place) == [(sending.gateway, "1A", ""), (sending.gateway, "26", "")]
    await sent(sending, "26")
    (record,) = await sending.records()
    async with sending.world.database.snapshot() as connection:
        assert (sending.gateway, "26", record.sid) in await connection.rows(place)
    assert await sending.outcomes() == [("delivered", 0)]


async def test_what_nobody_has_claimed_is_forgotten_with_its_report(sending: Sending) -> None:
    world = sending.world
    await sent(sending, "h")
    await sending.report("unknown", "delivered", alias="unheard")
    assert (await world.count("handles"), await world.count("early_reports")) == (3, 2)
    world.clock.advance(MINUTE * 2)
    await ChannelLog(world.database, world.clock, days=30).trim()
    assert (await world.count("handles"), await world.count("early_reports")) == (1, 0)


@pytest.mark.parametrize("name", ["x" * 300, "a\x00b", "\ud800", "x" * 300 + "\x00"])
@pytest.mark.parametrize("is_early", [False, True])
async def test_a_handle_that_no_database_would_keep_is_one_all_the_same(
    sending: Sending, name: str, is_early: bool
) -> None:
    if is_early:
        await sending.report(name, "delivered")
    await sent(sending, name, name + "2")
    if not is_early:
        await sending.report(name, "delivered")
    assert await sending.outcomes() == [("sent", 0)]
    await sending.report("other", "delivered", alias=name + "2")
    assert await sending.outcomes() == [("delivered", 0)]


# --- all until a moment


async def test_what_was_sent_until_then_has_been_read_and_nothing_after(sending: Sending) -> None:
    room = await sending.room(1)
    moments = []
    for n in range(3):
        await sending.send(room, f"{n}")
        await sending.perform()
        moments.append(sending.world.clock.now())
        sending.world.clock.advance(MINUTE)
    here: dict[str, Any] = {"sender": PROXY, "recipient": number(1)}
    assert await sending.report(None, "delivered", up_to=moments[2], **here) == 3
    assert await sending.report(None, "read", up_to=moments[1], **here) == 2
    assert [status for status, _ in await sending.outcomes()] == ["read", "read", "delivered"]
    assert await sending.report(None, "read", up_to=moments[1], **here) == 0
    assert await sending.report(None, "read", up_to=moments[0] - 1, **here) == 0


async def test_it_concerns_the_one_person_and_the_one_sender(sending: Sending) -> None:
    room = await sending.room(2)
    await sending.person(room, OTHER_PROXY)
    await sending.send(room)
    await sending.perform()
    now = sending.world.clock.now()
    assert await sending.report(None, "read", up_to=now, sender=PROXY, recipient=number(2)) == 1
    assert await sending.report(None, "read", up_to=now, sender=PROXY, recipient=number(3)) == 0
    assert await sending.report(None, "read", up_to=now, sender=PROXY) == 0
    assert [status for status, _ in await sending.outcomes()] == ["sent", "read", "sent"]


async def test_it_may_come_while_the_gateway_is_still_asked(sending: Sending) -> None:
    room = await sending.room(1)
    await sending.send(room)

    async def read_meanwhile() -> Accepted:
        at = sending.world.clock.now()
        assert await sending.report(None, "read", up_to=at, sender=PROXY, recipient=number(1)) == 1
        return Accepted(handles=("h",))

    sending.channel.answers = [read_meanwhile]
    await sending.perform()
    assert (await sending.outcomes(), await sending.states()) == ([("read", 0)], ["sent"])


async def test_what_failed_or_was_not_delivered_it_does_not_concern(sending: Sending) -> None:
    await sent(sending)
    await sending.report("h1", "undelivered", error_code=30003)
    now = sending.world.clock.now()
    assert await sending.report(None, "delivered", up_to=now, sender=PROXY, recipient=number(1)) == 0


async def test_one_report_moves_a_bounded_number(sending: Sending) -> None:
    room = await sending.room(1)
    for n in range(MOST_UNTIL + 5):
        await sending.send(room, f"{n}")
    await sending.perform()
    now = sending.world.clock.now()
    moved = [await sending.report(None, "read", up_to=now, sender=PROXY, recipient=number(1)) for _ in range(3)]
    assert moved == [MOST_UNTIL, 5, 0]


# --- reading


async def horizon(sending: Sending, room: str, sid: str) -> tuple[int | None, int | None]:
    one = await sending.world.queries.participant(sending.world.account, sending.world.service, room, sid)
    return one.last_read_index, one.last_read_at


async def test_who_has_read_a_message_has_read_up_to_it(sending: Sending) -> None:
    room = await sending.room(0, "ana")
    person = await sending.person(room)
    for n in range(3):
        await sending.send(room, f"{n}")
    await sending.perform()
    await sending.report("h1", "delivered")
    assert await horizon(sending, room, person.sid) == (None, None)
    sending.world.told()
    await sending.report("h2", "read")
    assert await horizon(sending, room, person.sid) == (1, sending.world.clock.now())
    assert sending.world.told() == ["list_item_updated ES", "map_item_updated MP"]
    await sending.report("h1", "read")
    assert (await horizon(sending, room, person.sid))[0] == 1, "it never goes back"
    await sending.report("h3", "read")
    assert (await horizon(sending, room, person.sid))[0] == 2


@pytest.mark.parametrize("gone", ["closed", "removed"])
async def test_where_there_is_no_horizon_any_more_the_receipt_alone_moves(sending: Sending, gone: str) -> None:
    room = await sending.room(0)
    person = await sending.person(room)
    await sending.send(room)
    await sending.perform()
    if gone == "closed":
        await sending.world.do(UpdateConversation, conversation=room, state="closed")
    else:
        await sending.world.do(RemoveParticipant, conversation=room, participant=person.sid)
    assert await sending.report("h1", "read") == 1
    assert await sending.outcomes() == [("read", 0)]


# --- costs


async def test_a_report_costs_the_same_for_one_and_for_fifty(sending: Sending) -> None:
    costs = []
    for people in (1, 49):
        count = len(sending.channel.sent)
        await sent(sending, people=people)
        before = sending.world.database.statements
        await sending.report(f"h{count + 1}", "delivered")
        costs.append(sending.world.database.statements - before)
    assert costs[0] == costs[1]


async def test_nobody_hears_of_what_is_not_new(sending: Sending) -> None:
    await sent(sending)
    await sending.report("h1", "delivered")
    sending.world.told()
    assert await sending.report("h1", "sent") == 0
    assert (sending.world.told(), await sending.outcomes()) == ([], [("delivered", 0)])
