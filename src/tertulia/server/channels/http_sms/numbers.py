"""Numbers as a provider spells them, and as conversations do."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

SHORT_CODE_DIGITS: Final = 8
"""What has more digits, and no plus, is an international number without it."""
_SPACING: Final = str.maketrans("", "", " -().\u00a0")


class Spelling(StrEnum):
    PLUS = "plus"
    """``+15550100``, as here."""
    DIGITS = "digits"
    """``15550100``."""
    ZEROS = "zeros"
    """``0015550100``."""


def spelled(address: str, spelling: Spelling) -> str:
    """A number of ours or theirs for the provider. Short codes and names stay as they are."""
    if not address.startswith("+") or spelling is Spelling.PLUS:
        return address
    return ("00" if spelling is Spelling.ZEROS else "") + address[1:]


def address_of(text: str, country_code: str = "") -> str:
    """What a provider said, as ``+`` and digits, a short code, or a name of letters.

    ``country_code`` belongs before numbers that begin with one zero.
    """
    bare = text.strip().translate(_SPACING)
    digits = bare.removeprefix("+")
    if not (digits.isascii() and digits.isdecimal()):
        return text.strip()
    if bare.startswith("+"):
        return bare
    if digits.startswith("00"):
        return f"+{digits[2:]}"
    if country_code and digits.startswith("0"):
        return f"+{country_code}{digits[1:]}"
    return f"+{digits}" if len(digits) > SHORT_CODE_DIGITS else digits
