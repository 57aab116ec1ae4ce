"""Sending a batch of pushes, and keeping what the push services said (semantics 7.4).

What is known is kept while the rest is waited for: whoever stops the server makes no device ring twice that has
answered. A batch that only waits for slow services gives up its place for others, and goes on without one.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final

import msgspec

from tertulia.server import observe
from tertulia.server.clock import Clock
from tertulia.server.domain import callers
from tertulia.server.domain.jobs import Attempt, LeaseLost
from tertulia.server.domain.notices import DeliveryState, RecordPushes, Result, SendLater, SendPushes
from tertulia.server.engine.engine import Engine
from tertulia.server.engine.push_queries import NO_CREDENTIAL, Due, PushQueries
from tertulia.server.push.answers import late, unexpected
from tertulia.server.push.service import Batch, Course, OpenCredential, Outcome, Push, Verdict
from tertulia.server.push.services import PushServices
from tertulia.server.settings import PushSettings
from tertulia.server.storage.database import StorageError

from .attempts import TIME_LIMIT
from .performing import SETTLED, Settled, TryAgain
from .retry import RetryPolicy
from .stragglers import Stragglers

log = logging.getLogger(__name__)

PATIENT: Final = RetryPolicy(attempts=1_000_000, first_wait_s=2.0, factor=2.0, last_wait_s=300.0, heeds_only_more=True)
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
TOO_LATE: Final = "given up: the server was away for too long"
SHORT_WAIT_S: Final = 60
"""Waits up to this one are no reason to part a batch."""
OVERDUE_S: Final = 2 * PATIENT.last_wait_s
"""So long after its time an attempt begins only where the ones before were cut off: there is no further one."""
BITE_S: Final = 0.5
"""How often is kept what is known; and how long a batch that hears nothing keeps its place."""
LONGEST_HELD_S: Final = 5.0
"""And one that hears something now and then."""
LAST_WORDS_S: Final = 5.0
"""For keeping what is known when the server stops."""


class _Sending:
    """A batch on its way."""

    __slots__ = ("attempt", "began_at", "course", "gives_up_place", "job", "kept", "logs", "pushes", "task")

    def __init__(
        self,
        job: SendPushes,
        attempt: Attempt,
        pushes: Sequence[Push],
        course: Course,
        task: asyncio.Task[list[Outcome]],
        *,
        logs: bool,
    ) -> None:
        self.job = job
        self.attempt = attempt
        self.pushes = pushes
        self.course = course
        self.task = task
        self.logs = logs
        self.began_at = course.heard_at
        self.gives_up_place = False
        self.kept: set[str] = set()
        """Registrations of which it is recorded what became of them."""

    def decided(self) -> list[Outcome]:
        """What became of those that are not to be tried again, and is not recorded yet."""
        known = self.course.known.values()
        return [one for one in known if one.verdict is not Verdict.LATER and one.registration_sid not in self.kept]

    def outcomes(self) -> list[Outcome]:
        """What became of those of which it is not recorded, at the end; of each exactly once, whatever the service
        answers.
        """
        known = dict(self.course.known)
        if self.task.done() and not self.task.cancelled():
            error = self.task.exception()
            if error is None:
                known = {one.registration_sid: one for one in reversed(self.task.result())} | known
            elif isinstance(error, Exception):
                said = unexpected(error)
                known = {push.registration_sid: said.of(push) for push in self.pushes} | known
            else:
                raise error
            otherwise = {push.registration_sid: _unanswered(push) for push in self.pushes}
        else:
            otherwise = {push.registration_sid: late(push, self.course).of(push) for push in self.pushes}
        return [known.get(sid) or without for sid, without in otherwise.items() if sid not in self.kept]

    @property
    def only_waits(self) -> bool:
        """Pushes are on their way of which nothing is heard; others keep nobody busy."""
        if self.course.asked <= self.course.known.keys():
            return False
        now = time.monotonic()
        return now - self.course.heard_at >= BITE_S or now - self.began_at >= LONGEST_HELD_S

    @property
    def key(self) -> str:
        """Of the job that takes up what it waits for."""
        return f"push/{self.job.notice_sid}/{self.pushes[0].registration_sid}"


class SendPerformer:
    """Sends a batch. What a device could not be told stays waiting, and is tried again until its time is over."""

    def __init__(
        self,
        engine: Engine,
        queries: PushQueries,
        services: PushServices,
        clock: Clock,
        settings: PushSettings,
        stragglers: Stragglers,
        lease_s: float,
    ) -> None:
        self._engine = engine
        self._queries = queries
        self._services = services
        self._clock = clock
        self._settings = settings
        self._stragglers = stragglers
        self._lease_s = lease_s

    def policy(self, job: SendPushes, /) -> RetryPolicy:
        """Ours; of what goes on with another job's work, as if it were the same job."""
        first_wait_s = PATIENT.first_wait_s * PATIENT.factor ** min(job.tries, 64)
        return msgspec.structs.replace(PATIENT, first_wait_s=min(first_wait_s, PATIENT.last_wait_s))

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
        given_up = self._why_given_up(job, attempt)
        if given_up is not None:
            results += [Result(push.registration_sid, DeliveryState.EXPIRED, given_up) for push in pushes]
        if given_up is not None or not pushes or reading.credential is None:
            await self._record(job, results, settling=attempt)
            _say(job, (), results, logs=reading.logs_failures)
            return SETTLED
        if results:
            await self._record(job, results)
        return await self._watched(self._sending(job, attempt, reading.credential, pushes, logs=reading.logs_failures))

    def _why_given_up(self, job: SendPushes, attempt: Attempt) -> str | None:
        age_s = self._age_s(job, attempt)
        if attempt.of_step == 1 and not job.tries:
            return TOO_LATE if age_s >= self._settings.give_up_after_s else None
        # In time is who comes to an end of his last attempt.
        return OVERDUE if age_s >= self._settings.give_up_after_s + OVERDUE_S else None

    def _sending(
        self, job: SendPushes, attempt: Attempt, credential: OpenCredential, pushes: Sequence[Push], *, logs: bool
    ) -> _Sending:
        batch = Batch(
            notice_sid=job.notice_sid,
            content=job.content,
            pushes=pushes,
            expires_at_s=_begun_at(job, attempt) // 1_000_000 + self._settings.ttl_s,
        )
        course = Course()
        task = asyncio.create_task(self._services.of(credential.kind).send(credential, batch, course))
        return _Sending(job, attempt, pushes, course, task, logs=logs)

    # -- waiting ------------------------------------------------------------------------------------------------------

    async def _watched(self, sending: _Sending) -> Settled:
        """Wait for the batch, and keep what is known; to its end, or until it only waits."""
        try:
            while not (await asyncio.wait({sending.task}, timeout=BITE_S))[0]:
                if sending.only_waits and self._stragglers.has_room(sending.job.account_sid):
                    await self._give_up_place(sending)
                    return SETTLED
                try:
                    await self._keep(sending)
                except StorageError as trouble:  # there is a next time
                    log.warning("jobs.unavailable", extra=observe.fields(why=str(trouble)))
            return await self._finish(sending, settling=sending.attempt)
        except asyncio.CancelledError:
            # The server stops, or the time for this attempt is over.
            try:
                is_kept = await _at_last(self._cut_off(sending))
            except LeaseLost:
                if not sending.gives_up_place:
                    raise
                # It has given it up; only the answer to that was lost.
                is_kept = await _at_last(self._cut_off(sending, instead_of=sending.key))
            if is_kept:
                return SETTLED
            raise
        except BaseException:
            sending.task.cancel()  # nothing, where it has come to its end; else the lease is lost, or the database
            raise

    async def _give_up_place(self, sending: _Sending) -> None:
        sending.gives_up_place = True
        decided = sending.decided()
        left = {push.registration_sid for push in sending.pushes} - sending.kept
        left -= {one.registration_sid for one in decided}
        job = self._following(sending, tuple(sorted(left)))
        # Should the process be killed, another takes it up when it would have had the lease.
        later = SendLater(job, self._clock.now() + int(self._lease_s * 1_000_000), sending.key)
        await self._keep(sending, later=[later], settling=sending.attempt)
        self._stragglers.add(sending.job.account_sid, self._straggle(sending))

    async def _straggle(self, sending: _Sending) -> None:
        try:
            await asyncio.wait({sending.task}, timeout=self._lease_s * TIME_LIMIT)
            if sending.task.done():
                await self._finish(sending, instead_of=sending.key)
                return
        except asyncio.CancelledError:
            await _at_last(self._cut_off(sending, instead_of=sending.key))
            raise
        await self._cut_off(sending, instead_of=sending.key)

    async def _cut_off(self, sending: _Sending, *, instead_of: str | None = None) -> None:
        sending.task.cancel()
        await asyncio.wait({sending.task})
        await self._finish(sending, settling=None if instead_of else sending.attempt, instead_of=instead_of, parts=True)

    # -- keeping ------------------------------------------------------------------------------------------------------

    async def _keep(
        self, sending: _Sending, *, later: Sequence[SendLater] = (), settling: Attempt | None = None
    ) -> None:
        """What is decided by now."""
        decided = sending.decided()
        if not decided and settling is None:
            return
        results = [Result(one.registration_sid, STATES[one.verdict], one.answer, one.gone_since) for one in decided]
        await self._record(sending.job, results, later=later, settling=settling)
        sending.kept.update(one.registration_sid for one in decided)
        _say(sending.job, decided, results, logs=sending.logs)

    async def _finish(
        self,
        sending: _Sending,
        *,
        settling: Attempt | None = None,
        instead_of: str | None = None,
        parts: bool = False,
    ) -> Settled:
        """Keep what became of all. Those that are to be tried again go on with jobs of their own: after the first
        attempt, where they have to wait for different times, and with ``parts``. Else raises ``TryAgain``.
        """
        job, attempt = sending.job, sending.attempt
        outcomes = sending.outcomes()
        time_left_s = self._settings.give_up_after_s - self._age_s(job, attempt)
        again = [one for one in outcomes if one.verdict is Verdict.LATER and (one.after_s or 0) < time_left_s]
        waiting = {one.registration_sid for one in again}
        results: list[Result] = []
        for one in outcomes:
            is_over = one.verdict is Verdict.LATER and one.registration_sid not in waiting
            state = DeliveryState.EXPIRED if is_over else STATES[one.verdict]
            results.append(Result(one.registration_sid, state, one.answer, one.gone_since))
        groups = _by_wait(again)
        stays = len(groups) == 1 and job.tries > 0 and settling is not None and not parts
        later = [] if stays else [self._later(sending, group) for group in groups]
        await self._record(job, results, later=later, settling=None if stays else settling, instead_of=instead_of)
        _say(job, outcomes, results, logs=sending.logs)
        if stays:
            raise TryAgain(again[0].answer, _asked_s(again))
        return SETTLED

    async def _record(
        self,
        job: SendPushes,
        results: Sequence[Result],
        *,
        later: Sequence[SendLater] = (),
        settling: Attempt | None = None,
        instead_of: str | None = None,
    ) -> None:
        command = RecordPushes(
            service=job.service_sid, notice=job.notice_sid, results=results, later=later, instead_of=instead_of
        )
        await self._engine.execute(callers.system(job.account_sid), command, settling=settling)
        for result in results:
            observe.PUSHES.labels(job.content.kind, result.state).inc()

    def _later(self, sending: _Sending, group: Sequence[Outcome]) -> SendLater:
        chance = random.random()  # noqa: S311 (spreads load, guards nothing)
        wait_s = self.policy(sending.job).wait_s(sending.attempt.of_step, 0.0, chance, _asked_s(group))
        assert wait_s is not None, "it is given up by time, not by number"
        job = self._following(sending, tuple(one.registration_sid for one in group))
        return SendLater(job, self._clock.now() + int(wait_s * 1_000_000))

    def _following(self, sending: _Sending, registrations: tuple[str, ...]) -> SendPushes:
        return msgspec.structs.replace(
            sending.job,
            registrations=registrations,
            begun_at=_begun_at(sending.job, sending.attempt),
            tries=sending.job.tries + sending.attempt.of_step,
        )

    def _age_s(self, job: SendPushes, attempt: Attempt) -> float:
        return (self._clock.now() - _begun_at(job, attempt)) / 1_000_000


