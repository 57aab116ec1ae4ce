"""What the numbers of mail servers mean: of answers (RFC 5321, 3463) and of reports (RFC 3464). Pure.

UNVERIFIED: which of our codes each becomes; the hosted service publishes no such table for e-mail. The setting
``codes`` of a gateway puts others in their place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

UNKNOWN: Final = 30008
NO_SUCH_USER: Final = 63003
INVALID: Final = 63024
UNREACHABLE: Final = 30003
UNKNOWN_DESTINATION: Final = 30005
FILTERED: Final = 30007
TOO_LARGE: Final = 50512
EXPIRED: Final = 30410

CODES: Final[Mapping[str, int]] = {
    "1": INVALID,
    "1.0": NO_SUCH_USER,
    "1.1": NO_SUCH_USER,
    "1.2": UNKNOWN_DESTINATION,
    "1.6": NO_SUCH_USER,
    "1.10": UNKNOWN_DESTINATION,
    "2.0": UNREACHABLE,
    "2.1": UNREACHABLE,
    "2.2": UNREACHABLE,
    "2.3": TOO_LARGE,
    "3.4": TOO_LARGE,
    "4": UNREACHABLE,
    "4.3": UNKNOWN_DESTINATION,
    "4.4": UNKNOWN_DESTINATION,
    "4.7": EXPIRED,
    "6.7": INVALID,
    "7": FILTERED,
    "550": NO_SUCH_USER,
    "551": NO_SUCH_USER,
    "552": TOO_LARGE,
    "553": INVALID,
    "554": FILTERED,
    "556": UNKNOWN_DESTINATION,
}
"""By subject and detail of an enhanced status, else by its subject, else by the number of the answer."""

NEED_LOGIN: Final = frozenset((530, 534, 535, 538))
"""Answers that say that we are not believed; the mail itself is no reason."""

_KEY: Final = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}|[0-9]|[45][0-9]{2}", re.ASCII)
_STATUS: Final = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")


def status_in(text: str) -> str | None:
    """The enhanced status that an answer begins with, or that a field holds."""
    found = _STATUS.search(text[:200])
    return f"{found[1]}.{int(found[2])}.{int(found[3])}" if found else None


class Codes:
    """The table, with what a gateway's settings put in its place. Raises ``ValueError`` where these make no sense."""

    def __init__(self, changed: Mapping[str, int] | None = None) -> None:
        given = changed or {}
        if any(not _KEY.fullmatch(key) or not 0 < code < 100_000 for key, code in given.items()):
            raise ValueError(
                "codes: expected what an enhanced status ends with, as 7.1, its subject, as 7, or an answer, as 550,"
                " and an error code of five digits at most for each"
            )
        self._codes = {**CODES, **given}

    def of(self, reply: int | None, status: str | None) -> int:
        """Our code of a refusal."""
        keys: list[str] = []
        if status is not None:
            _, subject, detail = status.split(".")
            keys += [f"{subject}.{detail}", subject]
        keys.append(str(reply))
        return next((self._codes[key] for key in keys if key in self._codes), UNKNOWN)
