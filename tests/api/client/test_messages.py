"""Messages (client-commands 4.3, 4.7 to 4.9)."""

from __future__ import annotations

import pytest

from tests.engine.world import BASE_URL

from .sdk import Sdk

ALL = "/Client/v2/Conversations"
ABSENT = "IM" + "0" * 32


async def test_sending_answers_the_index_and_the_whole_message(ana: Sdk) -> None:
    sid = await ana.create()
    sent = await ana.post(f"{ALL}/{sid}/Messages", {"body": "hi", "attributes": '{"a":1}', "subject": "On"})
    assert sent.status == 201
    message, (seat,) = sent["sid"], (await ana.get(f"/v3/Maps/{sid}.roster/Items"))["items"]
    assert sent.json == {
        "sid": message,
        "account_sid": sent["account_sid"],
        "chat_service_sid": sent["chat_service_sid"],
        "conversation_sid": sid,
        "index": 0,
        "author": "ana",
        "participant_sid": seat["key"],
        "body": "hi",
        "subject": "On",
        "attributes": '{"a":1}',
        "media": None,
        "content_sid": None,
        "delivery": None,
        "date_created": sent["date_created"],
        "date_updated": sent["date_created"],
        "last_updated_by": None,
        "url": f"{BASE_URL}{ALL}/{sid}/Messages/{message}",
        "links": {
            "conversation": f"{BASE_URL}{ALL}/{sid}",
            "messages_receipts": f"{BASE_URL}{ALL}/{sid}/Messages/{message}/Receipts",
        },
    }
    assert (await ana.get(sent["url"])).json == sent.json
    (item,) = (await ana.get(f"/v3/Lists/{sid}.messages/Items"))["items"]
    assert (item["index"], item["data"]["timestamp"]) == (0, sent["date_created"])


async def test_indexes_rise(ana: Sdk) -> None:
    sid = await ana.create()
    assert [(await ana.say(sid))["index"] for _ in range(3)] == [0, 1, 2]


async def test_a_client_speaks_for_himself_whatever_it_sends(ana: Sdk) -> None:
    sid = await ana.create()
    sent = await ana.post(
        f"{ALL}/{sid}/Messages", {"body": "hi", "author": "ben", "date_created": "2001-01-01", "x": 1}
    )
    assert sent["author"] == "ana" and not sent["date_created"].startswith("2001")


@pytest.mark.parametrize("none", [[], None])
async def test_a_list_without_media_is_no_media(ana: Sdk, none: list[str] | None) -> None:
    sid = await ana.create()
    assert (await ana.post(f"{ALL}/{sid}/Messages", {"body": "hi", "media_sids": none}))["media"] is None


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        ({"media_sids": [], "attributes": "{}"}, (400, 50503)),
        ({"body": "", "attributes": "{}"}, (400, 50503)),
        ({"body": None}, (400, 50503)),
        ({}, (400, 50503)),
        ({"body": "x" * 32769}, (400, 50504)),
        ({"media_sids": ["ME" + "0" * 32]}, (404, 50507)),
        ({"media_sids": ["nonsense"]}, (400, 50510)),
        ({"content_sid": "HX" + "0" * 32, "content_variables": "{}"}, (404, 20404)),
        ({"content_sid": "nonsense"}, (400, 50526)),
        ({"content_sid": "HX" + "0" * 32, "content_variables": "no json"}, (400, 50527)),
        ({"content_sid": "HX" + "0" * 32, "content_variables": '{"a":1}'}, (400, 50541)),
        ({"body": "x", "content_variables": "{}"}, (400, 50528)),
        ({"body": "x", "attributes": "no json"}, (400, 50304)),
        ({"body": "x", "attributes": '"' + "x" * 4096 + '"'}, (400, 50303)),
        ({"body": "x", "attributes": {"a": 1}}, (400, 20001)),
        ({"body": 7}, (400, 20001)),
        ([], (400, 20001)),
        ("text", (400, 20001)),
    ],
)
async def test_a_wrong_message_is_refused_and_nothing_is_sent(ana: Sdk, body: object, failure: tuple[int, int]) -> None:
    sid = await ana.create()
    assert (await ana.post(f"{ALL}/{sid}/Messages", body)).failure == failure
    assert (await ana.get(f"{ALL}/{sid}"))["messages_count"] == 0


async def test_the_author_edits_body_and_attributes_and_nothing_else(ana: Sdk) -> None:
    sid = await ana.create()
    sent = await ana.say(sid)
    edited = await ana.post(sent["url"], {"body": "other", "subject": "no", "author": "ben"})
    assert (edited["body"], edited["subject"], edited["author"]) == ("other", None, "ana")
    assert edited["last_updated_by"] == "ana"
    edited = await ana.post(sent["url"], {"attributes": "[1]"})
    assert (edited["body"], edited["attributes"]) == ("other", "[1]")
    (item,) = (await ana.get(f"/v3/Lists/{sid}.messages/Items"))["items"]
    assert item["data"]["dateUpdated"] == edited["date_updated"]


async def test_others_messages_are_not_edited_without_permission(ana: Sdk, ben: Sdk) -> None:
    sid = await ana.create()
    await ben.join(sid)
    sent = await ana.say(sid)
    assert (await ben.post(sent["url"], {"body": "x"})).failure == (403, 50107)
    assert (await ben.post(sent["url"], {"attributes": "{}"})).failure == (403, 50107)
    assert (await ben.delete(sent["url"])).failure == (403, 50107)


async def test_a_removed_message_is_not_there(ana: Sdk) -> None:
    sid = await ana.create()
    sent = await ana.say(sid)
    gone = await ana.delete(sent["url"])
    assert (gone.status, gone.raw) == (204, b"")
    for answer in (
        await ana.get(sent["url"]),
        await ana.post(sent["url"], {"body": "x"}),
        await ana.delete(sent["url"]),
        await ana.get(f"{sent['url']}/Receipts"),
    ):
        assert answer.failure == (404, 50500)


async def test_receipts_are_an_empty_last_page(ana: Sdk) -> None:
    sid = await ana.create()
    sent = await ana.say(sid)
    pattern = (await ana.get("/Client/v2/Configuration"))["links"]["messages_receipts"]
    answer = await ana.get(pattern % (sid, sent["sid"]), PageSize=50)
    assert answer.json == {"delivery_receipts": [], "meta": {"previous_token": None, "next_token": None}}


async def test_without_channel_metadata_the_sdk_gets_the_code_it_knows(ana: Sdk) -> None:
    sid = await ana.create()
    sent = await ana.say(sid)
    assert (await ana.get(f"{sent['url']}/ChannelMetadata")).failure == (404, 50530)
    assert (await ana.get(f"{ALL}/{sid}/Messages/{ABSENT}/ChannelMetadata")).failure == (404, 50500)


async def test_recipients_are_an_empty_last_page(ana: Sdk) -> None:
    sid = await ana.create()
    sent = await ana.say(sid)
    empty = {"message_recipients": [], "meta": {"previous_token": None, "next_token": None}}
    assert (await ana.get(f"{ALL}/{sid}/MessageRecipients", PageSize=20)).json == empty
    assert (await ana.get(f"{ALL}/{sid}/MessageRecipients", MessageSid=sent["sid"])).json == empty
    # Never 50530 here: the SDK would take it for missing channel metadata (client-commands 4.9).
    assert (await ana.get(f"{ALL}/{sid}/MessageRecipients", MessageSid=ABSENT)).failure == (404, 50500)
