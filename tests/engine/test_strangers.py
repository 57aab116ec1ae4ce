"""Strangers get a conversation where the address they write to says so (semantics 4.4)."""

from __future__ import annotations

from typing import Any

import pytest

from tertulia.server.domain.address_configurations import UpdateAddressConfiguration
from tertulia.server.domain.conversations import UpdateConversation
from tertulia.server.domain.gateways import AddSender, RemoveSender
from tertulia.server.domain.messages import SendMessage
from tertulia.server.domain.services import DeleteService

from .inbound import ANA, BEN, OURS, OURS_TOO, Inbound

FLOW = "FW" + "0" * 32
HOOK = "http://receiver.test/hook"


async def member(inbound: Inbound) -> dict[str, Any]:
    names = ("address", "proxy_address", "attributes", "email_name", "email_level", "role_sid", "holds_pair")
    async with inbound.world.database.snapshot() as connection:
        row = await connection.row(f"SELECT {', '.join(names)} FROM participants")
    assert row is not None
    return dict(zip(names, row, strict=True))


async def test_a_stranger_gets_a_conversation_and_is_found_there_next_time(inbound: Inbound) -> None:
    await inbound.welcome()
    await inbound.hear(inbound.incoming("first"), inbound.incoming("second"))
    await inbound.settle()
    [(sid, service, name, state)] = await inbound.conversations()
    assert (service, name, state) == (inbound.world.service, ANA, "active")
    assert await inbound.bodies(sid) == ["first", "second"]
    who = await member(inbound)
    assert (who["address"], who["proxy_address"], who["holds_pair"], who["role_sid"]) == (ANA, OURS, 1, None)
    assert [message.author for message in await inbound.messages(sid)] == [ANA, ANA]


async def test_somebody_without_a_name_has_no_attributes(inbound: Inbound) -> None:
    await inbound.welcome()
    await inbound.hears()
    await inbound.settle()
    assert (await member(inbound))["attributes"] == "{}"


async def test_the_name_that_a_channel_gives_is_kept(inbound: Inbound) -> None:
    await inbound.welcome()
    await inbound.hears(profile_name="Ana\u0000 Maria")
    await inbound.settle()
    assert (await member(inbound))["attributes"] == '{"name":"Ana  Maria"}'


@pytest.mark.parametrize("how", ["nothing", "off", "another"])
async def test_an_address_that_says_nothing_of_strangers_makes_none(inbound: Inbound, how: str) -> None:
    if how == "off":
        await inbound.welcome()
        await inbound.world.do(UpdateAddressConfiguration, configuration=OURS, auto_enabled=False)
    elif how == "another":
        await inbound.welcome(OURS_TOO)
    await inbound.hears()
    await inbound.settle()
    assert await inbound.conversations() == []
    assert await inbound.states() == ["dropped"]


async def test_it_is_made_in_the_service_that_is_named(inbound: Inbound) -> None:
    elsewhere = await inbound.world.in_new_service()
    await inbound.welcome(auto_service=elsewhere.service)
    await inbound.hears()
    await inbound.settle()
    [(_, service, _, _)] = await inbound.conversations()
    assert service == elsewhere.service


async def test_where_that_service_is_gone_strangers_are_not_expected(inbound: Inbound) -> None:
    elsewhere = await inbound.world.in_new_service()
    await inbound.welcome(auto_service=elsewhere.service)
    await inbound.hears()
    await inbound.world.do(DeleteService, service=elsewhere.service)
    await inbound.settle()
    assert await inbound.states() == ["dropped"]


async def test_the_timers_of_the_account_run_in_it(inbound: Inbound) -> None:
    await inbound.world.sql("UPDATE accounts SET default_inactive_timer = 'PT1H'")
    await inbound.welcome()
    await inbound.hears()
    await inbound.settle()
    async with inbound.world.database.snapshot() as connection:
        inactive_at = await connection.value("SELECT inactive_at FROM conversations")
    assert inactive_at == inbound.world.clock.now() + 3600 * 1_000_000
    assert await inbound.owed("MoveOnConversation") == 1


