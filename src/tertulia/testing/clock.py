"""Time that goes on as usual, and can be advanced."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta


class ShiftedClock:
    """The time of this machine, and as much more as was asked for.

    So tokens that a library has signed just now are good, and what is due in an hour can be had at once.
    """

    def __init__(self, settle: Callable[[], None], settle_async: Callable[[], Awaitable[None]]) -> None:
        self._ahead_us = 0
        self._settle = settle
        self._settle_async = settle_async

    def __repr__(self) -> str:
        return f"<ShiftedClock {timedelta(microseconds=self._ahead_us)} ahead>"

    def now(self) -> int:
        """UTC, in microseconds since 1970."""
        return time.time_ns() // 1_000 + self._ahead_us

    def time(self) -> float:
        """UTC, in seconds since 1970."""
        return self.now() / 1_000_000

    def advance(
        self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0, milliseconds: float = 0
    ) -> None:
        """Lets time pass, at once; what has become due by then is done when this returns. Time never goes back.

        It blocks the thread it is called in. When what is due has to be answered in the caller's own event loop, such
        as a webhook, use ``advance_async``; this raises ``TimeoutError`` then.
        """
        self._shift(timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, milliseconds=milliseconds))
        self._settle()

    async def advance_async(
        self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0, milliseconds: float = 0
    ) -> None:
        """``advance``, for coroutines: others go on meanwhile."""
        self._shift(timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, milliseconds=milliseconds))
        await self._settle_async()

    def _shift(self, by: timedelta) -> None:
        if by < timedelta(0):
            raise ValueError("time does not go back")
        self._ahead_us += by // timedelta(microseconds=1)


def in_a_coroutine() -> bool:
    """Whether the caller's thread runs an event loop, which stands still while the caller blocks."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
