"""Texts and their bytes: what ``data_coding`` says, in both directions (SMPP 3.4, 5.2.19; 3GPP TS 23.038)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from tertulia.server.domain.sms_text import (
    Alphabet,
    alphabet_of,
    is_gsm7,
    is_latin1,
    of_septets,
    packed,
    septets,
    unpacked,
)

from .settings import DefaultAlphabet, SmppSettings

_CODECS: Final[Mapping[int, str]] = {
    0x03: "latin-1",
    0x05: "shift_jis",
    0x06: "iso8859-5",
    0x07: "iso8859-8",
    0x08: "utf-16-be",
    0x0A: "iso2022_jp",
    0x0D: "euc_jp",
    0x0E: "euc_kr",
}
_ASCII: Final = 0x01
_CONTROLS: Final = frozenset(range(0x20)) - frozenset(b"\t\n\r")
_BINARY: Final = (0x02, 0x04)
_UCS2: Final = "utf-16-be"


class Wording(msgspec.Struct, frozen=True):
    """How a text is said."""

    alphabet: Alphabet
    data_coding: int
    is_packed: bool = False

    def bytes_of(self, text: str, header_bytes: int = 0) -> bytes:
        """The text behind a header of so many bytes."""
        if self.alphabet is Alphabet.GSM7:
            return packed(septets(text), header_bytes) if self.is_packed else septets(text)
        # A text with half of a pair in it is sent as it is.
        return text.encode(_UCS2 if self.alphabet is Alphabet.UCS2 else "latin-1", "surrogatepass")


def wording_of(text: str, settings: SmppSettings) -> Wording:
    """The shortest way to say a text that the SMSC understands."""
    ucs2 = Wording(Alphabet.UCS2, settings.data_coding_ucs2)
    if settings.default_alphabet is DefaultAlphabet.LATIN1:
        return Wording(Alphabet.LATIN1, settings.data_coding) if is_latin1(text) else ucs2
    if is_gsm7(text):
        is_packed = settings.default_alphabet is DefaultAlphabet.GSM7_PACKED
        return Wording(alphabet_of(text), settings.data_coding, is_packed)
    if settings.uses_latin1 and is_latin1(text):
        return Wording(Alphabet.LATIN1, settings.data_coding_latin1)
    return ucs2


def text_of(data: bytes, data_coding: int, default: DefaultAlphabet, header_bytes: int = 0) -> str | None:
    """What the bytes behind a header say; None for what is no text.

    Halves of surrogate pairs stay: the other half may be in the next part.
    """
    if data_coding == _ASCII:
        # Some say so of GSM-7, where what would be control characters in ASCII are letters.
        return of_septets(data) if _CONTROLS.intersection(data) else data.decode("latin-1")
    codec = _codec(data_coding)
    if codec is None:
        return None
    if codec:
        if codec == _UCS2 and len(data) % 2:
            data = data[:-1]  # cut off by somebody on the way
        return data.decode(codec, "surrogatepass" if codec == _UCS2 else "replace")
    if default is DefaultAlphabet.LATIN1:
        return data.decode("latin-1")
    return of_septets(unpacked(data, header_bytes) if default is DefaultAlphabet.GSM7_PACKED else data)


def _codec(data_coding: int) -> str | None:
    """The name of the codec; empty for the default alphabet, None for bytes that are no text."""
    if data_coding in _CODECS:
        return _CODECS[data_coding]
    if data_coding in _BINARY:
        return None
    group = data_coding >> 4
    if group in (0x1, 0x2, 0x3):  # general coding with a class or compression: bits 3 and 2 are the alphabet
        return ("", None, _UCS2, "")[data_coding >> 2 & 3]
    if group == 0xE:  # a message waits, in UCS-2
        return _UCS2
    if group == 0xF:  # a class: bit 2 is the alphabet
        return None if data_coding & 4 else ""
    return ""