@pytest.mark.parametrize(
    ("configured", "expected"),
    [
        ({"auto_kind": "default"}, None),
        (
            {
                "auto_kind": "webhook",
                "webhook_url": HOOK,
                "webhook_method": "GET",
                "webhook_filters": ("onMessageAdded", "onParticipantAdded"),
            },
            ("webhook", HOOK, "GET", "onMessageAdded onParticipantAdded", None, None),
        ),
        (
            {"auto_kind": "studio", "flow_sid": FLOW, "retry_count": 2},
            ("studio", None, "POST", "onMessageAdded", FLOW, 2),
        ),
    ],
)
async def test_it_gets_what_the_address_says(
    inbound: Inbound, configured: dict[str, Any], expected: tuple[Any, ...] | None
) -> None:
    await inbound.welcome(**configured)
    await inbound.hears()
    await inbound.settle()
    async with inbound.world.database.snapshot() as connection:
        rows = await connection.rows("SELECT target, url, method, filters, flow_sid, retry_count FROM scoped_webhooks")
        count = await connection.value("SELECT webhook_count FROM conversations")
    assert rows == ([] if expected is None else [expected])
    assert count == len(rows)


async def test_its_webhook_hears_of_the_first_message(inbound: Inbound) -> None:
    await inbound.welcome(auto_kind="webhook", webhook_url=HOOK, webhook_filters=("onMessageAdded",))
    await inbound.hears()
    await inbound.settle()
    assert await inbound.owed("CallWebhook") == 1


async def test_after_a_conversation_was_closed_a_new_one_is_made(inbound: Inbound) -> None:
    await inbound.welcome()
    await inbound.hears("first")
    await inbound.settle()
    [(old, _, _, _)] = await inbound.conversations()
    await inbound.world.do(UpdateConversation, conversation=old, state="closed")
    await inbound.hears("second")
    await inbound.settle()
    (_, _, _, state), (new, _, _, _) = await inbound.conversations()
    assert state == "closed"
    assert [await inbound.bodies(old), await inbound.bodies(new)] == [["first"], ["second"]]


async def test_a_pair_that_was_taken_meanwhile_is_found(inbound: Inbound) -> None:
    await inbound.welcome()
    await inbound.hears()
    room, _ = await inbound.pair()
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["hello"]
    assert len(await inbound.conversations()) == 1


async def test_an_address_of_ours_is_no_stranger(inbound: Inbound) -> None:
    await inbound.welcome()
    await inbound.hears(sender=OURS_TOO)
    await inbound.settle()
    assert (await inbound.states(), await inbound.conversations()) == (["dropped"], [])


async def test_who_has_no_address_that_can_be_answered_is_dropped(inbound: Inbound) -> None:
    await inbound.welcome()
    await inbound.hears(sender="BANK")
    await inbound.settle()
    [arrival] = await inbound.arrivals()
    assert (arrival.state.value, arrival.why) == ("dropped", "refused with 50407")


async def test_a_number_that_is_ours_no_more_makes_none(inbound: Inbound) -> None:
    await inbound.welcome()
    await inbound.world.do(RemoveSender, address=OURS)
    await inbound.hears()
    await inbound.settle()
    assert await inbound.conversations() == []


async def test_a_short_code_makes_conversations_too(inbound: Inbound) -> None:
    await inbound.world.do(AddSender, address="70707", gateway="wire")
    await inbound.welcome("70707", address_country="US")
    await inbound.hears(recipient="70707")
    await inbound.settle()
    assert (await member(inbound))["proxy_address"] == "70707"


async def test_a_user_with_the_strangers_address_for_a_name_has_not_made_it(inbound: Inbound) -> None:
    """Its maker may join before he takes part; this one is nobody's."""
    await inbound.welcome()
    await inbound.hears()
    await inbound.settle()
    async with inbound.world.database.snapshot() as connection:
        assert await connection.value("SELECT created_by FROM conversations") == "system"


async def test_the_answer_to_a_stranger_is_owed_to_him(inbound: Inbound) -> None:
    await inbound.welcome()
    await inbound.hears()
    await inbound.settle()
    [(sid, _, _, _)] = await inbound.conversations()
    await inbound.world.do(SendMessage, conversation=sid, body="welcome")
    assert await inbound.owed("SendOnChannel") == 1


