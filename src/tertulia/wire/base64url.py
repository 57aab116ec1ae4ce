"""Base64 in the alphabet of URLs, without padding (RFC 7515 2), as tokens use it."""

from __future__ import annotations

import binascii
from typing import Final

_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
# The signs of other alphabets become bytes that no decoder takes: only the URL's own alphabet is read.
_FROM_URL: Final = bytes.maketrans(b"-_+/=", b"+/\0\0\0")


def encode(data: bytes) -> str:
    """The text for some bytes."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL, b"=").decode("ascii")


def decode(text: str) -> bytes:
    """The bytes of a text; raises ``ValueError`` for what ``encode`` cannot have made, apart from unused bits."""
    padded = text.encode("ascii").translate(_FROM_URL) + b"=" * (-len(text) % 4)
    return binascii.a2b_base64(padded, strict_mode=True)
