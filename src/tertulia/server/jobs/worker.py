"""Performs what the outbox holds (architecture 7).

Lease, perform, settle: a transaction before, a transaction after, none in between. What is performed at a time is
bounded, in all and per receiver. A time limit ends an attempt well before its lease, so a late call cannot pass the
one that follows it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from uuid import uuid4

import msgspec

from tertulia.server import observe
from tertulia.server.clock import Clock
from tertulia.server.domain.jobs import Attempt, Job, LeaseLost
from tertulia.server.randomness import Randomness
from tertulia.server.settings import JobsSettings
from tertulia.server.storage.database import Database, StorageError
from tertulia.server.storage.outbox import Leased, Outbox
from tertulia.server.storage.outbox_entries import OutboxEntries

from .performing import SETTLED, CarryOn, GiveUp, Performer, TryAgain
from .retry import RetryPolicy

log = logging.getLogger(__name__)

Performers = Mapping[type[Job], Performer[Any]]

TIME_LIMIT: Final = 0.75
"""Part of a lease that performing may take; the rest is for settling, and for clocks that differ."""
LOST_LEASES: Final = 5
"""A job that has lost so many leases more than it has attempts ends the processes that perform it: it is given up."""
EXPIRED_AT_ONCE: Final = 500
SAMPLE_S: Final = 15.0
SETTLE_AGAIN_S: Final = (0.1, 1.0)
"""Waits before a settlement that the database refused is tried again."""


class _Kind(NamedTuple):
    decode: Callable[[str], Job]
    performer: Performer[Any]


class _Failed(NamedTuple):
    """How an attempt ended that did not succeed."""

    why: str
    wait_s: float | None
    """Until the next attempt; None: there is no other."""


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
        self._randomness = randomness or Randomness()
        self._grace_s = grace_s
        self._known = {
            kind.__name__: _Kind(msgspec.json.Decoder(kind).decode, performer) for kind, performer in performers.items()
        }
        self._kinds = sorted(self._known)
        self._performing: dict[asyncio.Task[None], Leased] = {}
        self._busy: Counter[str] = Counter()
        self._awake = asyncio.Event()
        self._is_stopping = False
        self._at_rest = asyncio.Event()
        self._at_rest.set()
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
                except StorageError as trouble:
                    log.warning("jobs.unavailable", extra=observe.fields(why=str(trouble)))
                except Exception as error:  # a mistake of ours is no reason to owe everything to everybody for good
                    log.error("jobs.failed", extra=observe.fields(**_where(error)))
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
        now, limit = self._clock.now(), self._settings.concurrency - len(self._performing)
        if limit <= 0 or not self._kinds:
            return 0
        full = [receiver for receiver, count in self._busy.items() if count >= self._settings.per_receiver]
        async with self._database.snapshot() as connection:
            outbox = Outbox(connection)
            if not await outbox.has_expired(now) and not await outbox.is_due(now, self._kinds, full):
                return 0
        async with self._database.transaction() as connection:
            outbox = Outbox(connection)
            await outbox.expire(now, EXPIRED_AT_ONCE)
            taken = await outbox.lease(
                self._name,
                now=now,
                lease_s=self._settings.lease_s,
                limit=limit,
                kinds=self._kinds,
                per_receiver=self._settings.per_receiver,
                busy=self._busy,
            )
        for leased in taken:
            self._begin(leased)
        return len(taken)

    def _begin(self, leased: Leased) -> None:
        task = asyncio.create_task(self._perform(leased))
        self._performing[task] = leased
        if leased.receiver is not None:
            self._busy[leased.receiver] += 1
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        leased = self._performing.pop(task)
        if leased.receiver is not None:
            self._busy[leased.receiver] -= 1
            if not self._busy[leased.receiver]:
                del self._busy[leased.receiver]
        self.wake()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("job.failed", extra=observe.fields(kind=leased.kind, job=leased.attempt.job_id, **_where(error)))

    async def _until_due(self) -> float:
        """Seconds to wait: for the next job that is not due yet, or to look what other processes have promised."""
        if len(self._performing) >= self._settings.concurrency or not self._kinds:
            return self._settings.poll_s
        now = self._clock.now()
        async with self._database.snapshot() as connection:
            due_at = await Outbox(connection).next_due(now, self._kinds)
        return self._settings.poll_s if due_at is None else min(self._settings.poll_s, (due_at - now) / 1_000_000)

    async def _sample(self) -> None:
        """From time to time: count what waits, and look for what no release before this one knew how to lose."""
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

    # -- performing ---------------------------------------------------------------------------------------------------

    async def _perform(self, leased: Leased) -> None:
        observe.request_id.set(leased.attempt.trace or "")
        observe.account.set(leased.account_sid or "")
        started = time.perf_counter()
        try:
            outcome = await self._attempt(leased)
        except LeaseLost:
            self._say(leased, "lost", started)
            return
        if outcome is SETTLED:
            self._say(leased, "done", started)
            return
        await self._settle(leased, outcome, started)

    async def _attempt(self, leased: Leased) -> Any:
        """What the performer returns, or ``_Failed``. Raises ``LeaseLost``."""
        decode, performer = self._known[leased.kind]
        attempt = leased.attempt
        try:
            job = decode(leased.payload)
        except msgspec.MsgspecError:
            return _Failed("what it holds cannot be read: it is of another release", None)
        policy: RetryPolicy | None = None
        asked_s: float | None = None
        limit = asyncio.timeout(self._settings.lease_s * TIME_LIMIT)
        try:
            policy = performer.policy(job)
            if attempt.of_step > policy.attempts + LOST_LEASES:
                return _Failed("its lease ran out again and again", None)
            async with limit:
                return await performer(job, attempt)
        except LeaseLost:
            raise
        except GiveUp as end:
            return _Failed(end.why, None)
        except TryAgain as again:
            why, asked_s = again.why, again.after_s
        except Exception as error:  # whatever it is, the job must not be lost, nor the worker
            if isinstance(error, TimeoutError) and limit.expired():
                why = "the time limit ran out"
            else:
                why = type(error).__name__
                log.error("job.failed", extra=observe.fields(kind=leased.kind, job=attempt.job_id, **_where(error)))
        if policy is None:
            policy = _OF_A_BROKEN_PERFORMER
        age_s = (self._clock.now() - attempt.promised_at) / 1_000_000
        return _Failed(why, policy.wait_s(attempt.of_step, age_s, self._chance(), asked_s))

    def _chance(self) -> float:
        return int.from_bytes(self._randomness.draw(4), "big") / (1 << 32)

    # -- settling -----------------------------------------------------------------------------------------------------

    async def _settle(self, leased: Leased, failed: _Failed | CarryOn | None, started: float) -> None:
        for wait_s in (*SETTLE_AGAIN_S, None):
            try:
                async with self._database.transaction() as connection:
                    outcome, due_at = await self._record(connection, leased.attempt, failed)
            except StorageError as trouble:
                if wait_s is None:
                    log.error(
                        "job.unsettled",
                        extra=observe.fields(kind=leased.kind, job=leased.attempt.job_id, why=str(trouble)),
                    )
                    return  # the lease runs out, and it is performed again
                await asyncio.sleep(wait_s)
            else:
                self._say(leased, outcome, started, failed if isinstance(failed, _Failed) else None, due_at)
                return

    async def _record(
        self, connection: Any, attempt: Attempt, failed: _Failed | CarryOn | None
    ) -> tuple[str, int | None]:
        """The outcome's name, and when the next attempt is due."""
        now = self._clock.now()
        outbox = Outbox(connection, done_at=now if self._settings.keep_done_days else None)
        if failed is None:
            return ("done" if await outbox.settle(attempt) else "lost"), None
        if isinstance(failed, CarryOn):
            goes_on = await outbox.carry_on(attempt, failed.following, now, str(uuid4()))
            return ("done" if goes_on else "lost"), None
        why = observe.masked(failed.why)
        if failed.wait_s is None:
            return ("dead" if await outbox.bury(attempt, now, why) else "lost"), None
        due_at = now + int(failed.wait_s * 1_000_000)
        return ("retry" if await outbox.postpone(attempt, due_at, why) else "lost"), due_at

    def _say(
        self, leased: Leased, outcome: str, started: float, failed: _Failed | None = None, due_at: int | None = None
    ) -> None:
        took_s = time.perf_counter() - started
        observe.job_meter(leased.kind).done(outcome, took_s)
        facts: dict[str, Any] = {
            "kind": leased.kind,
            "job": leased.attempt.job_id,
            "attempt": leased.attempt.number,
            "ms": round(took_s * 1000, 1),
        }
        if outcome == "done":
            observe.info(log, "job.done", **facts)
            return
        if failed is not None:
            facts["why"] = failed.why
        if due_at is not None:
            facts["next"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(due_at // 1_000_000))
        level = logging.ERROR if outcome == "dead" else logging.WARNING
        log.log(level, f"job.{outcome}", extra=observe.fields(**facts))  # noqa: G004 (one of a closed set)


_OF_A_BROKEN_PERFORMER: Final = RetryPolicy(attempts=10, first_wait_s=10.0)
"""For a performer that cannot even say what its policy is."""


def _where(error: BaseException) -> dict[str, str]:
    """What went wrong and where. Not the message: it may hold content."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames]
    return {"error": type(error).__name__, "at": " > ".join(places)}