async def _at_last(work: Coroutine[Any, Any, None]) -> bool:
    """Whether it was done, within a short time, whoever is cancelled meanwhile."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task}, timeout=LAST_WORDS_S)
    finally:
        task.cancel()  # nothing, where it is done
    if not task.done() or task.cancelled():
        return False
    task.result()
    return True


def _unanswered(push: Push) -> Outcome:
    return Outcome(registration_sid=push.registration_sid, verdict=Verdict.LATER, answer=UNANSWERED)


def _begun_at(job: SendPushes, attempt: Attempt) -> int:
    return attempt.promised_at if job.begun_at is None else job.begun_at


def _asked_s(outcomes: Sequence[Outcome]) -> float | None:
    """The longest wait that was asked for: nobody is asked again before the time that he named."""
    return max((one.after_s for one in outcomes if one.after_s is not None), default=None)


def _by_wait(again: Sequence[Outcome]) -> list[list[Outcome]]:
    """Those together that have to wait about as long: an hour that one service asks for is none for another."""
    groups: dict[int, list[Outcome]] = {}
    for one in again:
        asked_s = int(one.after_s or 0)
        groups.setdefault(0 if asked_s <= SHORT_WAIT_S else asked_s.bit_length(), []).append(one)
    return list(groups.values())


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
