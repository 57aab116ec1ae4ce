"""Token buckets: how often something may happen, with a second's worth at once (semantics 9.3). Pure arithmetic.

A bucket is one number: when it will be full again, if nothing more is taken. Whoever takes moves that moment on by one
token; it may not be further away than a whole bucket. Counted in microseconds times the rate, so that a token is
exactly ``SECOND`` and nothing is ever rounded.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

SECOND: Final = 1_000_000
MOST_KEYS: Final = 100_000
"""Buckets of one kind that are remembered. Beyond it the one that was used longest ago counts as full again."""


class Bucket:
    """One bucket of ``per_s`` tokens, refilled at ``per_s`` a second: in any t seconds at most per_s * (t + 1)."""

    __slots__ = ("_full_at", "_per_s")

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._full_at = 0

    def take(self, now: int) -> int:
        """0 when a token was taken, else the microseconds until there is one."""
        self._full_at, wait = _take(self._full_at, self._per_s, now)
        return wait


class Buckets:
    """A bucket for each key. One that is full again is forgotten, so only those of the last second are kept."""

    __slots__ = ("_full_at", "_most", "_per_s")

    def __init__(self, per_s: int, most: int = MOST_KEYS) -> None:
        self._per_s = per_s
        self._most = most
        # In the order of the last taking: the first are full the longest.
        self._full_at: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: Hashable, now: int) -> int:
        """0 when a token of this key was taken, else the microseconds until there is one."""
        full_at, wait = _take(self._full_at.pop(key, 0), self._per_s, now)
        self._full_at[key] = full_at
        self._forget(now)
        return wait

    def _forget(self, now: int) -> None:
        # Two for each that may have been added: what was left by a flood goes away with what comes after it.
        for _ in range(2):
            oldest = next(iter(self._full_at))
            if self._full_at[oldest] > now * self._per_s and len(self._full_at) <= self._most:
                return
            del self._full_at[oldest]
            if not self._full_at:
                return


def _take(full_at: int, per_s: int, now: int) -> tuple[int, int]:
    here, whole = now * per_s, per_s * SECOND
    # Not more than a whole bucket away either: a clock that was set back must not stop anybody for as long.
    full_at = min(max(full_at, here), here + whole)
    wait = full_at + SECOND - here - whole
    return (full_at + SECOND, 0) if wait <= 0 else (full_at, -(-wait // per_s))
