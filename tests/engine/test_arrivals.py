"""What comes in finds its conversation, once, and in order (semantics 4.3)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tertulia.server.domain import callers
from tertulia.server.domain.arrivals import DropArrival, TakeMessage
from tertulia.server.domain.conversations import DeleteConversation, UpdateConversation
from tertulia.server.domain.messages import SendMessage
from tertulia.server.domain.participants import AddParticipant, RemoveParticipant
from tertulia.server.domain.services import DeleteService
from tertulia.server.jobs.forgotten_arrivals import ArrivalTrim
from tertulia.server.storage.opt_outs import LastHeard

from .inbound import ANA, BEN, OURS, OURS_TOO, Inbound
from .world import refused


async def test_a_message_goes_where_its_sender_talks_over_our_number(inbound: Inbound) -> None:
    room, person = await inbound.pair("zoe")
    await inbound.hears("good morning")
    await inbound.settle()
    [message] = await inbound.messages(room.sid)
    assert (message.body, message.author, message.participant_sid) == ("good morning", ANA, person.sid)
    [arrival] = await inbound.arrivals()
    assert (arrival.state.value, arrival.message_sid, arrival.content) == ("taken", message.sid, None)


async def test_each_pair_of_addresses_has_a_conversation_of_its_own(inbound: Inbound) -> None:
    pairs = ((ANA, OURS), (ANA, OURS_TOO), (BEN, OURS))
    rooms = [(await inbound.pair(address=who, proxy=ours))[0].sid for who, ours in pairs]
    for who, ours in pairs:
        await inbound.hears(f"{who} to {ours}", sender=who, recipient=ours)
    await inbound.settle()
    assert [await inbound.bodies(room) for room in rooms] == [[f"{who} to {ours}"] for who, ours in pairs]


async def test_a_person_who_is_there_over_two_numbers_speaks_over_the_one_he_wrote_to(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    other = await inbound.world.do(AddParticipant, conversation=room.sid, address=ANA, proxy_address=OURS_TOO)
    await inbound.hears("over the other", recipient=OURS_TOO)
    await inbound.settle()
    [message] = await inbound.messages(room.sid)
    assert message.participant_sid == other.sid


async def test_the_author_has_the_prefix_of_his_channel(inbound: Inbound) -> None:
    world = inbound.world
    await world.sql("UPDATE senders SET address = 'whatsapp:' || address, kind = 'whatsapp'")
    room, person = await inbound.pair(address=f"whatsapp:{ANA}", proxy=f"whatsapp:{OURS}")
    await inbound.hears("hi", sender=f"whatsapp:{ANA}", recipient=f"whatsapp:{OURS}")
    await inbound.settle()
    [message] = await inbound.messages(room.sid)
    assert (message.author, message.participant_sid) == (f"whatsapp:{ANA}", person.sid)


async def test_a_user_whose_identity_is_an_address_does_not_become_the_author(inbound: Inbound) -> None:
    room, person = await inbound.pair(ANA)
    await inbound.hears()
    await inbound.settle()
    [message] = await inbound.messages(room.sid)
    assert message.participant_sid == person.sid


async def test_a_conversation_of_another_service_is_found(inbound: Inbound) -> None:
    await inbound.pair("zoe", address=BEN)
    elsewhere = await inbound.world.in_new_service()
    room, _ = await inbound.pair("zoe", world=elsewhere)
    await inbound.hears("found")
    await inbound.settle()
    messages = await inbound.messages(room.sid, elsewhere.service)
    assert [message.body for message in messages] == ["found"]


async def test_an_idle_conversation_is_active_again(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    await inbound.world.do(UpdateConversation, conversation=room.sid, state="inactive")
    await inbound.hears()
    await inbound.settle()
    [(_, _, _, state)] = await inbound.conversations()
    assert state == "active"
    assert await inbound.bodies(room.sid) == ["hello"]


@pytest.mark.parametrize("end", ["closed", "removed", "deleted", "service"])
async def test_where_nobody_talks_any_more_nothing_arrives(inbound: Inbound, end: str) -> None:
    world = inbound.world
    elsewhere = await world.in_new_service()
    room, person = await inbound.pair(world=elsewhere)
    match end:
        case "closed":
            await elsewhere.do(UpdateConversation, conversation=room.sid, state="closed")
        case "removed":
            await elsewhere.do(RemoveParticipant, conversation=room.sid, participant=person.sid)
        case "deleted":
            await elsewhere.do(DeleteConversation, conversation=room.sid)
        case "service":
            await world.do(DeleteService, service=elsewhere.service)
    await inbound.hears()
    await inbound.settle()
    [arrival] = await inbound.arrivals()
    assert (arrival.state.value, arrival.content, arrival.message_sid) == ("dropped", None, None)
    assert await world.count("messages") == 0


async def test_a_conversation_that_closes_between_is_not_written_to(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    await inbound.hears()
    await inbound.world.do(UpdateConversation, conversation=room.sid, state="closed")
    await inbound.settle()
    assert await inbound.states() == ["dropped"]


async def test_what_nobody_expects_is_dropped_without_a_word_of_it_in_the_log(
    inbound: Inbound, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await inbound.hears("a secret between us")
    await inbound.settle()
    assert await inbound.states() == ["dropped"]
    [line] = [record for record in caplog.records if record.getMessage() == "channel.dropped"]
    said = f"{line.getMessage()} {line.__dict__}"
    assert ANA not in said and OURS not in said and "secret" not in said


async def test_what_a_provider_brings_twice_is_heard_once(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    one = inbound.incoming("once")
    await inbound.hear(one, one)
    await inbound.hear(one)
    await inbound.settle()
    await inbound.hear(one)
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["once"]


async def test_two_gateways_may_use_the_same_name(inbound: Inbound) -> None:
    number = "+15550003000"
    other = await inbound.serve(number, "other")
    rooms = [(await inbound.pair(proxy=ours))[0].sid for ours in (OURS, number)]
    await inbound.hears("same", provider_id="one")
    await inbound.hear_by(other, inbound.incoming("same", provider_id="one", recipient=number))
    await inbound.settle()
    assert [await inbound.bodies(room) for room in rooms] == [["same"], ["same"]]


async def test_a_repeat_is_known_for_a_week(inbound: Inbound) -> None:
    world = inbound.world
    room, _ = await inbound.pair()
    one = await inbound.hears("again")
    trim = ArrivalTrim(world.database, world.clock)
    for days, messages in ((6.99, 1), (0.02, 2)):
        world.clock.advance(timedelta(days=days))
        await trim.trim()
        await inbound.hear(one)
        await inbound.settle()
        assert len(await inbound.bodies(room.sid)) == messages


async def test_messages_of_one_person_keep_their_order(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    texts = [f"number {number}" for number in range(20)]
    await inbound.hear(*(inbound.incoming(text) for text in texts[:10]))
    for text in texts[10:]:
        await inbound.hears(text)
    await inbound.settle()
    assert await inbound.bodies(room.sid) == texts


async def test_what_was_taken_in_is_not_taken_in_again(inbound: Inbound) -> None:
    """As after a crash: the worker is gone, and its job is performed once more."""
    room, _ = await inbound.pair()
    await inbound.hears("once")
    [job] = await waiting_jobs(inbound)
    await inbound.settle()
    await promise_again(inbound, job)
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["once"]


async def test_the_message_and_the_end_of_its_job_are_one_commit(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    await inbound.hears("once")
    before = inbound.world.database.commits
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["once"]
    assert await inbound.owed("TakeIn") == 0
    assert inbound.world.database.commits - before <= 3, "the lease, the message, and nothing between"


async def test_nobody_takes_in_what_another_has_written(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    await inbound.pair(address=BEN)
    await inbound.hears()
    [arrival] = await inbound.arrivals()
    ben = callers.channel(inbound.world.account.account_sid, BEN)
    with refused(50107):
        await inbound.world.do(TakeMessage, by=ben, conversation=room.sid, arrival=arrival.sid, body="mine")


async def test_somebody_outside_may_do_nothing_else(inbound: Inbound) -> None:
    room, person = await inbound.pair()
    ana = callers.channel(inbound.world.account.account_sid, ANA)
    deeds: tuple[tuple[Any, dict[str, str]], ...] = (
        (SendMessage, {"body": "hello"}),
        (UpdateConversation, {"friendly_name": "mine"}),
        (RemoveParticipant, {"participant": person.sid}),
        (DeleteConversation, {}),
    )
    for command, fields in deeds:
        with refused(50107):
            await inbound.world.do(command, by=ana, conversation=room.sid, **fields)
    with refused(50107):
        await inbound.world.engine.execute(ana, DropArrival(arrival="RA" + "0" * 32, why="mine"))


async def test_users_cannot_take_in_arrivals(inbound: Inbound) -> None:
    room, _ = await inbound.pair("zoe")
    await inbound.hears()
    [arrival] = await inbound.arrivals()
    with refused(50107):
        await inbound.world.do(
            TakeMessage, by=inbound.world.user("zoe"), conversation=room.sid, arrival=arrival.sid, body="x"
        )


async def test_an_arrival_of_another_account_is_not_there(inbound: Inbound) -> None:
    await inbound.pair()
    await inbound.hears()
    [arrival] = await inbound.arrivals()
    stranger = callers.system("AC" + "0" * 32)
    with refused(50107):
        await inbound.world.engine.execute(stranger, DropArrival(arrival=arrival.sid, why="ours"))
    assert await inbound.states() == ["waiting"]


async def test_a_suspended_account_hears_nothing_until_it_is_served_again(inbound: Inbound) -> None:
    await inbound.pair()
    await inbound.world.sql("UPDATE accounts SET suspended_at = 1")
    one = inbound.incoming()
    with refused(20005):
        await inbound.hear(one)
    await inbound.world.sql("UPDATE accounts SET suspended_at = NULL")
    await inbound.hear(one)
    assert await inbound.states() == ["waiting"]


async def test_it_is_known_when_somebody_last_wrote(inbound: Inbound) -> None:
    world = inbound.world
    await inbound.hears()
    first = world.clock.now()
    world.clock.advance(timedelta(hours=1))
    assert await heard_at(inbound) == first
    await inbound.hears()
    assert await heard_at(inbound) == first + 3600 * 1_000_000
    assert await heard_at(inbound, OURS_TOO) is None


async def test_after_a_month_it_is_forgotten_when_somebody_last_wrote(inbound: Inbound) -> None:
    world = inbound.world
    await inbound.hears()
    await inbound.hears(recipient=OURS_TOO)
    trim = ArrivalTrim(world.database, world.clock)
    world.clock.advance(timedelta(days=29))
    await trim.trim()
    await inbound.hears(recipient=OURS_TOO)
    assert await heard_at(inbound) is not None
    world.clock.advance(timedelta(days=2))
    await trim.trim()
    assert await heard_at(inbound) is None
    assert await heard_at(inbound, OURS_TOO) is not None


async def heard_at(inbound: Inbound, ours: str = OURS) -> int | None:
    async with inbound.world.database.snapshot() as connection:
        return await LastHeard(connection).at(inbound.world.account.account_sid, ours, ANA)


async def waiting_jobs(inbound: Inbound) -> list[tuple[object, ...]]:
    async with inbound.world.database.snapshot() as connection:
        return await connection.rows(
            "SELECT kind, payload, token, account_sid, promised_at FROM outbox WHERE kind = 'TakeIn'"
        )


async def promise_again(inbound: Inbound, job: tuple[object, ...]) -> None:
    await inbound.world.sql(
        "INSERT INTO outbox (kind, payload, token, account_sid, promised_at, due_at, state, behind, attempts)"
        " VALUES ($1, $2, $3, $4, $5, $5, 'waiting', FALSE, 0)",
        *job,
    )
