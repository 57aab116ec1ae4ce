"""Delivery receipts: what is expected, what channels report, and what clients hear of it (semantics 4.11)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tertulia.server.bus.base import EventPublished
from tertulia.server.domain import callers
from tertulia.server.domain.conversations import UpdateConversation
from tertulia.server.domain.messages import DeleteMessage, Message, SendMessage, UpdateMessage
from tertulia.server.domain.participants import AddParticipant, RemoveParticipant
from tertulia.server.domain.receipts import ExpectReceipts, Receipt, RecordReceipt
from tertulia.server.domain.services import DeleteService
from tertulia.server.storage.paging import Page
from tertulia.server.storage.receipts import Receipts

from .world import World, refused

SM = "SM" + "1" * 32
OTHER_SM = "SM" + "2" * 32


class Sent:
    """A message to a number of people on a channel, and one who chats."""

    def __init__(self, world: World, room: str, people: list[str], ana: str, message: str) -> None:
        self.world, self.room, self.people, self.ana, self.message = world, room, people, ana, message
        self.here: dict[str, Any] = {"conversation": room, "message": message}

    async def expect(self, *people: str) -> tuple[Receipt, ...]:
        return await self.world.do(ExpectReceipts, **self.here, participants=people or tuple(self.people))

    async def report(self, who: int | str, status: str, **fields: Any) -> Receipt:
        receipt = self.people[who] if isinstance(who, int) else who
        return await self.world.do(RecordReceipt, **self.here, receipt=receipt, status=status, **fields)

    async def now(self) -> Message:
        return await self.world.queries.message(self.world.account, self.world.service, self.room, self.message)

    async def delivery(self) -> dict[str, Any] | None:
        text = (await self.now()).delivery
        return None if text is None else msgspec.json.decode(text)

    def events(self) -> list[dict[str, Any]]:
        """Data of the messages in what was published since the last time."""
        heard, self.world.bus.heard = self.world.bus.heard, []
        found = [msgspec.json.decode(one.body) for one in heard if isinstance(one, EventPublished)]
        assert len(found) == len(heard)
        assert {one["event_type"] for one in found} <= {"list_item_updated"}
        return [one["event"]["item_data"] for one in found]


async def new_sent(world: World, people: int = 2) -> Sent:
    room = await world.conversation("ana")
    found = await world.queries.participant(world.account, world.service, room.sid, "ana")
    taken = await world.count("participants")
    made = [
        await world.do(
            AddParticipant, conversation=room.sid, address=f"+1555{taken + n:07}", proxy_address="+15559999999"
        )
        for n in range(people)
    ]
    # Nothing goes out, so that what is expected of it is what the test expects.
    message = await world.do(SendMessage, conversation=room.sid, body="hello", skips_channels=True)
    world.told()
    return Sent(world, room.sid, [one.sid for one in made], found.sid, message.sid)


@pytest.fixture
async def sent(world: World) -> Sent:
    return await new_sent(world)


def words(total: int = 2, **others: str) -> dict[str, Any]:
    none = dict.fromkeys(("sent", "delivered", "read", "failed", "undelivered"), "none")
    return {"total": total, **none, **others}


# --- expecting


async def test_a_message_without_receipts_has_no_delivery(sent: Sent) -> None:
    assert await sent.delivery() is None


async def test_receipts_begin_as_queued(sent: Sent) -> None:
    receipts = await sent.expect()
    assert [one.participant_sid for one in receipts] == sent.people
    assert {(one.status, one.error_code, one.channel_message_sid) for one in receipts} == {("queued", 0, None)}
    assert all(one.sid.startswith("DY") for one in receipts)
    assert await sent.delivery() == words()
    (told,) = sent.events()
    assert told["delivery"] == words()


async def test_expecting_again_makes_none_twice(sent: Sent) -> None:
    first = await sent.expect(sent.people[0])
    sent.events()
    both = await sent.expect(*sent.people, *sent.people)
    assert [one.participant_sid for one in both] == sent.people and both[0] == first[0]
    assert [told["delivery"]["total"] for told in sent.events()] == [2]
    assert await sent.expect() == both
    assert sent.events() == []


async def test_who_chats_has_left_or_is_unknown_gets_none(sent: Sent) -> None:
    number = await sent.world.do(AddParticipant, conversation=sent.room, projected_address="+15550009999")
    elsewhere = await new_sent(sent.world)
    await sent.world.do(RemoveParticipant, conversation=sent.room, participant=sent.people[1])
    sent.world.told()
    strangers = (sent.ana, number.sid, elsewhere.people[0], "MB" + "0" * 32)
    assert await sent.expect(*strangers) == ()
    assert (await sent.delivery(), sent.events()) == (None, [])
    assert [one.participant_sid for one in await sent.expect(*strangers, *sent.people)] == [sent.people[0]]


async def test_the_author_gets_none(sent: Sent) -> None:
    await sent.world.do(UpdateMessage, **sent.here, author="+15550000001")
    assert (await sent.now()).participant_sid == sent.people[0]
    assert [one.participant_sid for one in await sent.expect()] == [sent.people[1]]


# --- reports


async def test_reports_move_the_receipt_and_the_message(sent: Sent) -> None:
    await sent.expect()
    sent.events()
    sent.world.clock.advance(timedelta(seconds=5))
    moved = await sent.report(0, "sent", channel_message_sid=SM)
    assert (moved.status, moved.channel_message_sid) == ("sent", SM)
    assert moved.updated_at - moved.created_at == 5_000_000
    assert await sent.delivery() == words(sent="some")
    await sent.report(1, "sent")
    await sent.report(0, "read")
    await sent.report(1, "undelivered", error_code=30003)
    assert await sent.delivery() == words(sent="all", delivered="some", read="some", undelivered="some")
    assert [told["delivery"] for told in sent.events()] == [
        words(sent="some"),
        words(sent="all"),
        words(sent="all", delivered="some", read="some"),
        words(sent="all", delivered="some", read="some", undelivered="some"),
    ]


async def test_a_receipt_is_named_by_its_own_sid_too(sent: Sent) -> None:
    (first, _) = await sent.expect()
    assert (await sent.report(first.sid, "delivered")).status == "delivered"


async def test_a_message_is_not_edited_by_its_receipts(sent: Sent) -> None:
    before = await sent.now()
    sent.world.clock.advance(timedelta(seconds=5))
    await sent.expect()
    await sent.report(0, "delivered")
    after = await sent.now()
    changed = {name for name in before.__struct_fields__ if getattr(before, name) != getattr(after, name)}
    assert changed == {"delivery", "event"}
    assert all(told["dateUpdated"] and told["lastUpdatedBy"] is None for told in sent.events())


async def test_clients_hear_the_moment_of_the_report(sent: Sent) -> None:
    sent.world.clock.advance(timedelta(days=1))
    await sent.expect()
    event = msgspec.json.decode(sent.world.bus.events()[-1].body)["event"]
    assert event["date_created"] == "2025-01-02T00:00:00.000Z"


@pytest.mark.parametrize(("first", "late"), [("delivered", "sent"), ("read", "undelivered"), ("failed", "sent")])
async def test_a_late_report_changes_nothing(sent: Sent, first: str, late: str) -> None:
    await sent.expect()
    before = await sent.report(0, first)
    sent.events()
    assert await sent.report(0, late, error_code=30003) == before
    assert sent.events() == []


@pytest.mark.parametrize("failure", ["failed", "undelivered"])
async def test_a_delivery_after_a_failure_wins(sent: Sent, failure: str) -> None:
    await sent.expect()
    assert (await sent.report(0, failure, error_code=30003)).error_code == 30003
    assert (await sent.delivery() or {})[failure] == "some"
    moved = await sent.report(0, "delivered")
    assert (moved.status, moved.error_code) == ("delivered", 0)
    assert await sent.delivery() == words(sent="some", delivered="some")


async def test_a_repeated_report_is_answered_and_done_once(sent: Sent) -> None:
    await sent.expect()
    first = await sent.report(0, "sent", channel_message_sid=SM)
    number = (await sent.now()).event
    sent.events()
    assert await sent.report(0, "sent", channel_message_sid=SM) == first
    assert ((await sent.now()).event, sent.events()) == (number, [])


async def test_the_channels_name_for_it_is_taken_from_a_late_report_and_stays(sent: Sent) -> None:
    await sent.expect()
    await sent.report(0, "delivered")
    sent.events()
    named = await sent.report(0, "sent", channel_message_sid=SM)
    assert (named.status, named.channel_message_sid, sent.events()) == ("delivered", SM, [])
    assert (await sent.report(0, "read", channel_message_sid=OTHER_SM)).channel_message_sid == SM


async def test_what_makes_no_difference_to_the_message_is_not_told(world: World) -> None:
    sent = await new_sent(world, people=3)
    await sent.expect()
    await sent.report(0, "sent")
    sent.events()
    assert (await sent.report(1, "sent")).status == "sent"
    assert (await sent.delivery(), sent.events()) == (words(3, sent="some"), [])
    await sent.report(2, "sent")
    assert [told["delivery"] for told in sent.events()] == [words(3, sent="all")]


async def test_reports_at_once_are_all_counted(world: World) -> None:
    sent = await new_sent(world, people=20)
    await sent.expect()
    await asyncio.gather(
        *(sent.report(n, status) for n in range(20) for status in ("read", "sent", "delivered")),
        *(world.send(sent.room) for _ in range(5)),
    )
    assert await sent.delivery() == words(20, sent="all", delivered="all", read="all")
    numbers = [event.number for event in world.bus.events() if event.message_type.endswith("list")]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_expecting_at_once_makes_one_each(sent: Sent) -> None:
    answers = await asyncio.gather(*(sent.expect() for _ in range(5)))
    assert len(set(answers)) == 1
    assert await sent.world.count("receipts") == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "lost"},
        {"receipt": "+15550000000"},
        {"channel_message_sid": "SM1"},
        {"channel_message_sid": "12" + "0" * 32},
        {"error_code": -1},
    ],
)
async def test_a_report_that_makes_no_sense_is_refused(sent: Sent, wrong: dict[str, Any]) -> None:
    await sent.expect()
    fields: dict[str, Any] = {"receipt": sent.people[0], "status": "sent", **wrong}
    with refused(20001, 400):
        await sent.world.do(RecordReceipt, **sent.here, **fields)


# --- closed, deleted, foreign


async def test_a_closed_conversation_still_takes_reports_and_clients_hear_nothing(sent: Sent) -> None:
    await sent.expect()
    await sent.world.do(UpdateConversation, conversation=sent.room, state="closed")
    before = (await sent.now()).event
    sent.world.told()
    assert (await sent.report(0, "delivered")).status == "delivered"
    assert await sent.delivery() == words(sent="some", delivered="some")
    assert (sent.world.told(), (await sent.now()).event) == ([], before)


async def test_an_inactive_conversation_stays_so(sent: Sent) -> None:
    await sent.expect()
    await sent.world.do(UpdateConversation, conversation=sent.room, state="inactive")
    sent.world.told()
    await sent.report(0, "delivered")
    assert sent.world.told() == ["list_item_updated ES"]
    found = await sent.world.queries.conversation(sent.world.account, sent.world.service, sent.room)
    assert found.state == "inactive"


async def test_receipts_go_with_their_message(sent: Sent) -> None:
    other = await new_sent(sent.world)
    await sent.expect()
    await other.expect()
    await sent.world.do(DeleteMessage, **sent.here)
    assert await sent.world.count("receipts") == 2
    with refused(50500, 404):
        await sent.report(0, "sent")


async def test_receipts_of_who_has_left_stay(sent: Sent) -> None:
    await sent.expect()
    await sent.world.do(RemoveParticipant, conversation=sent.room, participant=sent.people[0])
    await sent.report(0, "delivered")
    assert (await sent.delivery() or {})["total"] == 2


async def test_receipts_are_removed_by_conversation_a_bite_at_a_time(world: World) -> None:
    sent, other = await new_sent(world, people=5), await new_sent(world)
    await sent.expect()
    await other.expect()
    async with world.database.transaction() as connection:
        assert [await Receipts(connection).remove_of_conversation(sent.room, 2) for _ in range(4)] == [2, 2, 1, 0]
    assert await world.count("receipts") == 2


async def test_receipts_go_with_their_service(world: World) -> None:
    there = await world.in_new_service()
    sent = await new_sent(there)
    await sent.expect()
    await world.do(DeleteService, service=there.service)
    await world.run_due()
    assert await world.count("receipts") == 0


async def test_receipts_of_another_account_or_service_or_message_are_absent(sent: Sent) -> None:
    (first, _) = await sent.expect()
    other = await new_sent(sent.world)
    with refused(20404, 404):
        await other.report(first.sid, "sent")
    with refused(50500, 404):
        await sent.world.do(
            RecordReceipt, conversation=other.room, message=sent.message, receipt=first.sid, status="sent"
        )
    stranger = callers.system("AC" + "0" * 32)
    with refused(50350, 404):
        await sent.world.do(RecordReceipt, by=stranger, **sent.here, receipt=first.sid, status="sent")
    with refused(50350, 404):
        await sent.world.do(ExpectReceipts, by=stranger, **sent.here, participants=tuple(sent.people))
    assert (await sent.report(0, "queued")).status == "queued"


async def test_the_server_itself_may_report(sent: Sent) -> None:
    await sent.expect()
    system = callers.system(sent.world.account.account_sid)
    moved = await sent.world.do(RecordReceipt, by=system, **sent.here, receipt=sent.people[0], status="sent")
    assert moved.status == "sent"


async def test_clients_make_no_receipts(sent: Sent) -> None:
    await sent.expect()
    ana = sent.world.user("ana")
    with refused(50107, 403):
        await sent.world.do(ExpectReceipts, by=ana, **sent.here, participants=tuple(sent.people))
    with refused(50107, 403):
        await sent.world.do(RecordReceipt, by=ana, **sent.here, receipt=sent.people[0], status="read")


# --- reading


async def test_what_is_not_his_is_absent_for_whoever_reads(sent: Sent) -> None:
    (first, _) = await sent.expect()
    await sent.report(0, "sent")
    world, other = sent.world, await new_sent(sent.world)
    reads, here = world.queries.receipts, (sent.room, sent.message)
    assert (await reads.one(world.account, world.service, *here, first.sid)).status == "sent"
    stranger, there = callers.account("AC" + "0" * 32), await world.in_new_service()
    for caller, service, room, message, code in (
        (stranger, world.service, *here, 50350),
        (world.account, there.service, *here, 50350),
        (world.account, world.service, other.room, sent.message, 50500),
        (world.account, world.service, other.room, other.message, 20404),
    ):
        with refused(code, 404):
            await reads.one(caller, service, room, message, first.sid)
    with refused(50350, 404):
        await reads.page(stranger, world.service, *here, Page(50))


@pytest.mark.parametrize("key", ["participant", "nonsense", "", "DY" + "0" * 32])
async def test_one_is_read_by_its_own_sid_alone(sent: Sent, key: str) -> None:
    await sent.expect()
    await sent.report(0, "sent")
    with refused(20404, 404):
        await sent.world.queries.receipts.one(
            sent.world.account,
            sent.world.service,
            sent.room,
            sent.message,
            sent.people[0] if key == "participant" else key,
        )


# --- costs


async def test_a_report_costs_as_much_whatever_the_number_of_receipts(world: World) -> None:
    costs = []
    for people in (2, 40):
        sent = await new_sent(world, people)
        before = world.database.statements
        await sent.expect()
        expected = world.database.statements - before
        before = world.database.statements
        await sent.report(0, "sent")
        costs.append((expected, world.database.statements - before))
    assert costs[0] == costs[1] == (7, 6)
