"""What is told of pushes is kept some days, then forgotten in small bites."""

from __future__ import annotations

import asyncio

from tertulia.server.clock import Clock
from tertulia.server.storage.database import Database
from tertulia.server.storage.notices import Notices

BITE = 500
"""Deliveries that go in one transaction: a notice may have thousands."""
DAY_US = 24 * 3600 * 1_000_000


class PushLog:
    def __init__(self, database: Database, clock: Clock, days: int) -> None:
        self._database = database
        self._clock = clock
        self._kept_us = days * DAY_US

    async def trim(self) -> int:
        """Forget all that is older; how many rows went."""
        total = 0
        while True:
            async with self._database.transaction() as connection:
                gone = await Notices(connection).trim(self._clock.now() - self._kept_us, BITE)
            if not gone:
                return total
            total += gone
            await asyncio.sleep(0)
