"""WhatsApp: what Meta's requests are read as."""

from __future__ import annotations

from typing import Any

import pytest

from tertulia.server.channels.whatsapp.hearing import UNSHOWN
from tertulia.server.clock import ManualClock
from tertulia.server.domain.channels import Incoming, IncomingMedia, Report
from tertulia.server.domain.receipts import ReceiptStatus
from tests.contract.channels.graph_stage import (
    OURS,
    THEIRS,
    channel_to,
    heard,
    now_s,
)
from tests.peers.graph import (
    PERSON,
    GraphPeer,
    changed,
    message,
    status,
    update,
)

JSON = dict[str, Any]
NOW = now_s(ManualClock())
PHOTO = {"id": "77", "mime_type": "image/jpeg", "sha256": "0"}


async def read(*changes: JSON, entries: int = 1, **settings: Any) -> tuple[Incoming | Report, ...]:
    """What a request that says this is read as."""
    async with GraphPeer() as peer, channel_to(peer, "whatsapp", **settings) as channel:
        answer = heard(channel, peer, update(*changes, entries=entries))
    assert answer.reply.status == 200
    return answer.events


async def read_one(said: JSON) -> Incoming:
    (event,) = await read(changed(messages=[said]))
    assert isinstance(event, Incoming)
    return event


async def test_a_text_comes_with_whom_it_is_from_and_what_he_calls_himself() -> None:
    assert await read_one(message("text", {"body": "hello"}, at_s=NOW)) == Incoming(
        provider_id="wamid.in1", sender=THEIRS, recipient=OURS, text="hello", profile_name="Ana"
    )


@pytest.mark.parametrize(
    ("kind", "content", "media", "text", "attributes"),
    [
        ("image", {**PHOTO, "caption": "Us"}, IncomingMedia(content_type="image/jpeg", reference="77"), "Us", {}),
        (
            "video",
            {"id": "77", "mime_type": "video/mp4"},
            IncomingMedia(content_type="video/mp4", reference="77"),
            None,
            {},
        ),
        (
            "audio",
            {"id": "77", "mime_type": "audio/ogg; codecs=opus", "voice": True},
            IncomingMedia(content_type="audio/ogg; codecs=opus", reference="77"),
            None,
            {"voice": True},
        ),
        (
            "document",
            {"id": "77", "mime_type": "application/pdf", "filename": "b.pdf", "caption": "Bill"},
            IncomingMedia(content_type="application/pdf", filename="b.pdf", reference="77"),
            "Bill",
            {},
        ),
        (
            "sticker",
            {"id": "77", "mime_type": "image/webp", "animated": False},
            IncomingMedia(content_type="image/webp", reference="77"),
            None,
            {"type": "sticker"},
        ),
    ],
)
async def test_a_file_comes_with_its_caption(
    kind: str, content: JSON, media: IncomingMedia, text: str | None, attributes: JSON
) -> None:
    incoming = await read_one(message(kind, content, at_s=NOW))

    assert (incoming.media, incoming.text) == ((media,), text)
    assert incoming.attributes == ({"whatsapp": attributes} if attributes else {})


ANA: JSON = {"name": {"formatted_name": "Ana P."}, "phones": [{"phone": "+1555", "type": "CELL"}], "emails": []}
BOB = {"name": {"formatted_name": "Bob"}, "emails": [{"email": "bob@tavern.example"}]}


