"""Secrets on their way to the seal: drawn outside, carried in commands, never printed."""

from __future__ import annotations

from typing import Final

import msgspec

from .errors import BAD_PARAMETER

SECRET_CHARS: Final = 32
"""How long a secret is that we draw: 190 bits of letters and digits."""


class Secret(msgspec.Struct, frozen=True):
    """A secret, readable by asking for it. Printed without it."""

    text: str

    def check(self) -> None:
        """Raise unless official libraries send it: they refuse all but letters and digits (rest 1.2)."""
        if len(self.text) < SECRET_CHARS or not (self.text.isascii() and self.text.isalnum()):
            raise BAD_PARAMETER(f"A secret has at least {SECRET_CHARS} letters and digits, and nothing else")

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__
