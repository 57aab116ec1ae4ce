"""Attributes: any JSON of the application's, which travels as a text of JSON (client-commands 0)."""

from __future__ import annotations

from typing import Any

import msgspec

Json = Any
"""Any JSON value."""


def attributes_of(value: Json) -> Json:
    """Attributes as JSON: on the wire they are a text of JSON, or JSON. What cannot be read is ``{}``."""
    if isinstance(value, str):
        try:
            return msgspec.json.decode(value)
        except ValueError:
            return {}
    return {} if value is None else value


def attributes_text(value: Json) -> str:
    """Attributes as the wire has them: a text of JSON; None is ``{}``."""
    return msgspec.json.encode({} if value is None else value).decode()
