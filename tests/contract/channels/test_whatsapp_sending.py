"""WhatsApp: what people are sent, and what Meta's answers come to."""

from __future__ import annotations

from typing import Any

import pytest

from tertulia.server.channels.base import Accepted, NotNow, Refused, Unsure
from tertulia.server.channels.graph import client
from tertulia.server.channels.registry import BadSettings
from tertulia.server.domain.receipts import ReceiptStatus
from tests.contract.channels.graph_cases import ALARMING, LATER, REFUSED
from tests.contract.channels.graph_stage import channel_to, file, outgoing_message
from tests.peers.graph import (
    HUNG_UP,
    NO_WINDOW,
    NUMBER_ID,
    PAIR_THROTTLED,
    PERSON,
    STALLED,
    TAKEN,
    GraphPeer,
    Reply,
    error,
)

LINK = "https://tertulia.example/Media/ME1"
BASE = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": PERSON}


async def test_a_text_goes_to_the_persons_number() -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp") as channel:
        accepted = await channel.send(outgoing_message("hello\nthere"))

    (sent,) = peer.sent
    assert sent.node == NUMBER_ID
    assert sent.body == {**BASE, "type": "text", "text": {"body": "hello\nthere", "preview_url": False}}
    assert accepted == Accepted(handles=(sent.name,), segments=1, status=ReceiptStatus.SENT)


async def test_links_are_previewed_when_that_is_wanted() -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp", preview_urls=True) as channel:
        await channel.send(outgoing_message("https://tertulia.example"))

    assert peer.bodies[0]["text"]["preview_url"] is True


async def test_each_number_sends_by_its_own_id() -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp", more_numbers={"+15550100002": "77"}) as channel:
        peer.numbers.add("77")
        await channel.send(outgoing_message("hello"))
        await channel.send(outgoing_message("hello", sender="whatsapp:+15550100002"))

    assert [sent.node for sent in peer.sent] == [NUMBER_ID, "77"]


async def test_an_address_whose_id_is_not_known_sends_nothing_once_the_number_is_given() -> None:
    known: dict[str, Any] = {"phone_number": "+15550100001", "more_numbers": {"+15550100002": "77"}}
    async with GraphPeer() as peer, channel_to(peer, "whatsapp", **known) as channel:
        await channel.send(outgoing_message("hello"))
        with pytest.raises(Refused) as refused:
            await channel.send(outgoing_message("hello", sender="whatsapp:+15550100003"))

    assert (len(peer.sent), refused.value.code) == (1, 63007)


@pytest.mark.parametrize(
    "wrong",
    [
        {"phone_number": "15550100"},
        {"phone_number_id": "+15550100"},
        {"more_numbers": {"15550100": "1"}},
        {"more_numbers": {"+15550100": "one"}},
        {"codes": {"none": 1}},
        {"codes": {"131047": 0}},
        {"base_url": "graph.example"},
        {"version": "25"},
        {"verify_token": "short"},
        {"app_secret": ""},
        {"text_chars": 5000},
        {"media": "fax"},
    ],
)
async def test_settings_that_make_no_sense_open_no_gateway_and_show_no_secret(wrong: dict[str, Any]) -> None:
    async with GraphPeer() as peer:
        with pytest.raises(BadSettings) as bad:
            async with channel_to(peer, "whatsapp", **wrong):
                pass

    assert next(iter(wrong)) in str(bad.value)
    assert "short" not in str(bad.value)


async def test_what_a_message_may_carry_is_said_beforehand() -> None:
    async with GraphPeer() as peer:
        async with channel_to(peer, "whatsapp") as channel:
            can = channel.capabilities
        async with channel_to(
            peer, "whatsapp", text_chars=4096, media_bytes=1024, window_h=1, heeds_keywords=False
        ) as other:
            could = other.capabilities

    assert (can.text_chars, can.media_bytes, can.media_count) == (1600, 16 << 20, 1)
    assert can.media_types == {"image/jpeg", "image/png", "audio/mpeg", "audio/amr", "video/mp4", "application/pdf"}
    assert can.window is not None and can.window.total_seconds() == 24 * 3600
    assert (can.has_templates, can.has_captions, can.has_opt_out, can.has_groups) == (True, True, True, False)
    assert (could.text_chars, could.media_bytes, could.has_opt_out) == (4096, 1024, False)
    assert could.window is not None and could.window.total_seconds() == 3600