@pytest.mark.parametrize(
    ("kind", "content", "text", "attributes"),
    [
        ("button", {"text": "Yes", "payload": "yes-1"}, "Yes", {"button": {"payload": "yes-1"}}),
        (
            "interactive",
            {"type": "button_reply", "button_reply": {"id": "yes", "title": "Yes"}},
            "Yes",
            {"interactive": {"type": "button_reply", "id": "yes", "title": "Yes"}},
        ),
        (
            "interactive",
            {"type": "list_reply", "list_reply": {"id": "soup", "title": "Soup", "description": "hot"}},
            "Soup",
            {"interactive": {"type": "list_reply", "id": "soup", "title": "Soup", "description": "hot"}},
        ),
        (
            "interactive",
            {"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent", "response_json": "{}"}},
            "Sent",
            {"interactive": {"type": "nfm_reply", "name": "flow", "body": "Sent", "response_json": "{}"}},
        ),
        ("interactive", {"type": "novel_reply"}, UNSHOWN, {"type": "interactive/novel_reply"}),
        (
            "reaction",
            {"message_id": "wamid.out1", "emoji": "\N{THUMBS UP SIGN}"},
            "\N{THUMBS UP SIGN}",
            {"reaction": {"message_id": "wamid.out1", "emoji": "\N{THUMBS UP SIGN}"}},
        ),
        (
            "location",
            {"latitude": 1.5, "longitude": 0.0, "name": "Inn", "address": "1 Main Street"},
            "Inn\n1 Main Street\n1.5, 0.0",
            {"location": {"latitude": 1.5, "longitude": 0.0, "name": "Inn", "address": "1 Main Street"}},
        ),
        ("location", {"latitude": -1, "longitude": 2}, "-1.0, 2.0", {"location": {"latitude": -1, "longitude": 2}}),
        (
            "contacts",
            [ANA, BOB],
            "Ana P.\n+1555\nBob\nbob@tavern.example",
            {
                "contacts": [
                    {"name": "Ana P.", "phones": ["+1555"], "emails": []},
                    {"name": "Bob", "phones": [], "emails": ["bob@tavern.example"]},
                ]
            },
        ),
        (
            "order",
            {"catalog_id": "c", "text": "Please", "product_items": [{"product_retailer_id": "soup", "quantity": 2}]},
            "Please\n2.0 x soup",
            None,
        ),
        ("system", {"body": "Ana changed her number", "type": "user_changed_number"}, "Ana changed her number", None),
        ("unsupported", None, UNSHOWN, {"type": "unsupported"}),
        ("novel", {"any": "thing"}, UNSHOWN, {"type": "novel"}),
        ("location", {"latitude": "north"}, UNSHOWN, {"type": "location"}),
        ("text", {"body": 5}, UNSHOWN, {"type": "text"}),
        ("image", {"mime_type": "image/jpeg"}, UNSHOWN, {"type": "image"}),
        ("image", None, UNSHOWN, {"type": "image"}),
    ],
)
async def test_every_kind_of_message_says_something(
    kind: str, content: Any, text: str, attributes: JSON | None
) -> None:
    incoming = await read_one(message(kind, content, at_s=NOW))

    assert (incoming.text, incoming.media) == (text, ())
    if attributes is not None:
        assert incoming.attributes == {"whatsapp": attributes}


async def test_what_a_message_answers_and_where_it_comes_from_is_told() -> None:
    said = message(
        "text",
        {"body": "yes"},
        at_s=NOW,
        context={"from": "15550100001", "id": "wamid.out1", "forwarded": True},
        referral={"source_url": "https://ad.example", "source_type": "ad", "source_id": "1", "headline": "Dinner"},
    )
    told = (await read_one(said)).attributes["whatsapp"]

    assert told["reply_to"] == "wamid.out1" and told["forwarded"] is True
    assert told["referral"]["headline"] == "Dinner"


async def test_what_unsupported_means_is_told_by_its_number() -> None:
    said = message("unsupported", None, at_s=NOW, errors=[{"code": 131051, "title": "t"}])

    assert (await read_one(said)).attributes == {"whatsapp": {"type": "unsupported", "errors": [131051]}}


@pytest.mark.parametrize("content", [{"message_id": "wamid.out1"}, {"message_id": "wamid.out1", "emoji": ""}])
async def test_a_reaction_that_is_taken_back_says_nothing(content: JSON) -> None:
    assert await read(changed(messages=[message("reaction", content, at_s=NOW)])) == ()


@pytest.mark.parametrize(
    ("state", "code", "wanted"),
    [
        ("sent", None, Report(status=ReceiptStatus.SENT, handle="wamid.out1")),
        ("delivered", None, Report(status=ReceiptStatus.DELIVERED, handle="wamid.out1")),
        ("read", None, Report(status=ReceiptStatus.READ, handle="wamid.out1")),
        ("played", None, Report(status=ReceiptStatus.READ, handle="wamid.out1")),
        ("failed", 131047, Report(status=ReceiptStatus.FAILED, handle="wamid.out1", error_code=63016)),
        ("failed", 131026, Report(status=ReceiptStatus.UNDELIVERED, handle="wamid.out1", error_code=63024)),
        ("failed", 131049, Report(status=ReceiptStatus.UNDELIVERED, handle="wamid.out1", error_code=63049)),
        ("failed", 131053, Report(status=ReceiptStatus.FAILED, handle="wamid.out1", error_code=63019)),
        ("failed", 131056, Report(status=ReceiptStatus.FAILED, handle="wamid.out1", error_code=63018)),
        ("failed", 132001, Report(status=ReceiptStatus.FAILED, handle="wamid.out1", error_code=63027)),
        ("failed", 190, Report(status=ReceiptStatus.FAILED, handle="wamid.out1", error_code=30008)),
        ("failed", 4, Report(status=ReceiptStatus.FAILED, handle="wamid.out1", error_code=63018)),
        ("failed", 999999, Report(status=ReceiptStatus.FAILED, handle="wamid.out1", error_code=30008)),
    ],
)
async def test_a_status_is_a_report(state: str, code: int | None, wanted: Report) -> None:
    assert await read(changed(statuses=[status(state, at_s=NOW, code=code)])) == (wanted,)


