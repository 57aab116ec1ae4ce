"""Waking up when it is time, and noticing when we were away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


class Pulse:
    """Calls ``woke`` when the deadline has come, and at least every ``every_s`` seconds; no task, one timer.

    ``woke`` is told whether this process was away meanwhile: the timer came late (it was stopped, or did not get a
    turn), or the world's clock went on without ours (the machine slept, and a monotonic clock sleeps with it).
    """

    def __init__(
        self, every_s: float, jump_s: float, wall: Callable[[], float], woke: Callable[[float, bool], None]
    ) -> None:
        self._every_s = every_s
        self._jump_s = jump_s
        self._wall = wall
        self._woke = woke
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._beat = (0.0, 0.0)

    def begin(self) -> None:
        """From now on."""
        self._beat = (time.monotonic(), self._wall())
        self.arm(None)

    def arm(self, deadline: float | None) -> None:
        """Wake at this moment of the monotonic clock, or before."""
        now = time.monotonic()
        due = now + self._every_s
        if deadline is not None and deadline < due:
            due = deadline
        if self._timer is not None:
            if self._due <= due:
                return  # it wakes early enough, and will look again
            self._timer.cancel()
        self._due = due
        self._timer = asyncio.get_running_loop().call_later(max(0.0, due - now), self._wake)

    def stop(self) -> None:
        """No more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        self._timer = None
        now, wall = time.monotonic(), self._wall()
        slept = (wall - self._beat[1]) - (now - self._beat[0])
        self._beat = (now, wall)
        was_away = now - self._due > self._jump_s or slept > self._jump_s
        if was_away:
            log.info("connection.was_away")
        self._woke(now, was_away)
