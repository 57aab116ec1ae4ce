"""Twilio: messages as requests, answers as outcomes, over real sockets (gateways 8.2)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tertulia.server.channels.base import MessageTemplate
from tertulia.server.channels.registry import BadSettings, adapter_of, settings_of, shown
from tertulia.server.channels.twilio_messaging.codes import LATER, TO_BE_MENDED
from tertulia.server.domain.channels import Report
from tertulia.server.domain.receipts import ReceiptStatus
from tests.contract.channels.providers import (
    CALLBACK,
    OURS,
    THEIRS,
    Ear,
    a_file,
    a_message,
    opened,
    sent,
)
from tests.peers.http_provider import CUT_OFF, DROPPED, STALLED, Answered
from tests.peers.twilio_messages import ACCOUNT, API_KEY, API_SECRET, TOKEN, TwilioMessages, error

SERVICE = "MG" + "c" * 32
CONTENT = "HX" + "d" * 32
TEMPLATE = MessageTemplate(
    name="order_ready", language="en", type="twilio/text", content={"body": "{{1}}"}, variables={"1": "Ana"}
)


def settings(peer: TwilioMessages, **changed: Any) -> dict[str, Any]:
    return {"account_sid": ACCOUNT, "auth_token": TOKEN, "base_url": peer.url, **changed}


USUAL = {
    "To": [THEIRS],
    "From": [OURS],
    "Body": ["hello"],
    "StatusCallback": [CALLBACK],
    "ValidityPeriod": ["14400"],
}


@pytest.mark.parametrize(
    ("changed", "message", "form"),
    [
        pytest.param({}, {}, USUAL, id="text"),
        pytest.param({}, {"text": "a+b & ünï 😀"}, {**USUAL, "Body": ["a+b & ünï 😀"]}, id="odd characters"),
        pytest.param(
            {"messaging_service_sid": SERVICE}, {}, {**USUAL, "MessagingServiceSid": [SERVICE]}, id="service and number"
        ),
        pytest.param(
            {"messaging_service_sid": SERVICE, "service_chooses_sender": True},
            {},
            {**{name: value for name, value in USUAL.items() if name != "From"}, "MessagingServiceSid": [SERVICE]},
            id="service alone",
        ),
        pytest.param({"smart_encoding": True}, {}, {**USUAL, "SmartEncoded": ["true"]}, id="smart encoding"),
        pytest.param(
            {"status_callbacks": False},
            {},
            {name: value for name, value in USUAL.items() if name != "StatusCallback"},
            id="no reports",
        ),
        pytest.param(
            {"smart_encoding": True},
            {"sender": "whatsapp:+15550100", "recipients": ("whatsapp:+15550101",)},
            {**USUAL, "From": ["whatsapp:+15550100"], "To": ["whatsapp:+15550101"]},
            id="whatsapp",
        ),
        pytest.param(
            {},
            {"sender": "messenger:100", "recipients": ("messenger:200",)},
            {**USUAL, "From": ["messenger:100"], "To": ["messenger:200"]},
            id="messenger",
        ),
        pytest.param(
            {},
            {"sender": "rcs:agent", "recipients": ("rcs:+15550101",)},
            {**USUAL, "From": ["rcs:agent"], "To": ["rcs:+15550101"]},
            id="rcs",
        ),
        pytest.param(
            {},
            {"media": (a_file("https://chat.example/1?a=b&c=d"), a_file("https://chat.example/2"))},
            {**USUAL, "MediaUrl": ["https://chat.example/1?a=b&c=d"]},
            id="one file as usual",
        ),
        pytest.param(
            {"media_count": 10},
            {"text": None, "media": tuple(a_file(f"https://chat.example/{n}") for n in range(10))},
            {
                **{name: value for name, value in USUAL.items() if name != "Body"},
                "MediaUrl": [f"https://chat.example/{n}" for n in range(10)],
            },
            id="ten files",
        ),
        pytest.param(
            {"media_count": 10},
            {
                "sender": "whatsapp:+15550100",
                "recipients": ("whatsapp:+15550101",),
                "media": (a_file("https://chat.example/1"), a_file("https://chat.example/2")),
            },
            {
                **USUAL,
                "From": ["whatsapp:+15550100"],
                "To": ["whatsapp:+15550101"],
                "MediaUrl": ["https://chat.example/1"],
            },
            id="whatsapp has one file",
        ),
        pytest.param(
            {"contents": {"order_ready": CONTENT}},
            {"template": TEMPLATE},
            {
                **{name: value for name, value in USUAL.items() if name != "Body"},
                "ContentSid": [CONTENT],
                "ContentVariables": ['{"1":"Ana"}'],
            },
            id="template of theirs",
        ),
        pytest.param(
            {"contents": {"another": CONTENT}}, {"template": TEMPLATE}, USUAL, id="template they have not: its words"
        ),
    ],
)
async def test_a_message_is_a_form(changed: dict[str, Any], message: dict[str, Any], form: dict[str, Any]) -> None:
    async with TwilioMessages() as peer, opened("twilio", settings(peer, **changed)) as channel:
        outcome = await sent(channel, a_message(**message))
        ((sid, taken),) = peer.messages.items()
        assert outcome == f"accepted {sid} x1"
        assert taken == form


@pytest.mark.parametrize(("left_us", "said"), [(-1, "1"), (90_500_000, "90"), (10**12, "36000")])
async def test_the_time_that_is_left_is_told_within_bounds(left_us: int, said: str) -> None:
    async with TwilioMessages() as peer, opened("twilio", settings(peer)) as channel:
        valid_until = a_message().valid_until - 4 * 3600 * 1_000_000 + left_us
        await channel.send(a_message(valid_until=valid_until))
        (taken,) = peer.messages.values()
        assert taken["ValidityPeriod"] == [said]


async def test_an_api_key_sends_in_place_of_the_token() -> None:
    async with TwilioMessages() as peer:
        keyed = settings(peer, api_key_sid=API_KEY, api_key_secret=API_SECRET)
        async with opened("twilio", keyed) as channel:
            assert (await sent(channel, a_message())).startswith("accepted SM")


async def test_segments_are_what_twilio_counts() -> None:
    async with TwilioMessages() as peer, opened("twilio", settings(peer)) as channel:
        assert (await sent(channel, a_message("x" * 161))).endswith("x2")


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (error(400, 21211), "refused 21211"),
        (error(400, 21610), "refused 21610"),
        (error(400, 21614), "refused 21614"),
        (error(400, 21617), "refused 21617"),
        (error(400, 63016), "refused 63016"),
        (error(403, 21408), "refused 21408"),
        (error(401, 20003), "not now 300s alarm"),
        (error(404, 20404), "not now 300s alarm"),
        (Answered(401), "not now 300s alarm"),
        (error(403, 20005), "not now 300s alarm"),
        (error(429, 20429), "not now"),
        (Answered(429, None, {"Retry-After": "7"}), "not now 7s"),
        (Answered(429, None, {"Retry-After": "999999"}), "not now 3600s"),
        (Answered(429, None, {"Retry-After": "soon"}), "not now"),
        (error(400, 21611), "not now"),
        (error(500, 20500), "not now"),
        (Answered(503, "<html>"), "not now"),
        (Answered(302, None, {"Location": "https://elsewhere.example"}), "not now 300s alarm"),
        (Answered(400, "no JSON"), "refused 30008"),
        (Answered(400, {"code": "21610"}), "refused 21610"),
        (Answered(400, {"code": ["21610"]}), "refused 30008"),
        (Answered(400, {"code": 10**30}), "refused 30008"),
        (Answered(400, "[" * 100_000), "refused 30008"),
        (Answered(201, {"sid": "SM1", "status": "failed", "error_code": 30005}), "refused 30005"),
        (Answered(201, {"sid": "SM1", "status": "queued"}), "accepted SM1 x1"),
        (Answered(201, {"sid": "SM1", "num_segments": "3"}), "accepted SM1 x3"),
        (Answered(201, {"sid": "SM1", "num_segments": "-3"}), "accepted SM1 x1"),
        (Answered(201, {"sid": 7}), "accepted  x1"),
        (Answered(201, "nothing to read"), "accepted  x1"),
        (CUT_OFF, "accepted  x1"),
        *((error(400, code), "not now") for code in LATER),
        *((error(400, code), "not now 300s alarm") for code in TO_BE_MENDED),
        (DROPPED, "unsure"),
    ],
)
async def test_answers_are_outcomes(answer: Answered, outcome: str) -> None:
    async with TwilioMessages() as peer, opened("twilio", settings(peer)) as channel:
        peer.answer_with(answer)
        assert await sent(channel, a_message()) == outcome


async def test_nobody_knows_what_became_of_a_message_without_an_answer() -> None:
    async with TwilioMessages() as peer, opened("twilio", settings(peer, answer_s=0.2)) as channel:
        peer.answer_with(STALLED)
        assert await sent(channel, a_message()) == "unsure"


async def test_what_cannot_be_reached_has_not_taken_it() -> None:
    async with TwilioMessages() as peer:
        nowhere = settings(peer)
    async with opened("twilio", nowhere) as channel:
        assert await sent(channel, a_message()) == "not now"


async def test_a_template_without_words_that_they_have_not_is_refused() -> None:
    async with TwilioMessages() as peer:
        has_another = settings(peer, contents={"another": CONTENT})
        async with opened("twilio", has_another) as channel:
            assert await sent(channel, a_message(None, template=TEMPLATE)) == "refused 30008"
            assert peer.asked == []


async def test_reports_come_before_the_answer_and_out_of_order() -> None:
    async with (
        Ear() as ear,
        TwilioMessages() as peer,
        opened("twilio", settings(peer), callback_url=ear.url) as channel,
    ):
        ear.channel = channel
        peer.reports_first = ["delivered", "sent", "queued"]
        outcome = await sent(channel, a_message())
        ((sid, _),) = peer.messages.items()
        assert outcome == f"accepted {sid} x1"
        assert ear.events == [
            Report(status=ReceiptStatus.DELIVERED, handle=sid),
            Report(status=ReceiptStatus.SENT, handle=sid),
        ]


@pytest.mark.parametrize(
    ("token", "status", "is_good"), [(TOKEN, "active", True), ("another", "active", False), (TOKEN, "suspended", False)]
)
async def test_the_check_says_whether_twilio_believes_us(token: str, status: str, is_good: bool) -> None:
    async with TwilioMessages() as peer, opened("twilio", settings(peer, auth_token=token)) as channel:
        peer.account_status = status
        (finding,) = await channel.check()
        assert finding.is_good is is_good
        assert is_good or finding.remedy
        assert token not in repr(finding)
        assert peer.messages == {}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"account_sid": "AC1"}, "account_sid"),
        ({"api_key_sid": API_KEY}, "api_key_sid and api_key_secret"),
        ({"service_chooses_sender": True}, "messaging_service_sid"),
        ({"contents": {"x": "no"}}, "contents"),
        ({"base_url": "ftp://x"}, "base_url"),
        ({"base_url": "https://user:pw@host"}, "base_url"),
    ],
)
def test_settings_that_make_no_sense_are_named(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(BadSettings, match=named):
        settings_of(adapter_of("twilio"), {"account_sid": ACCOUNT, "auth_token": TOKEN, **changed})


def test_secrets_are_not_shown() -> None:
    given = {"account_sid": ACCOUNT, "auth_token": TOKEN, "api_key_sid": API_KEY, "api_key_secret": API_SECRET}
    adapter = adapter_of("twilio")
    told = f"{settings_of(adapter, given)!r} {shown(adapter, given)}"
    assert TOKEN not in told
    assert API_SECRET not in told


@pytest.mark.parametrize(
    ("kind", "changed", "media_bytes", "window_h", "types"),
    [
        ("sms", {}, 5 << 20, None, "image/png"),
        ("whatsapp", {}, 16 << 20, 24, "image/png"),
        ("messenger", {}, 25 << 20, 24, "*/*"),
        ("rcs", {}, 16 << 20, None, "image/png"),
        ("sms", {"media_bytes": 7, "window_h": 5}, 7, None, "image/png"),
        ("whatsapp", {"whatsapp_media_bytes": 7, "window_h": 5}, 7, 5, "image/png"),
        ("messenger", {"messenger_media_bytes": 7, "window_h": 0}, 7, None, "*/*"),
        ("rcs", {"rcs_media_bytes": 7}, 7, None, "image/png"),
    ],
)
async def test_each_channel_carries_what_it_can(
    kind: str, changed: dict[str, Any], media_bytes: int, window_h: int | None, types: str
) -> None:
    async with TwilioMessages() as peer, opened("twilio", settings(peer, **changed)) as channel:
        carried = channel.capabilities_of(kind)
    assert carried.media_bytes == media_bytes
    assert carried.window == (None if window_h is None else timedelta(hours=window_h))
    assert types in carried.media_types
    assert carried.has_captions
    assert carried.counts_segments is (kind == "sms")
    assert carried.media_count == 1


async def test_templates_of_that_account_go_to_every_channel() -> None:
    kinds = ("sms", "whatsapp", "messenger", "rcs")
    async with TwilioMessages() as peer:
        for contents in ({}, {"order_ready": CONTENT}):
            async with opened("twilio", settings(peer, contents=contents)) as channel:
                assert {channel.capabilities_of(kind).has_templates for kind in kinds} == {bool(contents)}
