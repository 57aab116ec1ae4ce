"""People who talk by telephone and never learn each other's numbers; strangers; groups (semantics 4.2 to 4.6)."""

from __future__ import annotations

import asyncio

import pytest

from tertulia.client import ClientConfig, ConversationsClient
from tertulia.client.events import MessageAdded
from tertulia.testing import WebhookReceiver
from tests.api.channels.phones import ANA, BEN, CLEO, OURS, OURS_TOO, Phones

WITHIN_S = 10


# --- two people


def test_two_people_talk_by_a_number_of_ours_and_see_no_other(phones: Phones) -> None:
    room = phones.room()
    phones.pair(room, ANA)
    phones.pair(room, BEN)
    phones.write(ANA, "is it still for sale?")
    phones.soon()
    phones.write(BEN, "it is")
    phones.soon()
    assert phones.said(room) == [(ANA, "is it still for sale?"), (BEN, "it is")]
    assert (phones.texts(BEN), phones.texts(ANA)) == ([(OURS, "is it still for sale?")], [(OURS, "it is")])
    for phone, other in ((ANA, BEN), (BEN, ANA)):
        assert other not in str(phones.shown(phone))


def test_each_may_have_a_number_of_his_own(phones: Phones) -> None:
    room = phones.room()
    phones.pair(room, ANA, OURS)
    phones.pair(room, BEN, OURS_TOO)
    phones.write(ANA, "hello", OURS)
    phones.soon()
    assert phones.texts(BEN) == [(OURS_TOO, "hello")]
    # The other number is none that he talks by.
    phones.write(BEN, "wrong number", OURS)
    phones.soon()
    assert phones.said(room) == [(ANA, "hello")]


def test_one_person_has_as_many_conversations_as_numbers(phones: Phones) -> None:
    first, second = phones.room(), phones.room()
    phones.pair(first, ANA, OURS)
    phones.pair(second, ANA, OURS_TOO)
    phones.write(ANA, "one", OURS)
    phones.write(ANA, "two", OURS_TOO)
    phones.soon()
    assert (phones.said(first), phones.said(second)) == ([(ANA, "one")], [(ANA, "two")])


def test_what_the_account_holder_says_reaches_all_and_is_accounted_for(phones: Phones) -> None:
    room = phones.room()
    people = {phones.pair(room, ANA), phones.pair(room, BEN)}
    message = phones.say(room, "dinner is ready")
    phones.soon()
    assert phones.texts(ANA) == phones.texts(BEN) == [(OURS, "dinner is ready")]
    assert phones.receipts(room, message) == [("delivered", 0), ("delivered", 0)]
    path = f"/v1/Conversations/{room}/Messages/{message}"
    listed = phones.get(f"{path}/Receipts")["delivery_receipts"]
    assert {one["participant_sid"] for one in listed} == people
    assert phones.get(path)["delivery"] == {
        "total": 2,
        "sent": "all",
        "delivered": "all",
        "read": "none",
        "failed": "none",
        "undelivered": "none",
    }


def test_a_phone_that_cannot_be_reached_shows_in_the_receipt(phones: Phones) -> None:
    room = phones.room()
    phones.pair(room, ANA)
    phones.pair(room, BEN)
    phones.pair(room, CLEO)
    phones.post(phones.path(ANA), Outcome="undelivered", ErrorCode=30006)
    phones.post(phones.path(BEN), Outcome="refused")
    phones.post(phones.path(CLEO), IsReordered="true", Duplicates=3)
    message = phones.say(room, "hello")
    phones.soon()
    assert phones.receipts(room, message) == [("delivered", 0), ("failed", 21211), ("undelivered", 30006)]


def test_a_pair_is_taken_until_its_conversation_closes_and_the_refusal_names_the_holder(phones: Phones) -> None:
    holder, other = phones.room(), phones.room()
    phones.pair(holder, ANA)
    refused = phones.add(other, address=ANA, proxy=OURS)
    assert (refused.status_code, refused.json()["code"]) == (409, 50416)
    assert refused.json()["message"].endswith(f"already exists in Conversation {holder}")
    assert phones.add(other, address=ANA, proxy=OURS_TOO).status_code == 201
    phones.post(f"/v1/Conversations/{holder}", State="closed")
    third = phones.room()
    phones.pair(third, ANA)
    phones.write(ANA, "hello")
    phones.soon()
    assert (phones.said(holder), phones.said(third)) == ([], [(ANA, "hello")])


def test_stop_is_heeded_and_start_too(phones: Phones) -> None:
    room = phones.room()
    phones.pair(room, ANA)
    phones.write(ANA, "STOP")
    phones.soon()
    assert [text for _, text in phones.texts(ANA)] == [
        "You will get no more messages from this number. Reply START to get them again."
    ]
    refused = phones.say(room, "one more thing")
    phones.soon()
    assert phones.receipts(room, refused) == [("failed", 21610)]
    phones.write(ANA, "start")
    phones.soon()
    welcome = phones.say(room, "there you are")
    phones.soon()
    assert phones.receipts(room, welcome) == [("delivered", 0)]
    assert [body for _, body in phones.said(room)] == ["STOP", "one more thing", "start", "there you are"]
    assert phones.texts(ANA)[-1] == (OURS, "there you are")


