"""What became of messages on channels, and what channels told about them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tertulia.client import Message, MessageField
from tertulia.client.errors import NotFoundError, ServerError
from tertulia.client.events import MessageUpdated
from tertulia.client.receipts import METADATA_KEPT, Receipts
from tertulia.server.domain.participants import AddParticipant
from tertulia.server.domain.receipts import ExpectReceipts, RecordReceipt

from .sessions import Talk, talking
from .stage import Stage, until

SM = "SM" + "1" * 32


async def sent_to(stage: Stage, people: int) -> tuple[Message, list[str]]:
    """A message of ana's that so many are to get on a channel."""
    [room] = await stage.hosted("ana")
    message = await room.send("hello")  # before they come: nothing goes out, and what is reported is the test's
    made = [
        await stage.world.do(
            AddParticipant, conversation=room.sid, address=f"+1555000{number:04}", proxy_address="+15550009999"
        )
        for number in range(people)
    ]
    participants = [each.sid for each in made]
    await stage.world.do(ExpectReceipts, conversation=room.sid, message=message.sid, participants=tuple(participants))
    return message, participants


async def report(stage: Stage, message: Message, participant: str, status: str, **fields: Any) -> None:
    there = {"conversation": message.conversation.sid, "message": message.sid}
    await stage.world.do(RecordReceipt, **there, receipt=participant, status=status, **fields)


async def test_a_message_says_how_far_it_has_come(stage: Stage) -> None:
    message, (first, second) = await sent_to(stage, 2)
    told: list[MessageUpdated] = []
    message.on(MessageUpdated, told.append)
    await report(stage, message, first, "delivered")
    await report(stage, message, second, "failed", error_code=30007)
    await until(lambda: message.delivery is not None and message.delivery.failed == "some")
    delivery = message.delivery
    assert delivery is not None and delivery.total == 2
    assert (delivery.sent, delivery.delivered, delivery.read) == ("some", "some", "none")
    assert (delivery.undelivered, delivery.failed) == ("none", "some")
    assert {reason for event in told for reason in event.reasons} == {MessageField.DELIVERY}


async def test_a_message_for_nobody_on_a_channel_has_no_receipts(stage: Stage) -> None:
    [room] = await stage.hosted("ana")
    message = await room.send("hello")
    assert message.delivery is None
    assert [each async for each in message.delivery_receipts()] == []
    assert await message.channel_metadata() is None
    assert await message.recipients() == []
    assert [each async for each in room.message_recipients()] == []


async def test_each_receipt_says_what_became_of_it(stage: Stage) -> None:
    message, (first, second) = await sent_to(stage, 2)
    await report(stage, message, first, "failed", error_code=21610, channel_message_sid=SM)
    failed, queued = [each async for each in message.delivery_receipts()]
    assert (failed.participant_sid, failed.status, failed.error_code) == (first, "failed", 21610)
    assert (failed.channel_message_sid, failed.message_sid) == (SM, message.sid)
    assert failed.conversation_sid == message.conversation.sid and failed.date_created is not None
    assert (queued.participant_sid, queued.status) == (second, "queued")


async def test_receipts_of_a_message_that_is_gone_are_not_found(stage: Stage) -> None:
    message, _ = await sent_to(stage, 1)
    await message.delete()
    with pytest.raises(NotFoundError):
        [each async for each in message.delivery_receipts()]


# --- what the real server does not say yet, said by a scripted one


@pytest.fixture
async def talk() -> AsyncIterator[Talk]:
    async with talking() as talk:
        yield talk


def receipt(number: int) -> dict[str, Any]:
    return {"sid": f"DY{number}", "message_sid": "IM1", "conversation_sid": "CH1", "error_code": None}


async def test_receipts_are_read_through_all_pages(talk: Talk) -> None:
    talk.answers(
        {"delivery_receipts": [receipt(1), receipt(2)], "meta": {"previous_token": None, "next_token": "more"}},
        {"delivery_receipts": [receipt(3)], "meta": {"previous_token": "less", "next_token": None}},
    )
    found = [each async for each in Receipts(talk.session).delivery("CH1", "IM1")]
    assert [(each.sid, each.status) for each in found] == [("DY1", "queued"), ("DY2", "queued"), ("DY3", "queued")]
    path = "/Conversations/CH1/Messages/IM1/Receipts"
    assert talk.asked() == [(path, {}), (path, {"PageToken": "more"})]


async def test_pages_that_lead_to_themselves_end(talk: Talk) -> None:
    for tokens in (["again"] * 2, ["a", "b", "a"]):
        talk.answers(*({"delivery_receipts": [receipt(1)], "meta": {"next_token": token}} for token in tokens))
        found = [each async for each in Receipts(talk.session).delivery("CH1", "IM1")]
        assert len(found) == len(tokens)
        talk.answers(*({"message_recipients": [MAIL], "meta": {"next_token": token}} for token in tokens))
        assert len([each async for each in Receipts(talk.session).all_recipients("CH1")]) == len(tokens)