@pytest.mark.parametrize(
    ("content_type", "size", "text", "kind", "content"),
    [
        ("image/jpeg", 10, None, "image", {"link": LINK}),
        ("image/png", 10, "Us", "image", {"link": LINK, "caption": "Us"}),
        ("image/jpeg", (5 << 20) + 1, "Us", "document", {"link": LINK, "filename": "a.jpg", "caption": "Us"}),
        ("video/mp4", 10, "Us", "video", {"link": LINK, "caption": "Us"}),
        ("audio/mpeg", 10, None, "audio", {"link": LINK}),
        ("audio/amr", 10, None, "audio", {"link": LINK}),
        ("application/pdf", 10, "Bill", "document", {"link": LINK, "filename": "a.jpg", "caption": "Bill"}),
        ("application/PDF; version=2", 10, None, "document", {"link": LINK, "filename": "a.jpg"}),
    ],
)
async def test_a_file_goes_by_link_as_what_it_is(
    content_type: str, size: int, text: str | None, kind: str, content: dict[str, Any]
) -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp") as channel:
        accepted = await channel.send(outgoing_message(text, media=[file(content_type=content_type, size=size)]))

    assert peer.bodies == [{**BASE, "type": kind, kind: content}]
    assert len(accepted.handles) == 1
    assert peer.files == {}


@pytest.mark.parametrize(
    ("setting", "url", "is_uploaded"),
    [
        ("auto", LINK, False),
        ("auto", "http://127.0.0.1:8765/Media/ME1", True),
        ("link", "http://127.0.0.1:8765/Media/ME1", False),
        ("upload", LINK, True),
    ],
)
async def test_a_file_is_uploaded_where_meta_cannot_fetch_it(setting: str, url: str, is_uploaded: bool) -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp", media=setting) as channel:
        await channel.send(
            outgoing_message("Bill", media=[file(b"%PDF", "application/pdf", url=url, filename="b.pdf")])
        )

    (body,) = peer.bodies
    assert body["document"].keys() == ({"id"} if is_uploaded else {"link"}) | {"caption", "filename"}
    uploaded = [(one.content, one.mime_type, one.filename) for one in peer.files.values()]
    assert uploaded == ([(b"%PDF", "application/pdf", "b.pdf")] if is_uploaded else [])


async def test_an_odd_name_of_a_file_stays_inside_its_header() -> None:
    odd = 'a"; name="x\r\nContent-Type: evil/evil\r\n\r\n--\N{SNOWMAN}.png'
    async with GraphPeer() as peer, channel_to(peer, "whatsapp", media="upload") as channel:
        await channel.send(outgoing_message(media=[file(b"png", "image/png", filename=odd)]))

    (kept,) = peer.files.values()
    assert (kept.content, kept.mime_type) == (b"png", "image/png")
    assert kept.filename is not None and kept.filename.endswith("\N{SNOWMAN}.png") and "\n" not in kept.filename


async def test_a_file_larger_than_it_said_is_not_sent() -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp", media="upload", media_bytes=10) as channel:
        with pytest.raises(Refused) as refused:
            await channel.send(outgoing_message(media=[file(b"x" * 11, size=9)]))

    assert (refused.value.code, peer.sent) == (50512, [])


@pytest.mark.parametrize(
    ("content_type", "words"), [("audio/mpeg", "listen"), ("image/png", "x" * 1025), ("video/mp4", "x" * 1600)]
)
async def test_words_that_no_caption_holds_follow_their_file(content_type: str, words: str) -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp") as channel:
        accepted = await channel.send(outgoing_message(words, media=[file(content_type=content_type)]))

    first, second = peer.sent
    assert "caption" not in first.body[first.body["type"]]
    assert second.body["text"]["body"] == words
    assert accepted.handles == (first.name, second.name)


async def test_a_file_is_not_sent_again_because_its_words_were_not_taken() -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp") as channel:
        peer.answer_with(TAKEN, PAIR_THROTTLED)
        accepted = await channel.send(outgoing_message("listen", media=[file(content_type="audio/mpeg")]))

    assert (len(accepted.handles), accepted.lost) == (1, 30008)


