"""Where something stands in what a provider says: ``data.payload.to[].phone_number | from``.

Names with dots between them; ``[0]`` is one of a list, ``[]`` each of it. Of alternatives with ``|`` between them the
first that leads to something counts; what several paths with ``+`` between them lead to is taken together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

MOST: Final = 1000
"""Values that one path leads to; what is beyond them is not looked at."""

_STEP: Final = re.compile(r"([A-Za-z0-9_$:@-]*)((?:\[[0-9]{0,4}\])*)", re.ASCII)
_INDEX: Final = re.compile(r"\[([0-9]*)\]", re.ASCII)

Step = str | int | None
"""A name, a place in a list, or each of it."""


def found(document: Any, path: str) -> list[Any]:
    """What is there, in order; nothing where the path leads nowhere. An empty path leads to the document itself."""
    for together in compiled(path):
        values = [value for steps in together for value in _walk(document, steps)]
        if values:
            return values
    return []


def texts(document: Any, path: str) -> list[str]:
    """Those that are words, numbers or truths, as words. A list at the end stands for what is in it."""
    values: list[Any] = []
    for value in found(document, path):
        values.extend(value if isinstance(value, list) else [value])
    return [text for text in map(as_text, values[:MOST]) if text is not None]


def text(document: Any, path: str | None) -> str | None:
    """The first of them."""
    return next(iter(texts(document, path)), None) if path is not None else None


def code(document: Any, path: str | None) -> str | None:
    """An error code: of a URL what follows its ``#``."""
    said = text(document, path or None)
    return None if said is None else said.rpartition("#")[2].strip()


def holds(document: Any, conditions: Mapping[str, Sequence[str]]) -> bool:
    """Whether each path leads to one of its values; ``*`` is any."""
    return all(
        any("*" in wanted or each in wanted for each in texts(document, path)) for path, wanted in conditions.items()
    )


def as_text(value: Any) -> str | None:
    """A value as words; None for what is no single one."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    return None


@lru_cache(maxsize=1024)
def compiled(path: str) -> tuple[tuple[tuple[Step, ...], ...], ...]:
    """The alternatives of a path, each of them one or more. Raises ``ValueError`` for what is none."""
    return tuple(tuple(_steps(one.strip()) for one in each.split("+")) for each in path.split("|"))


def _steps(path: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    for part in path.split(".") if path else ():
        match = _STEP.fullmatch(part)
        if match is None or not part:
            raise ValueError(f"expected a path as data.items[0].id, got {path[:100]!r}")
        name, indexes = match.groups()
        if name:
            steps.append(name)
        steps.extend(int(index) if index else None for index in _INDEX.findall(indexes))
    return tuple(steps)


def _walk(document: Any, steps: tuple[Step, ...]) -> list[Any]:
    values = [document]
    for step in steps:
        following: list[Any] = []
        for value in values:
            if isinstance(step, str):
                if isinstance(value, Mapping) and value.get(step) is not None:
                    following.append(value[step])
            elif isinstance(value, list):
                following.extend(value if step is None else value[step : step + 1])
        values = following[:MOST]
    return [value for value in values if value is not None]
