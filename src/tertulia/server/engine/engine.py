"""One wish, from the caller to the answer (architecture 4)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from tertulia.server import observe
from tertulia.server.bus.base import Bus, Publication
from tertulia.server.clock import Clock
from tertulia.server.domain.base import Command
from tertulia.server.domain.callers import Caller
from tertulia.server.domain.errors import (
    BAD_PARAMETER,
    MAY_NOT_SET_ROLE,
    NOT_PERMITTED,
    STATE_FORBIDS,
    UNAVAILABLE,
    TertuliaError,
)
from tertulia.server.storage.database import Connection, Database, Retryable, StorageUnavailable, UniqueViolation

from . import handlers as handlers
from .rules import EFFECTS, RULES, Rule, overstepped, unmet
from .unit import Policy, Unit

R = TypeVar("R")
log = logging.getLogger(__name__)

MUTATION_ID_CHARS = 128
ATTEMPTS = 3
"""How often a transaction is run when the database lets another one win."""


class Engine:
    """The only way to change anything.

    A command's answer, the events about it and its mutation id commit together; publications leave after the commit.
    """

    def __init__(
        self, database: Database, bus: Bus, clock: Clock, new_sid: Callable[[str], str], policy: Policy
    ) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._new_sid = new_sid
        self._policy = policy

    async def execute(self, caller: Caller, command: Command[R]) -> R:
        """Do what the command says, as the caller; answers when it is durable.

        A repeat, by the caller's mutation id, gets the first one's answer and does nothing. Raises the errors of the
        command's rules; ``Unavailable`` when the database cannot commit, and then nothing has changed.
        """
        started, outcome = time.perf_counter(), "failed"
        try:
            answer = await self._execute(caller, command)
            outcome = "done"
        except TertuliaError as refusal:
            outcome = "failed" if refusal.status >= 500 else "refused"
            raise
        finally:
            observe.command_meter(type(command).__name__).done(outcome, time.perf_counter() - started)
        return answer

    async def _execute(self, caller: Caller, command: Command[R]) -> R:
        rule = RULES[type(command)]
        if caller.is_identity and not rule.for_clients:
            raise NOT_PERMITTED("This is not open to clients")
        if caller.is_identity and (field := overstepped(rule, command)) is not None:
            raise MAY_NOT_SET_ROLE() if field == "role_sid" else NOT_PERMITTED(f"{field} is not open to clients")
        if caller.mutation_id is not None and (
            len(caller.mutation_id) > MUTATION_ID_CHARS or "\0" in caller.mutation_id
        ):
            raise BAD_PARAMETER("The mutation id is too long, or contains a NUL character")
        command.check()
        answer, publications = await self._commit(rule, caller, command)
        if publications:
            await self._bus.publish(publications)
        return answer

    async def _commit(self, rule: Rule, caller: Caller, command: Command[R]) -> tuple[R, list[Publication]]:
        """Steps 5 to 7, again where the database let another transaction win."""
        name = type(command).__name__
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self._database.transaction() as connection:
                    answer, unit = await self._decide(rule, caller, command, connection)
            except (Retryable, UniqueViolation) as conflict:
                # Somebody else was quicker: decided again, the handler sees what he did.
                if attempt == ATTEMPTS:
                    log.warning("command.conflict", extra=observe.fields(command=name))
                    raise STATE_FORBIDS("Conflicting modification, please repeat") from conflict
            except StorageUnavailable as trouble:
                log.error("command.unavailable", extra=observe.fields(command=name, why=str(trouble)))
                raise UNAVAILABLE() from trouble
            else:
                return answer, unit.publications() if unit is not None else []
        raise AssertionError("the last attempt returns or raises")

    async def _decide(
        self, rule: Rule, caller: Caller, command: Command[R], connection: Connection
    ) -> tuple[R, Unit | None]:
        unit = Unit(connection, caller, self._clock.now(), self._new_sid, self._policy)
        name = type(command).__name__
        if caller.mutation_id is not None:
            stored = await unit.mutations.find(caller.key, caller.mutation_id)
            if stored is not None:
                observe.MUTATION_REPEATS.inc()
                return _answer_again(rule, name, stored), None
        scene = await rule.enter(unit, command)
        need = unmet(rule.needs, caller, command, scene)
        if need is not None:
            raise NOT_PERMITTED(f"User not authorized for command: {need.least(scene.own)} is missing")
        answer: R = await rule.handler(unit, command, scene)
        for change in unit.changes:
            for effect in EFFECTS.get(type(change), ()):
                await effect(unit, change)
        if caller.mutation_id is not None:
            text = msgspec.json.encode(answer).decode()
            await unit.mutations.add(caller.key, caller.mutation_id, name, text, unit.now)
        return answer, unit


def _answer_again(rule: Rule, name: str, stored: tuple[str, str]) -> Any:
    command, answer = stored
    if command != name:
        raise STATE_FORBIDS("This mutation id was used for another command")
    return msgspec.json.decode(answer, type=rule.answer)
