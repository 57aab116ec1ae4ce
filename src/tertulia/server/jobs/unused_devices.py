"""Forgets devices that were of no use for a year (semantics 7.2), so many at a time."""

from __future__ import annotations

import asyncio

from tertulia.server.clock import Clock
from tertulia.server.domain import callers
from tertulia.server.domain.push import UNUSED_US, ForgetUnusedPush
from tertulia.server.engine.engine import Engine
from tertulia.server.storage.database import Database
from tertulia.server.storage.push import PushRegistrations

STEP = 200
"""How many registrations one transaction forgets at most: for each, its user's reachability may change."""


class UnusedDevices:
    def __init__(self, database: Database, engine: Engine, clock: Clock, step: int = STEP) -> None:
        self._database = database
        self._engine = engine
        self._clock = clock
        self._step = step

    async def forget(self) -> int:
        """All that are due now; how many went."""
        before, total = self._clock.now() - UNUSED_US, 0
        while (account_sid := await self._account(before)) is not None:
            total += await self._engine.execute(
                callers.system(account_sid), ForgetUnusedPush(before=before, limit=self._step)
            )
            await asyncio.sleep(0)
        return total

    async def _account(self, before: int) -> str | None:
        async with self._database.snapshot() as connection:
            return await PushRegistrations(connection).account_with_unused(before)
