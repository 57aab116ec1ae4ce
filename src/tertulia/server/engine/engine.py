"""One wish, from the caller to the answer (architecture 4)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from tertulia.server import observe, tracing
from tertulia.server.bus.base import Bus
from tertulia.server.clock import Clock
from tertulia.server.domain.base import Command
from tertulia.server.domain.callers import Caller, CallerKind
from tertulia.server.domain.errors import (
    BAD_PARAMETER,
    MAY_NOT_SET_ROLE,
    NOT_PERMITTED,
    STATE_FORBIDS,
    UNAVAILABLE,
    TertuliaError,
)
from tertulia.server.domain.jobs import Attempt, LeaseLost
from tertulia.server.sealing import Sealer
from tertulia.server.storage.database import Connection, Database, Retryable, StorageUnavailable, UniqueViolation
from tertulia.server.storage.webhooks import Webhooks

from . import handlers as handlers
from .hook_directory import HookDirectory
from .hooks import PreHooks, Proposal
from .lanes import Lanes
from .notification_directory import NotificationDirectory
from .rates import Fare, Rates
from .rules import EFFECTS, RULES, Rule, conflict_of, overstepped, unmet
from .unit import Policy, Unit
from .webhook_calls import WebhookCalls
from .webhook_events import event_of, pre_parameters, subject_of

R = TypeVar("R")
log = logging.getLogger(__name__)

MUTATION_ID_CHARS = 128
ATTEMPTS = 3
"""How often a transaction is run when the database lets another one win."""


class Wish(msgspec.Struct, frozen=True):
    """A command on its way through the engine."""

    rule: Rule
    caller: Caller
    command: Command[Any]
    asked_for: Command[Any]
    """As its caller sent it; permissions are judged by this, not by what a hook has put in."""
    amended: frozenset[str] = frozenset()
    """The fields that a hook has replaced."""
    settling: Attempt | None = None
    """The attempt at a job that ends with this command."""
    fare: Fare | None = None
    """What it takes from a budget, once; None where there is none."""

    @property
    def name(self) -> str:
        return type(self.command).__name__


class Rehearsed(Exception):
    """Ends a rehearsal, and undoes it."""


class Engine:
    """The only way to change anything.

    A command's answer, the events about it, the jobs that follow from it and its mutation id commit together;
    publications leave after the commit.
    """

    def __init__(
        self,
        database: Database,
        bus: Bus,
        clock: Clock,
        new_sid: Callable[[str], str],
        policy: Policy,
        sealer: Sealer,
        webhook_calls: WebhookCalls,
        rates: Rates | None = None,
        lanes: Lanes | None = None,
    ) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._new_sid = new_sid
        self._policy = policy
        self._sealer = sealer
        self._hooks = HookDirectory(bus, clock)
        self._notification_settings = NotificationDirectory(bus, clock)
        self._pre_hooks = PreHooks(webhook_calls)
        self._rates = rates or Rates(clock)
        self._lanes = lanes or Lanes()
        self.promised: Callable[[], None] = _nobody
        """Called after a commit that owes something, so that a worker need not find it by looking."""

    async def execute(self, caller: Caller, command: Command[R], *, settling: Attempt | None = None) -> R:
        """Do what the command says, as the caller; answers when it is durable.

        A repeat, by the caller's mutation id, gets the first one's answer and does nothing. With ``settling`` the
        attempt at a job ends in the same transaction; raises ``LeaseLost`` when another attempt has begun meanwhile.
        Raises the errors of the command's rules; ``Unavailable`` when the database cannot commit, and then nothing
        has changed.
        """
        started, outcome, name = time.perf_counter(), "failed", type(command).__name__
        span = tracing.active.command(name, caller.account_sid) if tracing.active is not None else None
        try:
            answer: R = await self._execute(caller, command, settling)
            outcome = "done"
        except TertuliaError as refusal:
            outcome = "failed" if refusal.status >= 500 else "refused"
            raise
        finally:
            observe.command_meter(name).done(outcome, time.perf_counter() - started)
            if span is not None:
                span.end(outcome)
        return answer

    async def _execute(self, caller: Caller, command: Command[Any], settling: Attempt | None) -> Any:
        rule = RULES[type(command)]
        if caller.is_identity:
            if not rule.for_clients:
                raise NOT_PERMITTED("This is not open to clients")
            if (field := overstepped(rule, command)) is not None:
                raise MAY_NOT_SET_ROLE() if field == "role_sid" else NOT_PERMITTED(f"{field} is not open to clients")
        if caller.kind is CallerKind.CHANNEL and not rule.for_channels:
            raise NOT_PERMITTED("This is not open to people on channels")
        if caller.mutation_id is not None and (
            len(caller.mutation_id) > MUTATION_ID_CHARS or "\0" in caller.mutation_id
        ):
            raise BAD_PARAMETER("The mutation id is too long, or contains a NUL character")
        command.check()
        wish = Wish(rule, caller, command, command, settling=settling, fare=self._rates.fare(caller, command))
        if rule.pre_hook is not None and caller.hooks and self._may_be_asked(caller):
            wish = await self._ask(wish, rule.pre_hook)
        answer, unit = await self._lanes.through(caller, self._transact(wish))
        if unit is not None:
            if unit.promises:
                self.promised()
            if publications := unit.publications():
                await self._bus.publish(publications)
        return answer

    # --- asking before (steps 3 and 4)

    def _may_be_asked(self, caller: Caller) -> bool:
        """Timers have no hooks; account holders those they asked for, if the installation lets them (semantics 1.2)."""
        if caller.kind is CallerKind.ACCOUNT:
            return self._policy.rest_pre_action
        return caller.kind in (CallerKind.IDENTITY, CallerKind.CHANNEL)

    async def _ask(self, wish: Wish, pre_event: str) -> Wish:
        """The wish as the hook's receiver lets it pass; raises 50056 when he does not.

        What the command would change is found out by a rehearsal: decided as it will be, and undone. So a command
        that fails bothers nobody, and what the receiver is told is what would become true. No transaction is open
        while he thinks.
        """
        caller, service_sid = wish.caller, getattr(wish.command, "service", None) or wish.caller.service_sid
        if service_sid is None:
            return wish
        choice = self._hooks.remembered(caller.account_sid, service_sid)
        if choice is None:  # nearly never: each message of a client comes by here
            async with self._database.snapshot() as connection:
                choice = await self._hooks.of(Webhooks(connection), caller.account_sid, service_sid)
        hook = choice.asked(pre_event)
        if hook is None:
            return wish
        proposal = await self._lanes.through(caller, self._rehearse(wish, pre_event))
        if proposal is None:
            return wish
        replaced = await self._pre_hooks.ask(hook, proposal)
        if not replaced:
            return wish
        command = msgspec.structs.replace(wish.command, **replaced)
        command.check()
        return msgspec.structs.replace(wish, command=command, amended=frozenset(replaced))

    async def _rehearse(self, wish: Wish, pre_event: str) -> Proposal | None:
        """What the command would do that the hook's receiver is asked about; None for nothing, or a repeat."""
        unit: Unit | None = None
        span = tracing.active.transaction(0) if tracing.active is not None else None
        try:
            async with self._database.transaction() as connection:
                _, unit = await self._decide(wish, connection)
                raise Rehearsed
        except Rehearsed:
            changes, now = (unit.changes, unit.now) if unit is not None else ([], 0)
        except (Retryable, UniqueViolation):
            return None  # somebody else was quicker; the transaction itself will say what comes of it
        except StorageUnavailable as trouble:
            raise self._unavailable(wish, trouble) from trouble
        finally:
            if span is not None:
                span.end("undone")
        for change in changes:
            event = event_of(change)
            if event is not None and event.pre_name == pre_event:
                parameters = pre_parameters(event, change, wish.caller, now)
                return Proposal(pre_event, subject_of(change).account_sid, parameters)
        return None

    # --- deciding (steps 5 to 7)

    async def _transact(self, wish: Wish) -> tuple[Any, Unit | None]:
        """Decide, react and commit; again where the database let another transaction win."""
        for attempt in range(1, ATTEMPTS + 1):
            outcome, span = "undone", tracing.active.transaction(attempt) if tracing.active is not None else None
            try:
                async with self._database.transaction() as connection:
                    answer, unit = await self._decide(wish, connection)
                    if unit is not None:
                        await self._follow(wish, unit, answer)
            except (Retryable, UniqueViolation) as conflict:
                # Somebody else was quicker: decided again, the handler sees what he did.
                if attempt == ATTEMPTS:
                    log.warning("command.conflict", extra=observe.fields(command=wish.name))
                    raise conflict_of(wish.command)() from conflict
            except StorageUnavailable as trouble:
                raise self._unavailable(wish, trouble) from trouble
            else:
                outcome = "done"
                return answer, unit
            finally:
                if span is not None:
                    span.end(outcome)
        raise AssertionError("the last attempt returns or raises")

    async def _decide(self, wish: Wish, connection: Connection) -> tuple[Any, Unit | None]:
        """The handler's answer, with what it changed; or a stored answer, and nothing."""
        caller, rule = wish.caller, wish.rule
        unit = Unit(
            connection,
            caller,
            self._clock.now(),
            self._new_sid,
            self._policy,
            self._sealer,
            self._hooks,
            self._notification_settings,
        )
        unit.amended = wish.amended
        if caller.mutation_id is not None:
            stored = await unit.mutations.find(caller.key, caller.mutation_id)
            if stored is not None:
                observe.MUTATION_REPEATS.inc()
                return _answer_again(rule, wish.name, stored), None
        scene = await rule.enter(unit, wish.command)
        need = unmet(rule.needs, caller, wish.asked_for, scene)
        if need is not None:
            raise NOT_PERMITTED(f"User not authorized for command: {need.least(scene.own)} is missing")
        if wish.fare is not None:
            wish.fare.pay(scene)
        return await rule.handler(unit, wish.command, scene), unit

    async def _follow(self, wish: Wish, unit: Unit, answer: Any) -> None:
        """What follows from the changes, in the same transaction."""
        for change in unit.changes:
            for effect in EFFECTS.get(type(change), ()):
                await effect(unit, change)
        if unit.promises or unit.withdrawn:
            await unit.write_promises()
        if wish.settling is not None and not await unit.outbox.settle(wish.settling):
            raise LeaseLost
        caller = wish.caller
        if caller.mutation_id is not None:
            text = msgspec.json.encode(answer).decode()
            await unit.mutations.add(caller.key, caller.mutation_id, wish.name, text, unit.now)

    def _unavailable(self, wish: Wish, trouble: StorageUnavailable) -> TertuliaError:
        log.error("command.unavailable", extra=observe.fields(command=wish.name, why=str(trouble)))
        return UNAVAILABLE()


def _nobody() -> None:
    """Nobody waits for promises."""


def _answer_again(rule: Rule, name: str, stored: tuple[str, str]) -> Any:
    command, answer = stored
    if command != name:
        raise STATE_FORBIDS("This mutation id was used for another command")
    return msgspec.json.decode(answer, type=rule.answer)
