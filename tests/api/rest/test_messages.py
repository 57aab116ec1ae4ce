"""Messages (rest 6, semantics 5.3)."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tests.engine.world import World

from .client import AccountHolder

MEDIA = "ME" + "0" * 32
CONTENT = "HX" + "0" * 32


async def test_a_message_of_a_body_alone_has_the_defaults(api: AccountHolder, room: str) -> None:
    made = await api.made(f"{room}/Messages", {"Body": "Hello 世界"})
    url = f"{api.root}{room}/Messages/{made['sid']}"
    expected = {
        "sid": made["sid"],
        "account_sid": api.account_sid,
        "conversation_sid": room.rpartition("/")[2],
        "index": 0,
        "author": "system",
        "participant_sid": None,
        "body": "Hello 世界",
        "media": None,
        "attributes": "{}",
        "date_created": "2025-01-01T00:00:00Z",
        "date_updated": "2025-01-01T00:00:00Z",
        "delivery": None,
        "content_sid": None,
        "url": url,
        "links": {"delivery_receipts": f"{url}/Receipts", "channel_metadata": f"{url}/ChannelMetadata"},
    }
    assert made == (expected | {"chat_service_sid": api.service_sid} if api.is_long else expected)
    assert (await api.get(f"{room}/Messages/{made['sid']}")).body == made


async def test_indexes_grow_by_one_and_are_never_used_again(api: AccountHolder, room: str) -> None:
    made = [await api.made(f"{room}/Messages", {"Body": str(number)}) for number in range(3)]
    assert [one["index"] for one in made] == [0, 1, 2]
    await api.delete(f"{room}/Messages/{made[2]['sid']}")
    assert (await api.made(f"{room}/Messages", {"Body": "after"}))["index"] == 3
    assert [one["index"] for one in await api.everything(f"{room}/Messages")] == [0, 1, 3]


@pytest.mark.parametrize(
    ("participant", "author"),
    [
        ({"Identity": "ana"}, "ana"),
        ({"MessagingBinding.Address": "+15550001111", "MessagingBinding.ProxyAddress": "+15550002222"}, "+15550001111"),
        ({"Identity": "ben", "MessagingBinding.ProjectedAddress": "+15550003333"}, "+15550003333"),
        (None, "a stranger"),
    ],
)
async def test_an_author_is_linked_to_the_participant_of_his_identity_or_address(
    api: AccountHolder, room: str, participant: dict[str, str] | None, author: str
) -> None:
    member = await api.made(f"{room}/Participants", participant) if participant else {"sid": None}
    made = await api.made(f"{room}/Messages", {"Body": "x", "Author": author})
    assert (made["author"], made["participant_sid"]) == (author, member["sid"])


async def test_an_empty_author_is_none_given(api: AccountHolder, room: str) -> None:
    made = await api.made(f"{room}/Messages", {"Body": "x", "Author": ""})
    assert made["author"] == "system"
    assert (await api.post(f"{room}/Messages/{made['sid']}", {"Author": ""}))["author"] == "system"


async def test_imported_messages_keep_their_dates_and_get_the_next_index(api: AccountHolder, room: str) -> None:
    await api.made(f"{room}/Messages", {"Body": "new"})
    form = {"Body": "old", "DateCreated": "2019-12-16T22:18:37.5Z", "DateUpdated": "2019-12-16T23:18:38+01:00"}
    made = await api.made(f"{room}/Messages", form)
    assert (made["index"], made["date_created"], made["date_updated"]) == (
        1,
        "2019-12-16T22:18:37Z",
        "2019-12-16T22:18:38Z",
    )
    alone = await api.made(f"{room}/Messages", {"Body": "old", "DateCreated": "2019-12-16T22:18:37Z"})
    assert alone["date_updated"] == alone["date_created"]


async def test_an_update_changes_what_is_sent(world: World, api: AccountHolder, room: str) -> None:
    member = await api.made(f"{room}/Participants", {"Identity": "ben"})
    made = await api.made(f"{room}/Messages", {"Body": "one", "Attributes": '{"a":1}'})
    path = f"{room}/Messages/{made['sid']}"
    world.clock.advance(timedelta(minutes=1))
    assert (await api.post(path)).body == made
    got = await api.post(path, {"Body": "two", "Author": "ben", "Attributes": '{"x": [1]}', "Subject": "s"})
    assert (got["body"], got["author"], got["participant_sid"]) == ("two", "ben", member["sid"])
    assert (json.loads(got["attributes"]), got["index"]) == ({"x": [1]}, made["index"])
    assert (got["date_created"], got["date_updated"]) == (made["date_created"], "2025-01-01T00:01:00Z")
    got = await api.post(path, {"DateCreated": "2019-01-01T00:00:00Z", "DateUpdated": "2019-01-02T00:00:00Z"})
    assert (got["date_created"], got["date_updated"]) == ("2019-01-01T00:00:00Z", "2019-01-02T00:00:00Z")
    assert (await api.get(path)).body == got.body


async def test_a_deleted_message_is_gone(api: AccountHolder, room: str) -> None:
    path = f"{room}/Messages/{(await api.made(f'{room}/Messages', {'Body': 'x'}))['sid']}"
    assert (await api.delete(path)).status == 204
    for answer in (await api.get(path), await api.post(path, {"Body": "y"}), await api.delete(path)):
        answer.refused_with(404, 20404)


async def test_a_message_is_found_in_its_own_conversation_only(api: AccountHolder, room: str) -> None:
    sid = (await api.made(f"{room}/Messages", {"Body": "x"}))["sid"]
    path = f"/Conversations/{await api.conversation()}/Messages/{sid}"
    for answer in (await api.get(path), await api.post(path, {"Body": "y"}), await api.delete(path)):
        answer.refused_with(404, 20404)


async def test_an_index_does_not_stand_for_the_sid(api: AccountHolder, room: str) -> None:
    await api.made(f"{room}/Messages", {"Body": "x"})
    (await api.get(f"{room}/Messages/0")).refused_with(404, 20404)


@pytest.mark.parametrize(("order", "is_down"), [(None, False), ("asc", False), ("desc", True), ("DeSc", True)])
@pytest.mark.parametrize("size", [2, 3, 100])
async def test_lists_are_by_index_in_either_order(
    api: AccountHolder, room: str, order: str | None, is_down: bool, size: int
) -> None:
    made = [(await api.made(f"{room}/Messages", {"Body": str(number)}))["sid"] for number in range(7)]
    query = {"PageSize": size} if order is None else {"PageSize": size, "Order": order}
    pages = [page async for page in api.pages(f"{room}/Messages", **query)]
    listed = [one["sid"] for page in pages for one in page["messages"]]
    assert listed == (made[::-1] if is_down else made)
    assert len(pages) == -(-7 // size)
    for page in pages:
        assert (f"Order={order.lower()}" in page["meta"]["url"]) if order else ("Order" not in page["meta"]["url"])


async def test_an_unknown_order_is_refused(api: AccountHolder, room: str) -> None:
    (await api.get(f"{room}/Messages", Order="sideways")).refused_with(400, 20001)


async def test_messages_that_come_while_one_pages_shift_nothing(api: AccountHolder, room: str) -> None:
    made = [(await api.made(f"{room}/Messages", {"Body": str(number)}))["sid"] for number in range(5)]
    first = await api.get(f"{room}/Messages", Order="desc", PageSize=2)
    await api.made(f"{room}/Messages", {"Body": "late"})
    await api.delete(f"{room}/Messages/{made[3]}")
    second = await api.get(first["meta"]["next_page_url"])
    assert [one["sid"] for one in second["messages"]] == [made[2], made[1]]


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({}, 400, 50503),
        ({"Body": ""}, 400, 50503),
        ({"Body": "x" * (32 * 1024 + 1)}, 400, 50504),
        ({"Body": "é" * (16 * 1024 + 1)}, 400, 50504),
        ({"Body": "x", "Attributes": "{"}, 400, 50304),
        ({"Body": "x", "Attributes": ""}, 400, 50304),
        ({"Body": "x", "Attributes": '"' + "x" * 4 * 1024 + '"'}, 400, 50303),
        ({"Body": "x", "Author": "a" * 257}, 400, 50310),
        ({"Body": "x", "Subject": "a" * 257}, 400, 20001),
        ({"Body": "x", "DateCreated": "then"}, 400, 50308),
        ({"Body": "x", "DateUpdated": "then"}, 400, 50309),
        ({"Body": "x", "MediaSid": ""}, 400, 50506),
        ({"MediaSid": "nonsense"}, 400, 50510),
        ({"MediaSid": MEDIA}, 404, 50507),
        ({"ContentSid": "nonsense"}, 400, 50526),
        ({"ContentSid": CONTENT}, 404, 20404),
        ({"Body": "x", "ContentVariables": "{}"}, 400, 50528),
        ({"ContentSid": CONTENT, "ContentVariables": "["}, 400, 50527),
        ({"ContentSid": CONTENT, "ContentVariables": "[]"}, 400, 50527),
        ({"ContentSid": CONTENT, "ContentVariables": json.dumps({str(n): "" for n in range(101)})}, 400, 50529),
        ({"ContentSid": CONTENT, "ContentVariables": json.dumps({"k": "x" * 27_801})}, 400, 50529),
        ({"ContentSid": CONTENT, "ContentVariables": json.dumps({"k" * 17: ""})}, 400, 50540),
        ({"ContentSid": CONTENT, "ContentVariables": json.dumps({"k": "v" * 257})}, 400, 50541),
    ],
)
async def test_values_are_checked(api: AccountHolder, room: str, form: dict[str, str], status: int, code: int) -> None:
    sentence = (await api.post(f"{room}/Messages", form)).refused_with(status, code)
    assert "requested resource" not in sentence
    assert await api.everything(f"{room}/Messages") == []


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"Body": "x" * (32 * 1024 + 1)}, 50504),
        ({"Body": ""}, 50503),
        ({"Attributes": ""}, 50304),
        ({"Author": "a" * 257}, 50310),
        ({"Subject": "a" * 257}, 20001),
        ({"DateCreated": "then"}, 50308),
    ],
)
async def test_values_are_checked_at_an_update_too(
    api: AccountHolder, room: str, form: dict[str, str], code: int
) -> None:
    made = await api.made(f"{room}/Messages", {"Body": "x"})
    (await api.post(f"{room}/Messages/{made['sid']}", form)).refused_with(400, code)


async def test_limits_are_inclusive(api: AccountHolder, room: str) -> None:
    form = {"Body": "é" * (16 * 1024), "Author": "a" * 256, "Attributes": '"' + "x" * (4 * 1024 - 2) + '"'}
    made = await api.made(f"{room}/Messages", form)
    assert (made["body"], made["author"], made["attributes"]) == (form["Body"], form["Author"], form["Attributes"])


async def test_channel_metadata_is_missing_in_a_way_of_its_own(api: AccountHolder, room: str) -> None:
    sid = (await api.made(f"{room}/Messages", {"Body": "x"}))["sid"]
    (await api.get(f"{room}/Messages/{sid}/ChannelMetadata")).refused_with(404, 50530)
    (await api.get(f"{room}/Messages/IM{'0' * 32}/ChannelMetadata")).refused_with(404, 20404)
