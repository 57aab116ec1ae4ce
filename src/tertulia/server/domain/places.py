"""How many of something one of many may have at a time. Pure, as ``buckets``: nobody waits here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Places:
    """Counts who has how many places. Nothing is remembered of who has none."""

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    @contextmanager
    def one_for(self, whose: str, at_once: int) -> Iterator[bool]:
        """Whether there was a place; it is taken while the block runs."""
        taken = self._taken.get(whose, 0)
        if taken >= at_once:
            yield False
            return
        self._taken[whose] = taken + 1
        try:
            yield True
        finally:
            left = self._taken[whose] - 1
            if left:
                self._taken[whose] = left
            else:
                del self._taken[whose]
