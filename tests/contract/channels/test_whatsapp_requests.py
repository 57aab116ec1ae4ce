"""WhatsApp: whose requests are believed, and what odd and large ones do."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tertulia.server.channels.base import Forged, Unreadable
from tertulia.server.clock import ManualClock
from tertulia.server.domain.channels import Incoming, Report
from tertulia.wire.requests import Request
from tests.contract.channels.graph_stage import (
    CALLBACK,
    asked,
    channel_to,
    heard,
    now_s,
    posted,
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


ANA: JSON = {"name": {"formatted_name": "Ana P."}, "phones": [{"phone": "+1555", "type": "CELL"}], "emails": []}


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


async def test_other_kinds_of_news_are_taken_note_of_and_nothing_else() -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp") as channel:
        for told in (
            {"object": "page", "entry": []},
            {"object": "whatsapp_business_account", "entry": []},
            {"object": "whatsapp_business_account"},
            update(
                changed(messages=[message("text", {"body": "x"}, at_s=NOW)], field="message_template_status_update")
            ),
            update({"field": "messages", "value": "odd"}),
            {"object": "whatsapp_business_account", "entry": [5, {"changes": 5}, {"changes": [5]}]},
        ):
            answer = heard(channel, peer, told)
            assert (answer.events, answer.reply.status) == ((), 200)


# --- who says it


def signed_with(peer: GraphPeer, body: bytes) -> list[str]:
    right = peer.signature(body)
    return [
        "",
        "sha256=",
        "sha256=" + "0" * 64,
        right.upper(),
        right[:-1],
        right + "0",
        right.removeprefix("sha256="),
        right.replace("sha256", "sha1"),
        peer.signature(body + b" "),
        "sha256=\N{SNOWMAN}",
        "x" * 100_000,
    ]


async def test_a_request_with_another_signature_is_forged() -> None:
    body = json.dumps(update(changed(messages=[message("text", {"body": "x"}, at_s=NOW)]))).encode()
    async with GraphPeer() as peer, channel_to(peer, "whatsapp") as channel:
        for signature in signed_with(peer, body):
            with pytest.raises(Forged) as forged:
                channel.hear(posted(peer, body, signature=signature), CALLBACK)
            assert peer.app_secret not in forged.value.why
        with pytest.raises(Forged):
            channel.hear(Request("POST", "", {}, {}, body), CALLBACK)
        with pytest.raises(Forged):
            channel.hear(posted(peer, body.replace(b"text", b"test"), signature=peer.signature(body)), CALLBACK)


async def test_the_signature_is_over_the_bytes_as_they_came() -> None:
    told = update(changed(messages=[message("text", {"body": "\N{SNOWMAN}"}, at_s=NOW)]))
    async with GraphPeer() as peer, channel_to(peer, "whatsapp") as channel:
        for body in (json.dumps(told).encode(), json.dumps(told, ensure_ascii=False, indent=3).encode() + b"\n"):
            (event,) = channel.hear(posted(peer, body), CALLBACK).events
            assert isinstance(event, Incoming) and event.text == "\N{SNOWMAN}"


async def test_another_applications_secret_is_no_secret() -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp", app_secret="another") as channel:
        with pytest.raises(Forged):
            heard(channel, peer, update())


async def test_a_request_that_comes_again_is_the_same() -> None:
    told = update(changed(messages=[message("text", {"body": "x"}, at_s=NOW)], statuses=[status("read", at_s=NOW)]))
    async with GraphPeer() as peer, channel_to(peer, "whatsapp") as channel:
        assert heard(channel, peer, told).events == heard(channel, peer, told).events


async def test_a_request_that_somebody_kept_for_a_week_says_nothing() -> None:
    clock = ManualClock()
    told = update(changed(messages=[message("text", {"body": "x"}, at_s=NOW)]))
    async with GraphPeer() as peer, channel_to(peer, "whatsapp", clock=clock) as channel:
        clock.advance(timedelta(days=7) - timedelta(seconds=1))
        assert len(heard(channel, peer, told).events) == 1
        clock.advance(timedelta(seconds=1))
        assert heard(channel, peer, told).events == ()


async def test_meta_is_answered_when_it_asks_whose_url_it_is() -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp") as channel:
        query = f"hub.mode=subscribe&hub.verify_token={peer.verify_token}&hub.challenge=1158201444"
        reply = channel.hear(asked(query), CALLBACK).reply
        forged = [
            query.replace("subscribe", "other"),
            query.replace(peer.verify_token, "another"),
            query.replace(peer.verify_token, ""),
            query.replace(peer.verify_token, "%ED%A0%80"),
            "hub.challenge=1",
            "",
        ]
        for one in forged:
            with pytest.raises(Forged):
                channel.hear(asked(one), CALLBACK)
        for challenge in ("", "%3Cscript%3E", "1" * 257, "a%0d%0ab"):
            with pytest.raises(Unreadable):
                channel.hear(asked(query.replace("1158201444", challenge)), CALLBACK)

    assert (reply.status, reply.body) == (200, b"1158201444")
    assert dict(reply.headers)["content-type"] == "text/plain"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b"null", b"\xff\xfe", b'{"entry":5}', b"[" * 100_000])
async def test_what_is_signed_and_no_update_is_unreadable(body: bytes) -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp") as channel:
        with pytest.raises(Unreadable):
            heard(channel, peer, body)


async def test_other_methods_and_places_are_unreadable() -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp") as channel:
        for method, path in (("PUT", ""), ("DELETE", ""), ("POST", "/more"), ("GET", "/more")):
            with pytest.raises(Unreadable):
                channel.hear(Request(method, path, {}, {}, b""), CALLBACK)


# --- hostile sizes


async def test_a_request_of_many_statuses_is_read() -> None:
    events = await read(changed(statuses=[status("read", at_s=NOW, name=f"wamid.{n}") for n in range(5000)]))

    assert len(events) == 5000


@pytest.mark.parametrize(
    "said",
    [
        message("text", {"body": "x" * 1_000_000}, at_s=NOW),
        message("button", {"text": "Yes", "payload": "x" * 1_000_000}, at_s=NOW),
        message("contacts", [ANA] * 5000, at_s=NOW),
        message("contacts", [{"name": {"formatted_name": "x" * 100_000}}], at_s=NOW),
        message("order", {"text": "x", "product_items": [{"product_retailer_id": "y" * 500}] * 3000}, at_s=NOW),
        message("location", {"latitude": 1, "longitude": 1, "name": "x" * 100_000, "url": "y" * 100_000}, at_s=NOW),
        message("unsupported", None, at_s=NOW, errors=[{"code": 1}] * 10_000),
        message("t" * 100_000, None, at_s=NOW),
    ],
)
async def test_attributes_stay_small_whatever_comes(said: JSON) -> None:
    incoming = await read_one(said)

    assert len(msgspec.json.encode(incoming.attributes)) < 4096


@pytest.mark.parametrize(
    "text",
    [
        '{"timestamp": 1e400}',
        '{"timestamp": ' + "9" * 5000 + "}",
        '{"timestamp": "' + "9" * 5000 + '"}',
        '{"timestamp": "\\u0661"}',
        '{"type": "\\ud800"}',
        '{"text": {"body": "cut \\ud83d"}, "type": "text"}',
        '{"text": {"body": "\\udc00\\ud83d\\ude00\\\\ud83d"}, "type": "text"}',
        '{"context": ' + "[" * 500 + "]" * 500 + "}",
        '{"location": {"latitude": 1e999, "longitude": 1}, "type": "location"}',
        '{"errors": [{"code": ' + "9" * 400 + "}]}",
    ],
)
async def test_odd_values_break_nothing(text: str) -> None:
    good = json.dumps(message("text", {"body": "good"}, at_s=NOW, name="wamid.good"))
    odd = text[0] + f'"id": "wamid.odd", "from": "{PERSON}", ' + text[1:]
    told = json.dumps(update(changed(messages=[{}]))).replace("[{}]", f"[{odd}, {good}]")
    async with GraphPeer() as peer, channel_to(peer, "whatsapp") as channel:
        events = heard(channel, peer, told.encode()).events

    assert [event.text for event in events if isinstance(event, Incoming)][-1] == "good"
    for event in events:
        msgspec.json.encode(event)


async def test_half_a_character_is_shown_as_one_that_is_not_known() -> None:
    whole = json.dumps(update(changed(messages=[message("text", {"body": "@"}, at_s=NOW)])))
    async with GraphPeer() as peer, channel_to(peer, "whatsapp") as channel:
        for written, text in [
            (r"cut \ud83d", "cut \N{REPLACEMENT CHARACTER}"),
            (r"\ude00 \ud83d\ude00", "\N{REPLACEMENT CHARACTER} \N{GRINNING FACE}"),
            (r"\\ud83d \ud83d", "\\ud83d \N{REPLACEMENT CHARACTER}"),
        ]:
            (event,) = heard(channel, peer, whole.replace("@", written).encode()).events
            assert isinstance(event, Incoming) and event.text == text


async def test_what_is_nested_too_deeply_is_unreadable() -> None:
    body = b'{"object":"whatsapp_business_account","entry":[' + b"[" * 100_000 + b"]" * 100_000 + b"]}"
    async with GraphPeer() as peer, channel_to(peer, "whatsapp") as channel:
        with pytest.raises(Unreadable):
            heard(channel, peer, body)
