"""Providers whose settings are known: a request, its answer, a message and a report of each (gateways 8.3)."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest

from tertulia.server.channels.base import Heard
from tertulia.server.channels.http_sms.presets import PRESETS
from tertulia.server.channels.registry import BadSettings, adapter_of, settings_of
from tertulia.server.domain.channels import Incoming, IncomingMedia, Report
from tertulia.server.domain.receipts import ReceiptStatus
from tests.contract.channels.providers import (
    CALLBACK,
    NOW_US,
    OURS,
    THEIRS,
    a_channel,
    a_file,
    a_message,
    a_request,
    opened,
    sent,
    verdict,
)
from tests.peers.http_provider import Answered, HttpProvider

SECRET = "a-secret-of-callbacks"
SID = "SM" + "2" * 32
REPORTS = f"{CALLBACK}/{SECRET}/status"
BEN = "+15550102"
CREDENTIALS: dict[str, dict[str, str]] = {
    "africastalking": {"username": "us", "api_key": "k"},
    "android-sms-gateway": {"user": "us", "password": "pw"},
    "bandwidth": {"user": "us", "password": "pw", "account_id": "55", "application_id": "app"},
    "infobip": {"api_key": "k"},
    "plivo": {"auth_id": "MA1", "auth_token": "t"},
    "sinch": {"plan_id": "plan", "token": "t"},
}


def settings(preset: str, **changed: Any) -> dict[str, Any]:
    usual = {"base_url": "https://api.example"} if preset == "infobip" else {}
    basic = {"callback_user": "them"} if preset == "bandwidth" else {}
    return {
        "preset": preset,
        "credentials": CREDENTIALS[preset],
        "callback_secret": SECRET,
        **usual,
        **basic,
        **changed,
    }


class Asks(NamedTuple):
    """What is asked for a message."""

    preset: str
    message: dict[str, Any]
    path: str
    body: Any
    authorization: str | None
    answer: Answered
    outcome: str


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


SENT_BY_BANDWIDTH = {"from": OURS, "text": "hello", "applicationId": "app", "tag": SID}
ASKED = [
    Asks(
        "africastalking",
        {},
        "/messaging",
        [("username", "us"), ("to", THEIRS), ("message", "hello"), ("from", OURS)],
        None,
        Answered(201, {"SMSMessageData": {"Recipients": [{"statusCode": 101, "messageId": "ATXid_1"}]}}),
        "accepted ATXid_1 x1",
    ),
    Asks(
        "africastalking",
        {},
        "/messaging",
        None,
        None,
        Answered(201, {"SMSMessageData": {"Recipients": [{"statusCode": 403, "messageId": "None"}]}}),
        "refused 21211",
    ),
    Asks(
        "africastalking",
        {},
        "/messaging",
        None,
        None,
        Answered(201, {"SMSMessageData": {"Recipients": [{"statusCode": 405}]}}),
        "not now",
    ),
    Asks(
        "android-sms-gateway",
        {},
        "/messages",
        {
            "id": SID,
            "textMessage": {"text": "hello"},
            "phoneNumbers": [THEIRS],
            "ttl": 14400,
            "withDeliveryReport": True,
        },
        basic("us:pw"),
        Answered(202, {"id": SID, "state": "Pending"}),
        f"accepted {SID} x1",
    ),
    Asks(
        "bandwidth",
        {},
        "/users/55/messages",
        {**SENT_BY_BANDWIDTH, "to": [THEIRS]},
        basic("us:pw"),
        Answered(202, {"id": "b1", "segmentCount": 2}),
        "accepted b1 x2",
    ),
    Asks(
        "bandwidth",
        {"recipients": (THEIRS, BEN), "others": ("+15550109",), "media": (a_file("https://a.example/1"),)},
        "/users/55/messages",
        {**SENT_BY_BANDWIDTH, "to": [THEIRS, BEN, "+15550109"], "media": ["https://a.example/1"]},
        basic("us:pw"),
        Answered(202, {"id": "b1"}),
        "accepted b1 x1",
    ),
    Asks(
        "infobip",
        {},
        "/sms/2/text/advanced",
        {
            "messages": [
                {
                    "from": "15550100",
                    "destinations": [{"to": "15550101", "messageId": SID}],
                    "text": "hello",
                    "notifyUrl": REPORTS,
                    "notifyContentType": "application/json",
                    "validityPeriod": 240,
                }
            ]
        },
        "App k",
        Answered(200, {"messages": [{"messageId": SID, "status": {"groupName": "PENDING"}}]}),
        f"accepted {SID} x1",
    ),
    Asks(
        "infobip",
        {},
        "/sms/2/text/advanced",
        None,
        "App k",
        Answered(200, {"messages": [{"status": {"groupName": "REJECTED", "name": "REJECTED_DESTINATION"}}]}),
        "refused 21211",
    ),
    Asks(
        "plivo",
        {},
        "/Account/MA1/Message/",
        {"src": "15550100", "dst": "15550101", "text": "hello", "url": REPORTS, "method": "POST"},
        basic("MA1:t"),
        Answered(202, {"message_uuid": ["p1"]}),
        "accepted p1 x1",
    ),
    Asks(
        "plivo",
        {"media": (a_file("https://a.example/1"),)},
        "/Account/MA1/Message/",
        {
            "src": "15550100",
            "dst": "15550101",
            "text": "hello",
            "type": "mms",
            "media_urls": ["https://a.example/1"],
            "url": REPORTS,
            "method": "POST",
        },
        basic("MA1:t"),
        Answered(202, {"message_uuid": ["p1"]}),
        "accepted p1 x1",
    ),
    Asks(
        "sinch",
        {},
        "/plan/batches",
        {
            "from": "15550100",
            "to": ["15550101"],
            "body": "hello",
            "delivery_report": "per_recipient",
            "callback_url": REPORTS,
            "client_reference": SID,
        },
        "Bearer t",
        Answered(201, {"id": "s1"}),
        "accepted s1 x1",
    ),
    Asks(
        "sinch",
        {"media": (a_file("https://a.example/1"),), "text": None},
        "/plan/batches",
        {
            "type": "mt_media",
            "from": "15550100",
            "to": ["15550101"],
            "body": {"url": "https://a.example/1"},
            "delivery_report": "per_recipient",
            "callback_url": REPORTS,
            "client_reference": SID,
        },
        "Bearer t",
        Answered(201, {"id": "s1"}),
        "accepted s1 x1",
    ),
]


@pytest.mark.parametrize("asks", ASKED, ids=lambda asks: f"{asks.preset} {asks.outcome}")
async def test_a_message_is_what_the_provider_wants(asks: Asks) -> None:
    async with HttpProvider() as peer, opened("http-sms", settings(asks.preset, base_url=peer.url)) as channel:
        peer.answer_with(asks.answer)
        assert await sent(channel, a_message(**asks.message)) == asks.outcome
        (asked,) = peer.asked
        assert asked.path == asks.path
        assert asked.headers.get("Authorization") == asks.authorization
        if asks.body is not None:
            assert (asked.form if isinstance(asks.body, list) else asked.json) == asks.body


def incoming(**changed: Any) -> Incoming:
    told: dict[str, Any] = {"provider_id": "m1", "sender": THEIRS, "recipient": OURS, "text": "hello", **changed}
    return Incoming(**told)


DELIVERED = Report(status=ReceiptStatus.DELIVERED, handle="m1")


def failed(code: int, status: ReceiptStatus = ReceiptStatus.UNDELIVERED) -> Report:
    return Report(status=status, handle="m1", error_code=code)


OUT_OF_BANDWIDTH = {"id": "m1", "owner": OURS, "from": OURS, "to": [THEIRS, BEN], "direction": "out"}
HEARD: list[tuple[str, str, Any, Incoming | Report]] = [
    ("africastalking", "/inbound", [("id", "m1"), ("from", THEIRS), ("to", OURS), ("text", "hello")], incoming()),
    ("africastalking", "/status", [("id", "m1"), ("status", "Success")], DELIVERED),
    (
        "africastalking",
        "/status",
        [("id", "m1"), ("status", "Failed"), ("failureReason", "UserInBlackList")],
        failed(21610),
    ),
    (
        "android-sms-gateway",
        "",
        {
            "event": "sms:received",
            "id": "m1",
            "payload": {"messageId": "x", "message": "hello", "sender": THEIRS, "recipient": OURS},
        },
        incoming(),
    ),
    ("android-sms-gateway", "", {"event": "sms:delivered", "id": "e", "payload": {"messageId": "m1"}}, DELIVERED),
    (
        "android-sms-gateway",
        "",
        {"event": "sms:failed", "id": "e", "payload": {"messageId": "m1", "reason": "RESULT_ERROR"}},
        failed(30008, ReceiptStatus.FAILED),
    ),
    (
        "bandwidth",
        "",
        [
            {
                "type": "message-received",
                "to": OURS,
                "message": {
                    "id": "m1",
                    "owner": OURS,
                    "from": THEIRS,
                    "to": [OURS, BEN],
                    "direction": "in",
                    "text": "hello",
                    "media": ["https://messaging.bandwidth.com/a/1.jpeg"],
                },
            }
        ],
        incoming(
            others=(BEN,),
            media=(IncomingMedia(content_type="image/jpeg", reference="https://messaging.bandwidth.com/a/1.jpeg"),),
        ),
    ),
    (
        "bandwidth",
        "",
        [{"type": "message-delivered", "to": THEIRS, "message": OUT_OF_BANDWIDTH}],
        Report(status=ReceiptStatus.DELIVERED, handle="m1", recipient=THEIRS),
    ),
    (
        "bandwidth",
        "",
        [{"type": "message-failed", "to": BEN, "errorCode": 4406, "message": OUT_OF_BANDWIDTH}],
        Report(status=ReceiptStatus.UNDELIVERED, handle="m1", recipient=BEN, error_code=21610),
    ),
    (
        "infobip",
        "/inbound",
        {"results": [{"messageId": "m1", "from": THEIRS, "to": OURS, "text": "hello"}], "messageCount": 1},
        incoming(),
    ),
    (
        "infobip",
        "/status",
        {"results": [{"messageId": "m1", "to": "15550101", "status": {"groupName": "DELIVERED"}}]},
        DELIVERED,
    ),
    (
        "infobip",
        "/status",
        {
            "results": [
                {
                    "messageId": "m1",
                    "status": {"groupName": "UNDELIVERABLE"},
                    "error": {"name": "EC_UNKNOWN_SUBSCRIBER"},
                }
            ]
        },
        failed(30005),
    ),
    (
        "plivo",
        "/inbound",
        [("MessageUUID", "m1"), ("From", THEIRS), ("To", OURS), ("Text", "hello"), ("Type", "sms")],
        incoming(),
    ),
    (
        "plivo",
        "/inbound",
        [
            ("MessageUUID", "m1"),
            ("From", THEIRS),
            ("To", OURS),
            ("Text", "hello"),
            ("Media0", "https://a.example/1.png"),
            ("Media1", "https://a.example/2.pdf"),
        ],
        incoming(
            media=(
                IncomingMedia(content_type="image/png", reference="https://a.example/1.png"),
                IncomingMedia(content_type="application/pdf", reference="https://a.example/2.pdf"),
            )
        ),
    ),
    ("plivo", "/status", [("MessageUUID", "m1"), ("Status", "delivered")], DELIVERED),
    ("plivo", "/status", [("MessageUUID", "m1"), ("Status", "undelivered"), ("ErrorCode", "90")], failed(30006)),
    ("sinch", "", {"type": "mo_text", "id": "m1", "from": THEIRS, "to": OURS, "body": "hello"}, incoming()),
    (
        "sinch",
        "",
        {
            "type": "mo_media",
            "id": "m1",
            "from": THEIRS,
            "to": OURS,
            "body": {
                "message": "hello",
                "subject": "look",
                "media": [{"url": "https://a.example/1", "content_type": "image/png"}],
            },
        },
        incoming(subject="look", media=(IncomingMedia(content_type="image/png", reference="https://a.example/1"),)),
    ),
    (
        "sinch",
        "",
        {"type": "recipient_delivery_report_sms", "batch_id": "m1", "status": "Delivered", "code": 0},
        DELIVERED,
    ),
    (
        "sinch",
        "",
        {"type": "recipient_delivery_report_sms", "batch_id": "m1", "status": "Failed", "code": 404},
        failed(30005),
    ),
]


@pytest.mark.parametrize(("preset", "path", "said", "event"), HEARD)
def test_what_the_provider_says_is_heard_and_forged_is_not(
    preset: str, path: str, said: Any, event: Incoming | Report
) -> None:
    is_form = isinstance(said, list) and isinstance(said[0], tuple)
    body = urlencode(said).encode() if is_form else json.dumps(said).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded" if is_form else "application/json"}
    if preset == "bandwidth":
        headers["Authorization"] = basic(f"them:{SECRET}")
    elif preset == "android-sms-gateway":
        at = str(NOW_US // 1_000_000)
        headers["X-Timestamp"] = at
        headers["X-Signature"] = hmac.new(SECRET.encode(), body + at.encode(), "sha256").hexdigest()
    else:
        path = f"/{SECRET}{path}"
    channel = a_channel("http-sms", settings(preset))
    found = verdict(channel, *a_request(body, headers, path=path))
    assert isinstance(found, Heard)
    assert found.events == (event,)
    bare = {"Content-Type": headers["Content-Type"]}
    assert verdict(channel, *a_request(body, bare, path=path.replace(SECRET, "guess"))) == "Forged"


def test_what_is_set_goes_before_the_preset_and_tables_grow() -> None:
    channel = a_channel(
        "http-sms",
        settings("sinch", codes={"404": 21614, "999": 30004}, statuses={"Delivered": "read"}, heeds_keywords=False),
    )
    assert not channel.capabilities.has_opt_out
    outcomes = []
    for status, code in (("Failed", 404), ("Failed", 999), ("Failed", 403), ("Delivered", 0)):
        said = {"type": "recipient_delivery_report_sms", "batch_id": "m1", "status": status, "code": code}
        request = a_request(json.dumps(said).encode(), {"Content-Type": "application/json"}, path=f"/{SECRET}")
        found = verdict(channel, *request)
        assert isinstance(found, Heard)
        outcomes += [(event.status, event.error_code) for event in found.events if isinstance(event, Report)]
    assert outcomes == [("undelivered", 21614), ("undelivered", 30004), ("undelivered", 30007), ("read", 0)]


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_credential_that_is_missing_is_named(preset: str) -> None:
    for name in CREDENTIALS[preset]:
        left = {known: value for known, value in CREDENTIALS[preset].items() if known != name}
        with pytest.raises(BadSettings, match=name):
            settings_of(adapter_of("http-sms"), settings(preset, credentials=left))
