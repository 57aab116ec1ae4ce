"""Telling devices: planning who is told, sending, and keeping what the push services said (semantics 7.4)."""

from __future__ import annotations

import logging
from collections import Counter
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
from tertulia.server.engine.push_queries import NO_CREDENTIAL, Due, PushQueries
from tertulia.server.push.service import Batch, OpenCredential, Outcome, Push, Verdict
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
UNREGISTERED: Final = "its registration was removed, or is now under another credential"
LEFT: Final = "its user is no longer a member"
MUTED: Final = "its user has muted the conversation meanwhile"
UNANSWERED: Final = "nothing was heard of it"
OVERDUE: Final = "given up: no attempt came to an end in time"
OVERDUE_S: Final = 2 * PATIENT.last_wait_s
"""So long after its time an attempt begins only where the ones before were cut off: there is no further one."""


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
            return None  # all are told, or given up
        results: list[Result] = []
        pushes: list[Push] = []
        for one in reading.due:
            why_not = _why_not(job, one) or reading.why_nobody
            if why_not is not None:
                results.append(Result(one.registration_sid, DeliveryState.WITHDRAWN, why_not))
            else:
                assert one.address is not None, "it has a registration"
                pushes.append(Push(registration_sid=one.registration_sid, address=one.address, badge=one.badge))
        outcomes: Sequence[Outcome] = ()
        if pushes and attempt.of_step > 1 and self._age_s(attempt) >= self._settings.give_up_after_s + OVERDUE_S:
            results += [Result(push.registration_sid, DeliveryState.EXPIRED, OVERDUE) for push in pushes]
        elif pushes and reading.credential is not None:
            outcomes = await self._send(job, attempt, reading.credential, pushes)
        return await self._record(job, attempt, results, outcomes, logs=reading.logs_failures)

    async def _send(
        self, job: SendPushes, attempt: Attempt, credential: OpenCredential, pushes: Sequence[Push]
    ) -> list[Outcome]:
        """What became of them; of each exactly once, whatever the service answers."""
        batch = Batch(
            notice_sid=job.notice_sid,
            content=job.content,
            pushes=pushes,
            expires_at_s=attempt.promised_at // 1_000_000 + self._settings.ttl_s,
        )
        said = await self._services.of(credential.kind).send(credential, batch)
        known = {one.registration_sid: one for one in reversed(said)}
        return [
            known.get(push.registration_sid)
            or Outcome(registration_sid=push.registration_sid, verdict=Verdict.LATER, answer=UNANSWERED)
            for push in pushes
        ]

    async def _record(
        self, job: SendPushes, attempt: Attempt, results: list[Result], outcomes: Sequence[Outcome], *, logs: bool
    ) -> Settled:
        """Keep what became of them. Raises ``TryAgain`` while some are to be tried again."""
        time_left_s = self._settings.give_up_after_s - self._age_s(attempt)
        again = [one for one in outcomes if one.verdict is Verdict.LATER and (one.after_s or 0) < time_left_s]
        waiting = {one.registration_sid for one in again}
        for one in outcomes:
            is_over = one.verdict is Verdict.LATER and one.registration_sid not in waiting
            state = DeliveryState.EXPIRED if is_over else STATES[one.verdict]
            results.append(Result(one.registration_sid, state, one.answer, one.gone_since))
        command: Command[None] = RecordPushes(service=job.service_sid, notice=job.notice_sid, results=results)
        caller = callers.system(job.account_sid)
        await self._engine.execute(caller, command, settling=None if again else attempt)
        for result in results:
            observe.PUSHES.labels(job.content.kind, result.state).inc()
        _say(job, outcomes, results, logs=logs)
        if not again:
            return SETTLED
        asked = [max(one.after_s, PATIENT.first_wait_s) for one in again if one.after_s is not None]
        # One job waits as one: nobody is asked again before the time that he named; nor, if that is now, without end.
        raise TryAgain(again[0].answer, max(asked, default=None))

    def _age_s(self, attempt: Attempt) -> float:
        return (self._clock.now() - attempt.promised_at) / 1_000_000


def _say(job: SendPushes, outcomes: Sequence[Outcome], results: Sequence[Result], *, logs: bool) -> None:
    """Into the log: what the account has to mend, once for all its devices; and failures where the service wants it."""
    alarming = {one.registration_sid: one.answer for one in outcomes if one.is_alarming}
    for answer, count in Counter(alarming.values()).items():
        log.warning("push.refused", extra=observe.fields(credential=job.credential_sid, answer=answer, devices=count))
    if not logs:
        return
    for result in results:
        if result.state in (DeliveryState.FAILED, DeliveryState.EXPIRED) and result.registration_sid not in alarming:
            log.warning(
                "push.failed",
                extra=observe.fields(notice=job.notice_sid, registration=result.registration_sid, answer=result.answer),
            )


def _why_not(job: SendPushes, one: Due) -> str | None:
    """Why a device is not told that was to be told when the notice was planned."""
    if one.address is None:
        return UNREGISTERED
    if not one.has_credential:
        return NO_CREDENTIAL
    if job.conversation_sid is None:
        return None
    if not one.is_member:
        return LEFT
    return MUTED if one.is_muted else None
