"""The URL of a webhook, which says in its fragment how to connect: ``https://x/y#rc=3&rp=ct,5xx&ct=2000``.

Source: semantics 1.8. The fragment is neither sent nor signed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from msgspec import Struct


class RetryOn(StrEnum):
    """What may be tried again (UNVERIFIED: the list of names)."""

    CLIENT_ERROR = "4xx"
    SERVER_ERROR = "5xx"
    CONNECT_TIMEOUT = "ct"
    READ_TIMEOUT = "rt"


class Overrides(Struct, frozen=True):
    """What a fragment says about connecting; None where it says nothing that can be used."""

    connect_ms: int | None = None
    """100 to 10000."""
    read_ms: int | None = None
    """100 to 15000."""
    total_ms: int | None = None
    """100 to 15000, over all tries."""
    retries: int | None = None
    """0 to 5, after the first try."""
    policy: frozenset[RetryOn] | None = None
    """Never empty; ``all`` stands for all four."""


_NUMBERS: Final = {
    "ct": ("connect_ms", 100, 10_000),
    "rt": ("read_ms", 100, 15_000),
    "tt": ("total_ms", 100, 15_000),
    "rc": ("retries", 0, 5),
}
_POLICIES: Final = {**{policy.value: {policy} for policy in RetryOn}, "all": set(RetryOn)}
_SENT_AS_IT_IS: Final = "!#$%&'()*+,/:;=?@[]~"


def read_webhook_url(url: str) -> tuple[str, Overrides]:
    """The URL to request and to sign, and what its fragment overrides; refuses nothing.

    The URL comes without its fragment and as HTTP sends it: what is not ASCII is encoded, and an empty path is ``/``.
    Of the overrides, a number beyond its range counts as the nearest in it; what is no number, no known policy or
    no known key is passed over. ``e`` (we have one edge) and ``sni`` (always on) have no effect. Of two with the same
    key the last counts.
    """
    bare, _, fragment = url.partition("#")
    return _as_sent(bare), _overrides(fragment)


def _overrides(fragment: str) -> Overrides:
    numbers: dict[str, int] = {}
    policy: frozenset[RetryOn] | None = None
    for pair in fragment.split("&"):
        key, _, value = unquote(pair).partition("=")
        if key in _NUMBERS and value.isascii() and value.isdigit():
            name, least, most = _NUMBERS[key]
            numbers[name] = most if len(value) > 9 else min(max(int(value), least), most)
        elif key == "rp":
            wanted = [_POLICIES.get(word.strip().lower(), set()) for word in value.split(",")]
            policy = frozenset[RetryOn]().union(*wanted) or policy
    return Overrides(policy=policy, **numbers)


def _as_sent(url: str) -> str:
    try:
        parts = urlsplit(url)
        authority = parts.netloc if parts.netloc.isascii() else _ascii_authority(parts.netloc)
    except ValueError:  # nothing that can be requested; whoever requests it says so
        return url
    if not authority:
        return url
    return urlunsplit(
        (parts.scheme, authority, quote(parts.path, _SENT_AS_IT_IS) or "/", quote(parts.query, _SENT_AS_IT_IS), "")
    )


def _ascii_authority(authority: str) -> str:
    credentials, at, place = authority.rpartition("@")
    host, colon, port = place.partition(":")
    return f"{quote(credentials, _SENT_AS_IT_IS)}{at}{host.encode('idna').decode('ascii')}{colon}{port}"
