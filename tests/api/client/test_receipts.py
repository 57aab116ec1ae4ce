"""Delivery receipts of a message (client-commands 4.7)."""

from __future__ import annotations

from typing import Any

import pytest

from tertulia.server.domain.conversations import UpdateConversation
from tertulia.server.domain.participants import AddParticipant
from tertulia.server.domain.receipts import ExpectReceipts, RecordReceipt

from .sdk import Answer, Sdk

ALL = "/Client/v2/Conversations"
SM = "SM" + "1" * 32


class Sent:
    """A message of ana's to some people on a channel."""

    def __init__(self, ana: Sdk, conversation: str, people: list[str], message: Answer) -> None:
        self.ana, self.conversation, self.people, self.message = ana, conversation, people, message
        self.here: dict[str, Any] = {"conversation": conversation, "message": message["sid"]}
        self.url: str = message["links"]["messages_receipts"]

    async def expect(self) -> list[str]:
        world = self.ana.face.world
        made = await world.do(ExpectReceipts, **self.here, participants=tuple(self.people))
        return [one.sid for one in made]

    async def report(self, who: int, status: str, **fields: Any) -> None:
        await self.ana.face.world.do(RecordReceipt, **self.here, receipt=self.people[who], status=status, **fields)


async def new_sent(ana: Sdk, people: int = 2) -> Sent:
    conversation, world = await ana.create(), ana.face.world
    message = await ana.say(conversation)  # before they come: what is expected is what the test expects
    made = [
        await world.do(
            AddParticipant, conversation=conversation, address=f"+1555000{n:04}", proxy_address="+15550009999"
        )
        for n in range(people)
    ]
    return Sent(ana, conversation, [one.sid for one in made], message)


@pytest.fixture
async def sent(ana: Sdk) -> Sent:
    return await new_sent(ana)


async def test_a_receipt_is_shown_from_queued_on(sent: Sent) -> None:
    first, second = await sent.expect()
    await sent.report(0, "failed", error_code=21610, channel_message_sid=SM)
    answer = await sent.ana.get(sent.url)
    assert answer["meta"] == {"previous_token": None, "next_token": None}
    failed, queued = answer["delivery_receipts"]
    assert failed == {
        "sid": first,
        "message_sid": sent.message["sid"],
        "conversation_sid": sent.conversation,
        "channel_message_sid": SM,
        "participant_sid": sent.people[0],
        "status": "failed",
        "error_code": 21610,
        "date_created": "2025-01-01T00:00:00.000Z",
        "date_updated": "2025-01-01T00:00:00.000Z",
    }
    assert (queued["sid"], queued["status"]) == (second, "queued")
    assert (queued["error_code"], queued["channel_message_sid"]) == (0, None)


async def test_tokens_alone_lead_through_all_receipts_and_back(ana: Sdk) -> None:
    sent = await new_sent(ana, people=5)
    sids = await sent.expect()
    page = await ana.get(sent.url, PageSize=2)
    found, tokens = [one["sid"] for one in page["delivery_receipts"]], []
    while token := page["meta"]["next_token"]:
        tokens.append(token)
        page = await ana.get(sent.url, PageToken=token)
        found += [one["sid"] for one in page["delivery_receipts"]]
    assert (found, len(tokens)) == (sids, 2)
    back = await ana.get(sent.url, PageToken=page["meta"]["previous_token"])
    assert [one["sid"] for one in back["delivery_receipts"]] == sids[2:4]
    first = await ana.get(sent.url, PageToken=back["meta"]["previous_token"])
    assert first["meta"]["previous_token"] is None


@pytest.mark.parametrize("wrong", [{"PageToken": "x"}, {"PageSize": 0}, {"PageSize": "x"}, {"PageSize": "-1"}])
async def test_a_page_that_makes_no_sense_is_refused(sent: Sent, wrong: dict[str, str | int]) -> None:
    assert (await sent.ana.get(sent.url, **wrong)).failure == (400, 20001)


async def test_tokens_of_other_lists_are_refused(sent: Sent) -> None:
    await sent.ana.say(sent.conversation)
    items = await sent.ana.get(f"/v3/Lists/{sent.conversation}.messages/Items", PageSize=1)
    assert (await sent.ana.get(sent.url, PageToken=items["meta"]["next_token"])).failure == (400, 20001)


async def test_message_and_sync_item_say_what_they_come_to(sent: Sent) -> None:
    item = f"/v3/Lists/{sent.conversation}.messages/Items"
    url = sent.message["url"]
    assert (await sent.ana.get(url))["delivery"] is None
    assert (await sent.ana.get(item))["items"][0]["data"]["delivery"] is None
    await sent.expect()
    await sent.report(0, "delivered")
    expected = {
        "total": 2,
        "sent": "some",
        "delivered": "some",
        "read": "none",
        "undelivered": "none",
        "failed": "none",
    }
    assert (await sent.ana.get(url))["delivery"] == expected
    assert (await sent.ana.get(item))["items"][0]["data"]["delivery"] == expected
    assert (await sent.ana.post(url, {"body": "edited"}))["delivery"] == expected


async def test_only_members_see_them(sent: Sent, ben: Sdk) -> None:
    await sent.expect()
    absent = await ben.get(f"{ALL}/CH{'0' * 32}/Messages/{sent.message['sid']}/Receipts")
    hidden = await ben.get(sent.url)
    assert absent.failure == hidden.failure == (404, 50350)
    assert absent.json["message"] == hidden.json["message"]
    await ben.join(sent.conversation)
    assert len((await ben.get(sent.url))["delivery_receipts"]) == 2
    await ben.delete(f"{ALL}/{sent.conversation}/Participants/ben")
    assert (await ben.get(sent.url)).failure == (404, 50350)


async def test_its_creator_has_to_join_first(ana: Sdk) -> None:
    made = await ana.post(ALL, {"attributes": "{}"})
    message = await ana.face.world.send(made["sid"])
    url = f"{ALL}/{made['sid']}/Messages/{message.sid}/Receipts"
    assert (await ana.get(url)).failure == (403, 50430)
    await ana.join(made["sid"])
    assert (await ana.get(url))["delivery_receipts"] == []


async def test_clients_have_none_of_a_closed_conversation(sent: Sent) -> None:
    await sent.expect()
    await sent.ana.face.world.do(UpdateConversation, conversation=sent.conversation, state="closed")
    assert (await sent.ana.get(sent.url)).failure == (404, 50350)
