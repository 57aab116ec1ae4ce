"""Randomness of the operating system: bytes by the page, as a system call for each id would be felt; and secrets."""

from __future__ import annotations

import os
import secrets
import string

_PAGE = 4096
_LETTERS_AND_DIGITS = string.ascii_letters + string.digits
"""Official libraries refuse credentials with anything else in them (rest 1.2)."""


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


def draw_secret(length: int = 32) -> str:
    """A new secret: letters and digits only."""
    return "".join(secrets.choice(_LETTERS_AND_DIGITS) for _ in range(length))
