"""Whether a gateway works, as far as can be told without sending: what ``tertulia channels check`` prints."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from .base import Channel, Finding
from .registry import adapter_of

WITHIN_S: Final = 30.0
_THIS_MACHINE: Final = ("localhost", "127.0.0.1", "::1")


async def examined(channel: Channel, adapter: str, callback_url: str, within_s: float = WITHIN_S) -> Sequence[Finding]:
    """What a channel of this adapter finds about itself, and whether its provider could reach us where it has to."""
    try:
        async with asyncio.timeout(within_s):
            found = [*await channel.check()]
    except TimeoutError:
        found = [Finding(is_good=False, what=f"its provider was not heard of within {within_s:g} s")]
    if adapter_of(adapter).is_called:
        found.append(reachable(callback_url))
    return found or [Finding(is_good=True, what="its settings fit; there is nothing else to look at")]


def reachable(callback_url: str) -> Finding:
    """Whether a provider could reach this URL, as far as it shows."""
    parts = urlsplit(callback_url)
    if parts.hostname in _THIS_MACHINE:
        return Finding(
            is_good=False,
            what=f"its provider cannot reach {callback_url}",
            remedy="set server.public_url to where this server is reached from outside",
        )
    if parts.scheme != "https":
        return Finding(
            is_good=False,
            what=f"its provider is to call {callback_url}, without TLS",
            remedy="put a proxy with a certificate before the server, and https in server.public_url",
        )
    return Finding(is_good=True, what=f"its provider is to call {callback_url}")
