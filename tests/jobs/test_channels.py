"""Sending on channels: attempts, what gateways answer, order, and what is decided on the way (gateways 8.0)."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import pytest

from tertulia.server.channels.base import Accepted, NotNow, Refused, Unsure
from tertulia.server.domain.channel_messages import BeginSending
from tertulia.server.domain.receipts import ReceiptStatus
from tertulia.server.engine.unit import Policy
from tertulia.server.jobs.channel_log import ChannelLog
from tertulia.server.storage.database import Connection, StorageUnavailable
from tertulia.server.storage.sqlite import SqliteDatabase
from tests.engine.sending import OTHER_PROXY, Sending, number
from tests.engine.world import BASE_URL, World
from tests.peers.recording import Naming, Recording, Repeating, never

DAY = timedelta(days=1)


@pytest.fixture
def sending(world: World) -> Sending:
    return Sending(world)


async def wait_s(sending: Sending) -> float:
    """Until the one job there is is performed again."""
    (job,) = await sending.jobs()
    return (job.due_at - sending.world.clock.now()) / 1_000_000


# --- taken


async def test_what_a_gateway_takes_is_sent(sending: Sending) -> None:
    room = await sending.room(1)
    message = await sending.send(room)
    sending.channel.answers = [Accepted(handles=("a", "b"), segments=2)]
    await sending.perform()
    (record,) = await sending.records()
    assert (record.state, record.segments, record.gateway_sid) == ("sent", 2, sending.gateway)
    assert record.sent_at == sending.world.clock.now()
    assert await sending.outcomes() == [("sent", 0)]
    assert (await sending.delivery(message) or {})["sent"] == "all"
    assert (await sending.jobs(), await sending.world.count("handles")) == ([], 2)


async def test_a_gateway_gets_our_sid_and_until_when_it_is_of_use(sending: Sending) -> None:
    room = await sending.room(1)
    await sending.send(room)
    (record,) = await sending.records()
    await sending.perform()
    (sent,) = sending.channel.sent
    assert (sent.sid, sent.valid_until) == (record.sid, record.created_at + 4 * 3600 * 1_000_000)
    assert number(1) not in repr(sent) and "hello" not in repr(sent)


async def test_a_gateway_may_say_more_than_sent_at_once(sending: Sending) -> None:
    room = await sending.room(1)
    await sending.send(room)
    sending.channel.answers = [Accepted(status=ReceiptStatus.DELIVERED)]
    await sending.perform()
    assert await sending.outcomes() == [("delivered", 0)]


# --- refused


async def test_a_refusal_is_the_last_word(sending: Sending, caplog: pytest.LogCaptureFixture) -> None:
    room = await sending.room(1)
    message = await sending.send(room, "do-not-log")
    sending.channel.answers = [Refused(21211, "no such number")]
    with caplog.at_level(logging.INFO):
        await sending.perform_all()
    assert (await sending.outcomes(), await sending.states()) == ([("failed", 21211)], ["failed"])
    assert (await sending.delivery(message) or {})["failed"] == "all"
    assert len(sending.channel.sent) == 1
    (line,) = [record for record in caplog.records if record.message == "channel.refused"]
    assert "do-not-log" not in str(line.__dict__) and number(1) not in str(line.__dict__)


async def test_one_refusal_leaves_the_others_alone(sending: Sending) -> None:
    room = await sending.room(2)
    await sending.send(room)
    sending.channel.answers = [Refused(30007, "filtered")]
    await sending.perform_all()
    assert sorted(await sending.outcomes()) == [("failed", 30007), ("sent", 0)]


async def test_a_gateway_that_is_gone_refuses(sending: Sending) -> None:
    room = await sending.room(1)
    await sending.send(room)
    sending.opened.trouble = Refused(30008, "its gateway was removed")
    await sending.perform()
    assert await sending.outcomes() == [("failed", 30008)]


async def test_an_address_that_is_ours_no_more_sends_nothing(sending: Sending) -> None:
    room = await sending.room(1)
    await sending.send(room)
    await sending.sender(OTHER_PROXY)
    await sending.perform()
    assert (await sending.outcomes(), sending.channel.sent) == ([("failed", 21212)], [])


async def test_a_sender_that_was_moved_sends_by_its_new_gateway(sending: Sending) -> None:
    gateway = await sending.sender()
    room = await sending.room(1)
    await sending.send(room)
    await sending.world.sql("UPDATE senders SET gateway_sid = $1", "GW" + "2" * 32)
    await sending.perform()
    assert sending.opened.used == ["GW" + "2" * 32] != [gateway]
    assert [one.gateway_sid for one in await sending.records()] == ["GW" + "2" * 32]


# --- not now


async def test_what_is_put_off_is_tried_again_with_growing_waits(sending: Sending) -> None:
    room = await sending.room(1)
    await sending.send(room)
    sending.channel.answers = [NotNow("busy")] * 14
    waits = []
    for _ in range(14):
        await sending.perform()
        assert await sending.states() == ["waiting"]
        waits.append(await wait_s(sending))
        await sending.until_due()
    assert 0.8 <= waits[0] <= 1.2 and 240 <= waits[-1] <= 360
    assert waits[:8] == sorted(waits[:8])
    await sending.perform()
    assert await sending.outcomes() == [("sent", 0)]
    assert len({message.sid for message in sending.channel.sent}) == 1


async def test_a_gateway_may_say_when(sending: Sending) -> None:
    room = await sending.room(1)
    await sending.send(room)
    sending.channel.answers = [NotNow("throttled", 90.0), NotNow("throttled", 0.0), NotNow("come back", 1e9)]
    waits = []
    for _ in range(3):
        await sending.perform()
        waits.append(await wait_s(sending))
        await sending.until_due()
    assert waits[:2] == [90.0, 1.0]
    assert waits[2] == 4 * 3600 - 91, "no later than when its time is over"
    await sending.perform()
    assert await sending.outcomes() == [("failed", 30410)]


async def test_when_its_time_is_over_it_has_failed(sending: Sending) -> None:
    room = await sending.room(1)
    message = await sending.send(room)
    sending.channel.answers = [NotNow("down")] * 1000
    await sending.perform_all()
    assert await sending.outcomes() == [("failed", 30410)]
    spent = sending.world.clock.now() - message.created_at
    assert timedelta(hours=4) <= timedelta(microseconds=spent) <= timedelta(hours=4, minutes=6)


async def test_what_could_not_be_opened_in_time_has_failed(sending: Sending) -> None:
    room = await sending.room(1)
    await sending.send(room)
    sending.opened.trouble = NotNow("cannot be opened", is_alarming=True)
    await sending.perform()
    assert (await sending.states(), await sending.outcomes()) == (["waiting"], [("queued", 0)])
    sending.world.clock.advance(DAY)
    await sending.perform()
    assert await sending.outcomes() == [("failed", 30410)]


async def test_what_somebody_has_to_mend_is_said_aloud(sending: Sending, caplog: pytest.LogCaptureFixture) -> None:
    room = await sending.room(1)
    await sending.send(room)
    sending.channel.answers = [NotNow("its credentials are refused", is_alarming=True)]
    await sending.perform()
    assert [one.levelname for one in caplog.records if one.message == "channel.alarm"] == ["WARNING"]


# --- nobody knows


async def test_an_unsure_outcome_has_failed_where_repeats_are_not_safe(sending: Sending) -> None:
    room = await sending.room(1)
    await sending.send(room)
    sending.channel.answers = [Unsure("no answer")]
    await sending.perform_all()
    assert (await sending.outcomes(), len(sending.channel.sent)) == ([("failed", 30008)], 1)


async def test_an_unsure_outcome_is_repeated_where_that_is_safe(world: World) -> None:
    sending = Sending(world, Repeating())
    room = await sending.room(1)
    await sending.send(room)
    sending.channel.answers = [Unsure("no answer")]
    await sending.perform_all()
    assert (await sending.outcomes(), len(sending.channel.sent)) == ([("sent", 0)], 2)
    assert len({message.sid for message in sending.channel.sent}) == 1


@pytest.mark.parametrize(
    ("channel", "outcome"), [(Recording, ("failed", 30008)), (Naming, ("failed", 30008)), (Repeating, ("sent", 0))]
)
async def test_an_attempt_that_died_is_repeated_only_where_that_is_safe(
    world: World, channel: type[Recording], outcome: tuple[str, int]
) -> None:
    sending = Sending(world, channel())
    room = await sending.room(1)
    await sending.send(room)
    sending.channel.answers = [never]
    worker = sending.worker(grace_s=0)
    running = asyncio.create_task(worker.run())
    await sending.channel.asked.wait()
    await worker.stop()
    await running
    assert await sending.states() == ["sending"]
    await sending.perform_all()
    assert await sending.outcomes() == [outcome]
    (record,) = await sending.records()
    is_known = channel is Naming
    assert await sending.report(record.sid) == is_known


async def test_what_was_begun_and_never_ended_is_not_tried_for_ever(sending: Sending) -> None:
    room = await sending.room(1)
    await sending.send(room)
    (record,) = await sending.records()
    await sending.world.do(BeginSending, channel_message=record.sid, gateway=sending.gateway)
    sending.opened.trouble = NotNow("cannot be opened")
    sending.world.clock.advance(DAY)
    await sending.perform()
    assert await sending.outcomes() == [("failed", 30008)]


async def test_a_mistake_of_an_adapter_leaves_its_message_unknown(
    sending: Sending, caplog: pytest.LogCaptureFixture
) -> None:
    room = await sending.room(1)
    await sending.send(room)
    sending.channel.answers = [ZeroDivisionError("do-not-log")]
    await sending.perform_all()
    assert await sending.outcomes() == [("failed", 30008)]
    assert "do-not-log" not in caplog.text


class Unsteady:
    """A database that refuses what the test says, once."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database
        self.refuses = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        if self.refuses:
            self.refuses = False
            raise StorageUnavailable("the disk is full")
        return self._database.transaction()


