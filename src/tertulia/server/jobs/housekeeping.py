"""Trims what has outlived its use, in small bites, so that nobody waits for it (architecture 13)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from tertulia.server import observe
from tertulia.server.clock import Clock
from tertulia.server.domain.errors import TertuliaError
from tertulia.server.storage.database import Database, StorageError
from tertulia.server.storage.mutations import Mutations
from tertulia.server.storage.outbox_entries import OutboxEntries
from tertulia.server.storage.tombstones import Tombstones

log = logging.getLogger(__name__)

BITE = 500
EVERY_S = 60.0
DAY_US = 24 * 3600 * 1_000_000


class Housekeeping:
    """Removes tombstones, stored answers and ended jobs that are older than the settings say.

    Then each of ``also`` does all that is due, in bites of its own, and says how many rows went.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        tombstone_days: int,
        mutations_s: int,
        done_job_days: int,
        dead_job_days: int,
        also: tuple[Callable[[], Awaitable[int]], ...] = (),
    ) -> None:
        self._database = database
        self._clock = clock
        self._tombstones_us = tombstone_days * DAY_US
        self._mutations_us = mutations_s * 1_000_000
        self._done_us = done_job_days * DAY_US
        self._dead_us = dead_job_days * DAY_US
        self._also = also

    async def trim(self) -> int:
        """Everything that is due now; how much went."""
        total = 0
        now = self._clock.now()
        while True:
            async with self._database.transaction() as connection:
                gone = await Tombstones(connection).trim(now - self._tombstones_us, BITE)
                gone += await Mutations(connection).trim(now - self._mutations_us, BITE)
                jobs = OutboxEntries(connection)
                gone += await jobs.trim("done", now - self._done_us, BITE)
                gone += await jobs.trim("dead", now - self._dead_us, BITE)
            total += gone
            if gone == 0:
                break
            await asyncio.sleep(0)
        for forget in self._also:
            total += await forget()
        return total

    async def run(self) -> None:
        """Trim once a minute until cancelled; a failing database is tried again the next time."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                gone = await self.trim()
            except (StorageError, TertuliaError) as trouble:
                log.warning("housekeeping.failed", extra=observe.fields(why=str(trouble)))
            else:
                if gone:
                    log.info("housekeeping.trimmed", extra=observe.fields(rows=gone))
