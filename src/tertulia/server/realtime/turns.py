"""How much of one kind of work a tick of the event loop takes on; the rest waits for the next ones, in order."""

from __future__ import annotations

import asyncio
from collections import deque


class Turns:
    """Work that never waits for anything would otherwise be done all at once, and everybody else would stand still.

    A thousand clients that come back at once are read to a few per tick; who writes meanwhile waits for these few.
    """

    __slots__ = ("_is_counting", "_left", "_per_tick", "_waiting")

    def __init__(self, per_tick: int) -> None:
        self._per_tick = per_tick
        self._left = per_tick
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_counting = False

    async def take(self) -> None:
        """Returns in this tick if it has room, else in a later one."""
        if not self._is_counting:
            self._is_counting = True
            asyncio.get_running_loop().call_soon(self._next_tick)
        if self._left > 0:
            self._left -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn

    def _next_tick(self) -> None:
        self._left = self._per_tick
        while self._left > 0 and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # cancelled while it waited
                turn.set_result(None)
                self._left -= 1
        self._is_counting = bool(self._waiting)
        if self._is_counting:
            asyncio.get_running_loop().call_soon(self._next_tick)
