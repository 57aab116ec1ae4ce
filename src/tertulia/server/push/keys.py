"""Private keys as accounts send them: PEM from anywhere, which must not hold the server up.

The library tests the factors of an RSA key when it reads one, and nothing else in the process goes on meanwhile: for
16,384 bits more than half a minute. So a key is measured before it is read.
"""

from __future__ import annotations

import binascii
import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from .service import Unusable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

MOST_RSA_BITS: Final = 4096
SMALL_BYTES: Final = 1_000
"""Keys of other kinds are smaller, those of the kinds that cannot send included."""

_BLOCK: Final = re.compile(r"-----BEGIN ((?:RSA |EC )?PRIVATE KEY)-----([A-Za-z0-9+/=\s]+)-----END \1-----")
_RSA: Final = bytes.fromhex("06092a864886f70d010101")
"""Its name in a key of PKCS #8."""
_SEQUENCE: Final = 0x30
_INTEGER: Final = 0x02
_OCTETS: Final = 0x04


def private_key_in(text: str, whose: str, *, takes_rsa: bool = True) -> PrivateKeyTypes:
    """The first private key of a PEM; raises ``Unusable``, which says that ``whose`` is at fault.

    Without ``takes_rsa`` a key of RSA is not read: nobody can send with it.

    Takes half a second for the largest it reads, which is for a thread; loads a heavy library.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    block = _BLOCK.search(text)
    if block is None:
        raise _unreadable(whose)
    try:
        der = binascii.a2b_base64("".join(block[2].split()), strict_mode=True)
    except binascii.Error:
        raise _unreadable(whose) from None
    if block[1].startswith("RSA") or _RSA in der:
        if not takes_rsa:
            raise Unusable(f"{whose} is one of RSA")
        if any(size > MOST_RSA_BITS // 8 for size in _integers(der)):
            raise Unusable(f"{whose} has more than {MOST_RSA_BITS} bits")
    elif len(der) > SMALL_BYTES:
        raise _unreadable(whose)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of kinds that are on their way out: none of them can send
            return load_pem_private_key(block[0].encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # the second: it is encrypted
        raise _unreadable(whose) from None


def _unreadable(whose: str) -> Unusable:
    return Unusable(f"{whose} is no readable PEM")


def _integers(der: bytes) -> Iterator[int]:
    """How many bytes each number in it has; what is no DER counts as one number."""
    left = [der]
    while left:
        data, at = left.pop(), 0
        while at < len(data):
            kind, at = data[at], at + 1
            length, at = _length(data, at)
            value = data[at : at + length]
            if length > len(value):
                yield len(der)
                return
            if kind == _INTEGER:
                yield len(value.lstrip(b"\0"))
            elif kind == _SEQUENCE or (kind == _OCTETS and value[:1] == bytes((_SEQUENCE,))):
                left.append(value)
            at += length


def _length(data: bytes, at: int) -> tuple[int, int]:
    """The length that stands there, and where it ends; too much where none stands there."""
    first = data[at] if at < len(data) else 0xFF
    if first < 0x80:
        return first, at + 1
    size = first & 0x7F
    if not 0 < size <= 3 or at + 1 + size > len(data):
        return len(data) + 1, at + 1
    return int.from_bytes(data[at + 1 : at + 1 + size]), at + 1 + size
