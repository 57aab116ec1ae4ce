"""Telling devices: planning who is told, sending, and keeping what the push services said (semantics 7.4)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tertulia.server import observe
from tertulia.server.clock import Clock
from tertulia.server.domain import callers
from tertulia.server.domain.base import Command
from tertulia.server.domain.jobs import Attempt, Job
from tertulia.server.domain.notices import (
    CountBadge,
    DeliveryState,
    PlanBadge,
    PlanNotice,
    PlanPush,
    RecordPushes,
    Result,
    SendPushes,
)
from tertulia.server.engine.engine import Engine
from tertulia.server.engine.push_queries import Due, PushQueries
from tertulia.server.push.service import Batch, Outcome, Push, Verdict
from tertulia.server.push.services import PushServices
from tertulia.server.settings import PushSettings

from .executing import UNTIL_DONE, execute
from .performing import SETTLED, Performer, Settled, TryAgain
from .retry import RetryPolicy

log = logging.getLogger(__name__)

PATIENT: Final = RetryPolicy(attempts=1_000_000, first_wait_s=2.0, factor=2.0, last_wait_s=300.0)
"""The end is told device by device, when the time for it is over; not by the job."""

STATES: Final[Mapping[Verdict, DeliveryState]] = {
    Verdict.SENT: DeliveryState.SENT,
    Verdict.GONE: DeliveryState.GONE,
    Verdict.FAILED: DeliveryState.FAILED,
    Verdict.LATER: DeliveryState.WAITING,
}
NO_CREDENTIAL: Final = "its credential was removed"
UNREGISTERED: Final = "its registration was removed"
LEFT: Final = "its user is no longer a member"
MUTED: Final = "its user has muted the conversation meanwhile"


def push_performers(
    engine: Engine, queries: PushQueries, services: PushServices, clock: Clock, settings: PushSettings
) -> dict[type[Job], Performer[Any]]:
    """By the kind of the job."""
    return {
        PlanPush: PlanPerformer(engine),
        CountBadge: BadgePerformer(engine),
        SendPushes: SendPerformer(engine, queries, services, clock, settings),
    }


class PlanPerformer:
    """Decides who is told."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def policy(self, _job: PlanPush, /) -> RetryPolicy:
        return UNTIL_DONE

    async def __call__(self, job: PlanPush, attempt: Attempt, /) -> Settled:
        return await execute(self._engine, callers.system(job.account_sid), PlanNotice(plan=job), attempt)


class BadgePerformer:
    """Counts what a user has not read."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def policy(self, _job: CountBadge, /) -> RetryPolicy:
        return UNTIL_DONE

    async def __call__(self, job: CountBadge, attempt: Attempt, /) -> Settled:
        command = PlanBadge(service=job.service_sid, user=job.user_sid)
        return await execute(self._engine, callers.system(job.account_sid), command, attempt)


class SendPerformer:
    """Sends a batch. What a device could not be told stays waiting, and is tried again until its time is over."""

    def __init__(
        self,
        engine: Engine,
        queries: PushQueries,
        services: PushServices,
        clock: Clock,
        settings: PushSettings,
    ) -> None:
        self._engine = engine
        self._queries = queries
        self._services = services
        self._clock = clock
        self._settings = settings

    def policy(self, _job: SendPushes, /) -> RetryPolicy:
        return PATIENT

    async def __call__(self, job: SendPushes, attempt: Attempt, /) -> Settled | None:
        reading = await self._queries.due(job)
        if not reading.due:
            return None  # all are told, or given up; perhaps the service is gone
        results = [_withdrawn(one, why) for one in reading.due if (why := _why_not(job, one)) is not None]
        due = [one for one in reading.due if _why_not(job, one) is None]
        outcomes: Sequence[Outcome] = ()
        if due and reading.credential is None:
            results += [Result(one.registration_sid, DeliveryState.WITHDRAWN, NO_CREDENTIAL) for one in due]
        elif due and reading.credential is not None:
            batch = Batch(
                notice_sid=job.notice_sid,
                content=job.content,
                pushes=[
                    Push(registration_sid=one.registration_sid, address=one.address or "", badge=one.badge)
                    for one in due
                ],
                expires_at_s=attempt.promised_at // 1_000_000 + self._settings.ttl_s,
            )
            outcomes = await self._services.of(reading.credential.kind).send(reading.credential, batch)
        return await self._record(job, attempt, results, outcomes, logs=reading.logs_failures)

    async def _record(
        self, job: SendPushes, attempt: Attempt, results: list[Result], outcomes: Sequence[Outcome], *, logs: bool
    ) -> Settled:
        """Keep what became of them. Raises ``TryAgain`` while some are to be tried again."""
        later = [one for one in outcomes if one.verdict is Verdict.LATER]
        asked = max((one.after_s for one in later if one.after_s is not None), default=None)
        age_s = (self._clock.now() - attempt.promised_at) / 1_000_000
        is_over = age_s + (asked or 0) >= self._settings.give_up_after_s
        for one in outcomes:
            state = DeliveryState.EXPIRED if is_over and one.verdict is Verdict.LATER else STATES[one.verdict]
            results.append(Result(one.registration_sid, state, one.answer, one.gone_since))
            observe.PUSHES.labels(job.content.kind, state).inc()
            if one.is_alarming:
                log.warning("push.refused", extra=observe.fields(credential=job.credential_sid, answer=one.answer))
            elif logs and state in (DeliveryState.FAILED, DeliveryState.EXPIRED):
                log.warning(
                    "push.failed",
                    extra=observe.fields(notice=job.notice_sid, registration=one.registration_sid, answer=one.answer),
                )
        command: Command[None] = RecordPushes(service=job.service_sid, notice=job.notice_sid, results=results)
        caller = callers.system(job.account_sid)
        if not later or is_over:
            await self._engine.execute(caller, command, settling=attempt)
            return SETTLED
        await self._engine.execute(caller, command)
        raise TryAgain(later[0].answer, asked)


def _why_not(job: SendPushes, one: Due) -> str | None:
    """Why a device is not told that was to be told when the notice was planned."""
    if one.address is None:
        return UNREGISTERED
    if job.conversation_sid is None:
        return None
    if not one.is_member:
        return LEFT
    return MUTED if one.is_muted else None


def _withdrawn(one: Due, why: str) -> Result:
    return Result(one.registration_sid, DeliveryState.WITHDRAWN, why)
