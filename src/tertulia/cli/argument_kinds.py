"""What an argument may be: numbers and lists, refused with a sentence when they are none."""

from __future__ import annotations

import argparse

from tertulia.wire.sids import MESSAGE, PARTICIPANT, is_sid


def names(text: str) -> frozenset[str]:
    """Separated by commas."""
    return frozenset(name.strip() for name in text.split(",") if name.strip())


def count(text: str) -> int:
    """A whole number above 0."""
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) < 1 << 63:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)


def seconds(text: str) -> int:
    """A whole number of seconds above 0."""
    if not text.isascii() or not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a whole number of seconds above 0, got {text!r}")
    return int(text)


def message_or_participant(text: str) -> str:
    """The SID of one."""
    if not is_sid(text, MESSAGE) and not is_sid(text, PARTICIPANT):
        raise argparse.ArgumentTypeError(
            "expected the whole SID of a message (IM...) or of a participant (MB...), as REST and `tertulia listen`"
            f" show it, got {text!r}"
        )
    return text
