"""What devices are owed, by the kind of the job: planning who is told, counting badges, sending (semantics 7.4)."""

from __future__ import annotations

from typing import Any

from tertulia.server.clock import Clock
from tertulia.server.domain import callers
from tertulia.server.domain.jobs import Attempt, Job
from tertulia.server.domain.notices import CountBadge, PlanBadge, PlanNotice, PlanPush, SendPushes
from tertulia.server.engine.engine import Engine
from tertulia.server.engine.push_queries import PushQueries
from tertulia.server.push.services import PushServices
from tertulia.server.settings import PushSettings

from .executing import UNTIL_DONE, execute
from .performing import Performer, Settled
from .push_sending import SendPerformer
from .retry import RetryPolicy
from .stragglers import Stragglers


def push_performers(
    engine: Engine,
    queries: PushQueries,
    services: PushServices,
    clock: Clock,
    settings: PushSettings,
    stragglers: Stragglers,
    lease_s: float,
) -> dict[type[Job], Performer[Any]]:
    """By the kind of the job."""
    return {
        PlanPush: PlanPerformer(engine),
        CountBadge: BadgePerformer(engine),
        SendPushes: SendPerformer(engine, queries, services, clock, settings, stragglers, lease_s),
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
