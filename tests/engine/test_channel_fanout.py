"""Who gets a message outside the chat, from which address, and what that costs (semantics 4.5, 4.6)."""

from __future__ import annotations

import pytest

from tertulia.server.domain import callers
from tertulia.server.domain.arrivals import AcceptArrivals, ArrivalContent, Arriving, TakeMessage
from tertulia.server.domain.channel_messages import SendOnChannel
from tertulia.server.domain.conversation_with_participants import CreateConversationWithParticipants
from tertulia.server.domain.conversations import DeleteConversation
from tertulia.server.domain.messages import DeleteMessage
from tertulia.server.domain.participants import AddParticipant, RemoveParticipant, UpdateParticipant
from tertulia.server.domain.services import DeleteService

from .sending import OTHER_PROXY, PROXY, Sending, number
from .world import World


@pytest.fixture
def sending(world: World) -> Sending:
    return Sending(world)


# --- one by one


async def test_everybody_with_an_address_gets_it_from_his_own_proxy(sending: Sending) -> None:
    room = await sending.room(1, "ana")
    await sending.person(room, OTHER_PROXY)
    message = await sending.send(room)
    await sending.perform()
    assert [(one.sender, one.recipients, one.text) for one in sending.channel.sent] == [
        (PROXY, (number(1),), "hello"),
        (OTHER_PROXY, (number(2),), "hello"),
    ]
    assert [(one.message_sid, one.message_index) for one in await sending.records()] == [(message.sid, 0)] * 2


async def test_the_author_does_not_get_his_own_message(sending: Sending) -> None:
    room = await sending.room(3)
    await sending.send(room, author=number(2))
    await sending.perform()
    assert sending.channel.recipients == [(number(1),), (number(3),)]
    assert len(await sending.receipts()) == 2


async def test_nothing_goes_out_where_the_author_is_the_only_one(sending: Sending) -> None:
    room = await sending.room(1, "ana")
    message = await sending.send(room, author=number(1))
    assert (await sending.jobs(), await sending.delivery(message)) == ([], None)


async def test_receipts_are_queued_and_know_the_channel_message(sending: Sending) -> None:
    room = await sending.room(2)
    message = await sending.send(room)
    records, receipts = await sending.records(), await sending.receipts()
    assert [one.channel_message_sid for one in receipts] == [one.sid for one in records]
    assert {(one.status, one.message_sid) for one in receipts} == {("queued", message.sid)}
    assert (await sending.delivery(message) or {})["total"] == 2


@pytest.mark.parametrize(
    ("address", "proxy", "prefix"),
    [
        (number(1), PROXY, "SM"),
        ("whatsapp:" + number(1), "whatsapp:" + PROXY, "WA"),
        ("messenger:1", "messenger:2", "FB"),
        ("ana@example.test", "desk@example.test", "EM"),
        ("rcs:1", "rcs:2", "RC"),
        ("gbm:1", "gbm:2", "SM"),
    ],
)
async def test_each_channel_names_its_messages(sending: Sending, address: str, proxy: str, prefix: str) -> None:
    room = (await sending.world.conversation()).sid
    await sending.person(room, proxy, address=address)
    await sending.send(room)
    assert [one.sid[:2] for one in await sending.records()] == [prefix]


async def test_who_joins_later_is_not_sent_what_was_before(sending: Sending) -> None:
    room = await sending.room(1)
    await sending.send(room, "before")
    await sending.person(room)
    await sending.send(room, "after")
    await sending.perform()
    assert sorted(zip(sending.channel.recipients, sending.channel.texts, strict=True), key=str) == [
        ((number(1),), "after"),
        ((number(1),), "before"),
        ((number(2),), "after"),
    ]


async def test_what_is_imported_is_not_sent_out(sending: Sending) -> None:
    room = await sending.room(1)
    message = await sending.send(room, skips_channels=True)
    assert (await sending.jobs(), await sending.receipts(), await sending.delivery(message)) == ([], [], None)


async def test_an_old_date_does_not_keep_a_message_from_going_out(sending: Sending) -> None:
    room = await sending.room(1)
    await sending.send(room, created_at=1_000_000)
    await sending.perform()
    assert sending.channel.recipients == [(number(1),)]


async def test_without_proxy_the_authors_number_speaks_or_the_only_one_of_ours(sending: Sending) -> None:
    room = (await sending.world.conversation()).sid
    await sending.world.do(AddParticipant, conversation=room, identity="ana", projected_address=PROXY)
    await sending.person(room, None)
    await sending.send(room, author="ana")
    await sending.send(room, author="nobody")
    await sending.perform()
    assert [one.sender for one in sending.channel.sent] == [PROXY, PROXY]


# --- groups


async def test_a_group_gets_one_message_from_its_authors_number(sending: Sending) -> None:
    room = await sending.group()
    await sending.send(room, author="ben")
    await sending.perform()
    (sent,) = sending.channel.sent
    assert (sent.sender, sent.recipients, sent.others) == (OTHER_PROXY, (number(1), number(2)), (PROXY,))
    assert sent.sid.startswith("MM")
    assert [(one.status, one.channel_message_sid) for one in await sending.receipts()] == [("sent", sent.sid)] * 2


