"""The tables of the command path: who handles what, what it needs, what follows. Filled by two decorators."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from tertulia.server.domain.base import Change, Command
from tertulia.server.domain.callers import Caller
from tertulia.server.domain.errors import (
    CONFLICT,
    CONVERSATION_CONFLICT,
    MESSAGE_CONFLICT,
    PARTICIPANT_CONFLICT,
    USER_CONFLICT,
    Row,
)
from tertulia.server.domain.permissions import Need

from .scenes import Scene
from .unit import Unit

R = TypeVar("R")
C = TypeVar("C", bound=Command[Any])
S = TypeVar("S", bound=Scene)
F = TypeVar("F", bound=Change)

Enter = Callable[[Unit, Any], Awaitable[Scene]]
Handler = Callable[[Unit, Any, Any], Awaitable[Any]]
Effect = Callable[[Unit, Any], Awaitable[None]]


class Rule(msgspec.Struct, frozen=True):
    """How one command is decided."""

    handler: Handler
    enter: Enter
    """Finds and locks the place; raises when the caller does not see it."""
    needs: tuple[Need, ...]
    answer: Any
    """The type of the answer, to give a stored one back."""
    for_clients: bool
    """Identities may send it; everybody else always may."""
    account_only: Mapping[str, Any]
    """The fields that an identity must leave alone, as they are then."""
    pre_hook: str | None = None
    """The event that a receiver may be asked about before; he may say no (semantics 1.4)."""
    for_channels: bool = False
    """People on channels may send it: it brings what they have written."""


RULES: Final[dict[type[Command[Any]], Rule]] = {}
EFFECTS: Final[dict[type[Change], list[Effect]]] = {}


def handles(
    command: type[C],
    *,
    on: Callable[[Unit, C], Awaitable[S]],
    needs: tuple[Need, ...] = (),
    for_clients: bool = True,
    clients_set: tuple[str, ...] | None = None,
    pre_hook: str | None = None,
    for_channels: bool = False,
) -> Callable[[Callable[[Unit, C, S], Awaitable[R]]], Callable[[Unit, C, S], Awaitable[R]]]:
    """Name the handler of a command, where it takes place and what an identity needs there.

    ``pre_hook`` is the event that the account's or the service's hook is asked about before.
    ``clients_set`` are the fields that an identity may set, beside those that say where; all of them unless given.
    ``for_channels`` opens it to people who write to us from outside: nothing else is.
    Raises ``TypeError`` when the handler does not answer what the command promises.
    """

    def register(handler: Callable[[Unit, C, S], Awaitable[R]]) -> Callable[[Unit, C, S], Awaitable[R]]:
        answer = get_type_hints(handler)["return"]
        if answer != _promised(command):
            raise TypeError(f"{handler.__qualname__} answers {answer}, {command.__name__} promises something else")
        unset = {} if clients_set is None else _defaults(command)
        account_only = {field: unset[field] for field in sorted(unset.keys() - set(clients_set or ()))}
        RULES[command] = Rule(handler, on, needs, answer, for_clients, account_only, pre_hook, for_channels)
        return handler

    return register


def _promised(command: type[Command[Any]]) -> Any:
    """The ``R`` of a ``Command[R]``."""
    for ancestor in command.__mro__:
        for base in getattr(ancestor, "__orig_bases__", ()):
            if get_origin(base) is Command:
                promised = get_args(base)[0]
                return type(None) if promised is None else promised
    raise TypeError(f"{command.__name__} does not say what it is answered with")


def effect_of(
    change: type[F],
) -> Callable[[Callable[[Unit, F], Awaitable[None]]], Callable[[Unit, F], Awaitable[None]]]:
    """Name something that follows from a change, in the same transaction."""

    def register(effect: Callable[[Unit, F], Awaitable[None]]) -> Callable[[Unit, F], Awaitable[None]]:
        EFFECTS.setdefault(change, []).append(effect)
        return effect

    return register


def overstepped(rule: Rule, command: Command[Any]) -> str | None:
    """The first field that an identity has set and may not: roles, states, timers, other people's words."""
    for field, default in rule.account_only.items():
        if getattr(command, field) != default:
            return field
    return None


def unmet(needs: tuple[Need, ...], caller: Caller, command: Command[Any], scene: Scene) -> Need | None:
    """The first need an identity does not meet; account callers meet all of them (semantics 2.1)."""
    if not caller.is_identity:
        return None
    for need in needs:
        applies = not need.when or any(_is_set(command, field) for field in need.when)
        if applies and not need.is_met(scene.granted, scene.own):
            return need
    return None


_CONFLICTS: Final = {
    "conversation_with_participants": CONVERSATION_CONFLICT,
    "conversations": CONVERSATION_CONFLICT,
    "memberships": PARTICIPANT_CONFLICT,
    "messages": MESSAGE_CONFLICT,
    "participants": PARTICIPANT_CONFLICT,
    "users": USER_CONFLICT,
}


def conflict_of(command: Command[Any]) -> Row:
    """How a command is refused that others were always quicker than, by what it concerns (rest 1.7)."""
    return _CONFLICTS.get(type(command).__module__.rpartition(".")[2], CONFLICT)


def _is_set(command: Command[Any], field: str) -> bool:
    """Not left at its default. Where that is "unset", a None clears something, and asks for the same permission."""
    return bool(getattr(command, field) != _defaults(type(command))[field])


@cache
def _defaults(command: type[Command[Any]]) -> dict[str, Any]:
    return {field.name: field.default for field in msgspec.structs.fields(command) if not field.required}
