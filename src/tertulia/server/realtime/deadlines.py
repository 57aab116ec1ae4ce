"""When to look at a connection although nothing came: one sweep for all of them, no timer each."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from tertulia.server.clock import Clock

log = logging.getLogger(__name__)

TICK_S = 0.25


class Due(Protocol):
    due_us: int | None
    """The time it was last put down for; the sweep drops it at any other."""

    def tick(self, now_us: int) -> None: ...


class Deadlines:
    """A wheel of quarter seconds. Connections put themselves down again after each look."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._slots: dict[int, list[Due]] = {}

    def put(self, due: Due, at_us: int | None) -> None:
        """Look at ``due`` at this time, and not at the time it was put down for before."""
        due.due_us = at_us
        if at_us is not None:
            self._slots.setdefault(self._slot(at_us) + 1, []).append(due)

    def sweep(self) -> None:
        """Look at everybody whose time has come."""
        now = self._clock.now()
        reached = self._slot(now)
        # Not slot after slot since the last time: a clock can be set, forward by years, or back.
        for slot in sorted(slot for slot in self._slots if slot <= reached):
            for due in self._slots.pop(slot):
                if due.due_us is not None and due.due_us <= now:
                    self._look_at(due, now)

    @staticmethod
    def _look_at(due: Due, now: int) -> None:
        due.due_us = None
        try:
            due.tick(now)
        except Exception:  # one of the request edges
            log.exception("deadlines.failed")

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            self.sweep()

    @staticmethod
    def _slot(at_us: int) -> int:
        return at_us // int(TICK_S * 1_000_000)
