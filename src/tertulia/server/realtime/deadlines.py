"""When to look at a connection although nothing came: one sweep for all of them, no timer each."""

from __future__ import annotations

import asyncio
from typing import Protocol

from tertulia.server.clock import Clock

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
        self._next = self._slot(clock.now())

    def put(self, due: Due, at_us: int | None) -> None:
        """Look at ``due`` at this time, and not at the time it was put down for before."""
        due.due_us = at_us
        if at_us is not None:
            self._slots.setdefault(max(self._slot(at_us) + 1, self._next), []).append(due)

    def sweep(self) -> None:
        """Look at everybody whose time has come."""
        now = self._clock.now()
        reached = self._slot(now)
        while self._next <= reached:
            slot, self._next = self._next, self._next + 1
            for due in self._slots.pop(slot, ()):
                if due.due_us is not None and due.due_us <= now:
                    due.tick(now)

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            self.sweep()

    @staticmethod
    def _slot(at_us: int) -> int:
        return at_us // int(TICK_S * 1_000_000)
