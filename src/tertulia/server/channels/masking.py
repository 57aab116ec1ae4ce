"""Stars for secrets that somebody has written where no secret belongs: into headers, queries, bodies.

Where secrets are expected settings are marked as such, and wholly sealed from sight. Beside them stand tables of an
account holder's own making, in which ``Bearer {token}`` shows what a request looks like, and ``Bearer 5fc1…`` a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

MASK: Final = "***"

HEADERS: Final = {"masks": "headers"}
"""Of a table of headers all are masked but those that are known to tell nothing."""
NAMED: Final = {"masks": "named"}
"""Of a table, JSON or a form, those members whose names speak of a secret."""
TEMPLATE: Final = {"masks": "template"}
"""A text that would be a secret if it were written out."""

_HARMLESS: Final = frozenset(
    ("accept", "accept-charset", "accept-encoding", "accept-language", "cache-control", "content-type", "user-agent")
)
_TELLING: Final = re.compile(
    r"auth|key|token|secret|passw|passphrase|pwd|credential|signature|cookie|session", re.IGNORECASE
)
_PLACEHOLDER: Final = re.compile(r"\{[a-z][a-z0-9_]*\}", re.ASCII)
_SCHEMES: Final = frozenset(("", ":", "accesskey", "apikey", "app", "basic", "bearer", "digest", "key", "token"))
"""What may stand beside placeholders."""


class NotKnown(Exception):
    """Stars stand for something that there was not before."""


def masked(value: Any, way: str) -> Any:
    """The value of a setting that is marked ``way``, for an account holder's eyes; of others as it is."""
    if way == HEADERS["masks"] and isinstance(value, Mapping):
        return {name: one if name.lower() in _HARMLESS else _star(one) for name, one in value.items()}
    if way == NAMED["masks"]:
        return _named(value)
    return _star(value) if way == TEMPLATE["masks"] else value


def unmasked(value: Any, before: Any) -> Any:
    """The value with what was there before in place of stars. Raises ``NotKnown``."""
    if value == MASK:
        if before is None:
            raise NotKnown
        return before
    if isinstance(value, Mapping):
        had = before if isinstance(before, Mapping) else {}
        return {name: unmasked(one, had.get(name)) for name, one in value.items()}
    if isinstance(value, list):
        others = before if isinstance(before, list) else []
        return [unmasked(one, others[n] if n < len(others) else None) for n, one in enumerate(value)]
    return value


def _named(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _star(one) if _TELLING.search(name) else _named(one) for name, one in value.items()}
    return [_named(one) for one in value] if isinstance(value, list | tuple) else value


def _star(value: Any) -> Any:
    """Stars for whatever says more than placeholders do."""
    if isinstance(value, Mapping):
        return {name: _star(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_star(one) for one in value]
    if value is None or isinstance(value, bool):
        return value
    beside = _PLACEHOLDER.sub("", value).strip() if isinstance(value, str) else str(value)
    return value if beside.lower() in _SCHEMES else MASK
