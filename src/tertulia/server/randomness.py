"""Random bytes of the operating system, fetched by the page: a system call for each id would be felt."""

from __future__ import annotations

import os

_PAGE = 4096


class Randomness:
    """Hands out each byte once. For one thread; a process that forks makes a new one."""

    __slots__ = ("_at", "_page")

    def __init__(self) -> None:
        self._page = b""
        self._at = 0

    def draw(self, count: int) -> bytes:
        """``count`` bytes, at most a page, that nobody has had."""
        end = self._at + count
        if end > len(self._page):
            self._page, self._at, end = os.urandom(_PAGE), 0, count
        drawn = self._page[self._at : end]
        self._at = end
        return drawn
