"""Accounts side by side: what one of them writes does not queue up in front of the others."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from tertulia.server import observe
from tertulia.server.domain.callers import Caller, CallerKind
from tertulia.server.domain.errors import TOO_MANY_REQUESTS, too_many

R = TypeVar("R")

AT_ONCE: Final = 256
"""Transactions of one account that may be on their way: what one commit covers, so a single account loses nothing."""
MOST_WAITING: Final = 5_000


class Lanes:
    """A lane to the database for each account, ``at_once`` wide; who finds it full waits behind his own account.

    The database serves in order of arrival, so whoever comes waits for at most ``at_once`` of each other account.
    What the server does by itself takes no lane. Nothing is remembered of an account that does nothing.
    """

    def __init__(self, at_once: int = AT_ONCE, most_waiting: int = MOST_WAITING) -> None:
        self._at_once = at_once
        self._most_waiting = most_waiting
        self._running: dict[str, int] = {}
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def through(self, caller: Caller, work: Coroutine[Any, Any, R]) -> R:
        """The work's answer, when its account had room for it. Raises 20429 when too many of the account wait."""
        if caller.kind is CallerKind.SYSTEM:
            return await work
        account = caller.account_sid
        running = self._running.get(account, 0)
        if running < self._at_once:
            self._running[account] = running + 1
        else:
            try:
                await self._wait(account)
            except BaseException:
                work.close()
                raise
        try:
            return await work
        finally:
            self._leave(account)

    async def _wait(self, account: str) -> None:
        waiting = self._waiting.setdefault(account, deque())
        if len(waiting) >= self._most_waiting:
            observe.refused_by("commands_waiting")
            raise too_many(TOO_MANY_REQUESTS)
        place = asyncio.get_running_loop().create_future()
        waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._leave(account)  # the room was given, and is not wanted any more
            raise

    def _leave(self, account: str) -> None:
        """Hands the room over to the next who waits, if there is one."""
        waiting = self._waiting.get(account)
        while waiting:
            place = waiting.popleft()
            if not waiting:
                del self._waiting[account]
            if not place.done():  # cancelled while it waited
                place.set_result(None)
                return
        running = self._running[account] - 1
        if running:
            self._running[account] = running
        else:
            del self._running[account]
