"""Forgets what came in, a week after, and bytes that no arrival waits for."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from tertulia.server import observe
from tertulia.server.blobs.base import BlobError, Blobs
from tertulia.server.clock import Clock
from tertulia.server.domain.arrivals import HEARD_US, KNOWN_US
from tertulia.server.engine.arrival_store import spool
from tertulia.server.engine.inbound_queries import InboundQueries
from tertulia.server.storage.arrivals import Arrivals
from tertulia.server.storage.database import Database
from tertulia.server.storage.opt_outs import LastHeard

log = logging.getLogger(__name__)

BITE: Final = 500
STEP: Final = 100
"""Blobs that one statement looks up."""
PAUSE_S: Final = 0.01
SWEEP_EVERY_US: Final = 6 * 3600 * 1_000_000
SPARED_US: Final = 3600 * 1_000_000
"""Bytes younger than this may belong to an arrival that is on its way."""


class ArrivalTrim:
    """Forgets the names of arrivals when nobody brings them again (semantics 4.3), and when people last wrote."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def trim(self) -> int:
        """Everything that is due now; how many went."""
        total = 0
        while True:
            async with self._database.transaction() as connection:
                gone = await Arrivals(connection).trim(self._clock.now() - KNOWN_US, BITE)
                gone += await LastHeard(connection).trim(self._clock.now() - HEARD_US, BITE)
            total += gone
            if gone == 0:
                return total
            await asyncio.sleep(0)


class SpoolSweep:
    """Removes bytes that no arrival waits for, four times a day: a crash between the two leaves them."""

    def __init__(
        self, blobs: Blobs, folder: str, queries: InboundQueries, clock: Clock, pause_s: float = PAUSE_S
    ) -> None:
        self._blobs = blobs
        self._prefix = spool(folder)
        self._queries = queries
        self._clock = clock
        self._pause_s = pause_s
        # Not at once: who has just started has other things to do.
        self._next_at = clock.now() + SPARED_US

    async def sweep(self) -> int:
        """All there are now; how many went. Nothing until it is time again."""
        now, total = self._clock.now(), 0
        if now < self._next_at:
            return 0
        self._next_at = now + SWEEP_EVERY_US
        batch: list[str] = []
        try:
            async for blob in self._blobs.list(self._prefix):
                if blob.stored_at < now - SPARED_US:
                    batch.append(blob.key)
                if len(batch) == STEP:
                    total += await self._remove(batch)
                    batch = []
                    await asyncio.sleep(self._pause_s)
            total += await self._remove(batch)
        except BlobError as trouble:
            log.warning("channel.sweep_failed", extra=observe.fields(why=str(trouble)))
        return total

    async def _remove(self, keys: list[str]) -> int:
        """Those of them whose arrival does not wait; how many that were."""
        arrival_of = {key: key.removeprefix(self._prefix).partition("/")[0] for key in keys}
        waiting = await self._queries.waiting_among(set(arrival_of.values()))
        strays = [key for key in keys if arrival_of[key] not in waiting]
        for key in strays:
            await self._blobs.remove(key)
        return len(strays)
