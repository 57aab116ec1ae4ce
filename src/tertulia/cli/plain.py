"""Texts of others, made fit for a terminal: what would move its cursor or hide something is shown as a sign instead."""

from __future__ import annotations

import unicodedata
from typing import Final

LOST: Final = "\N{REPLACEMENT CHARACTER}"
_TAB: Final = "    "
_BREAKS: Final = frozenset("\n\r\u2028\u2029\x85")
_JOINERS: Final = frozenset("\u200c\u200d")
# Letters and signs that look like nothing at all.
_BLANKS: Final = frozenset("\u115f\u1160\u17b4\u17b5\u3164\uffa0")
# Overrides and embeddings make a text look like another one.
_TURNING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Marks that say how the sign before them is drawn, if it can be drawn in several ways.
_SELECTORS: Final = frozenset(
    map(chr, (0x34F, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
)
_NOT_IN_NAMES: Final = _SELECTORS | _JOINERS | {"\u2800"}


def plain(text: str) -> str:
    """One line of printable characters; line breaks become spaces."""
    text = text.replace("\r\n", "\n")
    if text.isprintable() and _BLANKS.isdisjoint(text):
        return text
    return "".join(" " if each in _BREAKS else _shown(text, place) for place, each in enumerate(text))


def plain_name(text: str) -> str:
    """One line that says who somebody is: two names that differ do not differ in what cannot be seen."""
    return "".join(LOST if each in _NOT_IN_NAMES else each for each in plain(text))


def plain_lines(text: str) -> list[str]:
    """The lines of a text, each of printable characters."""
    return [plain(line) for line in _lines(text)]


def own_lines(text: str) -> list[str]:
    """The lines of a text to go on writing at: signs of format that do no harm stay in it, seen or not."""
    return ["".join(_shown(line, place, is_own=True) for place in range(len(line))) for line in _lines(text)]


def _lines(text: str) -> list[str]:
    text = text.replace("\r\n", "\n")
    for character in _BREAKS:
        text = text.replace(character, "\n")
    return text.split("\n")


def _shown(text: str, place: int, *, is_own: bool = False) -> str:
    character = text[place]
    if character == "\t":
        return _TAB
    category = unicodedata.category(character)
    if category == "Cc":
        # Control characters have pictures: ESC is shown as one sign.
        return chr(0x2400 + ord(character)) if ord(character) < 0x20 else LOST
    if character in _JOINERS and _joins(text[place - 1 : place], text[place + 1 : place + 2]):
        return character
    if is_own and category != "Cs" and character not in _TURNING:
        return character
    # Other signs of format make a text look like one without them. A lone half of a pair cannot be written to a
    # terminal at all.
    return LOST if category in ("Cf", "Cs") or character in _BLANKS else character


def _joins(before: str, after: str) -> bool:
    """Whether a joiner has work to do here: inside an emoji, or in a word of a script that is spelt with joiners."""
    if not before or not after:
        return False
    if unicodedata.category(after) == "So":
        return unicodedata.category(before) in ("So", "Sk") or before == "\ufe0f"
    return _is_spelt_with_joiners(before) and _is_spelt_with_joiners(after)


def _is_spelt_with_joiners(character: str) -> bool:
    """A letter or mark of Arabic, Syriac and their relatives, or of a script of South and South-East Asia."""
    is_of_them = "\u0600" <= character <= "\u109f" or "\u1780" <= character <= "\u18af"
    return is_of_them and unicodedata.category(character)[0] in "LM"