async def test_a_failure_without_a_number_is_one_nobody_knows() -> None:
    said = {"id": "wamid.out1", "status": "failed", "timestamp": "1", "recipient_id": PERSON}

    assert await read(changed(statuses=[said])) == (
        Report(status=ReceiptStatus.FAILED, handle="wamid.out1", error_code=30008),
    )


async def test_changed_codes_are_reported_too() -> None:
    (report,) = await read(changed(statuses=[status("failed", at_s=NOW, code=131026)]), codes={"131026": 63003})

    assert report == Report(status=ReceiptStatus.UNDELIVERED, handle="wamid.out1", error_code=63003)


@pytest.mark.parametrize("entries", [1, 2, 3])
async def test_all_entries_and_changes_of_a_request_are_read_in_order(entries: int) -> None:
    events = await read(
        changed(
            messages=[
                message("text", {"body": "one"}, at_s=NOW, name="a"),
                message("text", {"body": "two"}, at_s=NOW, name="b"),
            ]
        ),
        changed(statuses=[status("delivered", at_s=NOW), status("sent", at_s=NOW)]),
        changed(
            messages=[message("text", {"body": "three"}, at_s=NOW, name="c", person="15550177999")],
            person="15550177999",
            name=None,
        ),
        entries=entries,
    )

    texts = {event.text: event.profile_name for event in events if isinstance(event, Incoming)}
    assert texts == {"one": "Ana", "two": "Ana", "three": None}
    # Backwards as they came: which of two is the later, receipts know by themselves.
    assert [event.status.value for event in events if isinstance(event, Report)] == ["delivered", "sent"]


async def test_a_number_is_written_as_conversations_have_it() -> None:
    said = [message("text", {"body": "x"}, at_s=NOW)]
    for spelled in ("15550100001", "+1 555-010-0001", "+1 (555) 010.0001"):
        (event,) = await read(changed(messages=said, number=spelled))
        assert isinstance(event, Incoming) and event.recipient == OURS


async def test_further_numbers_are_heard_and_those_of_others_are_not() -> None:
    said = [message("text", {"body": "x"}, at_s=NOW)]
    mine = changed(messages=said, number_id="77", number="Tavern")
    others = changed(messages=said, statuses=[status("read", at_s=NOW)], number_id="78")

    (event,) = await read(mine, others, more_numbers={"+15550100002": "77"})
    assert isinstance(event, Incoming) and event.recipient == "whatsapp:+15550100002"
    assert await read(mine, others) == ()


async def test_a_number_that_is_set_is_believed_rather_than_what_is_written() -> None:
    said = changed(messages=[message("text", {"body": "x"}, at_s=NOW)], number="Tavern")

    (event,) = await read(said, phone_number="+15550100009")
    assert isinstance(event, Incoming) and event.recipient == "whatsapp:+15550100009"
    assert await read(said) == ()


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"id": "x"},
        {"id": "x", "from": "nobody", "type": "text", "text": {"body": "x"}},
        {"id": "x", "from": "0155", "type": "text", "text": {"body": "x"}},
        {"id": "", "from": PERSON, "type": "text", "text": {"body": "x"}},
        {"id": 5, "from": PERSON},
        "text",
        None,
        [[]],
    ],
)
async def test_what_has_no_name_or_no_sender_is_passed_over_and_the_rest_is_heard(said: Any) -> None:
    good = message("text", {"body": "good"}, at_s=NOW, name="wamid.good")
    events = await read(changed(messages=[said, good], statuses=[said, status("read", at_s=NOW)]))

    assert [event.text if isinstance(event, Incoming) else event.status.value for event in events] == ["good", "read"]
