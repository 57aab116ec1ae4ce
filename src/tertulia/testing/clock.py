"""Time that goes on as usual, and can be advanced."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta


class ShiftedClock:
    """The time of this machine, and as much more as was asked for.

    So tokens that a library has signed just now are good, and what is due in an hour can be had at once.
    """

    def __init__(self) -> None:
        self._ahead_us = 0
        self.advanced: Callable[[], None] | None = None
        """Called after each advance; it returns when all is done that has become due."""

    def now(self) -> int:
        """UTC, in microseconds since 1970."""
        return time.time_ns() // 1_000 + self._ahead_us

    def time(self) -> float:
        """UTC, in seconds since 1970."""
        return self.now() / 1_000_000

    def advance(
        self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0, milliseconds: float = 0
    ) -> None:
        """Lets time pass, at once; what has become due by then is done when this returns. Time never goes back."""
        by = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, milliseconds=milliseconds)
        if by < timedelta(0):
            raise ValueError("time does not go back")
        self._ahead_us += by // timedelta(microseconds=1)
        if self.advanced is not None:
            self.advanced()
