"""Removing what deleted things have left, in small bites with pauses, so that nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from tertulia.server.domain import callers
from tertulia.server.domain.base import Command
from tertulia.server.domain.conversations import RemoveConversationRemains, SweepConversation
from tertulia.server.domain.errors import TertuliaError
from tertulia.server.domain.jobs import Attempt
from tertulia.server.domain.services import RemoveServiceRemains, SweepService
from tertulia.server.domain.users import RemoveUserRemains, SweepUser
from tertulia.server.engine.engine import Engine

from .executing import UNTIL_DONE, execute
from .performing import Performer, Settled, TryAgain
from .retry import RetryPolicy

BITE: Final = 250
"""Rows that one transaction removes: some milliseconds of the writer's time."""
PAUSE_S: Final = 0.01
"""Between two bites."""
BITES: Final = 100
"""Of one attempt, which has to end well before its lease; then the job is promised anew."""

J = TypeVar("J", SweepConversation, SweepService, SweepUser)
Step = Callable[[Any, bool], Command[int]]


class SweepPerformer(Generic[J]):
    """Takes bites until nothing is left. Interrupted, it goes on where it was: a bite looks for what there is."""

    def __init__(self, engine: Engine, step: Step, pause_s: float = PAUSE_S) -> None:
        self._engine = engine
        self._step = step
        self._pause_s = pause_s

    def policy(self, _job: J, /) -> RetryPolicy:
        return UNTIL_DONE

    async def __call__(self, job: J, attempt: Attempt, /) -> Settled | None:
        caller = callers.system(job.account_sid)
        for _ in range(BITES - 1):
            try:
                gone = await self._engine.execute(caller, self._step(job, False))
            except TertuliaError as refusal:
                raise TryAgain(f"refused with {refusal.code}") from refusal
            if gone == 0:
                return None
            await asyncio.sleep(self._pause_s)
        return await execute(self._engine, caller, self._step(job, True), attempt)


def _of_conversation(job: SweepConversation, goes_on: bool) -> Command[int]:
    return RemoveConversationRemains(conversation=job.conversation_sid, most=BITE, goes_on=goes_on)


def _of_service(job: SweepService, goes_on: bool) -> Command[int]:
    return RemoveServiceRemains(service_sid=job.service_sid, most=BITE, goes_on=goes_on)


def _of_user(job: SweepUser, goes_on: bool) -> Command[int]:
    # A conversation that is left takes some statements, and an event to everybody in it.
    return RemoveUserRemains(user_sid=job.user_sid, most=BITE // 10, goes_on=goes_on)


def sweepers(engine: Engine, pause_s: float = PAUSE_S) -> dict[type[Any], Performer[Any]]:
    """Who sweeps what, by the kind of the job."""
    return {
        SweepConversation: SweepPerformer(engine, _of_conversation, pause_s),
        SweepService: SweepPerformer(engine, _of_service, pause_s),
        SweepUser: SweepPerformer(engine, _of_user, pause_s),
    }
