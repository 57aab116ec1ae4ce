"""Requests as an account holder writes them down: words in braces stand for what a message says.

Nothing is evaluated. A value is put where it stands, spelled as the place wants it: percent-encoded in a path, a query
or a form, as a string in JSON. ``{{`` and ``}}`` are braces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, quote_plus

Value = str | int | tuple[str, ...] | None
Values = Mapping[str, Value]

MOST_DEPTH: Final = 20

_WORD: Final = re.compile(r"\{\{|\}\}|\{([a-z][a-z0-9_]*)\}", re.ASCII)
_ALONE: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}", re.ASCII)
_BRACED: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}?|\}")
_MISSING: Final = object()


def words(template: Any) -> Iterator[str]:
    """What stands in braces in a template, be it a string or JSON, also what is no word, and a brace that stands alone.

    Raises ``ValueError`` for one that is too deep.
    """
    yield from _words(template, 0)


def in_text(template: str, values: Values, spelled: Callable[[str], str] = str) -> str:
    """The template with values in it. What a message has not is nothing; a list has commas between its members."""

    def put(match: re.Match[str]) -> str:
        name = match.group(1)
        return match.group(0)[0] if name is None else spelled(_as_text(values.get(name)))

    return _WORD.sub(put, template)


def in_path(template: str, values: Values) -> str:
    """A path whose values stay within their segment."""
    return in_text(template, values, _in_segment)


def in_fields(templates: Mapping[str, str], values: Values) -> str:
    """A query or a form. Fields that come to nothing are left out; a placeholder that is all of a field, and stands
    for several values, repeats it."""
    pairs: list[str] = []
    for name, template in templates.items():
        alone = _ALONE.fullmatch(template)
        value = values.get(alone.group(1)) if alone else None
        each = value if isinstance(value, tuple) else (in_text(template, values),)
        pairs += [f"{quote_plus(name)}={quote_plus(one)}" for one in each if one]
    return "&".join(pairs)


def in_json(template: Any, values: Values) -> Any:
    """JSON with values in it; None where nothing is left.

    A string that is one placeholder alone becomes its value, a list or a number too. Members and elements that come
    to nothing are left out, and objects and lists all of whose members did.
    """
    filled = _filled(template, values)
    return None if filled is _MISSING else filled


def _filled(template: Any, values: Values) -> Any:
    if isinstance(template, dict):
        members = {name: _filled(each, values) for name, each in template.items()}
        kept = {name: each for name, each in members.items() if each is not _MISSING}
        return kept if kept or not template else _MISSING
    if isinstance(template, list):
        elements = [each for each in (_filled(one, values) for one in template) if each is not _MISSING]
        return elements if elements or not template else _MISSING
    if not isinstance(template, str):
        return template
    alone = _ALONE.fullmatch(template)
    if alone is None:
        return in_text(template, values)
    value = values.get(alone.group(1))
    if value is None or value in ("", ()):
        return _MISSING
    return list(value) if isinstance(value, tuple) else value


def _words(template: Any, depth: int) -> Iterator[str]:
    if depth > MOST_DEPTH:
        raise ValueError("a template is too deep")
    if isinstance(template, str):
        for found in _BRACED.finditer(template):
            if found[0] not in ("{{", "}}"):
                yield found[1] or "" if found[0].endswith("}") else found[0]
    elif isinstance(template, Mapping | list):
        for each in template.values() if isinstance(template, Mapping) else template:
            yield from _words(each, depth + 1)


def _as_text(value: Value) -> str:
    if value is None:
        return ""
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _in_segment(text: str) -> str:
    # A segment of dots alone would be a step in the path.
    return quote(text, safe="") if text.strip(".") else text.replace(".", "%2E")
