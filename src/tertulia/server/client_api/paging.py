"""Pages of what clients read: opaque tokens that lead on, and the ``meta`` block (realtime 9.2, client-commands 0.7).

A token carries everything, since some clients send it alone. It is not signed: what it says, a request could say by
itself, and who may see the listing is asked each time.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tertulia.server.domain.errors import BAD_PARAMETER
from tertulia.server.engine.windows import Cut
from tertulia.wire import base64url

MOST_ITEMS = 100
"""Items on a page, at most."""
LARGEST_INDEX = (1 << 63) - 1
"""Beyond it no column holds a number."""

Size = Annotated[int, Meta(ge=1, le=MOST_ITEMS)]
Index = Annotated[int, Meta(ge=-LARGEST_INDEX, le=LARGEST_INDEX)]


class Place(msgspec.Struct, frozen=True, array_like=True):
    """What a token says: which page of which order."""

    size: Size
    descending: bool
    backward: bool
    """The page lies before the cut."""
    key: str | Index
    after: bool
    """The cut is behind the key's row."""

    def token(self) -> str:
        return base64url.encode(msgspec.json.encode(self))


class PageMeta(msgspec.Struct, frozen=True):
    """Both tokens are always there: a reader that misses ``next_token`` asks for the first page for ever."""

    previous_token: str | None = None
    next_token: str | None = None


_decode = msgspec.json.Decoder(Place).decode


def read_token(token: str) -> Place:
    """What a token of ours says; raises 20001 for every other text."""
    try:
        return _decode(base64url.decode(token))
    except (ValueError, RecursionError):  # the errors of msgspec are ValueErrors
        raise BAD_PARAMETER("PageToken is not one of ours") from None


def read_size(text: str | UnsetType, default: int) -> int:
    """The ``PageSize`` of a request, cut to what there is at most; raises 20001 unless it is a number of 1 or more."""
    if text is UNSET:
        return default
    if not text.isascii() or not text.isdigit() or int(text[:20]) < 1:
        raise BAD_PARAMETER("PageSize is a number of 1 or more")
    return min(int(text[:20]), MOST_ITEMS)


def token_for(cut: Cut[str] | Cut[str | int] | None, size: int, *, descending: bool, backward: bool) -> str | None:
    """The token for the page beyond a cut; None where there is none."""
    return None if cut is None else Place(size, descending, backward, cut.key, cut.after).token()
