"""A provider described by settings: its callbacks, proved, forged, replayed, odd and hostile (gateways 8.3)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tertulia.server.channels.base import Channel, Heard
from tertulia.server.channels.http_sms.channel import HttpChannel
from tertulia.server.domain.channels import Incoming, IncomingMedia, Report
from tertulia.server.domain.receipts import ReceiptStatus
from tertulia.server.settings import OutgoingSettings, Settings
from tests.contract.channels.providers import (
    CALLBACK,
    NOW_US,
    OURS,
    THEIRS,
    Ear,
    a_channel,
    a_request,
    fetched,
    opened,
    verdict,
)
from tests.peers.http_provider import Answered, HttpProvider

SECRET = "no one's secret that is long enough for a digest"
QUOTED = quote(SECRET, safe="")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json; charset=utf-8"}
NOW_S = NOW_US // 1_000_000
KEY = Ed25519PrivateKey.generate()
USUAL: dict[str, Any] = {
    "base_url": "https://api.example",
    "json": {"to": "{to}"},
    "callback_secret": SECRET,
    "proof": "query",
    "message": {"id": "id", "sender": "from", "recipient": "to", "text": "text"},
    "report": {"id": "id", "status": "state", "code": "why"},
    "statuses": {"OK": "delivered", "GONE": "sent", "NO": "undelivered", "BAD": "failed", "SEEN": "read"},
    "codes": {"7": 30005},
}
INBOUND = {"id": "m1", "from": THEIRS, "to": OURS, "text": "hello"}


def a_provider(**changed: Any) -> Channel:
    return a_channel("http-sms", {**USUAL, **changed})


def heard(
    channel: Channel, said: Any, *, path: str = "/inbound", form: bool = False, query: str = f"key={quote(SECRET)}"
) -> str | Heard:
    body = (
        urlencode(said, doseq=True).encode() if form else said if isinstance(said, bytes) else json.dumps(said).encode()
    )
    return verdict(channel, *a_request(body, FORM if form else JSON, path=path, query=query))


def incoming(**changed: Any) -> Incoming:
    told: dict[str, Any] = {"provider_id": "m1", "sender": THEIRS, "recipient": OURS, "text": "hello", **changed}
    return Incoming(**told)


# --- what is said


@pytest.mark.parametrize("form", [True, False])
@pytest.mark.parametrize(
    ("settings", "said", "event"),
    [
        ({}, INBOUND, incoming()),
        ({}, {**INBOUND, "text": "a+b & ünï 😀"}, incoming(text="a+b & ünï 😀")),
        ({}, {**INBOUND, "from": "15550100000", "to": "12345"}, incoming(sender="+15550100000", recipient="12345")),
        ({}, {**INBOUND, "from": "001 (555) 0101-00"}, incoming(sender="+1555010100")),
        ({"country_code": "49"}, {**INBOUND, "from": "0151 234567"}, incoming(sender="+49151234567")),
        ({}, {**INBOUND, "from": "Shop & Co"}, incoming(sender="Shop & Co")),
        ({"our_number": OURS}, {"id": "m1", "from": THEIRS, "text": "hello"}, incoming()),
        (
            {"message": {**USUAL["message"], "name": "who", "subject": "about"}},
            {**INBOUND, "who": "Ana", "about": "us"},
            incoming(profile_name="Ana", subject="us"),
        ),
        (
            {"message": {**USUAL["message"], "others": "cc"}},
            {**INBOUND, "cc": ["+15550102", THEIRS, OURS, "+15550102", "+15550103"]},
            incoming(others=("+15550102", "+15550103")),
        ),
        (
            {"message": {**USUAL["message"], "media_url": "files", "media_type": "types"}},
            {
                **INBOUND,
                "files": ["https://a.example/1", "https://a.example/2"],
                "types": ["image/PNG", "audio/amr; x=1"],
            },
            incoming(
                media=(
                    IncomingMedia(content_type="image/png", reference="https://a.example/1"),
                    IncomingMedia(content_type="audio/amr", reference="https://a.example/2"),
                )
            ),
        ),
        (
            {"message": {**USUAL["message"], "media_url": "file"}},
            {**INBOUND, "file": "https://a.example/x/one.jpg?y=z.pdf"},
            incoming(
                media=(IncomingMedia(content_type="image/jpeg", reference="https://a.example/x/one.jpg?y=z.pdf"),)
            ),
        ),
        (
            {"message": {**USUAL["message"], "media_url": "file"}},
            {**INBOUND, "file": "http://[bad"},
            incoming(media=(IncomingMedia(content_type="application/octet-stream", reference="http://[bad"),)),
        ),
    ],
)
def test_a_message_is_read_in_form_and_json(
    settings: dict[str, Any], said: dict[str, Any], event: Incoming, form: bool
) -> None:
    found = heard(a_provider(**settings), said, form=form)
    assert isinstance(found, Heard)
    assert found.events == (event,)


def test_a_message_is_read_in_a_query() -> None:
    query = urlencode({"key": SECRET, **INBOUND})
    found = verdict(a_provider(), *a_request(path="/inbound", query=query, method="GET"))
    assert isinstance(found, Heard)
    assert found.events == (incoming(),)


@pytest.mark.parametrize(
    ("said", "report"),
    [
        ({"id": "m1", "state": "OK"}, Report(status=ReceiptStatus.DELIVERED, handle="m1")),
        ({"id": 17, "state": "GONE"}, Report(status=ReceiptStatus.SENT, handle="17")),
        ({"id": "m1", "state": "SEEN"}, Report(status=ReceiptStatus.READ, handle="m1")),
        (
            {"id": "m1", "state": "NO", "why": 7},
            Report(status=ReceiptStatus.UNDELIVERED, handle="m1", error_code=30005),
        ),
        ({"id": "m1", "state": "BAD", "why": "?"}, Report(status=ReceiptStatus.FAILED, handle="m1", error_code=30008)),
        ({"id": "m1", "state": "NO"}, Report(status=ReceiptStatus.UNDELIVERED, handle="m1", error_code=30008)),
        ({"id": "m1", "state": "OK", "why": 7}, Report(status=ReceiptStatus.DELIVERED, handle="m1")),
        ({"id": "m1", "state": "dancing"}, None),
        ({"id": "m1"}, None),
    ],
)
def test_a_report_is_read(said: dict[str, Any], report: Report | None) -> None:
    found = heard(a_provider(), said, path="/status")
    assert isinstance(found, Heard)
    assert found.events == (() if report is None else (report,))


def test_events_of_both_kinds_come_in_one_request() -> None:
    channel = a_provider(
        events_path="data.events[]",
        message_when={"kind": ["in", "mms"]},
        report_when={"kind": ["out"], "id": ["*"]},
        report={"id": "id", "each": "to[]", "status": "each.state", "code": "each.why", "recipient": "each.number"},
    )
    events = [
        {"kind": "in", **INBOUND},
        {"kind": "odd", **INBOUND},
        {"kind": "out", "id": "m2", "to": [{"number": "15550101000", "state": "OK"}, {"number": "x", "state": "NO"}]},
        "nothing",
        None,
    ]
    found = heard(channel, {"data": {"events": events}}, path="")
    assert isinstance(found, Heard)
    assert found.events == (
        incoming(),
        Report(status=ReceiptStatus.DELIVERED, handle="m2", recipient="+15550101000"),
        Report(status=ReceiptStatus.UNDELIVERED, handle="m2", recipient="x", error_code=30008),
    )


def test_a_repeat_of_a_message_without_a_name_is_known_by_all_it_says() -> None:
    channel = a_provider(message={"sender": "from", "recipient": "to", "text": "text"})
    first, again, other = (
        heard(channel, said)
        for said in ({**INBOUND, "at": 1}, {"at": 1, **dict(reversed(INBOUND.items()))}, {**INBOUND, "at": 2})
    )
    assert isinstance(first, Heard) and isinstance(again, Heard) and isinstance(other, Heard)
    names = [event.provider_id for one in (first, again, other) for event in one.events if isinstance(event, Incoming)]
    assert names[0] == names[1] != names[2]


def test_callbacks_are_answered_as_the_provider_wants() -> None:
    found = heard(a_provider(reply_body="<ok/>", reply_type="text/xml"), INBOUND)
    assert isinstance(found, Heard)
    assert (found.reply.status, found.reply.body, found.reply.headers) == (
        200,
        b"<ok/>",
        (("content-type", "text/xml"),),
    )


@pytest.mark.parametrize(
    ("said", "path"),
    [
        (b"", "/inbound"),
        (b"not json", "/inbound"),
        (b"7", "/inbound"),
        (b'"text"', "/inbound"),
        (b"null", "/inbound"),
        (b'{"id": "m1", "from": "\xff"}', "/inbound"),
        (b'{"id": "m1", "from": "\\ud800"}', "/inbound"),
        (b"[" * 100_000, "/inbound"),
        (b'{"a":' * 50_000, "/inbound"),
        (json.dumps({"id": "m1", "to": OURS}).encode(), "/inbound"),
        (json.dumps({"id": "m1", "from": {"x": 1}, "to": OURS}).encode(), "/inbound"),
        (json.dumps({"id": "m1", "from": THEIRS}).encode(), "/inbound"),
        (json.dumps({"state": "OK"}).encode(), "/status"),
        (json.dumps({"id": "x" * 1000, "state": "OK"}).encode(), "/status"),
        (json.dumps(INBOUND).encode(), "/elsewhere"),
        (json.dumps(INBOUND).encode(), ""),
    ],
)
def test_what_nobody_can_read_is_unreadable(said: bytes, path: str) -> None:
    assert heard(a_provider(), said, path=path) == "Unreadable"


def test_more_than_a_request_can_hold_is_cut() -> None:
    channel = a_provider(
        events_path="[]", message={**USUAL["message"], "media_url": "files"}, report={**USUAL["report"], "each": "to"}
    )
    many = [{**INBOUND, "id": str(n), "files": ["https://a.example/x.png"] * 50} for n in range(2000)]
    found = heard(channel, many)
    assert isinstance(found, Heard)
    assert len(found.events) == 500
    assert {len(event.media) for event in found.events if isinstance(event, Incoming)} == {10}


# --- who says it

Proved = Callable[[bytes], tuple[dict[str, str], str, str]]
"""What a body is sent with: headers, path, query."""


def _hmac(
    template: str, encode: Callable[[bytes], str], prefix: str = "", secret: str = SECRET, at: int = NOW_S
) -> Proved:
    def proved(body: bytes) -> tuple[dict[str, str], str, str]:
        said = template.encode().replace(b"{body}", body).replace(b"{timestamp}", str(at).encode())
        said = said.replace(b"{url}", f"{CALLBACK}/inbound".encode())
        mac = hmac.digest(secret.encode(), said, "sha256")
        return {"X-Signature": prefix + encode(mac), "X-Timestamp": str(at)}, "/inbound", ""

    return proved


def _ed25519(key: Ed25519PrivateKey = KEY, at: int = NOW_S) -> Proved:
    def proved(body: bytes) -> tuple[dict[str, str], str, str]:
        signature = base64.b64encode(key.sign(str(at).encode() + b"|" + body)).decode()
        return {"X-Signature": signature, "X-Timestamp": str(at)}, "/inbound", ""

    return proved


def _jwt(secret: str = SECRET, algorithm: str = "HS256", at: int = NOW_S, payload: str | None = None) -> Proved:
    def proved(body: bytes) -> tuple[dict[str, str], str, str]:
        claims = {"iat": at, "payload_hash": hashlib.sha256(body).hexdigest() if payload is None else payload}
        return {"Authorization": f"Bearer {jwt.encode(claims, secret, algorithm=algorithm)}"}, "/inbound", ""

    return proved


def _fixed(headers: dict[str, str], path: str = "/inbound", query: str = "") -> Proved:
    return lambda _body: (headers, path, query)


def _basic(text: str) -> Proved:
    return _fixed({"Authorization": "Basic " + base64.b64encode(text.encode()).decode()})


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


HMAC = {"proof": "hmac", "proof_name": "X-Signature"}
TIMED = {**HMAC, "timestamp_name": "X-Timestamp", "signed": "{body}{timestamp}"}
ED25519 = {
    "proof": "ed25519",
    "proof_name": "X-Signature",
    "timestamp_name": "X-Timestamp",
    "signed": "{timestamp}|{body}",
    "public_key": base64.b64encode(KEY.public_key().public_bytes_raw()).decode(),
}


@pytest.mark.parametrize(
    ("settings", "proved"),
    [
        pytest.param({"proof": "path"}, _fixed({}, f"/{QUOTED}/inbound"), id="path"),
        pytest.param({"proof": "query"}, _fixed({}, query=urlencode({"key": SECRET})), id="query"),
        pytest.param(
            {"proof": "query", "proof_name": "s"}, _fixed({}, query=urlencode({"s": SECRET})), id="query, named"
        ),
        pytest.param({"proof": "header", "proof_name": "X-Key"}, _fixed({"X-Key": SECRET}), id="header"),
        pytest.param(
            {"proof": "header", "proof_name": "Authorization", "proof_prefix": "Bearer "},
            _fixed({"Authorization": f"Bearer {SECRET}"}),
            id="bearer",
        ),
        pytest.param({"proof": "basic", "callback_user": "us"}, _basic(f"us:{SECRET}"), id="basic"),
        pytest.param(HMAC, _hmac("{body}", bytes.hex), id="hmac"),
        pytest.param(HMAC, _hmac("{body}", lambda mac: mac.hex().upper()), id="hmac in capitals"),
        pytest.param({**HMAC, "proof_prefix": "sha256="}, _hmac("{body}", bytes.hex, "sha256="), id="hmac, prefix"),
        pytest.param({**HMAC, "proof_encoding": "base64"}, _hmac("{body}", base64_of), id="hmac in base64"),
        pytest.param({**HMAC, "signed": "{url}|{body}"}, _hmac("{url}|{body}", bytes.hex), id="hmac over the URL"),
        pytest.param(TIMED, _hmac("{body}{timestamp}", bytes.hex), id="hmac with time"),
        pytest.param(TIMED, _hmac("{body}{timestamp}", bytes.hex, at=NOW_S - 299), id="hmac, a little late"),
        pytest.param(TIMED, _hmac("{body}{timestamp}", bytes.hex, at=NOW_S * 1000), id="hmac with milliseconds"),
        pytest.param(ED25519, _ed25519(), id="ed25519"),
        pytest.param({"proof": "jwt"}, _jwt(), id="jwt"),
    ],
)
def test_a_provider_that_proves_itself_is_heard(settings: dict[str, Any], proved: Proved) -> None:
    body = json.dumps(INBOUND).encode()
    headers, path, query = proved(body)
    channel = a_provider(**settings)
    found = verdict(channel, *a_request(body, {**JSON, **headers}, path=path, query=query))
    assert isinstance(found, Heard)
    assert found.events == (incoming(),)
    changed = verdict(
        channel, *a_request(body.replace(b"hello", b"other"), {**JSON, **headers}, path=path, query=query)
    )
    ties_the_body = settings["proof"] in ("hmac", "ed25519", "jwt")
    assert (changed == "Forged") is ties_the_body


@pytest.mark.parametrize(
    ("settings", "proved"),
    [
        pytest.param({"proof": "path"}, _fixed({}, "/inbound"), id="no path"),
        pytest.param({"proof": "path"}, _fixed({}, "/guess/inbound"), id="another path"),
        pytest.param({"proof": "path", "callback_secret": ""}, _fixed({}, "//inbound"), id="no secret at all"),
        pytest.param({"proof": "query"}, _fixed({}), id="no query"),
        pytest.param({"proof": "query"}, _fixed({}, query="key=guess"), id="another query"),
        pytest.param({"proof": "query", "callback_secret": ""}, _fixed({}, query="key="), id="no secret, empty query"),
        pytest.param({"proof": "query"}, _fixed({}, query=f"key={QUOTED}&key=guess"), id="two of them"),
        pytest.param({"proof": "header", "proof_name": "X-Key"}, _fixed({}), id="no header"),
        pytest.param({"proof": "header", "proof_name": "X-Key"}, _fixed({"X-Key": "g\udcff"}), id="odd header"),
        pytest.param(
            {"proof": "header", "proof_name": "X-Key", "proof_prefix": "Key "},
            _fixed({"X-Key": SECRET}),
            id="no prefix",
        ),
        pytest.param({"proof": "basic", "callback_user": "us"}, _fixed({}), id="no basic"),
        pytest.param({"proof": "basic", "callback_user": "us"}, _basic("us:guess"), id="another password"),
        pytest.param({"proof": "basic", "callback_user": "us"}, _fixed({"Authorization": "Basic %%%"}), id="odd basic"),
        pytest.param(HMAC, _fixed({}), id="no hmac"),
        pytest.param(HMAC, _fixed({"X-Signature": "zz"}), id="odd hmac"),
        pytest.param(HMAC, _hmac("{body}", bytes.hex, secret="guess"), id="another hmac"),
        pytest.param({**HMAC, "proof_encoding": "base64"}, _fixed({"X-Signature": "é"}), id="odd base64"),
        pytest.param(TIMED, _hmac("{body}{timestamp}", bytes.hex, at=NOW_S - 301), id="replayed"),
        pytest.param(TIMED, _hmac("{body}{timestamp}", bytes.hex, at=NOW_S + 301), id="from the future"),
        pytest.param(TIMED, _fixed({"X-Timestamp": "soon", "X-Signature": "00"}), id="odd time"),
        pytest.param(TIMED, _fixed({"X-Timestamp": "9" * 5000, "X-Signature": "00"}), id="endless time"),
        pytest.param(ED25519, _fixed({"X-Timestamp": str(NOW_S)}), id="no ed25519"),
        pytest.param(ED25519, _ed25519(Ed25519PrivateKey.generate()), id="another key"),
        pytest.param(ED25519, _ed25519(at=NOW_S - 301), id="replayed ed25519"),
        pytest.param(ED25519, _fixed({"X-Timestamp": str(NOW_S), "X-Signature": "AAAA"}), id="short ed25519"),
        pytest.param({"proof": "jwt"}, _fixed({}), id="no token"),
        pytest.param({"proof": "jwt"}, _fixed({"Authorization": "Bearer a.b"}), id="half a token"),
        pytest.param({"proof": "jwt"}, _fixed({"Authorization": "Bearer é.b.c"}), id="odd token"),
        pytest.param({"proof": "jwt"}, _jwt("another secret that is long enough for it"), id="another secret"),
        pytest.param({"proof": "jwt"}, _jwt(algorithm="HS512", secret=SECRET * 2), id="another algorithm"),
        pytest.param(
            {"proof": "jwt"},
            _fixed({"Authorization": f"Bearer {jwt.encode({'iat': NOW_S}, '', algorithm='none')}"}),
            id="no algorithm",
        ),
        pytest.param({"proof": "jwt"}, _jwt(at=NOW_S - 301), id="replayed token"),
        pytest.param({"proof": "jwt"}, _jwt(payload=""), id="token without a body"),
    ],
)
def test_what_does_not_prove_itself_is_forged(settings: dict[str, Any], proved: Proved) -> None:
    body = json.dumps(INBOUND).encode()
    headers, path, query = proved(body)
    request = a_request(body, {**JSON, **headers}, path=path, query=query)
    assert verdict(a_provider(**settings), *request) == "Forged"


@pytest.mark.parametrize(
    ("settings", "proved"),
    [
        pytest.param(HMAC, _hmac("{body}", bytes.hex), id="hmac"),
        pytest.param(ED25519, _ed25519(), id="ed25519"),
        pytest.param({"proof": "jwt"}, _jwt(), id="jwt"),
    ],
)
def test_what_is_beside_a_signed_body_is_not_read(settings: dict[str, Any], proved: Proved) -> None:
    channel = a_provider(**settings, message={**USUAL["message"], "name": "who", "text": "words | text"})
    query = urlencode({"who": "Mallory", "words": "other"})
    body = urlencode(INBOUND).encode()
    found = verdict(channel, *a_request(body, {**FORM, **proved(body)[0]}, path="/inbound", query=query))
    assert isinstance(found, Heard)
    assert found.events == (incoming(),)
    alone = urlencode(INBOUND)
    assert verdict(channel, *a_request(b"", proved(b"")[0], path="/inbound", query=alone, method="GET")) == "Unreadable"


def test_a_query_is_read_where_the_url_is_signed() -> None:
    query = urlencode(INBOUND)
    mac = hmac.new(SECRET.encode(), f"{CALLBACK}/inbound?{query}".encode(), "sha256").hexdigest()
    request = a_request(b"", {"X-Signature": mac}, path="/inbound", query=query, method="GET")
    found = verdict(a_provider(**HMAC, signed="{url}{body}"), *request)
    assert isinstance(found, Heard)
    assert found.events == (incoming(),)


async def test_messages_and_reports_come_over_a_socket() -> None:
    described = {**USUAL, "proof": "path", "callback_secret": "a/b c?"}
    async with Ear() as ear, HttpProvider() as peer, opened("http-sms", described) as channel:
        ear.channel = channel
        assert isinstance(channel, HttpChannel)
        body = urlencode({**INBOUND, "text": "a+b ünï"}).encode()
        assert await peer.call(f"{ear.url}/a%2Fb%20c%3F/inbound", body, FORM) == 200
        assert (
            await peer.call(channel.reports_url().replace(CALLBACK, ear.url), b'{"id":"m1","state":"OK"}', JSON) == 200
        )
        assert await peer.call(f"{ear.url}/a/b/status", b'{"id":"m1","state":"OK"}', JSON) == 403
        assert await peer.call(channel.reports_url().replace(CALLBACK, ear.url), b"{", JSON) == 400
        assert ear.events == [
            incoming(text="a+b ünï"),
            Report(status=ReceiptStatus.DELIVERED, handle="m1"),
        ]


@pytest.mark.parametrize("fetch_authorized", [True, False])
async def test_files_are_fetched_with_credentials_where_they_are_wanted(fetch_authorized: bool) -> None:
    async with HttpProvider() as peer:
        described = {
            **USUAL,
            "base_url": peer.url,
            "basic": "{user}:x",
            "credentials": {"user": "us"},
            "fetch_authorized": fetch_authorized,
        }
        async with opened("http-sms", described) as channel:
            peer.answer_with(Answered(200, b"bytes"))
            assert await fetched(channel, f"{peer.url}/file") == b"bytes"
            assert ("Authorization" in peer.asked[0].headers) is fetch_authorized


@pytest.mark.parametrize("allow_private", [False, True])
@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "http://[::1]:9/x", "http://a b.example/x", "http://a\x00/x"])
async def test_a_file_at_an_address_that_is_never_called_is_given_up_at_once(url: str, allow_private: bool) -> None:
    server = Settings(outgoing=OutgoingSettings(allow_private=allow_private))
    async with opened("http-sms", {**USUAL, "base_url": "http://sms.example"}, server=server) as channel:
        is_reachable = allow_private and url.endswith(":9/x")
        assert await fetched(channel, url) == ("not now" if is_reachable else "refused 11200")


async def test_a_file_that_leads_to_where_nobody_calls_is_given_up_at_once() -> None:
    async with HttpProvider() as peer, opened("http-sms", {**USUAL, "base_url": peer.url}) as channel:
        peer.answer_with(Answered(302, None, {"Location": "http://a b.example/x"}))
        assert await fetched(channel, f"{peer.url}/file") == "refused 11200"


async def test_credentials_do_not_go_to_other_hosts() -> None:
    async with HttpProvider() as api, HttpProvider() as other:
        described = {
            **USUAL,
            "base_url": api.url,
            "basic": "{user}:x",
            "credentials": {"user": "us"},
            "fetch_authorized": True,
        }
        async with opened("http-sms", described) as channel:
            other.answer_with(Answered(200, b"bytes"))
            assert await fetched(channel, f"{other.url}/file") == b"bytes"
            assert "Authorization" not in other.asked[0].headers
