"""One attempt at a job, from its lease to its end: perform it, within its time, and record what came of it."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from uuid import uuid4

import msgspec

from tertulia.server import observe, tracing
from tertulia.server.clock import Clock
from tertulia.server.domain.jobs import Attempt, Job, LeaseLost
from tertulia.server.randomness import Randomness
from tertulia.server.settings import JobsSettings
from tertulia.server.storage.database import Connection, Database, StorageError
from tertulia.server.storage.outbox import Leased, Outbox

from .performing import SETTLED, CarryOn, GiveUp, Performer, Settled, TryAgain
from .retry import RetryPolicy

log = logging.getLogger(__name__)

TIME_LIMIT: Final = 0.75
"""Part of a lease that performing may take; the rest is for settling, and for clocks that differ."""
LOST_LEASES: Final = 5
"""A job that has lost so many leases more than it has attempts ends the processes that perform it: it is given up."""
SETTLE_AGAIN_S: Final = (0.1, 1.0)
"""Waits before a settlement that the database refused is tried again."""

_OF_A_BROKEN_PERFORMER: Final = RetryPolicy(attempts=10, first_wait_s=10.0)
"""For a performer that cannot even say what its policy is."""


class Kind(NamedTuple):
    """How jobs of one kind are read, and who does them."""

    decode: Callable[[str], Job]
    performer: Performer[Any]


class _Failed(NamedTuple):
    """How an attempt ended that did not succeed."""

    why: str
    wait_s: float | None
    """Until the next attempt; None: there is no other."""
    is_expected: bool = False


class Attempts:
    """Makes attempts at jobs of the kinds it knows."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        known: Mapping[str, Kind],
        settings: JobsSettings,
        randomness: Randomness,
    ) -> None:
        self._database = database
        self._clock = clock
        self._known = known
        self._settings = settings
        self._randomness = randomness

    async def make(self, leased: Leased) -> None:
        """Perform the job; settle it, have it tried again, or bury it. Raises nothing that a performer raises."""
        attempt = leased.attempt
        request_id, parent = tracing.carrier(attempt.trace)
        observe.request_id.set(request_id)
        observe.account.set(leased.account_sid or "")
        outcome, span = "unsettled", None
        if tracing.active is not None:
            span = tracing.active.job(leased.kind, attempt.job_id, attempt.number, leased.account_sid, parent)
        try:
            outcome = await self._make(leased)
        finally:
            if span is not None:
                span.end(outcome)

    async def _make(self, leased: Leased) -> str:
        """How the attempt ended, in a word."""
        started = time.perf_counter()
        try:
            outcome = await self._outcome(leased)
        except LeaseLost:
            return self._say(leased, "lost", started)
        if outcome is SETTLED:
            return self._say(leased, "done", started)
        return await self._settle(leased, outcome, started)

    async def _outcome(self, leased: Leased) -> _Failed | Settled | CarryOn | None:
        """What the performer returns, or ``_Failed``. Raises ``LeaseLost``."""
        decode, performer = self._known[leased.kind]
        attempt = leased.attempt
        try:
            job = decode(leased.payload)
        except msgspec.MsgspecError:
            return _Failed("what it holds cannot be read: it is of another release", None)
        policy: RetryPolicy | None = None
        asked_s: float | None = None
        is_expected = False
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
            why, asked_s, is_expected = again.why, again.after_s, again.is_expected
        except Exception as error:  # whatever it is, the job must not be lost, nor the worker
            if isinstance(error, TimeoutError) and limit.expired():
                why = "the time limit ran out"
            else:
                why = type(error).__name__
                log.error("job.failed", extra=observe.fields(kind=leased.kind, job=attempt.job_id, **where(error)))
        if policy is None:
            policy = _OF_A_BROKEN_PERFORMER
        age_s = (self._clock.now() - attempt.promised_at) / 1_000_000
        return _Failed(why, policy.wait_s(attempt.of_step, age_s, self._chance(), asked_s), is_expected)

    def _chance(self) -> float:
        return int.from_bytes(self._randomness.draw(4), "big") / (1 << 32)

    # -- settling -----------------------------------------------------------------------------------------------------

    async def _settle(self, leased: Leased, failed: _Failed | CarryOn | None, started: float) -> str:
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
                    return "unsettled"  # the lease runs out, and it is performed again
                await asyncio.sleep(wait_s)
            else:
                return self._say(leased, outcome, started, failed if isinstance(failed, _Failed) else None, due_at)
        raise AssertionError("the last wait is None")

    async def _record(
        self, connection: Connection, attempt: Attempt, failed: _Failed | CarryOn | None
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
    ) -> str:
        """Measured and logged; the outcome."""
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
            return outcome
        if failed is not None:
            facts["why"] = failed.why
        if due_at is not None:
            facts["next"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(due_at // 1_000_000))
        level = logging.ERROR if outcome == "dead" else logging.WARNING
        if failed is not None and failed.is_expected and outcome == "retry":
            level = logging.INFO
        log.log(level, f"job.{outcome}", extra=observe.fields(**facts))  # noqa: G004 (one of a closed set)
        return outcome


def where(error: BaseException) -> dict[str, str]:
    """What went wrong and where. Not the message: it may hold content."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames]
    return {"error": type(error).__name__, "at": " > ".join(places)}
