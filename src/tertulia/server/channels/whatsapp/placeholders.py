"""Placeholders of templates: filled in here, or handed to WhatsApp as parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ..base import Refused
from ..graph.client import JSON
from ..graph.codes import NOT_ACCEPTED, PARAMETERS

_PLACEHOLDER: Final = re.compile(r"\{\{([^{}]{1,64})\}\}")
_FILLED_CHARS: Final = 32 << 10


def fill(text: str, variables: Mapping[str, str]) -> str:
    """The text with its values; a placeholder without one stays as it is.

    Refused when it becomes far too long: a few bytes can stand for many.
    """
    left = _FILLED_CHARS - len(text)

    def value(found: re.Match[str]) -> str:
        nonlocal left
        given = variables.get(found[1], found[0])
        left -= len(given)
        if left < 0:
            raise Refused(NOT_ACCEPTED, "the template becomes too long")
        return given

    return _PLACEHOLDER.sub(value, text)


def names_in(text: str) -> list[str]:
    """Its placeholders, once each, in the order in which WhatsApp counts them: by number, else as they come."""
    names = list(dict.fromkeys(_PLACEHOLDER.findall(text)))
    return sorted(names, key=int) if _are_numbers(names) else names


def parameters(text: str, variables: Mapping[str, str]) -> list[JSON]:
    """The values of a component's placeholders, as WhatsApp takes them: each component counts from one.

    Placeholders with names go by their names. Refused where a value is missing.
    """
    names = names_in(text)
    is_counted = _are_numbers(names)
    values: list[JSON] = []
    for name in names:
        if not variables.get(name):
            raise Refused(PARAMETERS, "a placeholder of the template has no value")
        named: JSON = {} if is_counted else {"parameter_name": name}
        values.append({"type": "text", **named, "text": variables[name]})
    return values


def _are_numbers(names: list[str]) -> bool:
    return all(name.isascii() and name.isdecimal() for name in names)
