"""Performs what the outbox holds (architecture 7).

Lease, perform, settle: a transaction before, a transaction after, none in between. What is performed at a time is
bounded, in all, per receiver, and per account: no account has more calls under way than places are left, so some are
always left to others, and to what the server does by itself. A time limit ends an attempt well before its lease, so a
late call cannot pass the one that follows it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tertulia.server import observe
from tertulia.server.clock import Clock
from tertulia.server.domain.jobs import Job
from tertulia.server.randomness import Randomness
from tertulia.server.settings import JobsSettings
from tertulia.server.storage.database import Database, StorageError
from tertulia.server.storage.outbox import Leased, Outbox, full_of
from tertulia.server.storage.outbox_entries import OutboxEntries

from .attempts import Attempts, Kind, where
from .performing import Performer

log = logging.getLogger(__name__)

Performers = Mapping[type[Job], Performer[Any]]

EXPIRED_AT_ONCE: Final = 500
SAMPLE_S: Final = 15.0
LOOK_S: Final = 0.001
LOOK_REST: Final = 9
"""Looking in vain past thousands of due jobs of a receiver that has its share takes a tenth of the time at most."""


class Worker:
    """Performs jobs of the kinds it has performers for, and leaves others alone. One per process."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        performers: Performers,
        settings: JobsSettings | None = None,
        *,
        name: str = "worker",
        randomness: Randomness | None = None,
        grace_s: float = 5.0,
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings or JobsSettings()
        self._name = name
        self._grace_s = grace_s
        self._known = {
            kind.__name__: Kind(msgspec.json.Decoder(kind).decode, performer) for kind, performer in performers.items()
        }
        self._kinds = sorted(self._known)
        self._attempts = Attempts(database, clock, self._known, self._settings, randomness or Randomness())
        self._performing: dict[asyncio.Task[None], Leased] = {}
        self._busy: Counter[str] = Counter()
        # Jobs that call somebody, by account.
        self._calling: Counter[str] = Counter()
        self._awake = asyncio.Event()
        # What one has leased it has begun when the next looks: nothing is ever under way without being known here.
        self._taking = asyncio.Lock()
        self._is_stopping = False
        self._at_rest = asyncio.Event()
        self._at_rest.set()
        self._look_s = 0.0
        self._sampled_at = -SAMPLE_S
        self._wondered_at: set[str] = set()

    def wake(self) -> None:
        """Something was promised: look now. Costs nothing; for use after the commit."""
        self._awake.set()

    # -- looking for work ---------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Perform what becomes due, until stopped or cancelled; a failing database is tried again."""
        self._at_rest.clear()
        try:
            while not self._is_stopping:
                self._awake.clear()
                wait_s = self._settings.poll_s
                try:
                    await self._sample()
                    if await self._take():
                        continue
                    wait_s = await self._until_due()
                    if self._look_s > LOOK_S:
                        await asyncio.sleep(min(self._look_s * LOOK_REST, wait_s))
                except StorageError as trouble:
                    log.warning("jobs.unavailable", extra=observe.fields(why=str(trouble)))
                except Exception as error:  # a mistake of ours is no reason to owe everything to everybody for good
                    log.error("jobs.failed", extra=observe.fields(**where(error)))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._awake.wait(), wait_s)
        finally:
            self._at_rest.set()

    async def run_due(self) -> int:
        """Perform all that is due now, and what becomes due by it, until nothing is; how many attempts that were."""
        begun = 0
        while True:
            begun += await self._take()
            if not self._performing:
                return begun
            await asyncio.wait(self._performing, return_when=asyncio.FIRST_COMPLETED)

    async def stop(self) -> None:
        """Lease nothing more; finish what is being performed while there is time, then let the leases go."""
        self._is_stopping = True
        self.wake()
        await self._at_rest.wait()
        if self._performing:
            await asyncio.wait(self._performing, timeout=self._grace_s)
        cut_off = dict(self._performing)
        for task in cut_off:
            task.cancel()
        if cut_off:
            await asyncio.wait(cut_off)
            try:
                async with self._database.transaction() as connection:
                    await Outbox(connection).release(
                        [leased.attempt for leased in cut_off.values()], "the server stopped while it was performed"
                    )
            except StorageError as trouble:  # then the leases run out
                log.warning("jobs.unavailable", extra=observe.fields(why=str(trouble)))

    async def _take(self) -> int:
        """Lease what is due, as far as there is room, and begin to perform it; how many. Zero: nothing can be begun."""
        async with self._taking:
            return await self._take_alone()

    async def _take_alone(self) -> int:
        now, limit = self._clock.now(), self._settings.concurrency - len(self._performing)
        if limit <= 0 or not self._kinds:
            return 0
        full = full_of(self._busy, self._settings.per_receiver)
        full_accounts = [account for account, count in self._calling.items() if count >= limit]
        async with self._database.snapshot() as connection:
            outbox, started = Outbox(connection), time.perf_counter()
            is_work = await outbox.has_expired(now) or await outbox.is_due(now, self._kinds, full, full_accounts)
            self._look_s = time.perf_counter() - started
        if not is_work:
            return 0
        async with self._database.transaction() as connection:
            outbox = Outbox(connection)
            # What is still performed here ends by itself, in its time: a lease of it has run out by a clock that leapt.
            mine = [leased.attempt.job_id for leased in self._performing.values()]
            await outbox.expire(now, EXPIRED_AT_ONCE, mine)
            taken = await outbox.lease(
                self._name,
                now=now,
                lease_s=self._settings.lease_s,
                limit=limit,
                kinds=self._kinds,
                per_receiver=self._settings.per_receiver,
                busy=self._busy,
                busy_accounts=self._calling,
            )
        for leased in taken:
            self._begin(leased)
        return len(taken)

    def _begin(self, leased: Leased) -> None:
        task = asyncio.create_task(self._attempts.make(leased))
        self._performing[task] = leased
        self._count(leased, 1)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        leased = self._performing.pop(task)
        self._count(leased, -1)
        self.wake()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("job.failed", extra=observe.fields(kind=leased.kind, job=leased.attempt.job_id, **where(error)))

    def _count(self, leased: Leased, more: int) -> None:
        """Keep count of what is being performed for its receiver, and in the name of its account."""
        if leased.receiver is None:
            return
        for counts, name in ((self._busy, leased.receiver), (self._calling, leased.account_sid)):
            if name is not None:
                counts[name] += more
                if not counts[name]:
                    del counts[name]

    async def _until_due(self) -> float:
        """Seconds to wait: for the next job that is not due yet, or to look what other processes have promised."""
        if len(self._performing) >= self._settings.concurrency or not self._kinds:
            return self._settings.poll_s
        now = self._clock.now()
        async with self._database.snapshot() as connection:
            due_at = await Outbox(connection).next_due(now, self._kinds)
        return self._settings.poll_s if due_at is None else min(self._settings.poll_s, (due_at - now) / 1_000_000)

    async def _sample(self) -> None:
        """From time to time: count what waits, and look for queues that stand still, which there should not be."""
        at = time.monotonic()
        if at - self._sampled_at < SAMPLE_S:
            return
        self._sampled_at = at
        async with self._database.snapshot() as connection:
            waiting = await OutboxEntries(connection).waiting(self._clock.now())
            headless = await Outbox(connection).headless()
        if headless:
            async with self._database.transaction() as connection:
                await Outbox(connection).mend()
        strange = {kind: count for kind, count in waiting.items() if kind not in self._known}
        for kind in strange.keys() - self._wondered_at:
            # Of a newer release, perhaps, that will come back; or of one whose jobs were not all done.
            log.warning("job.unknown_kind", extra=observe.fields(kind=kind))
            self._wondered_at.add(kind)
        for kind in self._kinds:
            observe.JOBS_WAITING.labels(kind).set(waiting.get(kind, 0))
        observe.JOBS_WAITING.labels("unknown").set(sum(strange.values()))
