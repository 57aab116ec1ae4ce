"""Values of parameters that several resources read alike."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from tertulia.server.domain.errors import BAD_READ_INDEX

_MOST_DIGITS = 18


def or_null(text: str | UnsetType) -> str | UnsetType | None:
    """A value that the word ``null`` clears: the libraries cannot send another (rest 1.3)."""
    return None if text is not UNSET and text.lower() == "null" else text


def read_index(text: str | UnsetType) -> int | UnsetType | None:
    """A message index, or None for ``null``; else 50421."""
    if text is UNSET:
        return UNSET
    if text.lower() == "null":
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > _MOST_DIGITS:
        raise BAD_READ_INDEX()
    return int(text)