async def test_a_gateway_number_speaks_for_itself(sending: Sending) -> None:
    room = await sending.group()
    await sending.world.do(AddParticipant, conversation=room, projected_address="+12025559992")
    await sending.send(room, author="+12025559992")
    await sending.perform()
    (sent,) = sending.channel.sent
    assert (sent.sender, sent.others) == ("+12025559992", (PROXY, OTHER_PROXY))


async def test_what_came_in_by_a_group_is_not_sent_out_again(sending: Sending) -> None:
    room = await sending.group()
    await take_in(sending, room, number(1), PROXY, others=(number(2), OTHER_PROXY))
    assert (await sending.jobs(), await sending.receipts()) == ([], [])


async def mixed(sending: Sending, *identities: str) -> str:
    """A group text of two phones, or one and these users, and of somebody who talks to a number of ours alone."""
    room = (await sending.world.conversation()).sid
    for identity in identities:
        await sending.world.do(AddParticipant, conversation=room, identity=identity, projected_address=OTHER_PROXY)
    for _ in range(2 - len(identities)):
        await sending.person(room, None)
    await sending.person(room, PROXY)
    return room


async def test_who_talks_to_a_number_of_ours_alone_is_seen_as_that_number_by_the_group(sending: Sending) -> None:
    room = await mixed(sending)
    await take_in(sending, room, number(3), PROXY)
    await sending.perform()
    (sent,) = sending.channel.sent
    assert (sent.sender, sent.recipients, sent.others) == (PROXY, (number(1), number(2)), ())
    assert [one.status for one in await sending.receipts()] == ["sent"] * 2


async def test_what_came_in_by_a_group_goes_out_to_who_talks_to_a_number_of_ours_alone(sending: Sending) -> None:
    room = await mixed(sending)
    await take_in(sending, room, number(1), PROXY, others=(number(2),))
    await sending.perform()
    (sent,) = sending.channel.sent
    assert (sent.sender, sent.recipients, sent.others) == (PROXY, (number(3),), ())


async def test_users_phones_and_who_talks_alone_are_one_group(sending: Sending) -> None:
    room = await mixed(sending, "ana")
    await sending.send(room, author="ana")
    await take_in(sending, room, number(1), PROXY, others=(OTHER_PROXY,))
    await take_in(sending, room, number(2), PROXY)
    await sending.perform()
    sent = {(one.text, one.sender, one.recipients, one.others) for one in sending.channel.sent}
    assert sent == {
        ("hello", OTHER_PROXY, (number(1),), (PROXY,)),
        ("hello", PROXY, (number(2),), ()),
        ("from outside", PROXY, (number(2),), ()),
        ("from outside", PROXY, (number(1),), (OTHER_PROXY,)),
    }


async def test_a_gateway_without_group_texts_refuses_one_to_a_single_phone_too(sending: Sending) -> None:
    sending.channel.can(has_groups=False)
    room = await mixed(sending, "ana")
    await sending.send(room, author="ana")
    await sending.perform()
    assert sorted(await sending.outcomes()) == [("failed", 30008), ("sent", 0)]


async def test_what_came_in_from_one_goes_out_to_the_others(sending: Sending) -> None:
    room = await sending.room(3)
    await take_in(sending, room, number(2), PROXY)
    await sending.perform()
    assert sending.channel.recipients == [(number(1),), (number(3),)]


async def take_in(sending: Sending, room: str, sender: str, recipient: str, others: tuple[str, ...] = ()) -> None:
    """A message that came in over a channel."""
    world, account_sid = sending.world, sending.world.account.account_sid
    arriving = Arriving(
        sid=world.new_sid("RA"),
        provider_id=f"{sender} to {recipient}",
        sender=sender,
        recipient=recipient,
        content=ArrivalContent(text="from outside", others=others),
    )
    accept = AcceptArrivals(gateway=sending.gateway, arriving=(arriving,))
    (arrival,) = await world.engine.execute(callers.system(account_sid), accept)
    wish = TakeMessage(service=world.service, conversation=room, arrival=arrival, body="from outside")
    assert await world.engine.execute(callers.channel(account_sid, sender), wish) is not None


# --- e-mail


async def test_an_e_mail_goes_to_all_at_once_and_copies_are_copies(sending: Sending) -> None:
    room = (await sending.world.conversation()).sid
    for address, level in (("ana@a.test", "to"), ("ben@b.test", "cc"), ("cleo@c.test", None)):
        await sending.person(room, "desk@d.test", address=address, email_level=level)
    message = await sending.send(room, subject="Order 7")
    await sending.perform()
    (sent,) = sending.channel.sent
    assert (sent.sender, sent.recipients) == ("desk@d.test", ("ana@a.test", "cleo@c.test"))
    assert sent.envelope is not None
    assert (sent.envelope.copies, sent.envelope.subject) == (("ben@b.test",), "Order 7")
    assert (sent.envelope.message_sid, sent.envelope.conversation_sid) == (message.sid, room)
    assert [one.status for one in await sending.receipts()] == ["sent"] * 3