@pytest.mark.parametrize("answer", [Accepted(handles=("h",)), Refused(21211, "no such number")])
async def test_what_a_gateway_said_is_told_again_to_a_database_that_would_not_hear(
    world: World, answer: Accepted | Refused
) -> None:
    database: Any = Unsteady(world.database)
    sending = Sending(world, engine=world.engine_with(Policy(base_url=BASE_URL), database=database))
    room = await sending.room(1)
    await sending.send(room)

    async def and_then_the_disk_is_full() -> Accepted:
        database.refuses = True
        if isinstance(answer, Refused):
            raise answer
        return answer

    sending.channel.answers = [and_then_the_disk_is_full]
    assert await sending.perform() == 1
    assert await sending.outcomes() == [("failed", 21211) if isinstance(answer, Refused) else ("sent", 0)]
    assert len(sending.channel.sent) == 1


# --- taken in part


async def half_taken(sending: Sending) -> str:
    """One of two parts is taken, and the message put off; its SID."""
    room = await sending.room(1)
    await sending.send(room)
    (record,) = await sending.records()
    sending.channel.parts[record.sid] = Accepted(handles=("part-1",), segments=2)
    sending.channel.answers = [NotNow("throttled")]
    await sending.perform()
    await sending.until_due()
    return record.sid


