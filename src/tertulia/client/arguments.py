"""What callers give, looked at before anything is done with it.

Each raises ``InvalidArgumentError``, which says what would be right, and shows what was given only where that is no
secret.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from enum import Enum, IntEnum
from pathlib import Path
from typing import TypeVar

from .errors import InvalidArgumentError

C = TypeVar("C", bound=Enum)


def text(value: object, what: str, *, may_be_empty: bool = False) -> str:
    """A text; not an empty one, unless that means something."""
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{what} is a text, not {_kind(value)}")
    if not value and not may_be_empty:
        raise InvalidArgumentError(f"{what} is not empty")
    return value


def words(value: object, what: str) -> None:
    """A text, empty or not, or None."""
    if value is not None:
        text(value, what, may_be_empty=True)


def texts(value: object, what: str) -> None:
    """Texts by text, or None."""
    if value is None:
        return
    if not isinstance(value, Mapping):
        raise InvalidArgumentError(f"{what} are a mapping of texts, not {_kind(value)}")
    for name, each in value.items():
        text(name, f"a name in {what}")
        text(each, f"a value in {what}", may_be_empty=True)


def number(value: object, what: str, least: int, most: int | None = None) -> int:
    """A whole number within bounds, both of which count."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidArgumentError(f"{what} is a whole number, not {_kind(value)}")
    if value < least or (most is not None and value > most):
        within = f"at least {least}" if most is None else f"{least} to {most}"
        raise InvalidArgumentError(f"{what} is {within}, not {value}")
    return value


def seconds(value: object, what: str) -> float | None:
    """A number of seconds, or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise InvalidArgumentError(f"{what} is a number of seconds, not {_kind(value)}")
    return value


def choice(kind: type[C], value: object, what: str) -> C:
    """One of a closed set: a member of it, or its value."""
    for each in kind:
        if value == each:
            return each
    known = ", ".join(each.name if isinstance(each, IntEnum) else str(each.value) for each in kind)
    raise InvalidArgumentError(f"{what} is one of {known}, not {value!r:.40}")


def path(value: object, what: str) -> Path:
    """A path, or the text of one."""
    if isinstance(value, bytes) or not isinstance(value, str | os.PathLike):
        raise InvalidArgumentError(f"{what} is a path, not {_kind(value)}")
    return Path(value)


def function(value: object, what: str) -> None:
    """Something that can be called."""
    if not callable(value):
        raise InvalidArgumentError(f"{what} is a function, not {_kind(value)}")


def _kind(value: object) -> str:
    return "None" if value is None else f"{type(value).__name__}"
