"""How much of one kind of work a tick of the event loop takes on; the rest waits for the next ones, in turn."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable

from tertulia.server import observe
from tertulia.server.domain.errors import TOO_MANY_REQUESTS, too_many

_Turn = asyncio.Future[None]


class Turns:
    """Work that never waits for anything would otherwise be done all at once, and everybody else would stand still.

    A thousand clients that come back at once are read to a few per tick; who writes meanwhile waits for these few.
    Those who wait are served round robin: first the accounts, then those within each, each in its own order. Who wants
    hundreds of turns waits for itself, and an account with thousands of users for its own.
    """

    __slots__ = ("_accounts", "_is_counting", "_left", "_most_waiting", "_per_tick")

    def __init__(self, per_tick: int, most_waiting: int | None = None) -> None:
        self._per_tick = per_tick
        self._left = per_tick
        self._most_waiting = most_waiting
        # Whoever waits is in it, the next account to be served first.
        self._accounts: dict[Hashable, _Account] = {}
        self._is_counting = False

    def is_wanted_by(self, account: Hashable, key: Hashable) -> bool:
        """Whether others of this account wait under the same key."""
        group = self._accounts.get(account)
        return group is not None and key in group.waiting

    async def take(self, account: Hashable, key: Hashable) -> None:
        """Returns in this tick if it has room, else when it is the turn of ``key`` and of those before it.

        Raises 20429 when too many of the account wait; never without ``most_waiting``.
        """
        if not self._is_counting:
            self._is_counting = True
            asyncio.get_running_loop().call_soon(self._next_tick)
        if self._left > 0:
            self._left -= 1
            return
        group = self._accounts.get(account)
        if group is None:
            group = self._accounts[account] = _Account()
        elif group.count == self._most_waiting:
            observe.refused_by("requests_waiting")
            raise too_many(TOO_MANY_REQUESTS)
        turn = asyncio.get_running_loop().create_future()
        group.add(key, turn)
        await turn

    def _next_tick(self) -> None:
        if not self._accounts:
            self._left = self._per_tick
            self._is_counting = False
            return
        left = self._per_tick
        while left > 0 and self._accounts:
            account = next(iter(self._accounts))
            group = self._accounts.pop(account)
            turn = group.next()
            if group.count:
                self._accounts[account] = group
            if not turn.done():  # cancelled while it waited
                turn.set_result(None)
                left -= 1
        # What is left is nobody's: who comes now would overtake those who have just been woken.
        asyncio.get_running_loop().call_soon(self._next_tick)


class _Account:
    """Those of one account who wait."""

    __slots__ = ("count", "order", "waiting")

    def __init__(self) -> None:
        self.count = 0
        self.waiting: dict[Hashable, deque[_Turn]] = {}
        # Holds each key once, the next to be served first.
        self.order: deque[Hashable] = deque()

    def add(self, key: Hashable, turn: _Turn) -> None:
        waiting = self.waiting.get(key)
        if waiting is None:
            waiting = self.waiting[key] = deque()
            self.order.append(key)
        waiting.append(turn)
        self.count += 1

    def next(self) -> _Turn:
        key = self.order.popleft()
        waiting = self.waiting[key]
        turn = waiting.popleft()
        if waiting:
            self.order.append(key)
        else:
            del self.waiting[key]
        self.count -= 1
        return turn
