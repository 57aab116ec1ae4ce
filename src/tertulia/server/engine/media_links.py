"""Signed URLs of files: whoever has one may fetch that file until it expires, and nothing else."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from tertulia.server.clock import Clock
from tertulia.server.domain.errors import LINK_REFUSED
from tertulia.server.domain.media import Media
from tertulia.server.sealing import Sealer
from tertulia.wire import base64url

ACCOUNT: Final = "Account"
EXPIRES: Final = "Expires"
SIGNATURE: Final = "Signature"

_SECOND_US: Final = 1_000_000


class Link(msgspec.Struct, frozen=True):
    """What a good one says."""

    account_sid: str
    seconds_left: int
    """At least 1."""


class MediaLinks:
    """Makes and checks them, with a key of the installation; all its nodes take those of each."""

    def __init__(self, sealer: Sealer, clock: Clock) -> None:
        self._key = sealer.derive("media links")
        self._clock = clock

    def query(self, media: Media, seconds: int) -> str:
        """The query of a URL that is good for so long."""
        expires = self._clock.now() // _SECOND_US + seconds
        signature = self._signature(media.account_sid, media.service_sid, media.sid, str(expires))
        return f"{ACCOUNT}={media.account_sid}&{EXPIRES}={expires}&{SIGNATURE}={signature}"

    def read(self, service_sid: str, media_sid: str, query: Mapping[str, Sequence[str]]) -> Link:
        """What the query of a URL of this file says; 20006 when it was not made here, or has expired."""
        account, expires, signature = (_only(query, name) for name in (ACCOUNT, EXPIRES, SIGNATURE))
        good = self._signature(account, service_sid, media_sid, expires)
        if not hmac.compare_digest(good.encode(), signature.encode(errors="replace")):
            raise LINK_REFUSED("The temporary URL is not one of ours")
        left = int(expires) - self._clock.now() // _SECOND_US  # signed by us, so it is a number
        if left <= 0:
            raise LINK_REFUSED("The temporary URL has expired; ask for a fresh one")
        return Link(account, left)

    def _signature(self, *parts: str) -> str:
        # None of ours contains a line break, so no two lists of parts are one text.
        text = "\n".join(parts).encode(errors="replace")
        return base64url.encode(hmac.digest(self._key, text, "sha256"))


def _only(query: Mapping[str, Sequence[str]], name: str) -> str:
    values = query.get(name, ())
    return values[0] if len(values) == 1 else ""
