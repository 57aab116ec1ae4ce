"""Addresses as an SMSC spells them: a type (TON), a numbering plan (NPI), and what is left of the number."""

from __future__ import annotations

from typing import Final

import msgspec

from .settings import SmppSettings

UNKNOWN: Final = 0
INTERNATIONAL: Final = 1
NATIONAL: Final = 2
NETWORK: Final = 3
ALPHANUMERIC: Final = 5
ISDN: Final = 1

SHORT_CODE_DIGITS: Final = 8
"""Numbers without a type that have more are international ones without their plus."""


class Spelled(msgspec.Struct, frozen=True):
    """An address on the wire. Printed without it."""

    ton: int
    npi: int
    text: str

    def __repr__(self) -> str:
        return f"Spelled({self.ton}, {self.npi}, ***)"


def ours(address: str, settings: SmppSettings) -> Spelled:
    """The sender of a message: a number, a short code, or a name of letters."""
    if address.startswith("+"):
        ton, npi = INTERNATIONAL, ISDN
    elif address.isdecimal():
        ton, npi = NETWORK, 0
    else:
        ton, npi = ALPHANUMERIC, 0
    return Spelled(
        ton if settings.source_ton is None else settings.source_ton,
        npi if settings.source_npi is None else settings.source_npi,
        _digits(address, settings),
    )


def theirs(address: str, settings: SmppSettings) -> Spelled:
    """The recipient."""
    return Spelled(settings.destination_ton, settings.destination_npi, _digits(address, settings))


def address_of(ton: int, text: str, country_code: str) -> str:
    """What came in, spelled as conversations do: ``+`` and digits, a short code, or a name of letters."""
    text = text.strip()
    digits = text.removeprefix("+")
    if ton == ALPHANUMERIC or not (digits.isascii() and digits.isdecimal()):
        return text
    if text.startswith("+"):
        return text
    if digits.startswith("00") and ton in (UNKNOWN, INTERNATIONAL):
        return f"+{digits[2:]}"
    if ton == INTERNATIONAL:
        return f"+{digits}"
    if country_code and (ton == NATIONAL or digits.startswith("0")):
        return f"+{country_code}{digits.removeprefix('0')}"
    return f"+{digits}" if len(digits) > SHORT_CODE_DIGITS else digits


def _digits(address: str, settings: SmppSettings) -> str:
    return address if settings.keeps_plus else address.removeprefix("+")
