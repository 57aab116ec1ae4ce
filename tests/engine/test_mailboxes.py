"""A mailbox is the same however it is spelled: `Anna@X.org` is `anna@x.org` (semantics 4.1, 4.2)."""

from __future__ import annotations

import pytest

from tertulia.server.domain.address_configurations import CreateAddressConfiguration, UpdateAddressConfiguration
from tertulia.server.domain.addresses import canonical
from tertulia.server.domain.channels import Keyword, Report
from tertulia.server.domain.conversation_with_participants import CreateConversationWithParticipants
from tertulia.server.domain.conversations import CreateConversation
from tertulia.server.domain.errors import ADDRESS_IS_PROXY, BINDING_TAKEN, MEMBER_BINDING_TAKEN, TertuliaError
from tertulia.server.domain.gateways import AddSender, RemoveSender, UpdateSender
from tertulia.server.domain.messages import SendMessage
from tertulia.server.domain.participants import AddParticipant, UpdateParticipant
from tertulia.server.domain.receipts import ReceiptStatus
from tertulia.server.storage.paging import Page

from .inbound import OURS, Inbound
from .world import World

DESK, DESK_SHOUTED = "desk@example.org", "Desk@EXAMPLE.org"
ANNA, ANNA_SHOUTED = "anna@x.org", "Anna@X.org"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Anna@X.org", "anna@x.org"),
        ("ÉMILE@Exämple.ORG", "émile@exämple.org"),
        ("anna@x.org", "anna@x.org"),
        ("+15550001000", "+15550001000"),
        ("whatsapp:+15550001000", "whatsapp:+15550001000"),
        ("messenger:AbC", "messenger:AbC"),
        ("chat:Anna@X.org", "chat:Anna@X.org"),
        ("Nobody", "Nobody"),
        ("", ""),
    ],
)
def test_only_mailboxes_have_more_than_one_spelling(given: str, kept: str) -> None:
    assert canonical(given) == kept


async def test_a_pair_is_taken_however_it_is_spelled(world: World) -> None:
    first, second = await world.conversation(), await world.conversation()
    person = await world.do(
        AddParticipant, conversation=first.sid, address=ANNA_SHOUTED, proxy_address=DESK_SHOUTED, email_name="Anna B"
    )
    assert (person.address, person.proxy_address, person.email_name) == (ANNA, DESK, "Anna B")
    with pytest.raises(TertuliaError) as taken:
        await world.do(AddParticipant, conversation=second.sid, address=ANNA, proxy_address=DESK)
    assert taken.value.code == BINDING_TAKEN.code


async def test_a_mailbox_does_not_write_to_itself(world: World) -> None:
    room = await world.conversation()
    with pytest.raises(TertuliaError) as refusal:
        await world.do(AddParticipant, conversation=room.sid, address=ANNA_SHOUTED, proxy_address=ANNA)
    assert refusal.value.code == ADDRESS_IS_PROXY.code


async def test_a_proxy_that_is_changed_is_kept_in_its_one_spelling(world: World) -> None:
    room = await world.conversation()
    person = await world.do(AddParticipant, conversation=room.sid, address=ANNA)
    changed = await world.do(
        UpdateParticipant, conversation=room.sid, participant=person.sid, proxy_address=DESK_SHOUTED
    )
    assert changed.proxy_address == DESK


async def test_members_named_twice_in_two_spellings_are_refused(world: World) -> None:
    members = tuple(
        AddParticipant(service=world.service, conversation="", address=one, proxy_address=DESK)
        for one in (ANNA, ANNA_SHOUTED)
    )
    with pytest.raises(TertuliaError) as taken:
        await world.do(CreateConversationWithParticipants, participants=members)
    assert taken.value.code == MEMBER_BINDING_TAKEN.code


async def test_a_conversation_has_its_mailbox_in_one_spelling(world: World) -> None:
    made = await world.do(CreateConversation, email_address=DESK_SHOUTED, email_name="The Desk")
    assert (made.email_address, made.email_name) == (DESK, "The Desk")


async def test_who_is_looked_for_by_a_mailbox_is_found(world: World) -> None:
    room = await world.conversation()
    await world.do(AddParticipant, conversation=room.sid, address=ANNA_SHOUTED)
    for spelled in (ANNA, ANNA_SHOUTED):
        [found] = await world.queries.memberships_of_address(world.service, spelled, Page(10))
        assert found.conversation.sid == room.sid