async def test_a_sid_is_one_part_of_a_path_and_dates_have_a_zone(talk: Talk) -> None:
    told = {**receipt(1), "date_created": "2026-01-02T03:04:05", "date_updated": "0001-01-01T00:00:00+14:00"}
    talk.answers({"delivery_receipts": [told]})
    [found] = [each async for each in Receipts(talk.session).delivery("../admin", "IM%s?a=b")]
    assert (found.date_created, found.date_updated) == (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), None)
    assert talk.asked() == [("/Conversations/..%2Fadmin/Messages/IM%25s%3Fa%3Db/Receipts", {})]


async def test_channel_metadata_is_asked_for_once(talk: Talk) -> None:
    receipts = Receipts(talk.session)
    talk.answers({"type": "whatsapp", "data": {"forwarded": True}})
    for _ in range(2):
        told = await receipts.channel_metadata("CH1", "IM1")
        assert told is not None and (told.type, told.data) == ("whatsapp", {"forwarded": True})
    assert talk.asked() == [("/Conversations/CH1/Messages/IM1/ChannelMetadata", {})]


async def test_that_there_is_no_metadata_is_an_answer_and_other_refusals_are_errors(talk: Talk) -> None:
    receipts = Receipts(talk.session)
    talk.answers({"status": 404, "code": 50530, "message": "none"}, status=404)
    assert await receipts.channel_metadata("CH1", "IM1") is None
    assert await receipts.channel_metadata("CH1", "IM1") is None
    assert len(talk.asked()) == 1
    talk.answers({"status": 404, "code": 50350, "message": "gone"}, status=404)
    with pytest.raises(NotFoundError):
        await receipts.channel_metadata("CH1", "IM2")
    talk.answers({"type": "sms"})
    assert await receipts.channel_metadata("CH1", "IM2") is not None


async def test_metadata_that_nobody_asks_for_is_forgotten_first(talk: Talk) -> None:
    receipts = Receipts(talk.session)
    talk.answers(*({"type": "sms", "data": number} for number in range(METADATA_KEPT + 1)))
    for number in range(METADATA_KEPT):
        await receipts.channel_metadata("CH1", f"IM{number}")
    await receipts.channel_metadata("CH1", "IM0")
    await receipts.channel_metadata("CH1", "IM-new")
    talk.asked()
    await receipts.channel_metadata("CH1", "IM0")
    assert talk.asked() == []
    talk.answers({"type": "sms"})
    await receipts.channel_metadata("CH1", "IM1")
    assert len(talk.asked()) == 1


MAIL = {"type": "email", "message_sid": "IM1", "level": "to", "name": "Ben", "address": "ben@example.org"}
OWL = {"type": "owl", "message_sid": "IM1", "tree": 7}


async def test_recipients_are_of_a_known_type_or_as_they_came(talk: Talk) -> None:
    receipts = Receipts(talk.session)
    talk.answers({"message_recipients": [MAIL, OWL], "meta": {"next_token": None}})
    mail, owl = await receipts.recipients("CH1", "IM1")
    assert (mail.type, mail.level, mail.name, mail.address) == ("email", "to", "Ben", "ben@example.org")
    assert (owl.type, owl.level, owl.address, owl.raw_data) == ("owl", None, None, OWL)
    assert "ben" not in repr(mail).lower()
    assert talk.asked() == [("/Conversations/CH1/MessageRecipients", {"MessageSid": "IM1"})]


async def test_recipients_are_the_same_however_often_and_wherever_they_are_read(talk: Talk) -> None:
    receipts = Receipts(talk.session)
    talk.answers(
        {"message_recipients": [], "meta": {"next_token": None}},
        {"message_recipients": [MAIL], "meta": {"next_token": None}},
        {"message_recipients": [MAIL], "meta": {"next_token": "more"}},
        {"message_recipients": [OWL], "meta": {"next_token": None}},
    )
    assert await receipts.recipients("CH1", "IM1") == []  # may be told later: not remembered
    found = await receipts.recipients("CH1", "IM1")
    assert [each.type async for each in receipts.all_recipients("CH1", 1)] == ["email", "owl"]
    found.clear()
    assert [each.type for each in await receipts.recipients("CH1", "IM1")] == ["email"]
    assert [parameters for _, parameters in talk.asked()] == [
        {"MessageSid": "IM1"},
        {"MessageSid": "IM1"},
        {"PageSize": "1"},
        {"PageSize": "1", "PageToken": "more"},
    ]


@pytest.mark.parametrize("body", [[], {}, {"delivery_receipts": [{"sid": 7}]}])
async def test_an_answer_that_makes_no_sense_is_the_fault_of_the_server(talk: Talk, body: object) -> None:
    talk.answers(body)
    with pytest.raises(ServerError):
        [each async for each in Receipts(talk.session).delivery("CH1", "IM1")]
