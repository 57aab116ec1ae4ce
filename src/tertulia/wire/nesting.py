"""How deep a text of JSON is: whoever reads one by recursion is spared what is deeper than he can go."""

from __future__ import annotations

import re
from typing import Final

DEEPEST: Final = 64
"""Levels that attributes may have."""

_TEXTS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"')
_ALL_BUT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_AS_SQUARE: Final = bytes.maketrans(b"{}", b"[]")


def is_deeper(json: bytes, levels: int = DEEPEST) -> bool:
    """Whether a valid text of JSON has objects or arrays within each other on more levels than that."""
    if json.count(b"[") + json.count(b"{") <= levels:
        return False
    brackets = _TEXTS.sub(b"", json).translate(_AS_SQUARE, _ALL_BUT_BRACKETS)
    for _ in range(levels):
        # The innermost level goes, everywhere at once.
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return False
    return True