async def test_an_author_is_somebody_by_any_spelling_of_his_mailbox(world: World) -> None:
    room = await world.conversation()
    person = await world.do(AddParticipant, conversation=room.sid, address=ANNA)
    message = await world.do(SendMessage, conversation=room.sid, author=ANNA_SHOUTED, body="hello")
    assert (message.author, message.participant_sid) == (ANNA_SHOUTED, person.sid)


async def test_a_sender_is_one_however_it_is_spelled(inbound: Inbound) -> None:
    world = inbound.world
    made = await world.do(AddSender, address=DESK_SHOUTED, gateway="wire")
    assert made.address == DESK
    with pytest.raises(TertuliaError) as known:
        await world.do(AddSender, address=DESK, gateway="wire")
    assert known.value.code == 20409
    assert (await world.queries.of_account.sender(world.account, "DESK@example.org")).address == DESK
    room = await world.conversation()
    await world.do(AddParticipant, conversation=room.sid, address=ANNA, proxy_address=DESK_SHOUTED)
    assert (await world.do(UpdateSender, address=DESK_SHOUTED, per_minute=7)).per_minute == 7
    await world.do(RemoveSender, address=DESK_SHOUTED)
    with pytest.raises(TertuliaError):
        await world.queries.of_account.sender(world.account, DESK)


async def test_an_address_is_configured_once_however_it_is_spelled(inbound: Inbound) -> None:
    world = inbound.world
    made = await world.do(CreateAddressConfiguration, kind="email", address=DESK_SHOUTED)
    assert made.address == DESK
    with pytest.raises(TertuliaError) as known:
        await world.do(CreateAddressConfiguration, kind="email", address=DESK)
    assert known.value.code == 20409
    assert (await world.queries.of_account.address_configuration(world.account, DESK_SHOUTED)).sid == made.sid
    changed = await world.do(UpdateAddressConfiguration, configuration=DESK_SHOUTED, friendly_name="the desk")
    assert changed.sid == made.sid


async def test_a_stranger_who_spells_himself_otherwise_next_time_is_known(inbound: Inbound) -> None:
    await inbound.world.do(AddSender, address=DESK, gateway="wire")
    await inbound.welcome(DESK, "email")
    await inbound.hears("first", sender=ANNA_SHOUTED, recipient=DESK_SHOUTED, profile_name="Anna B")
    await inbound.settle()
    await inbound.hears("second", sender=ANNA, recipient=DESK)
    await inbound.settle()
    [(sid, *_)] = await inbound.conversations()
    assert await inbound.bodies(sid) == ["first", "second"]
    assert [message.author for message in await inbound.messages(sid)] == [ANNA, ANNA]


async def test_a_copy_to_the_sender_himself_is_nobody_else(inbound: Inbound) -> None:
    await inbound.world.do(AddSender, address=DESK, gateway="wire")
    await inbound.hears(sender=ANNA_SHOUTED, recipient=DESK, others=(ANNA, "Ben@X.org", "BEN@x.org"))
    [arrival] = await inbound.arrivals()
    assert arrival.content is not None
    assert arrival.content.others == ("ben@x.org",)


async def test_who_opted_out_by_a_mailbox_is_out_by_all_its_spellings(inbound: Inbound) -> None:
    await inbound.world.do(AddSender, address=DESK, gateway="wire")
    await inbound.hears("STOP", sender=ANNA_SHOUTED, recipient=DESK_SHOUTED, keyword=Keyword.STOP)
    async with inbound.world.database.snapshot() as connection:
        assert await connection.rows("SELECT pool, address FROM opt_outs") == [(DESK, ANNA)]


async def test_a_report_of_all_until_a_moment_finds_people_by_any_spelling(inbound: Inbound) -> None:
    world = inbound.world
    await world.do(AddSender, address=DESK, gateway="wire")
    room, _ = await inbound.pair(address=ANNA, proxy=DESK)
    message = await world.do(SendMessage, conversation=room.sid, author="us", body="hello")
    async with world.database.transaction() as connection:
        await connection.execute("UPDATE channel_messages SET state = 'sent', sent_at = created_at")
    until = Report(status=ReceiptStatus.READ, sender=DESK_SHOUTED, recipient=ANNA_SHOUTED, up_to=world.clock.now())
    await inbound.hear(until)
    async with world.database.snapshot() as connection:
        states = await connection.rows("SELECT status FROM receipts WHERE message_sid = $1", message.sid)
    assert states == [("read",)]


async def test_numbers_stay_as_they_are(inbound: Inbound) -> None:
    room, person = await inbound.pair()
    assert person.proxy_address == OURS
    assert room.email_address is None