async def test_what_is_taken_in_part_goes_on_where_it_is_known_which(sending: Sending) -> None:
    sid = await half_taken(sending)
    assert await sending.states() == ["sending"]

    async def the_rest() -> Accepted:
        sending.channel.parts.clear()
        return Accepted(handles=("part-1", "part-2"), segments=2)

    sending.channel.answers = [NotNow("throttled"), the_rest]
    await sending.perform_all()
    assert (await sending.outcomes(), await sending.world.count("handles")) == ([("sent", 0)], 2)
    assert [message.sid for message in sending.channel.sent] == [sid] * 3


async def test_what_is_taken_in_part_and_forgotten_is_not_sent_again(sending: Sending) -> None:
    await half_taken(sending)
    sending.channel.parts.clear()
    await sending.perform_all()
    assert (await sending.outcomes(), len(sending.channel.sent)) == ([("failed", 30008)], 1)


async def test_a_message_whose_time_is_over_in_the_middle_has_failed_whatever_is_reported(sending: Sending) -> None:
    await half_taken(sending)
    sending.world.clock.advance(DAY)
    await sending.perform()
    assert (await sending.outcomes(), len(sending.channel.sent)) == ([("failed", 30410)], 1)
    assert [(one.state, one.error_code, one.segments) for one in await sending.records()] == [("sent", 30410, 2)]
    await sending.report("part-1")
    assert await sending.outcomes() == [("failed", 30410)]