async def test_strangers_who_write_at_once_get_one_each(inbound: Inbound) -> None:
    await inbound.welcome()
    await inbound.hear(*(inbound.incoming(sender=who) for who in (ANA, BEN, ANA, BEN, ANA)))
    await inbound.settle()
    assert [name for _, _, name, _ in await inbound.conversations()] == [ANA, BEN]


# ------------------------------------------------------------------------------------------------------------ mail

DESK = "desk@ours.test"
MAIL = "ana@home.test"


async def test_a_mail_makes_a_conversation_with_its_own_address(inbound: Inbound) -> None:
    await inbound.world.do(AddSender, address=DESK, gateway="wire")
    await inbound.welcome(DESK, kind="email")
    await inbound.hears("text", sender=MAIL, recipient=DESK, subject="An\r\norder", profile_name="Ana")
    await inbound.settle()
    [(sid, _, name, _)] = await inbound.conversations()
    who = await member(inbound)
    assert (who["address"], who["proxy_address"], who["email_name"], who["email_level"]) == (MAIL, DESK, "Ana", "to")
    async with inbound.world.database.snapshot() as connection:
        assert await connection.value("SELECT email_address FROM conversations") == DESK
    [message] = await inbound.messages(sid)
    assert (name, message.subject) == (MAIL, "An  order")


async def test_an_answer_goes_to_the_conversation_of_what_it_answers(inbound: Inbound) -> None:
    room, _ = await inbound.pair(address=MAIL, proxy=await desk(inbound))
    other, _ = await inbound.pair(address=MAIL, proxy=await desk(inbound, "sales@ours.test"))
    asked = await inbound.world.send(other.sid, "a question")
    await inbound.hears("an answer", sender=MAIL, recipient=DESK, answers=("IM" + "0" * 32, asked.sid))
    await inbound.settle()
    assert await inbound.bodies(room.sid) == []
    assert await inbound.bodies(other.sid) == ["a question", "an answer"]


async def test_an_answer_to_an_address_with_a_plus_goes_where_that_says(inbound: Inbound) -> None:
    room, _ = await inbound.pair(address=MAIL, proxy=await desk(inbound, "sales@ours.test"))
    await inbound.hears(
        "an answer", sender=MAIL, recipient=await desk(inbound), conversation_sid=room.sid, answers=("IM" + "1" * 32,)
    )
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["an answer"]


async def test_who_does_not_take_part_gets_in_by_no_reference(inbound: Inbound) -> None:
    room, _ = await inbound.pair(address=MAIL, proxy=await desk(inbound))
    asked = await inbound.world.send(room.sid, "a question")
    await inbound.hears(
        "let me in", sender="eve@out.test", recipient=DESK, answers=(asked.sid,), conversation_sid=room.sid
    )
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["a question"]
    assert await inbound.states() == ["dropped"]


async def test_an_answer_to_what_is_closed_goes_to_the_pair(inbound: Inbound) -> None:
    closed, _ = await inbound.pair(address=MAIL, proxy=await desk(inbound))
    asked = await inbound.world.send(closed.sid, "a question")
    await inbound.world.do(UpdateConversation, conversation=closed.sid, state="closed")
    room, _ = await inbound.pair(address=MAIL, proxy=DESK)
    await inbound.hears("late", sender=MAIL, recipient=DESK, answers=(asked.sid,))
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["late"]


async def test_a_reference_is_followed_by_mail_alone(inbound: Inbound) -> None:
    """A number says by the pair where it belongs."""
    room, _ = await inbound.pair(proxy=OURS_TOO)
    await inbound.hears("hello", conversation_sid=room.sid)
    await inbound.settle()
    assert await inbound.states() == ["dropped"]


async def desk(inbound: Inbound, address: str = DESK) -> str:
    """An address of ours for mail."""
    async with inbound.world.database.snapshot() as connection:
        known = await connection.value("SELECT 1 FROM senders WHERE address = $1", address)
    if known is None:
        await inbound.world.do(AddSender, address=address, gateway="wire")
    return address
