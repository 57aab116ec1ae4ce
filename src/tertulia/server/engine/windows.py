"""A page of a listing, and whether there is something before and after it.

Rows may come and go between two pages, so a page is never named by a number or by a row, but by a *cut*: the place just
before or just after a key, whether or not a row has that key now.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import msgspec

from tertulia.server.storage.paging import Page

K = TypeVar("K", bound=str | int)
T = TypeVar("T")

Fetch = Callable[[Page], Awaitable[list[tuple[K, T]]]]
"""Rows with their keys, in the order of the listing."""


class Cut(msgspec.Struct, Generic[K], frozen=True):
    """A place between rows: right after the one with this key, in the direction of reading, or right before it."""

    key: K
    after: bool


class Window(msgspec.Struct, Generic[K, T], frozen=True):
    """Rows in the order of the listing, and the cuts at their two ends."""

    rows: list[T]
    previous: Cut[K] | None
    """Where the rows before these end; None when these start at the beginning."""
    next: Cut[K] | None
    """Where the rows after these begin; None when these reach the end."""


async def window(
    fetch: Fetch[K, T], limit: int, start: Cut[K] | None, *, descending: bool = False, backward: bool = False
) -> Window[K, T]:
    """At most ``limit`` rows after ``start``, with ``backward`` those before it; without one, from the beginning.

    Fetches once, and once more a single row where the answer alone does not tell if it begins or ends the listing. All
    of it has to be in one snapshot.
    """
    found = await fetch(_page(start, limit + 1, descending, backward))
    more = len(found) > limit
    if backward:
        found = found[-limit:]
        end = Cut(found[-1][0], True) if found else start
        beyond = await _any(fetch, end, descending, backward=False)
        return Window([row for _, row in found], Cut(found[0][0], False) if more else None, end if beyond else None)
    found = found[:limit]
    begin = Cut(found[0][0], False) if found else start
    beyond = start is not None and await _any(fetch, begin, descending, backward=True)
    return Window([row for _, row in found], begin if beyond else None, Cut(found[-1][0], True) if more else None)


async def _any(fetch: Fetch[K, T], cut: Cut[K] | None, descending: bool, *, backward: bool) -> bool:
    return bool(await fetch(_page(cut, 1, descending, backward)))


def _page(cut: Cut[K] | None, limit: int, descending: bool, backward: bool) -> Page:
    if cut is None:
        return Page(limit, descending=descending, backward=backward)
    # The row of the key itself is on this side of the cut or on the other.
    return Page(limit, cut.key, descending, backward, inclusive=cut.after == backward)