# --- counting


async def bound(world: World, room: str) -> int:
    async with world.database.snapshot() as connection:
        kept, counted = (
            await connection.row(
                "SELECT c.bound_count, (SELECT count(*) FROM participants AS p WHERE p.conversation_sid = c.sid"
                " AND p.address IS NOT NULL) FROM conversations AS c WHERE c.sid = $1",
                room,
            )
            or ()
        )
    assert kept == counted
    return int(kept)


async def test_a_conversation_knows_how_many_have_an_address(sending: Sending) -> None:
    world = sending.world
    room = (await world.conversation("ana")).sid
    assert await bound(world, room) == 0
    one, other = await sending.person(room), await sending.person(room)
    await world.do(AddParticipant, conversation=room, projected_address=OTHER_PROXY)
    assert await bound(world, room) == 2
    await world.do(UpdateParticipant, conversation=room, participant="ana", projected_address="+12025559993")
    await world.do(UpdateParticipant, conversation=room, participant=one.sid, proxy_address=None)
    assert await bound(world, room) == 2
    await world.do(RemoveParticipant, conversation=room, participant="ana")
    await world.do(RemoveParticipant, conversation=room, participant=other.sid)
    assert await bound(world, room) == 1


async def test_one_made_with_its_participants_knows_it_too(sending: Sending) -> None:
    world = sending.world
    members = (
        AddParticipant(service=world.service, conversation="", identity="ana"),
        AddParticipant(service=world.service, conversation="", address=number(1), proxy_address=PROXY),
    )
    made = await world.do(CreateConversationWithParticipants, participants=members)
    await world.run_due()
    assert await bound(world, made.sid) == 1
    await sending.send(made.sid)
    await sending.perform()
    assert sending.channel.recipients == [(number(1),)]


# --- what is gone


@pytest.mark.parametrize("gone", ["message", "conversation", "service"])
async def test_nothing_is_known_of_what_went_out_of_what_is_gone(world: World, gone: str) -> None:
    there = await world.in_new_service()
    sending = Sending(there)
    room = await sending.room(2)
    message = await sending.send(room)
    await sending.perform()
    if gone == "message":
        await there.do(DeleteMessage, conversation=room, message=message.sid)
    elif gone == "conversation":
        await there.do(DeleteConversation, conversation=room)
    else:
        await there.do(DeleteService, service=there.service)
    await there.run_due()
    assert [await there.count(table) for table in ("channel_messages", "handles", "receipts")] == [0, 0, 0]
    assert await sending.report("h1") == 0


# --- costs


async def cost_of_sending(sending: Sending, room: str) -> int:
    before = sending.world.database.statements
    await sending.send(room)
    return sending.world.database.statements - before


async def test_sending_costs_the_same_for_one_and_for_fifty(sending: Sending) -> None:
    costs = []
    for people in (1, 49):
        room = await sending.room(people)
        await sending.send(room)
        costs.append(await cost_of_sending(sending, room))
        await sending.perform()
    assert costs[0] == costs[1]
    chat = await sending.room(0, "ana", "ben")
    await sending.send(chat)
    assert costs[0] - await cost_of_sending(sending, chat) == 7


async def test_where_nobody_has_an_address_a_message_costs_nothing_more(sending: Sending) -> None:
    room = (await sending.world.conversation("ana", "ben")).sid
    await sending.world.do(AddParticipant, conversation=room, projected_address=PROXY)
    by = sending.world.user("ana")
    await sending.world.send(room, by=by)
    before = sending.world.database.statements
    await sending.world.send(room, by=by)
    assert sending.world.database.statements - before == 4, "as before there were channels (test_hooks.py)"


async def test_who_is_looked_for_is_found_by_an_index(sending: Sending) -> None:
    async with sending.world.database.snapshot() as connection:
        plan = await connection.rows(
            "EXPLAIN QUERY PLAN SELECT sid FROM participants WHERE conversation_sid = $1"
            " AND (address IS NOT NULL OR projected_address IS NOT NULL) ORDER BY sid",
            "CH1",
        )
    assert "participants_bound" in str(plan)


async def test_what_is_owed_names_its_gateway_and_holds_no_content(sending: Sending) -> None:
    room = await sending.room(1)
    await sending.send(room, "do-not-log")
    async with sending.world.database.snapshot() as connection:
        receiver, payload = await connection.row("SELECT receiver, payload FROM outbox") or ()
    assert receiver == f"channel/{sending.gateway}"
    assert "do-not-log" not in payload
    job = SendOnChannel(account_sid="AC", channel_message_sid="SM1", gateway_sid=None, text="do-not-log")
    assert "do-not-log" not in repr(job) + repr((await sending.records())[0])
    assert number(1) not in repr((await sending.records())[0])
