"""Telling receivers of events; and a new webhook of the messages before it (semantics 1.1, 1.6, 1.8)."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Final, Never

import msgspec

from tertulia.server import observe
from tertulia.server.domain.jobs import Attempt
from tertulia.server.domain.webhooks import CallWebhook, ReplayMessages
from tertulia.server.engine.webhook_calls import TOTAL_S, Failure, WebhookCall, WebhookCalls, retries_of
from tertulia.server.engine.webhook_queries import WebhookQueries
from tertulia.server.outgoing import Answer, CallFailed, FailureKind
from tertulia.wire.webhook_urls import Overrides, read_webhook_url

from .performing import CarryOn, GiveUp, TryAgain
from .retry import RetryPolicy

log = logging.getLogger(__name__)

LAST_WAIT_S: Final = 900.0
FOUR_HOURS_S: Final = 4 * 3600.0
DURABLE: Final = RetryPolicy(
    attempts=10_000, first_wait_s=1.0, factor=2.0, last_wait_s=LAST_WAIT_S, give_up_after_s=FOUR_HOURS_S
)
"""A receiver may be away for hours; the queue time is that of the hosted product (semantics 1.8)."""
ONCE: Final = RetryPolicy(attempts=1)
HOPELESS: Final = frozenset((FailureKind.BAD_REQUEST, FailureKind.REFUSED_ADDRESS))
"""Whom we cannot or will not call, now or later: ``outgoing.allow_private`` says whom."""
RETRIED: Final = frozenset((429, *range(500, 600)))
"""Answers that say "not now"; any other refusal is the receiver's last word."""


class WebhookPerformer:
    """Calls the receiver of one event; ``post_retry`` off leaves it at one try, unless the URL says otherwise."""

    def __init__(self, calls: WebhookCalls, *, post_retry: bool) -> None:
        self._calls = calls
        self._unfailing = DURABLE if post_retry else ONCE

    def policy(self, job: CallWebhook, /) -> RetryPolicy:
        """What the URL's fragment says, or the webhook's own number; else ours."""
        overrides = _overrides(job)
        if overrides != Overrides():
            total_s = math.inf if overrides.total_ms is None else overrides.total_ms / 1000
            return RetryPolicy(attempts=1 + retries_of(overrides), first_wait_s=1.0, give_up_after_s=total_s)
        if job.retry_count is not None:
            return RetryPolicy(attempts=1 + job.retry_count, first_wait_s=1.0)
        return self._unfailing

    async def __call__(self, job: CallWebhook, attempt: Attempt, /) -> None:
        call = WebhookCall(
            account_sid=job.account_sid,
            url=job.url,
            method=job.method,
            parameters=job.parameters,
            token=attempt.token,
        )
        try:
            answer = await self._calls.once(call, attempt.of_step, TOTAL_S)
        except CallFailed as failed:
            self._fail(job, Failure(failed.kind, failed.status), f"no answer ({failed.kind})")
        else:
            if not 200 <= answer.status < 300:
                self._fail(job, Failure(None, answer.status), f"answered {answer.status}", _retry_after_s(answer))
        observe.WEBHOOKS.labels(job.event, "fired").inc()

    def _fail(self, job: CallWebhook, failure: Failure, why: str, after_s: float | None = None) -> Never:
        """Raises what becomes of the job."""
        observe.WEBHOOKS.labels(job.event, "no_answer" if failure.kind else "rejected").inc()
        if failure.kind in HOPELESS:
            log.warning(
                "webhook.not_fired",
                extra=observe.fields(webhook_event=job.event, webhook=job.webhook_sid, reason=str(failure.kind)),
            )
            raise GiveUp(why)
        overrides = _overrides(job)
        if overrides != Overrides():
            again = failure.is_worth_a_retry(overrides)
        else:
            again = failure.kind is not None or failure.status in RETRIED
        raise TryAgain(why, after_s) if again else GiveUp(why)


class ReplayPerformer:
    """Tells a new webhook of earlier messages, one after the other: a step, and a call, for each."""

    def __init__(self, queries: WebhookQueries, flows: Mapping[str, str], webhooks: WebhookPerformer) -> None:
        self._queries = queries
        self._flows = flows
        self._webhooks = webhooks

    def policy(self, _job: ReplayMessages, /) -> RetryPolicy:
        return DURABLE

    async def __call__(self, job: ReplayMessages, attempt: Attempt, /) -> CarryOn | None:
        found = await self._queries.replayed(job, self._flows)
        if found is None:
            return None  # all are told, or the webhook is gone
        try:
            if found.call is not None:
                await self._webhooks(found.call, attempt)
        except GiveUp:
            log.warning(
                "webhook.replay_refused", extra=observe.fields(webhook=job.webhook_sid, index=found.index)
            )  # its last word on this message, not on the next one
        return CarryOn(msgspec.structs.replace(job, after=found.index))


def _retry_after_s(answer: Answer) -> float | None:
    """How long the receiver asks us to wait; a date instead of seconds is passed over."""
    asked = answer.header("retry-after") or ""
    return min(float(asked), LAST_WAIT_S) if asked.isascii() and asked.isdigit() and len(asked) < 9 else None


def _overrides(job: CallWebhook) -> Overrides:
    return read_webhook_url(job.url)[1]
