"""Twilio's callbacks: signed, forged, odd and hostile ones; its files (gateways 8.2, semantics 1.7)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator

from tertulia.server.channels.base import Channel, Heard
from tertulia.server.domain.channels import Incoming, IncomingMedia, Keyword, Report
from tertulia.server.domain.receipts import ReceiptStatus
from tests.contract.channels.providers import (
    CALLBACK,
    OURS,
    THEIRS,
    Ear,
    a_channel,
    a_request,
    fetched,
    opened,
    verdict,
)
from tests.peers.http_provider import Answered
from tests.peers.twilio_messages import ACCOUNT, FORM, TOKEN, TwilioMessages

SETTINGS = {"account_sid": ACCOUNT, "auth_token": TOKEN}
SID = "SM" + "e" * 32
INBOUND = {"AccountSid": ACCOUNT, "MessageSid": SID, "From": THEIRS, "To": OURS, "Body": "hello", "NumMedia": "0"}
STATUS = {"AccountSid": ACCOUNT, "MessageSid": SID, "MessageStatus": "delivered", "From": OURS, "To": THEIRS}


@pytest.fixture
def channel() -> Channel:
    return a_channel("twilio", SETTINGS)


def heard(channel: Channel, fields: dict[str, str], query: str = "", path: str = "") -> str | Heard:
    url = CALLBACK + path + (f"?{query}" if query else "")
    signature = RequestValidator(TOKEN).compute_signature(url, fields)
    request, url = a_request(
        urlencode(fields).encode(), {"Content-Type": FORM, "X-Twilio-Signature": signature}, path=path, query=query
    )
    return verdict(channel, request, url)


def incoming(**changed: Any) -> Incoming:
    told: dict[str, Any] = {"provider_id": SID, "sender": THEIRS, "recipient": OURS, "text": "hello", **changed}
    return Incoming(**told)


@pytest.mark.parametrize(
    ("changed", "event"),
    [
        pytest.param({}, incoming(), id="text"),
        pytest.param({"Body": "a+b&c=d ünï 😀\n"}, incoming(text="a+b&c=d ünï 😀\n"), id="odd characters"),
        pytest.param({"Body": ""}, incoming(text=None), id="empty"),
        pytest.param({"ProfileName": "Ana", "WaId": "15550101"}, incoming(profile_name="Ana"), id="profile"),
        pytest.param({"Body": "STOP", "OptOutType": "STOP"}, incoming(text="STOP", keyword=Keyword.STOP), id="stop"),
        pytest.param({"Body": "Yes", "OptOutType": "START"}, incoming(text="Yes", keyword=Keyword.START), id="start"),
        pytest.param({"Body": "info", "OptOutType": "HELP"}, incoming(text="info", keyword=Keyword.HELP), id="help"),
        pytest.param({"OptOutType": "DANCE"}, incoming(), id="a word nobody knows"),
        pytest.param(
            {"From": "whatsapp:+15550101", "To": "whatsapp:+15550100"},
            incoming(sender="whatsapp:+15550101", recipient="whatsapp:+15550100"),
            id="whatsapp",
        ),
        pytest.param(
            {"From": "messenger:200", "To": "messenger:100"},
            incoming(sender="messenger:200", recipient="messenger:100"),
            id="messenger",
        ),
        pytest.param(
            {"ButtonText": "Yes", "ButtonPayload": "yes-1"},
            incoming(attributes={"twilio": {"button_text": "Yes", "button_payload": "yes-1"}}),
            id="a button",
        ),
        pytest.param(
            {
                "NumMedia": "2",
                "MediaUrl0": "https://api.twilio.com/m/0",
                "MediaContentType0": "image/JPEG",
                "MediaUrl1": "https://api.twilio.com/m/1",
                "MediaContentType1": "audio/ogg; codecs=opus",
            },
            incoming(
                media=(
                    IncomingMedia(content_type="image/jpeg", reference="https://api.twilio.com/m/0"),
                    IncomingMedia(content_type="audio/ogg", reference="https://api.twilio.com/m/1"),
                )
            ),
            id="files",
        ),
        pytest.param(
            {name: "ü" * 1500 for name in ("ButtonText", "ButtonPayload", "ListTitle", "Address")},
            incoming(attributes={"twilio": {"address": "ü" * 1000}}),
            id="more than is kept",
        ),
        pytest.param(
            {"NumMedia": "1", "MediaUrl0": "https://api.twilio.com/m/0", "MediaContentType0": "odd"},
            incoming(
                media=(IncomingMedia(content_type="application/octet-stream", reference="https://api.twilio.com/m/0"),)
            ),
            id="a file of no type",
        ),
        pytest.param({"NumMedia": "2"}, incoming(), id="files that are nowhere"),
        pytest.param({"NumMedia": "-1"}, incoming(), id="fewer than none"),
        pytest.param({"NumMedia": "9" * 400}, incoming(), id="more than can be"),
    ],
)
def test_a_message_is_read(channel: Channel, changed: dict[str, str], event: Incoming) -> None:
    found = heard(channel, {**INBOUND, **changed})
    assert isinstance(found, Heard)
    assert found.events == (event,)
    assert (found.reply.status, found.reply.body) == (200, b"<Response/>")
    assert ("content-type", "text/xml") in found.reply.headers


@pytest.mark.parametrize(
    ("changed", "events"),
    [
        ({"MessageStatus": "queued"}, ()),
        ({"MessageStatus": "accepted"}, ()),
        ({"MessageStatus": "sending"}, ()),
        ({"MessageStatus": "dancing"}, ()),
        ({"MessageStatus": "sent"}, (Report(status=ReceiptStatus.SENT, handle=SID),)),
        ({}, (Report(status=ReceiptStatus.DELIVERED, handle=SID),)),
        ({"MessageStatus": "read"}, (Report(status=ReceiptStatus.READ, handle=SID),)),
        (
            {"MessageStatus": "undelivered", "ErrorCode": "30005"},
            (Report(status=ReceiptStatus.UNDELIVERED, handle=SID, error_code=30005),),
        ),
        (
            {"MessageStatus": "failed", "ErrorCode": "30007"},
            (Report(status=ReceiptStatus.FAILED, handle=SID, error_code=30007),),
        ),
        (
            {"MessageStatus": "failed"},
            (Report(status=ReceiptStatus.FAILED, handle=SID, error_code=30008),),
        ),
        (
            {"MessageStatus": "failed", "ErrorCode": "12; DROP"},
            (Report(status=ReceiptStatus.FAILED, handle=SID, error_code=30008),),
        ),
    ],
)
def test_a_report_is_read(channel: Channel, changed: dict[str, str], events: tuple[Report, ...]) -> None:
    found = heard(channel, {**STATUS, **changed})
    assert isinstance(found, Heard)
    assert found.events == events


def test_a_query_of_ours_is_part_of_what_is_signed(channel: Channel) -> None:
    assert isinstance(heard(channel, INBOUND, query="a=1&b=%20x", path="/more"), Heard)


def test_a_get_is_signed_by_its_url(channel: Channel) -> None:
    query = urlencode(INBOUND)
    signature = RequestValidator(TOKEN).compute_signature(f"{CALLBACK}?{query}", {})
    request, url = a_request(headers={"X-Twilio-Signature": signature}, query=query, method="GET")
    found = verdict(channel, request, url)
    assert isinstance(found, Heard)
    assert found.events == (incoming(),)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({**INBOUND, "AccountSid": "AC" + "9" * 32}, "Forged"),
        ({name: value for name, value in INBOUND.items() if name != "AccountSid"}, "Forged"),
        ({name: value for name, value in INBOUND.items() if name != "MessageSid"}, "Unreadable"),
        ({**INBOUND, "MessageSid": "x" * 1000}, "Unreadable"),
        ({name: value for name, value in INBOUND.items() if name != "From"}, "Unreadable"),
        ({name: value for name, value in INBOUND.items() if name != "To"}, "Unreadable"),
    ],
)
def test_what_is_signed_and_makes_no_sense_is_not_heard(channel: Channel, fields: dict[str, str], why: str) -> None:
    assert heard(channel, fields) == why


SIGNATURE = RequestValidator(TOKEN).compute_signature(CALLBACK, INBOUND)
BODY = urlencode(INBOUND).encode()


@pytest.mark.parametrize(
    ("body", "headers", "query"),
    [
        pytest.param(BODY, {"Content-Type": FORM}, "", id="none"),
        pytest.param(BODY, {"Content-Type": FORM, "X-Twilio-Signature": ""}, "", id="empty"),
        pytest.param(BODY, {"Content-Type": FORM, "X-Twilio-Signature": "\udcff\u0130"}, "", id="odd"),
        pytest.param(BODY + b"&Body=more", {"Content-Type": FORM, "X-Twilio-Signature": SIGNATURE}, "", id="changed"),
        pytest.param(BODY, {"Content-Type": FORM, "X-Twilio-Signature": SIGNATURE}, "x=1", id="another URL"),
        pytest.param(BODY, {"Content-Type": "text/plain", "X-Twilio-Signature": SIGNATURE}, "", id="no form"),
        pytest.param(
            BODY,
            {
                "Content-Type": FORM,
                "X-Twilio-Signature": RequestValidator("guess").compute_signature(CALLBACK, INBOUND),
            },
            "",
            id="another token",
        ),
    ],
)
def test_what_is_not_signed_by_twilio_is_forged(
    channel: Channel, body: bytes, headers: dict[str, str], query: str
) -> None:
    assert verdict(channel, *a_request(body, headers, query=query)) == "Forged"


class Repeated(dict[str, Any]):
    """A form some of whose names come twice, as the library wants it."""

    def getlist(self, name: str) -> list[str]:
        value = self[name]
        return value if isinstance(value, list) else [value]


def test_names_that_come_twice_do_not_slip_past_the_signature(channel: Channel) -> None:
    fields = [*INBOUND.items(), ("Body", "other")]
    signature = RequestValidator(TOKEN).compute_signature(CALLBACK, Repeated({**INBOUND, "Body": ["hello", "other"]}))
    request, url = a_request(urlencode(fields).encode(), {"Content-Type": FORM, "X-Twilio-Signature": signature})
    found = verdict(channel, request, url)
    assert isinstance(found, Heard)
    assert found.events == (incoming(),)


async def test_a_message_comes_in_over_a_socket() -> None:
    async with Ear() as ear, TwilioMessages() as peer, opened("twilio", SETTINGS) as channel:
        ear.channel = channel
        assert await peer.say(ear.url, INBOUND) == 200
        assert await peer.say(ear.url, INBOUND, token="guess") == 403
        assert ear.events == [incoming()]


async def test_files_are_fetched_with_credentials_that_go_nowhere_else() -> None:
    async with TwilioMessages() as peer, opened("twilio", {**SETTINGS, "base_url": peer.url}) as channel:
        content = bytes(range(256)) * 1000
        assert await fetched(channel, peer.media_url(content)) == content
        assert [("Authorization" in asked.headers) for asked in peer.asked] == [True, False]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answered(404), "refused 11200"),
        (Answered(503), "not now"),
        (Answered(302, None, {"Location": "ftp://x/y"}), "refused 11200"),
        (Answered(302, None, {"Location": "http://user:pw@127.0.0.1/y"}), "refused 11200"),
        (Answered(302), "refused 11200"),
        (Answered(200, b"x" * 2000), "refused 50512"),
    ],
)
async def test_files_that_cannot_be_had(answer: Answered, outcome: str) -> None:
    async with TwilioMessages() as peer:
        small = {**SETTINGS, "base_url": peer.url, "incoming_media_bytes": 1000}
        async with opened("twilio", small) as channel:
            peer.answer_with(answer)
            url = peer.media_url(b"never seen")
            if answer.status == 302 and not answer.headers:
                # It leads to itself, for ever.
                peer.answer_with(*[answer] * 10)
            assert await fetched(channel, url) == outcome
            assert len(peer.asked) <= 4


@pytest.mark.parametrize("reference", ["http://169.254.169.254/latest", "file:///etc/passwd", "https://", "nonsense"])
async def test_a_file_is_not_fetched_from_where_no_file_is(reference: str) -> None:
    async with opened("twilio", SETTINGS) as channel:
        assert await fetched(channel, reference) == "refused 11200"