@pytest.mark.parametrize(("reply", "code"), [*REFUSED, (HUNG_UP, 30008)])
async def test_words_that_are_lost_after_their_file_was_taken_are_told_with_it(reply: Reply, code: int) -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp") as channel:
        peer.answer_with(TAKEN, reply)
        accepted = await channel.send(outgoing_message("listen", media=[file(content_type="audio/mpeg")]))

    assert (len(accepted.handles), accepted.lost) == (1, code)


@pytest.mark.parametrize(("reply", "code"), REFUSED)
async def test_what_is_refused_has_one_of_our_codes(reply: Reply, code: int) -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp") as channel:
        peer.answer_with(reply)
        with pytest.raises(Refused) as refused:
            await channel.send(outgoing_message("hello"))

    assert refused.value.code == code


@pytest.mark.parametrize(("reply", "after_s"), LATER)
async def test_what_passes_is_tried_again(reply: Reply, after_s: float | None) -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp") as channel:
        peer.answer_with(reply)
        with pytest.raises(NotNow) as later:
            await channel.send(outgoing_message("hello"))

    assert (later.value.after_s, later.value.is_alarming) == (after_s, False)


@pytest.mark.parametrize("reply", ALARMING)
async def test_what_somebody_has_to_mend_is_told(reply: Reply) -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp") as channel:
        peer.answer_with(reply)
        with pytest.raises(NotNow) as later:
            await channel.send(outgoing_message("hello"))

    assert later.value.is_alarming


async def test_a_token_that_is_refused_is_told() -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp", access_token="old") as channel:
        with pytest.raises(NotNow) as later:
            await channel.send(outgoing_message("hello"))

    assert later.value.is_alarming
    assert "190" in later.value.why


async def test_nobody_knows_what_became_of_a_message_without_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp") as channel:
        peer.answer_with(HUNG_UP)
        with pytest.raises(Unsure):
            await channel.send(outgoing_message("hello"))
        monkeypatch.setattr(client, "CALL_S", 0.2)
        peer.answer_with(STALLED)
        with pytest.raises(Unsure):
            await channel.send(outgoing_message("hello"))


async def test_what_never_left_is_tried_again() -> None:
    async with GraphPeer() as peer:
        place = peer.url
    async with channel_to(peer, "whatsapp", base_url=place) as channel:
        with pytest.raises(NotNow) as later:
            await channel.send(outgoing_message("hello"))

    assert not later.value.is_alarming


@pytest.mark.parametrize("body", ["", "{}", "[]", "null", '{"messages":[]}', '{"messages":"x"}', "[" * 5000, "\xff"])
async def test_what_was_taken_is_taken_whatever_it_is_called(body: str) -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp") as channel:
        peer.answer_with(Reply(200, body))
        accepted = await channel.send(outgoing_message("hello"))

    assert accepted.handles == ()


async def test_an_upload_that_fails_has_sent_nothing() -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp", media="upload", access_token="old") as channel:
        with pytest.raises(NotNow) as later:
            await channel.send(outgoing_message(media=[file()]))

    assert later.value.is_alarming


async def test_codes_can_be_changed() -> None:
    changes = {"131047": 63099, "131056": 63018, "100/33": 30007}
    async with GraphPeer() as peer, channel_to(peer, "whatsapp", codes=changes) as channel:
        for reply, code in [(NO_WINDOW, 63099), (PAIR_THROTTLED, 63018), (error(100, subcode=33), 30007)]:
            peer.answer_with(reply)
            with pytest.raises(Refused) as refused:
                await channel.send(outgoing_message("hello"))
            assert refused.value.code == code


async def test_calls_prove_that_they_know_the_secret_when_that_is_wanted() -> None:
    async with GraphPeer() as peer:
        peer.demands_proof = True
        async with channel_to(peer, "whatsapp", appsecret_proof=True, media="upload") as channel:
            await channel.send(outgoing_message("hello", media=[file()]))
        async with channel_to(peer, "whatsapp") as without:
            with pytest.raises(Refused):
                await without.send(outgoing_message("hello"))

    assert len(peer.sent) == 1


async def test_neither_addresses_nor_words_nor_secrets_are_in_what_is_said_of_a_failure() -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp") as channel:
        peer.answer_with(error(131026, details=f"to {PERSON}: hello"))
        with pytest.raises(Refused) as refused:
            await channel.send(outgoing_message("hello"))

    told = f"{refused.value!r} {refused.value} {refused.value.why}"
    assert not [secret for secret in (PERSON, "hello", peer.token, peer.app_secret) if secret in told]
    assert "131026" in told