async def test_a_message_one_part_of_which_is_lost_has_failed_whatever_was_reported_before(sending: Sending) -> None:
    room = await sending.room(1)
    message = await sending.send(room)
    await sending.report("part-1")
    sending.channel.answers = [Accepted(handles=("part-1", "part-3"), segments=3, lost=21211)]
    await sending.perform_all()
    await sending.report("part-3")
    assert await sending.outcomes() == [("failed", 21211)]
    assert (await sending.delivery(message) or {})["failed"] == "all"


# --- what a gateway comes to grief at


BROKEN = NotNow("answers 500", is_broken=True)


async def among_others(sending: Sending, *, passing: bool) -> None:
    """A message to one person fails each time, and those to another in between do not, or do."""
    poisoned, others = await sending.room(1), await sending.room(1)
    await sending.send(poisoned, "poison")
    original = sending.channel.send

    async def send(message: Any) -> Accepted:
        if message.text == "poison" or not passing:
            raise BROKEN
        return await original(message)

    sending.channel.send = send  # type: ignore[method-assign]
    await sending.send(poisoned, "behind it")
    for _ in range(8):
        await sending.perform()
        await sending.send(others)
        await sending.perform()
        if await sending.jobs():
            await sending.until_due()


async def test_a_message_that_a_gateway_comes_to_grief_at_gives_way_when_others_pass(sending: Sending) -> None:
    await among_others(sending, passing=True)
    await sending.perform_all()
    outcomes = await sending.outcomes()
    assert (outcomes[0], set(outcomes[1:])) == (("failed", 30008), {("sent", 0)})
    spent = timedelta(microseconds=sending.world.clock.now() - (await sending.records())[0].created_at)
    assert spent < timedelta(minutes=10)


async def test_while_nothing_passes_no_message_gives_way(sending: Sending) -> None:
    await among_others(sending, passing=False)
    assert set(await sending.states()) == {"waiting"}


# --- order


async def test_each_person_gets_his_messages_in_order_whatever_is_tried_again(sending: Sending) -> None:
    room = await sending.room(2)
    for n in range(6):
        await sending.send(room, f"{n}")
    sending.channel.answers = [NotNow("busy") if n % 3 else Accepted(handles=(f"x{n}",)) for n in range(20)]
    taken: list[tuple[str, str | None]] = []
    original = sending.channel.send

    async def send_and_note(message: Any) -> Accepted:
        accepted = await original(message)
        taken.append((message.recipients[0], message.text))
        return accepted

    sending.channel.send = send_and_note  # type: ignore[method-assign]
    await sending.perform_all()
    for person in (number(1), number(2)):
        assert [text for who, text in taken if who == person] == [f"{n}" for n in range(6)]


async def test_who_waits_does_not_hold_up_others(sending: Sending) -> None:
    room = await sending.room(2)
    await sending.send(room, "first")
    sending.channel.answers = [NotNow("busy", 600.0)]
    await sending.send(room, "second")
    await sending.perform()
    assert sorted(await sending.states()) == ["sent", "sent", "waiting", "waiting"]


# --- kept for a while


async def test_what_went_out_is_forgotten_after_some_days_and_receipts_stay(sending: Sending) -> None:
    room = await sending.room(2)
    await sending.send(room)
    await sending.perform()
    await sending.report("unknown")
    trim = ChannelLog(sending.world.database, sending.world.clock, days=7).trim
    assert await trim() == 0
    sending.world.clock.advance(timedelta(seconds=61))
    assert await trim() == 2, "the report, and its name"
    sending.world.clock.advance(timedelta(days=7, hours=4))
    assert await trim() == 4
    assert [await sending.world.count(table) for table in ("channel_messages", "handles", "receipts")] == [0, 0, 2]
    assert await sending.report("h1") == 0


# --- costs


async def test_reading_what_is_sent_costs_the_same_for_one_and_for_many(sending: Sending) -> None:
    costs = []
    for people in (1, 20):
        room = (await sending.world.conversation()).sid
        for n in range(people):
            await sending.person(room, "desk@d.test" if people == 1 else "shop@d.test", address=f"{n}@a.test")
        await sending.send(room)
        before = sending.world.database.statements
        assert await sending.perform() == 1
        costs.append(sending.world.database.statements - before)
    assert costs[0] == costs[1]
    assert [len(one.recipients) for one in sending.channel.sent] == [1, 20]
