"""Identifiers: two letters and 32 hex digits, in the order in which things came to be.

The digits are a UUID of version 7 (RFC 9562): 48 bits of unix milliseconds, then randomness. Sorted as
text, identifiers of one kind are sorted by age, so paging by SID is paging by age.
"""

from __future__ import annotations

import re
from typing import Final

ACCOUNT: Final = "AC"
ADDRESS_CONFIGURATION: Final = "IG"
API_KEY: Final = "SK"
ARRIVAL: Final = "RA"
CHANNEL_EMAIL: Final = "EM"
CHANNEL_MESSENGER: Final = "FB"
CHANNEL_MMS: Final = "MM"
CHANNEL_RCS: Final = "RC"
CHANNEL_SMS: Final = "SM"
CHANNEL_WHATSAPP: Final = "WA"
CONTENT: Final = "HX"
CONVERSATION: Final = "CH"
CREDENTIAL: Final = "CR"
FLOW: Final = "FW"
GATEWAY: Final = "GW"
MEDIA: Final = "ME"
MESSAGE: Final = "IM"
MESSAGING_SERVICE: Final = "MG"
PARTICIPANT: Final = "MB"
PUSH_BINDING: Final = "BS"
PUSH_MESSAGE: Final = "RU"
RECEIPT: Final = "DY"
ROLE: Final = "RL"
SERVICE: Final = "IS"
SYNC_DOCUMENT: Final = "ET"
SYNC_LIST: Final = "ES"
SYNC_MAP: Final = "MP"
USER: Final = "US"
WEBHOOK: Final = "WH"

RANDOM_BYTES: Final = 10
"""How much randomness one identifier takes."""

_DIGITS: Final = re.compile("[0-9a-fA-F]{32}")
_TAIL_BITS: Final = 74
_TAIL_END: Final = 1 << _TAIL_BITS
_LOW: Final = (1 << 62) - 1
_VERSION: Final = 7 << 76
_VARIANT: Final = 2 << 62


def new_sid(prefix: str, now_us: int, randomness: bytes) -> str:
    """A new identifier of the moment ``now_us`` (unix microseconds).

    ``randomness`` is 10 fresh bytes. Two of the same millisecond are in no particular order; ``SidSource``
    keeps that order too.
    """
    return prefix + _digits(now_us // 1000, _tail(randomness))


def is_sid(text: str, prefix: str) -> bool:
    """Whether the text has the form of an identifier of this kind: the published ``[0-9a-fA-F]{32}``."""
    return text.startswith(prefix) and _DIGITS.fullmatch(text, len(prefix)) is not None


def made_at(sid: str) -> int:
    """The moment of an identifier, in unix microseconds; good to the millisecond."""
    return int(sid[2:14], 16) * 1000


class SidSource:
    """Hands out identifiers that only ever grow, whatever the clock does.

    Within one millisecond, and while the clock is behind the last identifier, the random tail of the last
    one is advanced by a random step (RFC 9562 6.2, method 2): the next is larger and still hard to guess.
    One source per process; sources of several processes agree on the millisecond only.
    """

    __slots__ = ("_ms", "_tail")

    def __init__(self) -> None:
        self._ms = -1
        self._tail = 0

    def new(self, prefix: str, now_us: int, random_bytes: bytes) -> str:
        """An identifier larger than each one before, apart from the prefix. Takes 10 fresh random bytes."""
        ms = now_us // 1000
        tail = _tail(random_bytes)
        if ms <= self._ms:
            ms = self._ms
            # The step is cut to 32 bits so that a millisecond has room for trillions.
            tail = self._tail + 1 + (tail & 0xFFFFFFFF)
            if tail >= _TAIL_END:
                ms += 1
                tail = _tail(random_bytes)
        self._ms = ms
        self._tail = tail
        return prefix + _digits(ms, tail)


def _tail(randomness: bytes) -> int:
    if len(randomness) != RANDOM_BYTES:
        raise ValueError(f"an identifier takes {RANDOM_BYTES} random bytes, got {len(randomness)}")
    # 80 bits are given, 74 fit; the topmost of them stays clear as room to count.
    return int.from_bytes(randomness, "big") >> 7


def _digits(ms: int, tail: int) -> str:
    return f"{ms << 80 | _VERSION | (tail >> 62) << 64 | _VARIANT | tail & _LOW:032x}"