def test_what_a_provider_says_more_than_once_is_heard_once(phones: Phones) -> None:
    room = phones.room()
    phones.pair(room, ANA)
    phones.post(phones.path(ANA), Duplicates=5)
    phones.write(ANA, "hello")
    message = phones.say(room, "hello yourself")
    phones.soon()
    assert sorted(phones.said(room)) == [(ANA, "hello"), ("system", "hello yourself")]
    assert phones.receipts(room, message) == [("delivered", 0)]


# --- files


def test_a_picture_goes_from_phone_to_phone(phones: Phones) -> None:
    room = phones.room()
    phones.pair(room, ANA)
    phones.pair(room, BEN)
    picture = b"\x89PNG\r\n\x1a\n" + bytes(2_000_000 - 8)
    kept = phones.http.post(
        phones.path(ANA, "/Media?Filename=cat.png"), content=picture, headers={"Content-Type": "image/png"}
    ).json()
    phones.write(ANA, "my cat", MediaSid=kept["sid"])
    phones.soon()
    (message,) = phones.get(f"/v1/Conversations/{room}/Messages")["messages"]
    assert [(one["filename"], one["size"]) for one in message["media"]] == [("cat.png", len(picture))]
    (shown,) = phones.shown(BEN)
    assert (shown["text"], [one["size"] for one in shown["media"]]) == ("my cat", [len(picture)])
    got = phones.http.get(shown["media"][0]["url"])
    assert (got.content, got.headers["content-type"], got.headers["content-disposition"]) == (
        picture,
        "image/png",
        "attachment",
    )


# --- WhatsApp


def test_whatsapp_needs_an_open_window_and_tells_what_was_read(phones: Phones) -> None:
    person, ours = f"whatsapp:{ANA}", f"whatsapp:{OURS}"
    room = phones.room()
    participant = phones.pair(room, person, ours)
    early = phones.say(room, "too early")
    phones.soon()
    assert phones.receipts(room, early) == [("failed", 63016)]
    phones.write(person, "hello", ours)
    phones.soon()
    answer = phones.say(room, "hello yourself")
    phones.soon()
    assert phones.receipts(room, answer) == [("delivered", 0)]
    assert phones.post(phones.path(person, "/Read")) == {"read": 1}
    phones.soon()
    assert phones.receipts(room, answer) == [("read", 0)]
    path = f"/v1/Conversations/{room}"
    index = phones.get(f"{path}/Messages/{answer}")["index"]
    assert phones.get(f"{path}/Participants/{participant}")["last_read_message_index"] == index
    phones.server.clock.advance(hours=25)
    late = phones.say(room, "too late")
    phones.soon()
    assert phones.receipts(room, late) == [("failed", 63016)]


def test_a_template_gets_through_outside_of_the_window(phones: Phones) -> None:
    made = phones.http.post(
        "/v1/Content",
        json={
            "friendly_name": "parcel",
            "language": "en",
            "variables": {"1": "tomorrow"},
            "types": {"twilio/text": {"body": "your parcel comes {{1}}"}},
        },
    ).json()
    asked = phones.http.post(
        f"/v1/Content/{made['sid']}/ApprovalRequests/whatsapp", json={"name": "parcel", "category": "UTILITY"}
    )
    assert asked.is_success, asked.text
    room, person = phones.room(), f"whatsapp:{ANA}"
    phones.pair(room, person, f"whatsapp:{OURS}")
    phones.pair(room, BEN)
    message = phones.post(
        f"/v1/Conversations/{room}/Messages", ContentSid=made["sid"], ContentVariables='{"1": "today"}'
    )["sid"]
    phones.soon()
    assert phones.receipts(room, message) == [("delivered", 0)] * 2
    (shown,), (text,) = phones.shown(person), phones.shown(BEN)
    assert shown["template"] == {
        "name": "parcel",
        "language": "en",
        "type": "twilio/text",
        "content": {"body": "your parcel comes {{1}}"},
        "variables": {"1": "today"},
    }
    assert shown["text"] == text["text"] == "your parcel comes today"
    assert text["template"] is None


# --- strangers


def configure(phones: Phones, **form: str) -> None:
    phones.post(
        "/v1/Configuration/Addresses",
        Type="sms",
        Address=OURS,
        **{f"AutoCreation.{name}": value for name, value in form.items()},
    )


def test_who_writes_to_a_number_that_nobody_expects_him_at_is_dropped(phones: Phones) -> None:
    phones.write(ANA, "is anybody there?")
    phones.soon()
    assert phones.get("/v1/Conversations")["conversations"] == []


