"""What the vocabulary is made of: entities, commands, changes."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

R = TypeVar("R")


class Entity(msgspec.Struct, frozen=True, gc=False):
    """A thing we keep: one row, immutable; a change is a new value.

    The order of the fields is the order of the columns.
    """


class Command(msgspec.Struct, Generic[R], frozen=True, kw_only=True):
    """A wish. ``Command[Message]`` is answered with a ``Message``."""

    def check(self) -> None:
        """Raise ``InvalidRequest`` when the command is wrong in itself: lengths, JSON, unknown values."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A fact, recorded by a handler in the transaction that made it true."""
