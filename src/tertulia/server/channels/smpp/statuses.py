"""What an SMSC's numbers and words mean, in one place (gateways 8.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tertulia.server.domain.receipts import ReceiptStatus

OK: Final = 0x00
UNKNOWN_COMMAND: Final = 0x03
TEMPORARY: Final = 0x64
"""Answers a message that cannot be kept now: the SMSC brings it again."""
PERMANENT: Final = 0x65
"""Answers one that cannot be read, and will not be."""
QUEUE_FULL: Final = 0x14

UNREACHABLE: Final = 30003
FILTERED: Final = 30007
UNKNOWN_ERROR: Final = 30008

SUBMIT_CODES: Final[Mapping[int, int]] = {
    0x01: 21617,  # the message's length
    0x0A: 21212,  # the sender's address
    0x0B: 21211,  # the recipient's address
}
"""``command_status`` of a refused message; others are 30008."""

BIND_REFUSALS: Final[Mapping[int, str]] = {
    0x05: "it is bound already",
    0x0D: "the bind failed",
    0x0E: "the password is wrong",
    0x0F: "the system_id is wrong",
    0x53: "the system_type is wrong",
}
"""Why an SMSC will not have us; others are told by their number."""

Outcome = tuple[ReceiptStatus, int]

_SENT: Final = (ReceiptStatus.SENT, 0)
STATES: Final[Mapping[int, Outcome]] = {
    0: _SENT,
    1: _SENT,
    2: (ReceiptStatus.DELIVERED, 0),
    3: (ReceiptStatus.UNDELIVERED, UNREACHABLE),
    4: (ReceiptStatus.UNDELIVERED, UNKNOWN_ERROR),
    5: (ReceiptStatus.UNDELIVERED, UNREACHABLE),
    6: _SENT,
    7: (ReceiptStatus.UNDELIVERED, UNKNOWN_ERROR),
    8: (ReceiptStatus.UNDELIVERED, FILTERED),
    9: (ReceiptStatus.UNDELIVERED, UNKNOWN_ERROR),
}
"""``message_state``."""
UNDELIVERABLE: Final = 5
"""The one state that the receipt's ``err`` says more about."""

WORDS: Final[Mapping[str, int]] = {
    "SCHEDUL": 0,
    "ENROUTE": 1,
    "DELIVRD": 2,
    "EXPIRED": 3,
    "DELETED": 4,
    "UNDELIV": 5,
    "ACCEPTD": 6,
    "UNKNOWN": 7,
    "REJECTD": 8,
    "SKIPPED": 9,
    # Some do not shorten them.
    "DELIVER": 2,
    "ACCEPTE": 6,
    "REJECTE": 8,
}
"""``stat``, by its first seven letters, as states."""

RECEIPT_CODES: Final[Mapping[str, int]] = {
    "1": 30005,  # unknown subscriber
    "9": 30005,  # illegal subscriber
    "12": 30005,  # illegal equipment
    "13": 30004,  # call barred
    "21": 30006,  # facility not supported
}
"""UNVERIFIED: ``err`` of a receipt, without zeros before it, as GSM MAP numbers causes. Vendors have lists of their
own: the setting ``receipt_codes``."""


def refusal_code(status: int, settable: Mapping[int, int]) -> int:
    """Of a message that was refused with this ``command_status``."""
    return settable.get(status) or SUBMIT_CODES.get(status, UNKNOWN_ERROR)


def outcome(state: int, err: str | None, settable: Mapping[str, int]) -> Outcome | None:
    """What became of a message; None for a state that nobody knows."""
    known = STATES.get(state)
    if known is None or state != UNDELIVERABLE or err is None:
        return known
    err = err.strip()
    code = settable.get(err) or RECEIPT_CODES.get(err.lstrip("0"), UNREACHABLE)
    return known[0], code


def bind_refusal(status: int) -> str:
    """Why a bind was refused, in words."""
    return BIND_REFUSALS.get(status, f"with status 0x{status:08x}")
