"""Texts of others, made fit for a terminal: what would move its cursor or hide something is shown as a sign instead."""

from __future__ import annotations

import unicodedata
from typing import Final

LOST: Final = "\N{REPLACEMENT CHARACTER}"
_TAB: Final = "    "
# Overrides and embeddings make a text look like another one.
_TURNING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_BREAKS: Final = frozenset("\n\r\u2028\u2029\x85")


def plain(text: str) -> str:
    """One line of printable characters; line breaks become spaces."""
    return "".join(" " if character in _BREAKS else _shown(character) for character in text.replace("\r\n", "\n"))


def plain_lines(text: str) -> list[str]:
    """The lines of a text, each of printable characters."""
    text = text.replace("\r\n", "\n")
    for character in _BREAKS:
        text = text.replace(character, "\n")
    return [plain(line) for line in text.split("\n")]


def _shown(character: str) -> str:
    if character == "\t":
        return _TAB
    category = unicodedata.category(character)
    if category == "Cc":
        # Control characters have pictures: ESC is shown as one sign.
        return chr(0x2400 + ord(character)) if ord(character) < 0x20 else LOST
    # A lone half of a pair cannot be written to a terminal at all.
    return LOST if category == "Cs" or character in _TURNING else character
