"""What time it is. Code that needs to know is handed a clock, so tests decide when something is due."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> int:
        """UTC, in microseconds since 1970."""
        ...


class SystemClock:
    """The time of this machine."""

    def now(self) -> int:
        return time.time_ns() // 1_000


class ManualClock:
    """A time that passes only when told to. Starts at 2025-01-01T00:00:00Z unless told otherwise."""

    def __init__(self, now: int = 1_735_689_600_000_000) -> None:
        self._now = now

    def now(self) -> int:
        return self._now

    def advance(self, by: timedelta) -> int:
        """The new time. Raises ``ValueError`` when asked to go back."""
        if by < timedelta(0):
            raise ValueError(f"a clock does not go back: {by}")
        self._now += by // timedelta(microseconds=1)
        return self._now
