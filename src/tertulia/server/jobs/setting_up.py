"""Letting the members of a new conversation in (semantics 4.6)."""

from __future__ import annotations

import logging
from typing import Final

from tertulia.server import observe
from tertulia.server.domain import callers
from tertulia.server.domain.conversation_with_participants import (
    AbandonConversation,
    ActivateConversation,
    SetUpConversation,
)
from tertulia.server.domain.errors import SETUP_FAILED, TertuliaError
from tertulia.server.domain.jobs import Attempt
from tertulia.server.engine.engine import Engine
from tertulia.server.storage.database import StorageError

from .executing import UNTIL_DONE, execute
from .performing import SETTLED, Settled, TryAgain
from .retry import RetryPolicy

log = logging.getLogger(__name__)

TRIES: Final = 5
"""After so many refusals the conversation is closed. A database that is away does not count."""


class SetUpPerformer:
    """Makes a conversation active; one that cannot be is closed, so that nothing stays half made."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def policy(self, _job: SetUpConversation, /) -> RetryPolicy:
        return UNTIL_DONE

    async def __call__(self, job: SetUpConversation, attempt: Attempt, /) -> Settled:
        caller = callers.account(job.account_sid, hooks=job.hooks)
        try:
            await self._engine.execute(
                caller, ActivateConversation(conversation=job.conversation_sid), settling=attempt
            )
        except (TertuliaError, StorageError) as trouble:
            why = f"refused with {trouble.code}" if isinstance(trouble, TertuliaError) else type(trouble).__name__
            if attempt.number < TRIES or (isinstance(trouble, TertuliaError) and trouble.retryable):
                raise TryAgain(why) from trouble
        else:
            return SETTLED
        log.error(
            "conversation.setup_failed",
            extra=observe.fields(conversation=job.conversation_sid, code=SETUP_FAILED.code, why=why),
        )
        return await execute(self._engine, caller, AbandonConversation(conversation=job.conversation_sid), attempt)
