"""Texts as SMS carries them: which alphabet, how many segments, and where they are cut (semantics 4.9).

Three alphabets: the seven bits that every handset knows (GSM 03.38), UTF-16 for everything else, and Latin-1, which
some gateways prefer. Lengths are in units of the alphabet: septets, code units of 16 bits, bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Alphabet(StrEnum):
    GSM7 = "gsm7"
    UCS2 = "ucs2"
    LATIN1 = "latin1"


SEGMENT: Final[Mapping[Alphabet, int]] = {Alphabet.GSM7: 160, Alphabet.UCS2: 70, Alphabet.LATIN1: 140}
"""Units of a text that is sent whole."""
HEADER_BYTES: Final = 6
"""What every part of a longer one gives up to say which part it is (3GPP TS 23.040)."""
MOST_PARTS: Final = 255

_BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""By septet. The one in the place of the escape is none."""
_EXTENSION: Final[Mapping[str, int]] = {
    "\f": 0x0A,
    "^": 0x14,
    "{": 0x28,
    "}": 0x29,
    "\\": 0x2F,
    "[": 0x3C,
    "~": 0x3D,
    "]": 0x3E,
    "|": 0x40,
    "€": 0x65,
}
"""Characters that an escape makes of others."""
_ESCAPE: Final = 0x1B

_SEPTETS: Final[Mapping[str, bytes]] = {
    **{character: bytes([septet]) for septet, character in enumerate(_BASIC) if septet != _ESCAPE},
    **{character: bytes([_ESCAPE, septet]) for character, septet in _EXTENSION.items()},
}
_ESCAPED: Final[Mapping[int, str]] = {septet: character for character, septet in _EXTENSION.items()}

_PLAIN: Final = str.maketrans(
    {
        # Quotes, primes, an acute accent that stands alone.
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u2039\u203a\u00b4\u02bc", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        # Hyphens, dashes, the minus sign.
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        # Of spaces those that only say how wide they are; what has no width is left out.
        **dict.fromkeys("\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f", " "),
        **dict.fromkeys("\u200b\u2060\ufeff", ""),
        "\u2026": "...",
        "\u2022": "*",
    }
)


def plain(text: str) -> str:
    """The text with characters that only look better written as phones have always known them: quotes, dashes, spaces.

    Letters and emoji stay. What has no width is left out; an ellipsis becomes three dots.
    """
    return text.translate(_PLAIN)


def is_gsm7(text: str) -> bool:
    """Whether seven bits are enough."""
    return _SEPTETS.keys() >= set(text)


def is_latin1(text: str) -> bool:
    return max(text, default="") <= "\xff"


def alphabet_of(text: str) -> Alphabet:
    """What a text needs on the way to a phone: ``GSM7``, or ``UCS2`` if one character of it is not among them."""
    return Alphabet.GSM7 if is_gsm7(text) else Alphabet.UCS2


def units(text: str, alphabet: Alphabet) -> int:
    """How long the text is. Raises ``ValueError`` for one that the alphabet cannot say."""
    # The same as the sum of all widths, without looking at each character: this is asked of every message, and twice.
    if alphabet is Alphabet.GSM7:
        if not is_gsm7(text):
            raise ValueError("a character has no place in seven bits")
        return len(text) + sum(map(text.count, _EXTENSION))
    if alphabet is Alphabet.UCS2:
        return len(text.encode("utf-16-be", "surrogatepass")) // 2
    if not is_latin1(text):
        raise ValueError("a character has no place in Latin-1")
    return len(text)


def room(alphabet: Alphabet, header_bytes: int = HEADER_BYTES) -> int:
    """Units of one part: 153 septets, 67 code units, 134 bytes behind the usual header."""
    left = 140 - header_bytes
    if alphabet is Alphabet.GSM7:
        return left * 8 // 7
    return left // 2 if alphabet is Alphabet.UCS2 else left


def parts(text: str, alphabet: Alphabet | None = None, header_bytes: int = HEADER_BYTES) -> list[str]:
    """The text cut so that each part fits; one where it fits whole, also an empty one.

    An escaped character and a surrogate pair are never torn. Raises ``ValueError`` for a text that the alphabet cannot
    say, or that has more than 255 parts.
    """
    alphabet = alphabet or alphabet_of(text)
    if units(text, alphabet) <= SEGMENT[alphabet]:
        return [text]
    most = room(alphabet, header_bytes)
    cut: list[str] = []
    start = used = 0
    for at, character in enumerate(text):
        width = _width(character, alphabet)
        if used + width > most:
            cut.append(text[start:at])
            start, used = at, 0
        used += width
    cut.append(text[start:])
    if len(cut) > MOST_PARTS:
        raise ValueError(f"{len(cut)} parts; a message has at most {MOST_PARTS}")
    return cut


def segments(text: str, alphabet: Alphabet | None = None) -> int:
    """How many messages a network counts. Raises ``ValueError`` as ``parts`` does."""
    return len(parts(text, alphabet))


def septets(text: str) -> bytes:
    """The text in seven bits, each in a byte of its own. Raises ``ValueError`` where they are not enough."""
    try:
        return b"".join([_SEPTETS[character] for character in text])
    except KeyError:
        raise ValueError("a character has no place in seven bits") from None


def of_septets(data: bytes) -> str:
    """What septets, each in a byte, say. An escape that makes nothing is a space (3GPP TS 23.038, 6.2.1)."""
    said: list[str] = []
    is_escaped = False
    for byte in data:
        septet = byte & 0x7F
        if is_escaped:
            said.append(_ESCAPED.get(septet) or (" " if septet == _ESCAPE else _BASIC[septet]))
            is_escaped = False
        elif septet == _ESCAPE:
            is_escaped = True
        else:
            said.append(_BASIC[septet])
    return "".join(said)


def packed(data: bytes, header_bytes: int = 0) -> bytes:
    """Septets, eight of them in seven bytes, beginning at the first septet after a header of so many bytes."""
    fill = -header_bytes * 8 % 7
    bits = 0
    for at, septet in enumerate(data):
        bits |= septet << (fill + at * 7)
    return bits.to_bytes((fill + len(data) * 7 + 7) // 8, "little")


def unpacked(data: bytes, header_bytes: int = 0) -> bytes:
    """Septets, each in a byte, of those that ``packed`` has put together.

    Where the last byte has room for one more, nobody can tell an ``@`` from nothing: it is nothing.
    """
    fill = -header_bytes * 8 % 7
    bits = int.from_bytes(data, "little") >> fill
    count = max(len(data) * 8 - fill, 0) // 7
    found = bytes([bits >> (at * 7) & 0x7F for at in range(count)])
    is_padded = count and (len(data) * 8 - fill) % 7 == 0 and found[-1:] == b"\0"
    return found[:-1] if is_padded else found


def _width(character: str, alphabet: Alphabet) -> int:
    """Of a character that the alphabet can say."""
    if alphabet is Alphabet.GSM7:
        return len(_SEPTETS[character])
    return 2 if alphabet is Alphabet.UCS2 and character > "\uffff" else 1
