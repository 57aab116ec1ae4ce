"""Delivery receipts, which can be read only (rest 7.1)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tertulia.server.domain.receipts import ExpectReceipts, RecordReceipt
from tests.engine.world import World

from .client import AccountHolder

SM = "SM" + "1" * 32
ABSENT = "DY" + "0" * 32


class Sent:
    """A message to two people on a channel, and the reports about it."""

    def __init__(self, world: World, api: AccountHolder, room: str, people: list[str], message: str) -> None:
        self.world, self.api, self.people = world, api, people
        self.url = f"{room}/Messages/{message}"
        self.here = {"service": api.service_sid, "conversation": room.rpartition("/")[2], "message": message}

    async def expect(self) -> list[str]:
        receipts = await self.world.do(ExpectReceipts, **self.here, participants=tuple(self.people))
        return [one.sid for one in receipts]

    async def report(self, who: int, status: str, **fields: Any) -> None:
        await self.world.do(RecordReceipt, **self.here, receipt=self.people[who], status=status, **fields)

    async def delivery(self) -> Any:
        return (await self.api.get(self.url))["delivery"]


async def new_sent(world: World, api: AccountHolder, room: str, people: int = 2) -> Sent:
    made = [
        await api.made(
            f"{room}/Participants",
            {"MessagingBinding.Address": f"+1555000{n:04}", "MessagingBinding.ProxyAddress": "+15550009999"},
        )
        for n in range(people)
    ]
    message = await api.post(f"{room}/Messages", {"Body": "x"}, headers={"X-Skip-Fanout": "true"})
    return Sent(world, api, room, [one["sid"] for one in made], message["sid"])


@pytest.fixture
async def sent(world: World, api: AccountHolder, room: str) -> Sent:
    return await new_sent(world, api, room)


async def test_a_chat_message_has_no_receipts(api: AccountHolder, room: str) -> None:
    url = f"{room}/Messages/{(await api.made(f'{room}/Messages', {'Body': 'x'}))['sid']}"
    answer = await api.get(f"{url}/Receipts")
    assert (answer["delivery_receipts"], answer["meta"]["key"]) == ([], "delivery_receipts")
    assert answer["meta"]["url"].partition("?")[0] == (await api.get(url))["links"]["delivery_receipts"]
    (await api.get(f"{url}/Receipts/{ABSENT}")).refused_with(404, 20404)
    assert (await api.get(url))["delivery"] is None


@pytest.mark.parametrize(
    ("value", "total"), [(None, 1), ("false", 1), ("", 1), ("true", None), (" TRUE ", None)], ids=str
)
async def test_what_is_imported_goes_out_to_nobody(
    api: AccountHolder, room: str, value: str | None, total: Any
) -> None:
    await api.made(
        f"{room}/Participants",
        {"MessagingBinding.Address": "+15550000001", "MessagingBinding.ProxyAddress": "+15550009999"},
    )
    headers = {} if value is None else {"X-Skip-Fanout": value}
    made = await api.post(f"{room}/Messages", {"Body": "x"}, headers=headers)
    delivery = (await api.get(f"{room}/Messages/{made['sid']}"))["delivery"]
    assert (delivery and delivery["total"]) == total


@pytest.mark.owner_demand(25)
async def test_a_receipt_says_what_became_of_a_message(sent: Sent) -> None:
    (sid, _), api = await sent.expect(), sent.api
    sent.world.clock.advance(timedelta(seconds=5))
    await sent.report(0, "delivered", channel_message_sid=SM)
    url = f"{sent.url}/Receipts/{sid}"
    expected = {
        "sid": sid,
        "account_sid": api.account_sid,
        "conversation_sid": sent.here["conversation"],
        "message_sid": sent.here["message"],
        "channel_message_sid": SM,
        "participant_sid": sent.people[0],
        "status": "delivered",
        "error_code": 0,
        "date_created": "2025-01-01T00:00:00Z",
        "date_updated": "2025-01-01T00:00:05Z",
        "url": api.root + url,
    }
    answer = await api.get(url)
    assert answer.body == (expected | {"chat_service_sid": api.service_sid} if api.is_long else expected)
    assert (await api.get(f"{sent.url}/Receipts"))["delivery_receipts"] == [answer.body]


async def test_what_is_queued_is_not_shown_yet(sent: Sent) -> None:
    (first, second), api = await sent.expect(), sent.api
    assert await api.everything(f"{sent.url}/Receipts") == []
    (await api.get(f"{sent.url}/Receipts/{first}")).refused_with(404, 20404)
    await sent.report(1, "failed", error_code=21610)
    (shown,) = await api.everything(f"{sent.url}/Receipts")
    assert (shown["sid"], shown["status"], shown["error_code"]) == (second, "failed", 21610)


async def test_a_message_says_how_far_it_has_come(sent: Sent) -> None:
    await sent.expect()
    none = dict.fromkeys(("sent", "delivered", "read", "failed", "undelivered"), "none")
    assert await sent.delivery() == {"total": 2, **none}
    await sent.report(0, "read")
    await sent.report(1, "sent")
    expected = {"total": 2, **none, "sent": "all", "delivered": "some", "read": "some"}
    assert await sent.delivery() == expected
    (listed,) = await sent.api.everything(sent.url.rpartition("/")[0])
    assert listed["delivery"] == expected
    assert (await sent.api.post(sent.url, {"Body": "edited"}))["delivery"] == expected


async def test_receipts_come_in_pages_of_at_most_fifty_by_age(world: World, api: AccountHolder, room: str) -> None:
    sent = await new_sent(world, api, room, people=5)
    sids = await sent.expect()
    for who in range(5):
        await sent.report(who, "sent")
    pages = [page async for page in api.pages(f"{sent.url}/Receipts", PageSize=2)]
    assert [[one["sid"] for one in page["delivery_receipts"]] for page in pages] == [sids[:2], sids[2:4], sids[4:]]
    back = await api.get(pages[2]["meta"]["previous_page_url"])
    assert [one["sid"] for one in back["delivery_receipts"]] == sids[2:4]
    meta = (await api.get(f"{sent.url}/Receipts", PageSize=1000))["meta"]
    assert (meta["page_size"], meta["next_page_url"]) == (50, None)
    (await api.get(f"{sent.url}/Receipts", PageSize=0)).refused_with(400, 20001)
    (await api.get(f"{sent.url}/Receipts", PageToken="x")).refused_with(400, 20001)


async def test_receipts_of_what_is_not_there_are_404(sent: Sent) -> None:
    (sid, _), api = await sent.expect(), sent.api
    await sent.report(0, "sent")
    room, other = sent.url.rpartition("/Messages/")[0], f"/Conversations/{await api.conversation()}"
    second = (await api.made(f"{room}/Messages", {"Body": "y"}))["sid"]
    message = sent.here["message"]
    for path in (
        f"{room}/Messages/IM{'0' * 32}/Receipts",
        f"{other}/Messages/{message}/Receipts",
        f"{other}/Messages/{message}/Receipts/{sid}",
        f"{room}/Messages/{second}/Receipts/{sid}",
        f"{sent.url}/Receipts/{sent.people[0]}",
        f"/Conversations/CH{'0' * 32}/Messages/{message}/Receipts",
    ):
        sentence = (await api.get(path)).refused_with(404, 20404)
        assert sentence.endswith(f"{path} was not found")


async def test_another_service_does_not_have_them(
    world: World, account: AccountHolder, other_service: AccountHolder
) -> None:
    room = f"/Conversations/{await account.conversation()}"
    sent = await new_sent(world, account, room)
    (sid, _) = await sent.expect()
    await sent.report(0, "sent")
    assert (await account.get(f"{sent.url}/Receipts/{sid}")).status == 200
    for path in (f"{sent.url}/Receipts", f"{sent.url}/Receipts/{sid}"):
        (await other_service.get(path)).refused_with(404, 20404)


async def test_receipts_cannot_be_written(sent: Sent) -> None:
    (sid, _) = await sent.expect()
    (await sent.api.post(f"{sent.url}/Receipts", {"Status": "read"})).refused_with(405, 20004)
    (await sent.api.post(f"{sent.url}/Receipts/{sid}", {"Status": "read"})).refused_with(405, 20004)
    (await sent.api.delete(f"{sent.url}/Receipts/{sid}")).refused_with(405, 20004)


async def test_receipts_of_a_closed_conversation_can_be_read(sent: Sent) -> None:
    (sid, _) = await sent.expect()
    await sent.api.post(sent.url.rpartition("/Messages/")[0], {"State": "closed"})
    await sent.report(0, "delivered")
    assert (await sent.api.get(f"{sent.url}/Receipts/{sid}"))["status"] == "delivered"
    assert (await sent.delivery())["delivered"] == "some"
