"""JSON that is well-formed and that we do not take: halves of characters, NUL, and what is nested without end.

For the few bodies that have to be understood whatever stands beside what is asked of them.
"""

from __future__ import annotations

import re
from typing import Final

DEEPEST: Final = 100
"""Levels that are kept. Nothing that we read is nested so deeply."""

_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)
_ESCAPE: Final = re.compile(rb"\\(?:u([0-9A-Fa-f]{4})(?:\\u([Dd][C-Fc-f][0-9A-Fa-f]{2}))?|.)", re.DOTALL)
_STANDS_FOR_NONE: Final = rb"\ufffd"
_CLOSES: Final = {b"}": b"{", b"]": b"["}


def mended(body: bytes) -> bytes:
    """The same, with ``U+FFFD`` for each half of a character and each NUL, and null for what is nested too deeply.

    What is no JSON stays none.
    """
    parts: list[bytes] = []
    open_ones: list[bytes] = []
    at = 0
    for found in _TOKEN.finditer(body):
        token = found[0]
        if len(open_ones) < DEEPEST:
            parts.append(body[at : found.start()])
            parts.append(_ESCAPE.sub(_whole, token) if token[:1] == b'"' else token)
            at = found.end()
        if token in (b"[", b"{"):
            open_ones.append(token)
            if len(open_ones) == DEEPEST:
                parts[-1] = b""
        elif token in _CLOSES:
            if not open_ones or open_ones.pop() != _CLOSES[token]:
                return body
            if len(open_ones) == DEEPEST - 1:
                parts.append(b"null")
                at = found.end()
    return b"".join([*parts, body[at:]])


def _whole(escape: re.Match[bytes]) -> bytes:
    """An escape without NUL, and without halves of characters."""
    first, second = escape[1], escape[2]
    if first is None:
        return escape[0]
    value = int(first, 16)
    if 0xD800 <= value < 0xDC00:
        return escape[0] if second is not None else _STANDS_FOR_NONE
    is_none = value == 0 or 0xDC00 <= value < 0xE000
    one = _STANDS_FOR_NONE if is_none else escape[0][:6]
    return one if second is None else one + _STANDS_FOR_NONE
