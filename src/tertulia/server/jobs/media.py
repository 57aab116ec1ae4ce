"""What becomes of files that nobody needs any more: their rows first, then their bytes, in small bites.

A crash between an upload's bytes and its row leaves bytes alone; ``BlobSweep`` finds them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Final

from tertulia.server import observe
from tertulia.server.blobs.base import BlobError, BlobInfo, Blobs
from tertulia.server.clock import Clock
from tertulia.server.domain import callers
from tertulia.server.domain.jobs import Attempt
from tertulia.server.domain.media import ForgetOrphans, RemoveBlob, is_media_sid
from tertulia.server.engine.engine import Engine
from tertulia.server.engine.media_queries import MediaQueries
from tertulia.server.settings import MediaSettings

from .performing import TryAgain
from .retry import RetryPolicy

log = logging.getLogger(__name__)

STEP: Final = 100
"""Files that one transaction removes, and blobs that one statement looks up."""
PAUSE_S: Final = 0.01
SWEEP_EVERY_US: Final = 6 * 3600 * 1_000_000
SPARED_US: Final = 3600 * 1_000_000
"""Bytes younger than this may belong to an upload that is under way."""
_DAY_US: Final = 24 * 3600 * 1_000_000

_POLICY: Final = RetryPolicy(attempts=30, first_wait_s=5.0, last_wait_s=3600.0)
"""For a day or so; then ``BlobSweep`` has found them."""


class BlobRemover:
    """Performs ``RemoveBlob``."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def policy(self, _job: RemoveBlob, /) -> RetryPolicy:
        return _POLICY

    async def __call__(self, job: RemoveBlob, _attempt: Attempt, /) -> None:
        try:
            await self._blobs.remove(job.blob)
        except BlobError as trouble:
            raise TryAgain("the store of blobs is unavailable") from trouble


class OrphanRemover:
    """Removes uploads that were not attached in time, and what was long enough in quarantine (semantics 4.8)."""

    def __init__(
        self, queries: MediaQueries, engine: Engine, clock: Clock, settings: MediaSettings, step: int = STEP
    ) -> None:
        self._queries = queries
        self._engine = engine
        self._clock = clock
        self._settings = settings
        self._step = step

    async def forget(self) -> int:
        """All that are due now; how many went."""
        before, quarantined_before = due_before(self._clock.now(), self._settings)
        total = 0
        while (account_sid := await self._queries.account_with_orphans(before, quarantined_before)) is not None:
            gone = await self._engine.execute(
                callers.system(account_sid),
                ForgetOrphans(before=before, quarantined_before=quarantined_before, most=self._step),
            )
            if gone == 0:  # what was due has been attached or removed meanwhile; the next look will tell
                break
            total += gone
            await asyncio.sleep(0)
        return total


def due_before(now: int, settings: MediaSettings) -> tuple[int, int]:
    """Uploads from before the first moment are orphans; what is in quarantine since before the second may go."""
    return now - settings.orphan_s * 1_000_000, now - settings.quarantine_days * _DAY_US


class BlobSweep:
    """Removes bytes without a row, four times a day."""

    def __init__(
        self, blobs: Blobs, folder: str, queries: MediaQueries, clock: Clock, pause_s: float = PAUSE_S
    ) -> None:
        self._blobs = blobs
        self._folder = folder
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
        try:
            async for blob in strays(self._blobs, self._folder, self._queries, now, self._pause_s):
                await self._blobs.remove(blob.key)
                total += 1
        except BlobError as trouble:
            log.warning("media.sweep_failed", extra=observe.fields(why=str(trouble)))
        return total


async def strays(
    blobs: Blobs, folder: str, queries: MediaQueries, now: int, pause_s: float = 0.0
) -> AsyncIterator[BlobInfo]:
    """The blobs of an installation's uploads that have no row, and are too old to be on their way."""
    batch: list[BlobInfo] = []
    async for blob in blobs.list(f"{folder}/"):
        if blob.stored_at < now - SPARED_US and is_media_sid(blob.key.rpartition("/")[2]):
            batch.append(blob)
        if len(batch) == STEP:
            for stray in await _unknown(queries, batch):
                yield stray
            batch = []
            await asyncio.sleep(pause_s)
    for stray in await _unknown(queries, batch):
        yield stray


async def _unknown(queries: MediaQueries, batch: list[BlobInfo]) -> list[BlobInfo]:
    known = await queries.known_blobs([blob.key for blob in batch])
    return [blob for blob in batch if blob.key not in known]


class MediaCount:
    """Shows in the metrics what there is."""

    def __init__(self, queries: MediaQueries) -> None:
        self._queries = queries

    async def look(self) -> int:
        """Nothing goes."""
        usage = await self._queries.usage_of_all()
        observe.MEDIA_FILES.set(usage.files)
        observe.MEDIA_BYTES.set(usage.size)
        return 0
