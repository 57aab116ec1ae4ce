"""Push subscriptions of browsers: what one is, and where it leads (RFC 8030, gateways 8.10)."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import msgspec

from tertulia.wire import base64url

POINT_BYTES: Final = 65
AUTH_BYTES: Final = 16

_PORTS: Final = {"https": 443, "http": 80}
# P-256 (FIPS 186-5): y² = x³ - 3x + b over the field of p elements.
_P: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B: Final = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


class NotASubscription(ValueError):
    """The text is no subscription; says what is wrong with it, and nothing that stands in it."""


class _Keys(msgspec.Struct, frozen=True):
    p256dh: str
    auth: str


class _Sent(msgspec.Struct, frozen=True):
    endpoint: str
    keys: _Keys


class Subscription(msgspec.Struct, frozen=True):
    """Where a browser is reached, and what only it can read is made with. Printed without any of it."""

    endpoint: str
    origin: str
    """Of the endpoint: scheme, host, and the port unless it is the usual one."""
    place: str
    """The endpoint in its one spelling: that of two subscriptions is the same if they are of one browser."""
    p256dh: bytes
    """The browser's public key: an uncompressed point of P-256."""
    auth: bytes

    @property
    def text(self) -> str:
        """Its JSON, as short as it gets; it begins with the endpoint."""
        keys = _Keys(base64url.encode(self.p256dh), base64url.encode(self.auth))
        return msgspec.json.encode(_Sent(self.place, keys)).decode()

    def __repr__(self) -> str:
        return f"Subscription({self.origin}, ***)"


def read_subscription(text: str) -> Subscription:
    """A subscription from its JSON, as ``PushSubscription.toJSON()`` gives it; raises ``NotASubscription``.

    Its endpoint is HTTPS. HTTP is for push services on this very machine; whether those are called is decided where
    all calls are.
    """
    try:
        sent = msgspec.json.decode(text, type=_Sent)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        raise NotASubscription("it is no JSON with endpoint, keys.p256dh and keys.auth") from None
    point, auth = _bytes(sent.keys.p256dh), _bytes(sent.keys.auth)
    if point is None or not is_point(point):
        raise NotASubscription("keys.p256dh is no uncompressed point of P-256 in base64url")
    if auth is None or len(auth) != AUTH_BYTES:
        raise NotASubscription("keys.auth is not 16 bytes in base64url")
    origin, rest = _parts(sent.endpoint)
    return Subscription(sent.endpoint, origin, origin + rest, point, auth)


def is_point(data: bytes) -> bool:
    """Whether the bytes are an uncompressed point on P-256. One beside the curve would give a secret away."""
    if len(data) != POINT_BYTES or data[0] != 4:
        return False
    x, y = int.from_bytes(data[1:33]), int.from_bytes(data[33:])
    return x < _P and y < _P and (y * y - (x * x * x - 3 * x + _B)) % _P == 0


def _parts(endpoint: str) -> tuple[str, str]:
    """The origin, and what follows it."""
    if not (endpoint.isascii() and endpoint.isprintable()) or " " in endpoint:
        raise NotASubscription("endpoint has characters that no URL has")
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise NotASubscription("endpoint is no URL") from None
    if not host or "@" in parts.netloc or parts.fragment:
        raise NotASubscription("endpoint is no URL of a push service")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise NotASubscription("endpoint is not https")
    place = f"[{host}]" if ":" in host else host
    origin = f"{parts.scheme}://{place}" + ("" if port in (None, _PORTS[parts.scheme]) else f":{port}")
    rest = endpoint.partition("://")[2].removeprefix(parts.netloc)
    return origin, rest if rest.startswith("/") else f"/{rest}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bytes(text: str) -> bytes | None:
    """What the base64url text stands for, with or without its padding."""
    try:
        return base64url.decode(text.rstrip("="))
    except ValueError:
        return None
