"""Places that are waited for: so many for each of many, and before them lines that are bounded in length and time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Queues:
    """Who comes first goes first. Nothing is remembered of who has no place and wants none."""

    def __init__(self, at_once: int, waiting: int, wait_s: float) -> None:
        """``at_once`` are the places of each, ``waiting`` all who wait for one, whosever it is, each ``wait_s``."""
        self._at_once = at_once
        self._most_waiting = waiting
        self._wait_s = wait_s
        self._taken: dict[str, int] = {}
        self._lines: dict[str, deque[asyncio.Future[None]]] = {}
        self.waiting = 0

    @asynccontextmanager
    async def place_for(self, whose: str) -> AsyncIterator[bool]:
        """Whether there is a place; it is taken while the block runs."""
        if not await self._place(whose):
            yield False
            return
        try:
            yield True
        finally:
            self._leave(whose)

    async def _place(self, whose: str) -> bool:
        if self._taken.get(whose, 0) < self._at_once:
            self._taken[whose] = self._taken.get(whose, 0) + 1
            return True
        if self.waiting >= self._most_waiting:
            return False
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line = self._lines.setdefault(whose, deque())
        line.append(turn)
        self.waiting += 1
        try:
            await asyncio.wait([turn], timeout=self._wait_s)
        except asyncio.CancelledError:
            if turn.done():
                self._leave(whose)
            raise
        finally:
            self.waiting -= 1
            if not turn.done():
                line.remove(turn)
                if not line:
                    del self._lines[whose]
        return turn.done()

    def _leave(self, whose: str) -> None:
        """Whoever has waited longest has the place then."""
        line = self._lines.get(whose)
        if line:
            line.popleft().set_result(None)
            if not line:
                del self._lines[whose]
            return
        left = self._taken[whose] - 1
        if left:
            self._taken[whose] = left
        else:
            del self._taken[whose]