def test_a_stranger_makes_a_conversation_with_its_webhook(phones: Phones) -> None:
    receiver = WebhookReceiver(phones.server.auth_token)
    receiver.start()
    try:
        configure(phones, Enabled="true", Type="webhook", WebhookUrl=receiver.url, WebhookFilters="onMessageAdded")
        phones.write(ANA, "I need help", ProfileName="Ana")
        phones.write(ANA, "please")
        phones.soon()
        told = receiver.wait_for("onMessageAdded", lambda one: one["Body"] == "please")
    finally:
        receiver.stop()
    (room,) = phones.get("/v1/Conversations")["conversations"]
    assert (room["friendly_name"], room["state"]) == (ANA, "active")
    assert phones.said(room["sid"]) == [(ANA, "I need help"), (ANA, "please")]
    (participant,) = phones.get(f"/v1/Conversations/{room['sid']}/Participants")["participants"]
    binding = participant["messaging_binding"]
    assert (binding["type"], binding["address"], binding["proxy_address"]) == ("sms", ANA, OURS)
    assert participant["attributes"] == '{"name":"Ana"}'
    (webhook,) = phones.get(f"/v1/Conversations/{room['sid']}/Webhooks")["webhooks"]
    assert webhook["configuration"]["url"] == receiver.url
    assert (told.is_signed, told["ConversationSid"], told["Author"]) == (True, room["sid"], ANA)
    # An answer finds its way back.
    phones.say(room["sid"], "how can I help?")
    phones.soon()
    assert phones.texts(ANA) == [(OURS, "how can I help?")]


def test_a_conversation_that_waits_wakes_up(phones: Phones) -> None:
    room = phones.room()
    phones.pair(room, ANA)
    phones.post(f"/v1/Conversations/{room}", State="inactive")
    phones.write(ANA, "hello again")
    phones.soon()
    assert phones.get(f"/v1/Conversations/{room}")["state"] == "active"


# --- groups


def group(phones: Phones) -> str:
    """Three phones and two users, each with a number of ours."""
    room = phones.room()
    for address in (ANA, BEN, CLEO):
        assert phones.add(room, address=address).status_code == 201
    for identity, projected in (("dora", OURS), ("emil", OURS_TOO)):
        answer = phones.add(room, identity=identity, projected=projected)
        assert answer.status_code == 201, answer.text
    return room


def test_a_user_writes_to_a_group_by_one_message_that_all_phones_show_as_one_thread(phones: Phones) -> None:
    room = group(phones)
    message = phones.say(room, "welcome", Author="dora")
    phones.soon()
    everybody = {ANA, BEN, CLEO, OURS_TOO}
    shown = [phones.shown(phone) for phone in (ANA, BEN, CLEO)]
    assert [[(one["from"], one["text"], set(one["to"])) for one in each] for each in shown] == [
        [(OURS, "welcome", everybody)]
    ] * 3
    assert len({each[0]["sid"] for each in shown}) == 1
    assert phones.receipts(room, message) == [("delivered", 0)] * 3


def test_an_answer_in_a_group_is_one_message_and_not_sent_again(phones: Phones) -> None:
    room = group(phones)
    phones.say(room, "welcome", Author="dora")
    phones.soon()
    (welcome,) = phones.shown(ANA)
    phones.post(phones.path(ANA, "/Messages"), Body="thank you", Answers=welcome["sid"])
    phones.soon()
    # Both numbers of ours got a copy; the other phones got theirs from the carrier.
    assert phones.said(room) == [("dora", "welcome"), (ANA, "thank you")]
    for phone in (BEN, CLEO):
        assert phones.texts(phone) == [(OURS, "welcome"), (ANA, "thank you")]
    assert phones.texts(ANA) == [(OURS, "welcome")]


def test_a_message_to_one_of_a_group_alone_is_no_message_to_the_group(phones: Phones) -> None:
    room = group(phones)
    phones.write(ANA, "psst", OURS)
    phones.soon()
    assert phones.said(room) == []


async def test_users_of_a_group_see_what_phones_write_as_it_comes(phones: Phones) -> None:
    room = await asyncio.to_thread(group, phones)
    config = ClientConfig(server_url=phones.server.base_url, token=phones.server.token("emil"))
    async with ConversationsClient(config) as emil, asyncio.timeout(WITHIN_S):
        conversation = await emil.get_conversation(room)
        await conversation.ready(timeout=WITHIN_S)
        async with conversation.events(MessageAdded) as heard:
            await asyncio.to_thread(phones.write, BEN, "hello you all", [OURS, OURS_TOO], Others=[ANA, CLEO])
            message = (await anext(heard)).message
            assert (message.author, message.body) == (BEN, "hello you all")
        await conversation.send("hello Ben")
    await asyncio.to_thread(phones.soon)
    for phone in (ANA, BEN, CLEO):
        assert (await asyncio.to_thread(phones.texts, phone))[-1] == (OURS_TOO, "hello Ben")


@pytest.mark.parametrize("address", ["+442079460000", "+18005550100"])
def test_numbers_that_cannot_be_in_a_group_are_refused(phones: Phones, address: str) -> None:
    refused = phones.add(group(phones), address=address)
    assert refused.json()["code"] == 50435
