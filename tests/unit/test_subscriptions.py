"""Subscriptions of browsers: what is one, and what only looks like one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tertulia.server.domain.errors import TertuliaError
from tertulia.server.domain.push import RegisterPush
from tertulia.server.domain.subscriptions import NotASubscription, is_point, read_subscription
from tertulia.wire import base64url

# RFC 8291 5: the example of the standard itself.
POINT = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
ENDPOINT = "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV"


def sent(endpoint: Any = ENDPOINT, p256dh: Any = POINT, auth: Any = AUTH, **more: Any) -> str:
    return json.dumps({"endpoint": endpoint, "keys": {"p256dh": p256dh, "auth": auth}, **more})


def test_a_subscription_is_read() -> None:
    read = read_subscription(sent(expirationTime=None))
    assert (read.endpoint, read.origin) == (ENDPOINT, "https://push.example.net")
    assert (read.p256dh, read.auth) == (base64url.decode(POINT), base64url.decode(AUTH))
    padded = read_subscription(sent(p256dh=POINT + "=", auth=AUTH + "=="))
    assert padded == read
    assert "JzLQ" not in repr(read) and POINT not in repr(read)


@pytest.mark.parametrize("endpoint", [ENDPOINT, "HTTPS://PUSH.example.net:443" + ENDPOINT[24:]])
def test_a_browser_has_one_spelling_and_that_is_read_as_the_same(endpoint: str) -> None:
    read = read_subscription(sent(endpoint, p256dh=POINT + "=", expirationTime=7))
    assert read.place == ENDPOINT
    assert json.loads(read.text) == {"endpoint": ENDPOINT, "keys": {"p256dh": POINT, "auth": AUTH}}
    assert read.text.startswith(f'{{"endpoint":"{ENDPOINT}"')
    again = read_subscription(read.text)
    assert (again.text, again.p256dh, again.auth) == (read.text, read.p256dh, read.auth)


@pytest.mark.parametrize("rest", ["/a?", "/a?b=%2F", "/A", "/a//b", "/"])
def test_what_follows_the_host_is_left_as_it_is(rest: str) -> None:
    assert read_subscription(sent(f"https://Push.example.net{rest}")).place == f"https://push.example.net{rest}"
    assert read_subscription(sent("https://push.example.net?a")).place == "https://push.example.net/?a"


@pytest.mark.parametrize(
    ("endpoint", "origin"),
    [
        ("https://PUSH.example.net:443/a", "https://push.example.net"),
        ("https://push.example.net:8443/a?b=c", "https://push.example.net:8443"),
        ("https://[2001:db8::1]/a", "https://[2001:db8::1]"),
        ("http://127.0.0.1:8090/notify/a", "http://127.0.0.1:8090"),
        ("http://localhost/notify", "http://localhost"),
        ("http://[::1]:90/notify", "http://[::1]:90"),
    ],
)
def test_the_origin_is_that_of_the_endpoint(endpoint: str, origin: str) -> None:
    assert read_subscription(sent(endpoint)).origin == origin


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "device token",
        "[" * 4000,
        '"\ud800"',
        json.dumps({"endpoint": ENDPOINT}),
        json.dumps({"endpoint": ENDPOINT, "keys": {"auth": AUTH}}),
        sent(endpoint=None),
        sent(endpoint=""),
        sent(endpoint="push.example.net"),
        sent(endpoint="http://push.example.net/a"),
        sent(endpoint="http://10.0.0.1/a"),
        sent(endpoint="http://localhost.example.net/a"),
        sent(endpoint="ftp://push.example.net/a"),
        sent(endpoint="javascript:alert(1)"),
        sent(endpoint="https:///a"),
        sent(endpoint="https://user:word@push.example.net/a"),
        sent(endpoint="https://push.example.net/a#b"),
        sent(endpoint="https://push.example.net:port/a"),
        sent(endpoint="https://push.example.net:99999/a"),
        sent(endpoint="https://[push/a"),
        sent(endpoint="https://push.example.net/a b"),
        sent(endpoint="https://push.example.net/\r\nHost: b"),
        sent(endpoint="https://püsh.example.net/a"),
        sent(p256dh=1),
        sent(p256dh=""),
        sent(p256dh=POINT[:-4]),
        sent(p256dh=POINT[:-4] + "AAAA"),
        sent(p256dh="A" + POINT[1:]),
        sent(p256dh=base64url.encode(b"\4" + b"\0" * 64)),
        sent(p256dh=base64url.encode(b"\4" + b"\xff" * 64)),
        sent(p256dh=POINT.replace("_", "/")),
        sent(p256dh=POINT[:40] + "\n" + POINT[40:]),
        sent(auth=AUTH[:-2]),
        sent(auth=AUTH + "AA"),
        sent(auth="!" * 22),
        sent(auth="ü" * 22),
    ],
)
def test_what_is_none_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(NotASubscription) as refused:
        read_subscription(text)
    assert "push.example.net" not in str(refused.value)
    with pytest.raises(TertuliaError) as failed:
        RegisterPush(kind="webpush", address=text).check()
    assert failed.value.status == 400
    if text:
        assert str(refused.value) in failed.value.message
    RegisterPush(kind="webpush", address=sent()).check()
    RegisterPush(kind="fcm", address=text or "token").check()


def test_infinity_is_no_point_and_neither_is_one_beside_the_curve() -> None:
    assert is_point(base64url.decode(POINT))
    assert not is_point(b"") and not is_point(b"\0")
    compressed = b"\2" + base64url.decode(POINT)[1:33]
    assert not is_point(compressed)
