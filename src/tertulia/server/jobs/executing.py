"""Jobs that are one command of ours: done in the transaction that settles the job, so exactly once."""

from __future__ import annotations

from typing import Any, Final

from tertulia.server.domain.base import Command
from tertulia.server.domain.callers import Caller
from tertulia.server.domain.errors import TertuliaError
from tertulia.server.domain.jobs import Attempt
from tertulia.server.engine.engine import Engine

from .performing import SETTLED, Settled, TryAgain
from .retry import RetryPolicy

UNTIL_DONE: Final = RetryPolicy(attempts=1_000_000, first_wait_s=1.0, last_wait_s=60.0)
"""Nobody but ourselves has to agree: it succeeds when the database can do it."""


async def execute(engine: Engine, caller: Caller, command: Command[Any], attempt: Attempt) -> Settled:
    """Execute the command and end the attempt with it. Raises ``TryAgain`` with the code of a refusal."""
    try:
        await engine.execute(caller, command, settling=attempt)
    except TertuliaError as refusal:
        raise TryAgain(f"refused with {refusal.code}") from refusal
    return SETTLED
