"""Messenger: what Meta's requests are read as."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tertulia.server.channels.base import Forged, NotNow, Refused, Unreadable
from tertulia.server.channels.messenger.hearing import UNSHOWN
from tertulia.server.clock import ManualClock
from tertulia.server.domain.channels import Incoming, IncomingMedia, Report
from tertulia.server.domain.receipts import ReceiptStatus
from tertulia.server.settings import OutgoingSettings, Settings
from tertulia.wire.requests import Request
from tests.contract.channels.graph_stage import (
    CALLBACK,
    PAGE,
    READER,
    asked,
    channel_to,
    fetched,
    heard,
    now_s,
    posted,
)
from tests.peers.graph import PAGE_ID, PSID, GraphPeer, Reply, page_event, page_update

JSON = dict[str, Any]
NOW = now_s(ManualClock())
NOW_MS = int(NOW * 1000)
URL = "https://cdn.example/v/photo.png?oh=1&oe=2"


def event(**happened: Any) -> JSON:
    return page_event(at_s=NOW, **happened)


async def read(*events: Any, page: str = PAGE_ID, **settings: Any) -> tuple[Incoming | Report, ...]:
    """What a request that says this is read as."""
    async with GraphPeer() as peer, channel_to(peer, "messenger", **settings) as channel:
        answer = heard(channel, peer, page_update(*events, page=page, at_s=NOW))
    assert answer.reply.status == 200
    return answer.events


async def read_one(said: JSON) -> Incoming:
    (told,) = await read(event(message={"mid": "m_1", **said}))
    assert isinstance(told, Incoming)
    return told


async def test_a_text_comes_with_whom_it_is_from() -> None:
    assert await read_one({"text": "hello"}) == Incoming(provider_id="m_1", sender=READER, recipient=PAGE, text="hello")


@pytest.mark.parametrize(
    ("kind", "url", "content_type"),
    [
        ("image", URL, "image/png"),
        ("image", "https://cdn.example/v/photo", "image/jpeg"),
        ("video", "https://cdn.example/a.mp4", "video/mp4"),
        ("video", "https://cdn.example/a", "video/mp4"),
        ("audio", "https://cdn.example/a.aac?x", "audio/aac"),
        ("audio", "https://cdn.example/a", "audio/mpeg"),
        ("file", "https://cdn.example/bill.PDF", "application/pdf"),
        ("file", "https://cdn.example/bill.exe", "application/octet-stream"),
        ("file", "https://[", "application/octet-stream"),
    ],
)
async def test_an_attachment_is_a_file(kind: str, url: str, content_type: str) -> None:
    told = await read_one({"attachments": [{"type": kind, "payload": {"url": url}}]})

    assert told.media == (IncomingMedia(content_type=content_type, reference=url),)
    assert (told.text, told.attributes) == (None, {})


async def test_several_attachments_come_with_their_words() -> None:
    told = await read_one({"text": "Us", "attachments": [{"type": "image", "payload": {"url": URL}}] * 3})

    assert (told.text, len(told.media)) == ("Us", 3)


@pytest.mark.parametrize(
    ("attachments", "text", "kinds"),
    [
        ([{"type": "fallback", "title": "News", "url": "https://n.example"}], "News\nhttps://n.example", ["fallback"]),
        (
            [{"type": "fallback", "payload": {"url": "https://n.example"}, "title": "News"}],
            "News\nhttps://n.example",
            ["fallback"],
        ),
        ([{"type": "template", "payload": {"template_type": "generic"}}], UNSHOWN, ["template"]),
        ([{"type": "image"}], UNSHOWN, ["image"]),
        ([{"type": "image", "payload": None}], UNSHOWN, ["image"]),
        ([], UNSHOWN, None),
    ],
)
async def test_what_is_no_file_says_what_it_can(attachments: list[JSON], text: str, kinds: list[str] | None) -> None:
    told = await read_one({"attachments": attachments})

    assert (told.text, told.media) == (text, ())
    assert told.attributes == ({"messenger": {"attachments": kinds}} if kinds else {})


async def test_a_sticker_is_a_picture_that_says_so() -> None:
    told = await read_one({"attachments": [{"type": "image", "payload": {"url": URL, "sticker_id": 369239263222822}}]})

    assert (len(told.media), told.attributes) == (1, {"messenger": {"attachments": ["image"]}})


async def test_buttons_and_answers_tell_what_they_stand_for() -> None:
    quick = await read_one({"text": "Yes", "quick_reply": {"payload": "yes-1"}, "reply_to": {"mid": "m_0"}})
    (pressed,) = await read(
        event(postback={"title": "Book", "payload": "book-1", "mid": "m_2", "referral": {"ref": "ad"}})
    )
    (bare,) = await read(event(postback={"payload": "GET_STARTED"}))

    assert quick.attributes == {"messenger": {"quick_reply": {"payload": "yes-1"}, "reply_to": "m_0"}}
    assert isinstance(pressed, Incoming) and isinstance(bare, Incoming)
    assert (pressed.provider_id, pressed.text) == ("m_2", "Book")
    assert pressed.attributes == {"messenger": {"postback": {"payload": "book-1"}, "referral": {"ref": "ad"}}}
    assert (bare.provider_id, bare.text) == (f"postback:{READER}:{NOW_MS}", "GET_STARTED")


async def test_a_reaction_is_its_sign_and_taken_back_it_says_nothing() -> None:
    said = {"mid": "m_0", "reaction": "love", "emoji": "\N{HEAVY BLACK HEART}"}
    events = await read(event(reaction={**said, "action": "react"}), event(reaction={**said, "action": "unreact"}))

    (told,) = events
    assert isinstance(told, Incoming) and told.text == "\N{HEAVY BLACK HEART}"


async def test_a_delivery_is_reported_by_name_and_until_a_moment() -> None:
    events = await read(event(delivery={"mids": ["m_8", "m_9"], "watermark": NOW_MS}))

    assert events == (
        Report(status=ReceiptStatus.DELIVERED, handle="m_8"),
        Report(status=ReceiptStatus.DELIVERED, handle="m_9"),
        Report(status=ReceiptStatus.DELIVERED, up_to=NOW_MS * 1000 + 999, sender=PAGE, recipient=READER),
    )


async def test_a_delivery_without_names_is_until_a_moment() -> None:
    wanted = Report(status=ReceiptStatus.DELIVERED, up_to=NOW_MS * 1000 + 999, sender=PAGE, recipient=READER)

    assert await read(event(delivery={"watermark": NOW_MS})) == (wanted,)
    assert await read(event(delivery={"mids": None, "watermark": NOW_MS})) == (wanted,)
    assert await read(event(delivery={})) == ()


async def test_what_was_read_is_all_until_a_moment() -> None:
    assert await read(event(read={"watermark": NOW_MS})) == (
        Report(status=ReceiptStatus.READ, up_to=NOW_MS * 1000 + 999, sender=PAGE, recipient=READER),
    )


@pytest.mark.parametrize(
    "said",
    [
        page_event(at_s=NOW, message={"mid": "m_1", "text": "ours", "is_echo": True}),
        page_event(at_s=NOW, message={"mid": "m_1", "text": 5, "is_echo": True}),
        page_event(at_s=NOW, sender=PAGE_ID, recipient=PSID, message={"mid": "m_1", "text": "ours", "is_echo": True}),
        page_event(at_s=NOW, sender=PAGE_ID, recipient=PSID, message={"mid": "m_1", "text": "ours"}),
        page_event(at_s=NOW, message={"mid": "m_1", "is_deleted": True}),
        page_event(at_s=NOW, optin={"ref": "x"}),
        page_event(at_s=NOW, sender="", message={"mid": "m_1", "text": "x"}),
        page_event(at_s=NOW, sender="a b", message={"mid": "m_1", "text": "x"}),
        page_event(at_s=NOW, sender="9" * 200, message={"mid": "m_1", "text": "x"}),
        page_event(at_s=NOW, message={"text": "without a name"}),
        page_event(at_s=NOW, message={"mid": "", "text": "without a name"}),
        page_event(at_s=NOW, message="odd"),
        page_event(at_s=NOW, read={"watermark": -1}),
        page_event(at_s=NOW, read={"watermark": 1 << 60}),
        page_event(at_s=NOW, read={"watermark": "now"}),
        page_event(at_s=10**14, message={"mid": "m_1", "text": "x"}),
        {"message": {"mid": "m_1", "text": "x"}},
        "event",
        None,
        [],
    ],
)
async def test_what_is_not_for_us_is_passed_over_and_the_rest_is_heard(said: Any) -> None:
    (told,) = await read(said, event(message={"mid": "m_good", "text": "good"}))

    assert isinstance(told, Incoming) and told.text == "good"


async def test_a_message_that_cannot_be_read_is_told_of() -> None:
    assert await read_one({"text": {"body": "odd"}}) == Incoming(
        provider_id="m_1", sender=READER, recipient=PAGE, text=UNSHOWN
    )


async def test_further_pages_are_heard_and_those_of_others_are_not() -> None:
    said = event(message={"mid": "m_1", "text": "x"}, recipient="77")

    (told,) = await read(said, page="77", more_pages={"77": "its-token"})
    assert isinstance(told, Incoming) and told.recipient == "messenger:77"
    assert await read(said, page="77") == ()


async def test_other_kinds_of_news_are_taken_note_of_and_nothing_else() -> None:
    async with GraphPeer() as peer, channel_to(peer, "messenger") as channel:
        for told in (
            {
                "object": "instagram",
                "entry": [{"id": PAGE_ID, "messaging": [event(message={"mid": "m", "text": "x"})]}],
            },
            {"object": "page"},
            {"object": "page", "entry": [{"id": PAGE_ID, "changes": [{"field": "feed"}]}]},
            {"object": "page", "entry": [{"id": PAGE_ID, "standby": [event(message={"mid": "m", "text": "x"})]}]},
            {"object": "page", "entry": [5, {"id": [], "messaging": []}, {"id": PAGE_ID, "messaging": 5}]},
        ):
            answer = heard(channel, peer, told)
            assert (answer.events, answer.reply.status) == ((), 200)


async def test_all_entries_of_a_request_are_read_in_order() -> None:
    one, two = (page_update(event(message={"mid": f"m_{n}", "text": str(n)}), at_s=NOW)["entry"][0] for n in (1, 2))
    async with GraphPeer() as peer, channel_to(peer, "messenger") as channel:
        events = heard(channel, peer, {"object": "page", "entry": [two, one, two]}).events

    assert [told.text for told in events if isinstance(told, Incoming)] == ["2", "1", "2"]


# --- who says it


async def test_a_request_with_another_signature_is_forged() -> None:
    body = json.dumps(page_update(event(message={"mid": "m_1", "text": "x"}), at_s=NOW)).encode()
    async with GraphPeer() as peer, channel_to(peer, "messenger") as channel:
        right = peer.signature(body)
        for signature in ("", right[:-1], right.upper(), peer.signature(b""), "sha256=\N{SNOWMAN}"):
            with pytest.raises(Forged):
                channel.hear(posted(peer, body, signature=signature), CALLBACK)
        with pytest.raises(Forged):
            channel.hear(Request("POST", "", {}, {}, body), CALLBACK)
        assert len(channel.hear(posted(peer, body), CALLBACK).events) == 1


async def test_a_request_that_somebody_kept_for_a_week_brings_no_message() -> None:
    clock = ManualClock()
    told = page_update(
        event(message={"mid": "m_1", "text": "x"}),
        event(postback={"payload": "x"}),
        event(read={"watermark": 1}),
        at_s=NOW,
    )
    async with GraphPeer() as peer, channel_to(peer, "messenger", clock=clock) as channel:
        assert heard(channel, peer, told).events == heard(channel, peer, told).events
        clock.advance(timedelta(days=7))
        (report,) = heard(channel, peer, told).events

    assert isinstance(report, Report)


async def test_meta_is_answered_when_it_asks_whose_url_it_is() -> None:
    async with GraphPeer() as peer, channel_to(peer, "messenger") as channel:
        query = f"hub.mode=subscribe&hub.verify_token={peer.verify_token}&hub.challenge=1158201444"
        assert channel.hear(asked(query), CALLBACK).reply.body == b"1158201444"
        with pytest.raises(Forged):
            channel.hear(asked(query.replace(peer.verify_token, "another")), CALLBACK)
        for method, path in (("PUT", ""), ("POST", "/more")):
            with pytest.raises(Unreadable):
                channel.hear(Request(method, path, {}, {}, b""), CALLBACK)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"object":"page","entry":{}}', b"[" * 100_000])
async def test_what_is_signed_and_no_update_is_unreadable(body: bytes) -> None:
    async with GraphPeer() as peer, channel_to(peer, "messenger") as channel:
        with pytest.raises(Unreadable):
            heard(channel, peer, body)


@pytest.mark.parametrize(
    "said",
    [
        {"text": "x" * 1_000_000},
        {"text": "x", "quick_reply": {"payload": "y" * 1_000_000}},
        {"text": "x", "attachments": [{"type": "z" * 1000}] * 5000},
        {"text": "x", "reply_to": {"mid": "y" * 100_000}},
    ],
)
async def test_attributes_stay_small_whatever_comes(said: JSON) -> None:
    assert len(msgspec.json.encode((await read_one(said)).attributes)) < 4096


async def test_a_request_of_many_events_is_read() -> None:
    assert len(await read(*[event(read={"watermark": NOW_MS + n}) for n in range(5000)])) == 5000


# --- files


async def test_a_file_is_fetched_from_its_url_and_the_token_stays_here() -> None:
    content = bytes(range(256)) * 1000
    async with GraphPeer() as peer, channel_to(peer, "messenger") as channel:
        name = peer.keep_file(content, is_public=True)
        assert await fetched(channel, peer.link(name)) == content

    assert peer.fetched == [(name, None)]


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (Reply(403, ""), Refused, 11200),
        (Reply(404, ""), Refused, 11200),
        (Reply(302, "", {"Location": "http://127.0.0.1/"}), Refused, 11200),
        (Reply(200, "x" * 1001), Refused, 50512),
        (Reply(429, ""), NotNow, None),
        (Reply(500, ""), NotNow, None),
    ],
)
async def test_a_file_that_cannot_be_had_says_whether_to_come_again(
    reply: Reply, kind: type[Exception], code: int | None
) -> None:
    async with GraphPeer() as peer, channel_to(peer, "messenger", media_bytes=1000) as channel:
        peer.answer_files_with(reply)
        with pytest.raises(kind) as trouble:
            await fetched(channel, peer.link(peer.keep_file(b"x", is_public=True)))

    assert getattr(trouble.value, "code", None) == code


@pytest.mark.parametrize(
    "reference", [None, "", "file:///etc/passwd", "ftp://x.example/a", "http://x.example/a", "//x", "https://["]
)
async def test_only_https_is_fetched(reference: str | None) -> None:
    async with GraphPeer() as peer, channel_to(peer, "messenger", base_url="https://graph.example") as channel:
        with pytest.raises((Refused, NotNow)) as trouble:
            await fetched(channel, reference)

    assert not isinstance(trouble.value, Refused) or trouble.value.code == 11200


async def test_private_machines_are_not_asked_for_files() -> None:
    closed = Settings(outgoing=OutgoingSettings(allow_private=False))
    async with GraphPeer() as peer, channel_to(peer, "messenger", outgoing=closed) as channel:
        with pytest.raises(Refused) as refused:
            await fetched(channel, peer.link(peer.keep_file(b"x", is_public=True)))

    assert (refused.value.code, peer.fetched) == (11200, [])


# --- the check


async def test_the_check_reads_the_page_and_what_it_is_told_of() -> None:
    async with GraphPeer() as peer, channel_to(peer, "messenger") as channel:
        findings = await channel.check()
        peer.subscribed = False
        after = await channel.check()

    assert [one.is_good for one in findings] == [True, True]
    assert [one.is_good for one in after] == [True, False]
    assert "message_reads" in after[1].what


@pytest.mark.parametrize(
    ("wrong", "bad"),
    [
        ({"access_token": "old"}, 2),
        ({"app_secret": "another"}, 1),
        ({"page_id": "5"}, 2),
    ],
)
async def test_the_check_finds_what_is_wrong_and_says_what_to_do(wrong: JSON, bad: int) -> None:
    async with GraphPeer() as peer, channel_to(peer, "messenger", **wrong) as channel:
        findings = await channel.check()

    found = [one for one in findings if not one.is_good]
    assert len(found) == bad and all(one.remedy for one in found)
