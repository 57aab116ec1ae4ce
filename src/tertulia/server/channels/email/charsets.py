"""Bytes of strangers as text: whatever they say their character set is, something comes out. Pure."""

from __future__ import annotations

import binascii
import codecs
import re
from typing import Final

_WIDER: Final = {
    # What programs call by the narrower name.
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "iso8859-9": "cp1254",
    "tis-620": "cp874",
}
_FORBIDDEN: Final = frozenset(
    # No character sets of mail; some of them take time that grows with the square of the text.
    ("punycode", "idna", "unicode-escape", "raw-unicode-escape", "undefined", "mbcs", "oem", "unicode_escape",
     "raw_unicode_escape")
)  # fmt: skip
_PIECE_BYTES: Final = 32 << 10
_WORD: Final = re.compile(r"=\?([A-Za-z0-9_.:*'+-]{1,60})\?([bBqQ])\?([^?\s]*)\?=")
_BETWEEN: Final = re.compile(r"(\?=)[ \t\r\n]+(?==\?[A-Za-z0-9_.:*'+-]{1,60}\?[bBqQ]\?)")
_ESCAPE: Final = re.compile(rb"=([0-9A-Fa-f]{2})")


def decoded(data: bytes, charset: str | None) -> str:
    """The text; by its bytes where the character set is unknown or cannot be."""
    name = _codec(charset)
    if name in (None, "ascii", "cp1252"):
        # Much is UTF-8 that says nothing of it, and next to nothing else can be read as such.
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            name = "cp1252" if name is None else name
    assert name is not None
    return _in_pieces(data, name)


def _in_pieces(data: bytes, name: str) -> str:
    """Where much of it cannot be read that takes long, and nobody else has his turn while a piece is decoded."""
    if len(data) <= _PIECE_BYTES or codecs.lookup(name).incrementaldecoder is None:
        return data.decode(name, "replace")
    decoder = codecs.getincrementaldecoder(name)("replace")
    pieces = [decoder.decode(data[at : at + _PIECE_BYTES]) for at in range(0, len(data), _PIECE_BYTES)]
    return "".join([*pieces, decoder.decode(b"", True)])


def _codec(charset: str | None) -> str | None:
    if not charset:
        return None
    try:
        info = codecs.lookup(charset.strip().strip("'\"").split("*")[0][:60])
    except (LookupError, ValueError, UnicodeError):
        return None
    name = info.name.lower()
    # Python has codecs that make bytes of bytes; those are no character sets.
    if name in _FORBIDDEN or not getattr(info, "_is_text_encoding", True):
        return None
    return _WIDER.get(name, name)


def header_text(raw: str) -> str:
    """A header in plain words: its encoded words decoded (RFC 2047), on one line."""
    joined = _BETWEEN.sub(r"\1", raw)
    pieces: list[tuple[str | None, bytes | str]] = []
    at = 0
    for found in _WORD.finditer(joined):
        if found.start() > at:
            pieces.append((None, joined[at : found.start()]))
        data = _b(found[3]) if found[2] in "bB" else _q(found[3])
        charset = found[1].lower()
        last = pieces[-1] if pieces else None
        # A character may be cut between two words of one set.
        if last is not None and last[0] == charset and isinstance(last[1], bytes):
            pieces[-1] = (charset, last[1] + data)
        else:
            pieces.append((charset, data))
        at = found.end()
    pieces.append((None, joined[at:]))
    text = "".join(data if isinstance(data, str) else decoded(data, charset) for charset, data in pieces)
    return " ".join(text.split())


def raw_text(data: bytes) -> str:
    """A header's bytes: ASCII, or UTF-8 (RFC 6532), or what people wrote before."""
    return decoded(data, None)


def _b(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""


def _q(text: str) -> bytes:
    data = text.replace("_", " ").encode("utf-8", "replace")
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), data)
