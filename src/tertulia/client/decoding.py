"""Reading JSON that somebody else has written: whatever is wrong with it, it is one and the same error."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import msgspec

T = TypeVar("T")


def decoder(kind: type[T], *, strict: bool = True) -> Callable[[bytes | msgspec.Raw], T]:
    """Reads JSON as this kind. What it gives raises ``msgspec.DecodeError``, and nothing else.

    That is a ``ValueError``, and says what is wrong where, not the value.
    """
    return partial(_read, msgspec.json.Decoder(kind, strict=strict).decode)


def decoded(data: bytes, kind: type[T]) -> T:
    """The same, once: for kinds that are not known in advance."""
    return _read(lambda told: msgspec.json.decode(told, type=kind), data)


def _read(decode: Callable[[bytes | msgspec.Raw], T], data: bytes | msgspec.Raw) -> T:
    try:
        return decode(data)
    except msgspec.DecodeError:
        raise
    except RecursionError:
        raise msgspec.DecodeError("it is nested too deep") from None
    except (ValueError, OverflowError) as error:
        # Of bytes that are no text, for instance.
        raise msgspec.DecodeError(f"it is no JSON ({type(error).__name__})") from None
