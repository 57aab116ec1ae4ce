"""What logs may show of a frame: its kind and its way, never a chosen name, a token or a text."""

from __future__ import annotations

import re
from typing import Final

import msgspec

_UNPRINTABLE: Final = re.compile(r"[^A-Za-z0-9_.-]")
_IDENTIFIER: Final = re.compile(r"v\d|[A-Z]{2}[0-9a-f]{32}(\.[a-z]+)?")
_WORD: Final = re.compile(r"[A-Za-z_]{1,40}")


def word(text: str, length: int = 14) -> str:
    """The beginning of a text the other side chose, without anything that could forge a line of a log."""
    clean = _UNPRINTABLE.sub("?", text[:length])
    return clean if len(text) <= length else f"{clean}…"


def path(text: str) -> str:
    """A path with its versions, SIDs and collections; what else it names, and its query, is left out.

    A word behind a word names one of a collection: it may be an identity, or a name somebody chose.
    """
    shown = []
    after_word = False
    for part in text[:512].partition("?")[0].split("/"):
        is_word = not after_word and _WORD.fullmatch(part) is not None
        shown.append(part if not part or is_word or _IDENTIFIER.fullmatch(part) else "…")
        after_word = is_word
    return "/".join(shown)


def described(metadata: msgspec.Raw) -> dict[str, str]:
    """What a client says about itself (SDK, version, system) as a few short words; empty if it says nothing usable."""
    try:
        told = msgspec.json.decode(metadata)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(told, dict):
        return {}
    plain = [(name, str(value)) for name, value in told.items() if isinstance(value, str | int)]
    return {word(name, 16): word(value, 64) for name, value in plain[:16]}
