"""Telnyx, version 2: single and group messages, signed callbacks, replays, codes (gateways 8.3)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tertulia.server.channels.registry import BadSettings, adapter_of, settings_of
from tertulia.server.clock import ManualClock
from tertulia.server.domain.channels import Incoming, IncomingMedia, Report
from tertulia.server.domain.receipts import ReceiptStatus
from tests.contract.channels.providers import (
    CALLBACK,
    NOW_US,
    OURS,
    THEIRS,
    Ear,
    a_file,
    a_message,
    a_request,
    opened,
    sent,
    verdict,
)
from tests.peers.http_provider import Answered
from tests.peers.telnyx import API_KEY, TelnyxPeer, error

ANA, BEN = THEIRS, "+15550102"


def settings(peer: TelnyxPeer, **changed: Any) -> dict[str, Any]:
    return {"api_key": API_KEY, "public_key": peer.public_key, "base_url": peer.url, **changed}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_US)


USUAL = {"from": OURS, "to": ANA, "text": "hello", "webhook_url": f"{CALLBACK}/status", "use_profile_webhooks": False}


@pytest.mark.parametrize(
    ("changed", "message", "path", "body"),
    [
        pytest.param({}, {}, "/v2/messages", USUAL, id="text"),
        pytest.param(
            {"messaging_profile_id": "p1"}, {}, "/v2/messages", {**USUAL, "messaging_profile_id": "p1"}, id="profile"
        ),
        pytest.param(
            {},
            {"media": (a_file("https://a.example/1"), a_file("https://a.example/2"))},
            "/v2/messages",
            {**USUAL, "type": "MMS", "media_urls": ["https://a.example/1", "https://a.example/2"]},
            id="files",
        ),
        pytest.param(
            {"messaging_profile_id": "p1"},
            {"recipients": (ANA, BEN), "others": ("+15550109",)},
            "/v2/messages/group_mms",
            {**USUAL, "to": [ANA, BEN, "+15550109"]},
            id="group",
        ),
        pytest.param(
            {},
            {"recipients": (ANA, BEN), "text": None, "media": (a_file("https://a.example/1"),)},
            "/v2/messages/group_mms",
            {
                **{name: value for name, value in USUAL.items() if name != "text"},
                "to": [ANA, BEN],
                "media_urls": ["https://a.example/1"],
            },
            id="group with a file",
        ),
    ],
)
async def test_a_message_is_what_telnyx_wants(
    clock: ManualClock, changed: dict[str, Any], message: dict[str, Any], path: str, body: dict[str, Any]
) -> None:
    async with TelnyxPeer(clock) as peer, opened("telnyx", settings(peer, **changed), clock) as channel:
        outcome = await sent(channel, a_message(**message))
        assert [(asked.path, asked.json) for asked in peer.asked] == [(path, body)]
        assert outcome == f"accepted {next(iter(peer.messages))} x1"


async def test_a_group_has_eight_at_most(clock: ManualClock) -> None:
    async with TelnyxPeer(clock) as peer, opened("telnyx", settings(peer), clock) as channel:
        people = tuple(f"+1555010{n}" for n in range(9))
        assert channel.capabilities.has_groups
        assert (await sent(channel, a_message(recipients=people[:8]))).startswith("accepted")
        assert await sent(channel, a_message(recipients=people)) == "refused 30008"
        assert len(peer.asked) == 1


async def test_groups_can_be_switched_off(clock: ManualClock) -> None:
    async with TelnyxPeer(clock) as peer, opened("telnyx", settings(peer, groups=False), clock) as channel:
        assert not channel.capabilities.has_groups


@pytest.mark.parametrize(
    ("changed", "answer", "outcome"),
    [
        ({}, error(422, "40310"), "refused 21211"),
        ({}, error(403, "40300"), "refused 21610"),
        ({}, error(400, "40001"), "refused 30006"),
        ({}, error(400, "40003"), "refused 30007"),
        ({}, error(400, "40302"), "refused 21617"),
        ({}, error(400, "40318"), "not now"),
        ({}, error(400, "40011"), "not now"),
        ({"codes": {"40011": 30001}}, error(400, "40011"), "refused 30001"),
        ({"codes": {"40310": 21614}}, error(422, "40310"), "refused 21614"),
        ({}, error(422, "12345"), "refused 30008"),
        ({}, error(401, "10009"), "not now 300s alarm"),
        ({"api_key": "another"}, None, "not now 300s alarm"),
        ({}, error(429, "10011"), "not now"),
        ({}, Answered(504, "<html>"), "not now"),
        ({}, Answered(200, {"data": {"id": "m1", "parts": 4}}), "accepted m1 x4"),
        ({}, Answered(200, "?"), "accepted  x1"),
    ],
)
async def test_answers_are_outcomes(
    clock: ManualClock, changed: dict[str, Any], answer: Answered | None, outcome: str
) -> None:
    async with TelnyxPeer(clock) as peer, opened("telnyx", settings(peer, **changed), clock) as channel:
        if answer is not None:
            peer.answer_with(answer)
        assert await sent(channel, a_message()) == outcome


def payload(**changed: Any) -> dict[str, Any]:
    return {
        "id": "m1",
        "direction": "inbound",
        "type": "SMS",
        "from": {"phone_number": ANA, "carrier": "X"},
        "to": [{"phone_number": OURS, "status": "webhook_delivered"}],
        "cc": [],
        "text": "hello",
        "media": [],
        **changed,
    }


def incoming(**changed: Any) -> Incoming:
    told: dict[str, Any] = {"provider_id": "m1", "sender": ANA, "recipient": OURS, "text": "hello", **changed}
    return Incoming(**told)


@pytest.mark.parametrize(
    ("said", "event"),
    [
        (payload(), incoming()),
        (payload(text="", subject=None), incoming(text="")),
        (
            payload(type="MMS", media=[{"url": "https://a.example/1", "content_type": "image/jpeg", "size": 7}]),
            incoming(media=(IncomingMedia(content_type="image/jpeg", reference="https://a.example/1"),)),
        ),
        (
            payload(cc=[{"phone_number": BEN}, {"phone_number": ANA}, {"phone_number": OURS}]),
            incoming(others=(BEN,)),
        ),
        (
            payload(to=[{"phone_number": OURS}, {"phone_number": BEN}], cc=[{"phone_number": "+15550103"}]),
            incoming(others=(BEN, "+15550103")),
        ),
    ],
)
async def test_messages_come_in(clock: ManualClock, said: dict[str, Any], event: Incoming) -> None:
    async with Ear() as ear, TelnyxPeer(clock) as peer, opened("telnyx", settings(peer), clock) as channel:
        ear.channel = channel
        assert await peer.say(f"{ear.url}/inbound", "message.received", said) == 200
        assert ear.events == [event]


async def test_a_group_is_reported_person_by_person(clock: ManualClock) -> None:
    async with (
        Ear() as ear,
        TelnyxPeer(clock) as peer,
        opened("telnyx", settings(peer), clock, callback_url=ear.url) as channel,
    ):
        ear.channel = channel
        accepted = await channel.send(a_message(recipients=(ANA, BEN)))
        (name,) = accepted.handles
        assert await peer.report(name, "message.sent", {ANA: "sent", BEN: "queued"}) == 200
        states = {ANA: "delivered", BEN: "delivery_failed"}
        assert await peer.report(name, "message.finalized", states, "40008") == 200
        assert await peer.report(name, "message.dancing", {ANA: "sent"}) == 200
        assert ear.events == [
            Report(status=ReceiptStatus.SENT, handle=name, recipient=ANA),
            Report(status=ReceiptStatus.DELIVERED, handle=name, recipient=ANA),
            Report(status=ReceiptStatus.UNDELIVERED, handle=name, recipient=BEN, error_code=30003),
        ]


async def test_a_callback_that_is_old_forged_or_changed_is_not_heard(clock: ManualClock) -> None:
    async with (
        TelnyxPeer(clock) as peer,
        TelnyxPeer(clock) as stranger,
        opened("telnyx", settings(peer), clock) as channel,
    ):
        body, headers = peer.signed("message.received", payload())
        assert verdict(channel, *a_request(body, headers)) != "Forged"
        assert verdict(channel, *a_request(body.replace(b"hello", b"other"), headers)) == "Forged"
        assert verdict(channel, *a_request(body, {**headers, "Telnyx-Timestamp": "1735689601"})) == "Forged"
        assert verdict(channel, *a_request(*stranger.signed("message.received", payload()))) == "Forged"
        assert verdict(channel, *a_request(body, {"Content-Type": "application/json"})) == "Forged"
        clock.advance(timedelta(seconds=301))
        assert verdict(channel, *a_request(body, headers)) == "Forged"


async def test_what_is_signed_and_says_nothing_is_unreadable(clock: ManualClock) -> None:
    async with TelnyxPeer(clock) as peer, opened("telnyx", settings(peer), clock) as channel:
        assert verdict(channel, *a_request(*peer.signed("message.received", {}))) == "Unreadable"
        assert verdict(channel, *a_request(*peer.signed("message.finalized", {"to": [{}]}))) == "Unreadable"


@pytest.mark.parametrize(("api_key", "is_good"), [(API_KEY, True), ("another", False)])
async def test_the_check_says_whether_telnyx_believes_us(clock: ManualClock, api_key: str, is_good: bool) -> None:
    async with TelnyxPeer(clock) as peer, opened("telnyx", settings(peer, api_key=api_key), clock) as channel:
        findings = await channel.check()
        assert [finding.is_good for finding in findings] == [is_good, True]
        assert peer.messages == {}


def test_a_public_key_that_is_none_is_named() -> None:
    with pytest.raises(BadSettings, match="public_key"):
        settings_of(adapter_of("telnyx"), {"api_key": API_KEY, "public_key": "short"})
