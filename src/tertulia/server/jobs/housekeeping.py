"""Trims what has outlived its use, in small bites, so that nobody waits for it (architecture 13)."""

from __future__ import annotations

import asyncio
import logging

from tertulia.server import observe
from tertulia.server.clock import Clock
from tertulia.server.storage.database import Database, StorageError
from tertulia.server.storage.mutations import Mutations
from tertulia.server.storage.tombstones import Tombstones

log = logging.getLogger(__name__)

BITE = 500
EVERY_S = 60.0
DAY_US = 24 * 3600 * 1_000_000


class Housekeeping:
    """Removes tombstones and stored answers that are older than the settings say."""

    def __init__(self, database: Database, clock: Clock, *, tombstone_days: int, mutations_s: int) -> None:
        self._database = database
        self._clock = clock
        self._tombstones_us = tombstone_days * DAY_US
        self._mutations_us = mutations_s * 1_000_000

    async def trim(self) -> int:
        """Everything that is due now; how much went."""
        total = 0
        now = self._clock.now()
        while True:
            async with self._database.transaction() as connection:
                gone = await Tombstones(connection).trim(now - self._tombstones_us, BITE)
                gone += await Mutations(connection).trim(now - self._mutations_us, BITE)
            total += gone
            if gone == 0:
                return total
            await asyncio.sleep(0)

    async def run(self) -> None:
        """Trim once a minute until cancelled; a failing database is tried again the next time."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                gone = await self.trim()
            except StorageError as trouble:
                log.warning("housekeeping.failed", extra=observe.fields(why=str(trouble)))
            else:
                if gone:
                    log.info("housekeeping.trimmed", extra=observe.fields(rows=gone))
