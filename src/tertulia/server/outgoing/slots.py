"""How many calls are under way at a time: in all, to each host, and of each account."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class _Host:
    __slots__ = ("slots", "users")

    def __init__(self, slots: int) -> None:
        self.slots = asyncio.Semaphore(slots)
        self.users = 0


class Slots:
    """Hands out slots, to each account in the order of asking. Waiting is bounded by the caller's time limit.

    No account has more slots than it leaves free, so one whose receivers hang always leaves some to others. Calls
    without an account may have them all. The slots of a host are counted for each account by itself.
    """

    def __init__(self, overall: int, per_host: int) -> None:
        self._free = overall
        self._per_host = per_host
        self._hosts: dict[tuple[str | None, str], _Host] = {}
        self._taken: dict[str | None, int] = {}
        # Whoever waits is in it, the next account to be served first.
        self._waiting: dict[str | None, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def one_for(self, host: str, account: str | None = None) -> AsyncIterator[None]:
        """A slot for a call to this host, while the block runs."""
        known = self._hosts.get((account, host))
        if known is None:
            known = self._hosts[account, host] = _Host(self._per_host)
        known.users += 1
        try:
            # The host's own comes first: who waits for a slow host must not hold a slot that others could use.
            async with known.slots:
                await self._take(account)
                try:
                    yield
                finally:
                    self._leave(account)
        finally:
            known.users -= 1
            if not known.users:
                del self._hosts[account, host]

    async def _take(self, account: str | None) -> None:
        if account not in self._waiting and self._has_room(account):
            self._count(account, 1)
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(account, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(account)  # the slot was given, and is not wanted any more
            raise

    def _has_room(self, account: str | None) -> bool:
        return self._free > 0 and (account is None or self._taken.get(account, 0) < self._free)

    def _count(self, account: str | None, more: int) -> None:
        self._free -= more
        taken = self._taken.get(account, 0) + more
        if taken:
            self._taken[account] = taken
        else:
            del self._taken[account]

    def _leave(self, account: str | None) -> None:
        """Gives the slot back, and hands out what may be handed out now, to one account after the other."""
        self._count(account, -1)
        for waiter in list(self._waiting):
            turns = self._waiting.pop(waiter)
            while turns and turns[0].done():  # cancelled while it waited
                turns.popleft()
            if turns and self._has_room(waiter):
                turns.popleft().set_result(None)
                self._count(waiter, 1)
            if turns:
                self._waiting[waiter] = turns
            if not self._free:
                return
