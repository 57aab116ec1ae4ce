"""Timers of conversations that are due (semantics 5.2)."""

from __future__ import annotations

from tertulia.server.domain import callers
from tertulia.server.domain.conversations import ApplyTimers, MoveOnConversation
from tertulia.server.domain.jobs import Attempt
from tertulia.server.engine.engine import Engine

from .executing import UNTIL_DONE, execute
from .performing import Settled
from .retry import RetryPolicy


class TimerPerformer:
    """Does what the timers of a conversation say, as the system."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def policy(self, _job: MoveOnConversation, /) -> RetryPolicy:
        return UNTIL_DONE

    async def __call__(self, job: MoveOnConversation, attempt: Attempt, /) -> Settled:
        command = ApplyTimers(conversation=job.conversation_sid)
        return await execute(self._engine, callers.system(job.account_sid), command, attempt)
