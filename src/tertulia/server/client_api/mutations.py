"""Commands of clients: done once, however often they are sent (client-commands 6.12)."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from tertulia.server.domain.base import Command
from tertulia.server.domain.errors import BAD_PARAMETER
from tertulia.server.web.operations import Call

R = TypeVar("R")

_HEADER = "x-twilio-mutation-id"
_MOST_CHARS = 128


async def execute(call: Call, command: Command[R]) -> R:
    """Do what the command says; a repeat with the same mutation id gets the first answer.

    The id is of one request, whereas the caller may be that of a whole connection.
    """
    caller, mutation_id = call.caller, call.request.headers.get(_HEADER)
    if not mutation_id:
        return await call.engine.execute(caller, command)
    if len(mutation_id) > _MOST_CHARS:
        raise BAD_PARAMETER(f"X-Twilio-Mutation-Id has more than {_MOST_CHARS} characters")
    return await call.engine.execute(msgspec.structs.replace(caller, mutation_id=mutation_id), command)
