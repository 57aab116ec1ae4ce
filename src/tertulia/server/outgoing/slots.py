"""How many calls are under way at a time: in all, and to each host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class _Host:
    __slots__ = ("slots", "users")

    def __init__(self, slots: int) -> None:
        self.slots = asyncio.Semaphore(slots)
        self.users = 0


class Slots:
    """Hands out slots in the order of asking. Waiting is bounded by the caller's time limit."""

    def __init__(self, overall: int, per_host: int) -> None:
        self._overall = asyncio.Semaphore(overall)
        self._per_host = per_host
        self._hosts: dict[str, _Host] = {}

    @asynccontextmanager
    async def one_for(self, host: str) -> AsyncIterator[None]:
        """A slot for a call to this host, while the block runs."""
        known = self._hosts.get(host)
        if known is None:
            known = self._hosts[host] = _Host(self._per_host)
        known.users += 1
        try:
            # The host's own comes first: who waits for a slow host must not hold a slot that others could use.
            async with known.slots, self._overall:
                yield
        finally:
            known.users -= 1
            if not known.users:
                del self._hosts[host]
