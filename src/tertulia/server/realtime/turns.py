"""How much of one kind of work a tick of the event loop takes on; the rest waits for the next ones, in turn."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable


class Turns:
    """Work that never waits for anything would otherwise be done all at once, and everybody else would stand still.

    A thousand clients that come back at once are read to a few per tick; who writes meanwhile waits for these few.
    Those who wait are served round robin, each in its own order: who wants hundreds of turns waits for itself.
    """

    __slots__ = ("_is_counting", "_left", "_order", "_per_tick", "_waiting")

    def __init__(self, per_tick: int) -> None:
        self._per_tick = per_tick
        self._left = per_tick
        # Whoever waits is in both; the order holds each key once, the next to be served first.
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}
        self._order: deque[Hashable] = deque()
        self._is_counting = False

    def is_wanted_by(self, key: Hashable) -> bool:
        """Whether others wait under the same key."""
        return key in self._waiting

    async def take(self, key: Hashable) -> None:
        """Returns in this tick if it has room, else when it is the turn of ``key`` and of those before it."""
        if not self._is_counting:
            self._is_counting = True
            asyncio.get_running_loop().call_soon(self._next_tick)
        if self._left > 0:
            self._left -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = deque()
            self._order.append(key)
        waiting.append(turn)
        await turn

    def _next_tick(self) -> None:
        if not self._order:
            self._left = self._per_tick
            self._is_counting = False
            return
        left = self._per_tick
        while left > 0 and self._order:
            key = self._order.popleft()
            waiting = self._waiting[key]
            turn = waiting.popleft()
            if waiting:
                self._order.append(key)
            else:
                del self._waiting[key]
            if not turn.done():  # cancelled while it waited
                turn.set_result(None)
                left -= 1
        # What is left is nobody's: who comes now would overtake those who have just been woken.
        asyncio.get_running_loop().call_soon(self._next_tick)
