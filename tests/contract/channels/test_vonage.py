"""Vonage Messages: SMS, MMS and WhatsApp, tokens both ways, codes (gateways 8.3)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tertulia.server.channels.registry import BadSettings, adapter_of, settings_of, shown
from tertulia.server.clock import ManualClock
from tertulia.server.domain.channels import Incoming, IncomingMedia, Report
from tertulia.server.domain.receipts import ReceiptStatus
from tests.contract.channels.providers import (
    CALLBACK,
    NOW_US,
    Ear,
    a_file,
    a_message,
    a_request,
    fetched,
    opened,
    sent,
    verdict,
)
from tests.peers.http_provider import Answered
from tests.peers.vonage import (
    API_KEY,
    API_SECRET,
    APPLICATION,
    SIGNATURE_SECRET,
    VonagePeer,
    error,
    private_key,
)


def settings(peer: VonagePeer, **changed: Any) -> dict[str, Any]:
    return {
        "api_key": API_KEY,
        "api_secret": API_SECRET,
        "signature_secret": SIGNATURE_SECRET,
        "base_url": peer.url,
        **changed,
    }


def keyed(peer: VonagePeer, **changed: Any) -> dict[str, Any]:
    return {
        "application_id": APPLICATION,
        "private_key": private_key(),
        "signature_secret": SIGNATURE_SECRET,
        "base_url": peer.url,
        **changed,
    }


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_US)


USUAL = {
    "to": "15550101",
    "from": "15550100",
    "channel": "sms",
    "message_type": "text",
    "text": "hello",
    "client_ref": "SM" + "2" * 32,
    "webhook_url": f"{CALLBACK}/status",
    "webhook_version": "v1",
    "ttl": 14400,
}
WHATSAPP: dict[str, Any] = {"sender": "whatsapp:+15550100", "recipients": ("whatsapp:+15550101",)}
WITHOUT_TEXT = {name: value for name, value in USUAL.items() if name not in ("text", "ttl")}
FILE = "https://a.example/1"


@pytest.mark.parametrize(
    ("message", "body"),
    [
        pytest.param({}, USUAL, id="text"),
        pytest.param({"sender": "Shop"}, {**USUAL, "from": "Shop"}, id="a name"),
        pytest.param(WHATSAPP, {**WITHOUT_TEXT, "text": "hello", "channel": "whatsapp"}, id="whatsapp"),
        pytest.param(
            {"media": (a_file(FILE),)},
            {**WITHOUT_TEXT, "channel": "mms", "message_type": "image", "image": {"url": FILE, "caption": "hello"}},
            id="a picture",
        ),
        pytest.param(
            {"media": (a_file(FILE, "audio/mpeg"),), "text": None, **WHATSAPP},
            {**WITHOUT_TEXT, "channel": "whatsapp", "message_type": "audio", "audio": {"url": FILE}},
            id="a sound",
        ),
        pytest.param(
            {"media": (a_file(FILE, "application/pdf"),), "text": None},
            {**WITHOUT_TEXT, "channel": "mms", "message_type": "file", "file": {"url": FILE}},
            id="a paper",
        ),
    ],
)
async def test_a_message_is_what_vonage_wants(
    clock: ManualClock, message: dict[str, Any], body: dict[str, Any]
) -> None:
    async with VonagePeer(clock) as peer, opened("vonage", settings(peer), clock) as channel:
        outcome = await sent(channel, a_message(**message))
        assert [asked.json for asked in peer.asked] == [body]
        assert outcome == f"accepted {next(iter(peer.messages))} x1"


async def test_words_that_a_sound_cannot_have_follow_it(clock: ManualClock) -> None:
    message = a_message("hello", media=(a_file(FILE, "audio/mpeg"),), **WHATSAPP)
    async with VonagePeer(clock) as peer, opened("vonage", settings(peer), clock) as channel:
        accepted = await channel.send(message)
        sound, words = peer.asked
        assert (sound.json["audio"], words.json["text"]) == ({"url": FILE}, "hello")
        assert accepted.handles == tuple(peer.messages)
        peer.answer_with(Answered(202, {"message_uuid": "sound"}), error(422, "1340"))
        accepted = await channel.send(message)
        assert (accepted.handles, accepted.lost) == (("sound",), 63016)


async def test_each_channel_carries_what_it_can(clock: ManualClock) -> None:
    async with VonagePeer(clock) as peer:
        async with opened("vonage", settings(peer), clock) as channel:
            sms, whatsapp = channel.capabilities_of("sms"), channel.capabilities_of("whatsapp")
        async with opened("vonage", settings(peer, whatsapp_media_bytes=7, window_h=0), clock) as channel:
            changed = channel.capabilities_of("whatsapp")
    assert (sms.media_bytes, sms.window, sms.counts_segments) == (5 << 20, None, True)
    assert (whatsapp.media_bytes, whatsapp.window, whatsapp.counts_segments) == (16 << 20, timedelta(hours=24), False)
    assert whatsapp.has_captions
    assert (changed.media_bytes, changed.window) == (7, None)


async def test_a_file_of_whatsapp_may_be_larger_than_one_of_mms(clock: ManualClock) -> None:
    async with VonagePeer(clock) as peer:
        small = settings(peer, media_bytes=10, whatsapp_media_bytes=100)
        async with opened("vonage", small, clock) as channel:
            peer.answer_with(Answered(200, b"x" * 100), Answered(200, b"x" * 101))
            assert await fetched(channel, f"{peer.url}/1") == b"x" * 100
            assert await fetched(channel, f"{peer.url}/2") == "refused 50512"


async def test_an_application_proves_itself_with_a_token_that_is_made_anew_in_time(clock: ManualClock) -> None:
    async with VonagePeer(clock) as peer, opened("vonage", keyed(peer), clock) as channel:
        for minutes in (0, 1, 10, 600):
            clock.advance(timedelta(minutes=minutes))
            assert (await sent(channel, a_message())).startswith("accepted")
        names = [claims["jti"] for claims in peer.claims]
        assert [names.index(name) for name in names] == [0, 0, 2, 3]


async def test_a_private_key_that_is_none_is_told_to_whoever_can_mend_it(clock: ManualClock) -> None:
    async with VonagePeer(clock) as peer, opened("vonage", keyed(peer, private_key="nonsense"), clock) as channel:
        assert await sent(channel, a_message()) == "not now alarm"
        finding = (await channel.check())[0]
        assert not finding.is_good
        assert finding.remedy
        assert peer.asked == []


@pytest.mark.parametrize(
    ("changed", "answer", "outcome"),
    [
        ({}, error(422, "1120"), "refused 21212"),
        ({}, error(422, "1240"), "refused 21610"),
        ({}, error(422, "1340"), "refused 63016"),
        ({}, error(403, "1260"), "refused 30005"),
        ({}, error(400, "1000"), "not now"),
        ({"codes": {"1120": 21606}}, error(422, "1120"), "refused 21606"),
        ({}, error(422, "9999"), "refused 30008"),
        ({}, error(401, "unauthorized"), "not now 300s alarm"),
        ({"api_secret": "guess"}, None, "not now 300s alarm"),
        ({}, error(402, "low-balance"), "not now 300s alarm"),
        ({}, error(429, "throttled"), "not now"),
        ({}, error(500, "1330"), "not now"),
        ({}, Answered(202, "?"), "accepted  x1"),
    ],
)
async def test_answers_are_outcomes(
    clock: ManualClock, changed: dict[str, Any], answer: Answered | None, outcome: str
) -> None:
    async with VonagePeer(clock) as peer, opened("vonage", settings(peer, **changed), clock) as channel:
        if answer is not None:
            peer.answer_with(answer)
        assert await sent(channel, a_message()) == outcome


def inbound(**changed: Any) -> dict[str, Any]:
    return {
        "message_uuid": "m1",
        "channel": "sms",
        "message_type": "text",
        "to": "15550100000",
        "from": "15550101000",
        "timestamp": "2025-01-01T00:00:00Z",
        "text": "hello",
        "sms": {"num_messages": "1"},
        **changed,
    }


OUR_NUMBER, THEIR_NUMBER = "+15550100000", "+15550101000"


def incoming(**changed: Any) -> Incoming:
    told = {"provider_id": "m1", "sender": THEIR_NUMBER, "recipient": OUR_NUMBER, "text": "hello", **changed}
    return Incoming(**told)


@pytest.mark.parametrize(
    ("said", "event"),
    [
        (inbound(), incoming()),
        (inbound(**{"from": 15550101000}), incoming()),
        (
            inbound(channel="whatsapp", profile={"name": "Ana"}),
            incoming(sender=f"whatsapp:{THEIR_NUMBER}", recipient=f"whatsapp:{OUR_NUMBER}", profile_name="Ana"),
        ),
        (
            inbound(channel="mms", message_type="image", text=None, image={"url": FILE + ".png", "caption": "look"}),
            incoming(text="look", media=(IncomingMedia(content_type="image/png", reference=FILE + ".png"),)),
        ),
        (
            inbound(channel="mms", message_type="audio", text=None, audio={"url": FILE, "name": "a.mp3"}),
            incoming(
                text=None,
                media=(IncomingMedia(content_type="application/octet-stream", filename="a.mp3", reference=FILE),),
            ),
        ),
    ],
)
async def test_messages_come_in(clock: ManualClock, said: dict[str, Any], event: Incoming) -> None:
    async with Ear() as ear, VonagePeer(clock) as peer, opened("vonage", settings(peer), clock) as channel:
        ear.channel = channel
        assert await peer.say(f"{ear.url}/inbound", said) == 200
        assert ear.events == [event]


@pytest.mark.parametrize(
    ("status", "failure", "report"),
    [
        ("submitted", None, Report(status=ReceiptStatus.SENT, handle="m1")),
        ("delivered", None, Report(status=ReceiptStatus.DELIVERED, handle="m1")),
        ("read", None, Report(status=ReceiptStatus.READ, handle="m1")),
        ("rejected", "1120", Report(status=ReceiptStatus.FAILED, handle="m1", error_code=21212)),
        ("undeliverable", "1290", Report(status=ReceiptStatus.UNDELIVERED, handle="m1", error_code=30003)),
        ("undeliverable", "8888", Report(status=ReceiptStatus.UNDELIVERED, handle="m1", error_code=30008)),
        ("dancing", None, None),
    ],
)
async def test_reports_come_in(clock: ManualClock, status: str, failure: str | None, report: Report | None) -> None:
    async with Ear() as ear, VonagePeer(clock) as peer, opened("vonage", settings(peer), clock) as channel:
        ear.channel = channel
        problem = {"type": f"https://developer.vonage.com/api-errors/messages#{failure}", "title": failure}
        said = {"message_uuid": "m1", "status": status, "channel": "sms", **({"error": problem} if failure else {})}
        assert await peer.say(f"{ear.url}/status", said) == 200
        assert ear.events == ([] if report is None else [report])


async def test_a_callback_that_is_old_forged_or_changed_is_not_heard(clock: ManualClock) -> None:
    async with VonagePeer(clock) as peer, opened("vonage", settings(peer), clock) as channel:
        body, headers = peer.signed(inbound())
        assert verdict(channel, *a_request(body, headers)) != "Forged"
        assert verdict(channel, *a_request(body.replace(b"hello", b"other"), headers)) == "Forged"
        assert (
            verdict(channel, *a_request(*peer.signed(inbound(), "a guess that is long enough for a digest")))
            == "Forged"
        )
        assert verdict(channel, *a_request(body, {"Content-Type": "application/json"})) == "Forged"
        clock.advance(timedelta(seconds=301))
        assert verdict(channel, *a_request(body, headers)) == "Forged"


async def test_files_are_fetched_with_a_token(clock: ManualClock) -> None:
    async with VonagePeer(clock) as peer, opened("vonage", keyed(peer), clock) as channel:
        assert await fetched(channel, f"{peer.url}/v3/media/1") == b"bytes of a file"


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"api_secret": ""}, "application_id and private_key"),
        ({"signature_secret": ""}, "signature_secret"),
        ({"application_id": "x y"}, "application_id"),
    ],
)
def test_settings_that_make_no_sense_are_named(changed: dict[str, Any], named: str) -> None:
    given = {"api_key": API_KEY, "api_secret": API_SECRET, "signature_secret": SIGNATURE_SECRET, **changed}
    with pytest.raises(BadSettings, match=named):
        settings_of(adapter_of("vonage"), given)


def test_secrets_are_not_shown() -> None:
    given = {"application_id": APPLICATION, "private_key": private_key(), "signature_secret": SIGNATURE_SECRET}
    told = f"{settings_of(adapter_of('vonage'), given)!r} {shown(adapter_of('vonage'), given)}"
    assert "PRIVATE KEY" not in told
    assert SIGNATURE_SECRET not in told


async def test_the_check_sends_nothing(clock: ManualClock) -> None:
    async with VonagePeer(clock) as peer, opened("vonage", settings(peer), clock) as channel:
        assert [finding.is_good for finding in await channel.check()] == [True, True]
        assert peer.messages == {}
