"""Attributes: any JSON of the application's, which travels as a text of JSON (client-commands 0)."""

from __future__ import annotations

from typing import Any

import msgspec

from tertulia.wire import nesting

from .errors import InvalidArgumentError

Json = Any
"""Any JSON value."""


def attributes_of(value: Json) -> Json:
    """Attributes as JSON: on the wire they are a text of JSON, or JSON.

    What cannot be read is ``{}``, and so is what is nested deeper than 64 levels: whoever has attributes can compare
    and print them, however deep in his own calls he is.
    """
    if value is None or value == "{}":
        return {}
    try:
        text = value.encode() if isinstance(value, str) else msgspec.json.encode(value)
        found = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return {}
    return {} if nesting.is_deeper(text) else found


def attributes_text(value: Json) -> str:
    """Attributes as the wire has them: a text of JSON; None is ``{}``. ``attributes_of`` gives them as they are then.

    Raises ``InvalidArgumentError`` for what JSON cannot say, and what is nested deeper than 64 levels.
    """
    text = json_of({} if value is None else value, "attributes")
    if nesting.is_deeper(text):
        raise InvalidArgumentError(f"attributes are nested deeper than {nesting.DEEPEST} levels")
    return text.decode()


def json_of(value: object, what: str) -> bytes:
    """A text of JSON. Raises ``InvalidArgumentError`` for what JSON cannot say, without repeating it."""
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidArgumentError(f"{what} cannot be written as JSON ({type(error).__name__})") from None
