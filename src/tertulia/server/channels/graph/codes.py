"""What the errors of the Graph API mean for us: the one table of their numbers, and what may be changed in it.

UNVERIFIED: the numbers of Meta and which of ours stands for each (gateways 8.4, semantics 4.11). The setting ``codes``
of a gateway puts others in their place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from ..base import NotNow, Refused, Unsure

UNKNOWN_ERROR: Final = 30008
OUTSIDE_WINDOW: Final = 63016
NOT_ACCEPTED: Final = 63005
"""The channel does not take what is said, or how."""
NO_SUCH_SENDER: Final = 63007
RATE: Final = 63018
LOCKED: Final = 63020
MEDIA_FETCH: Final = 11200
PARAMETERS: Final = 63028
"""A template's placeholders and what was given for them do not fit."""

_KEY: Final = re.compile(r"[0-9]{1,9}(/[0-9]{1,9})?", re.ASCII)
_LONG_S: Final = 300.0


class Meaning(msgspec.Struct, frozen=True, kw_only=True):
    """What one error comes to."""

    code: int
    """Ours, of a message that has failed with it."""
    is_later: bool = False
    """The same may succeed at another time; refused it is only when it is reported of a message that was taken."""
    after_s: float | None = None
    is_alarming: bool = False
    """Somebody has to mend something."""
    is_undelivered: bool = False
    """It left us, and could not be delivered."""


def _refused(code: int) -> Meaning:
    return Meaning(code=code)


def _undelivered(code: int) -> Meaning:
    return Meaning(code=code, is_undelivered=True)


def _later(code: int = UNKNOWN_ERROR, after_s: float | None = None) -> Meaning:
    return Meaning(code=code, is_later=True, after_s=after_s)


def _to_be_mended(code: int = UNKNOWN_ERROR) -> Meaning:
    return Meaning(code=code, is_later=True, after_s=_LONG_S, is_alarming=True)


CODES: Final[Mapping[str, Meaning]] = {
    # Of the Graph API as a whole.
    "0": _to_be_mended(),  # the token cannot be used
    "1": _later(),
    "2": _later(),
    "3": _to_be_mended(),  # the application lacks the ability
    "4": _later(RATE, 60.0),
    "10": _to_be_mended(),  # no permission, unless the subcode says more
    "17": _later(RATE, 60.0),
    "32": _later(RATE, 60.0),
    "33": _to_be_mended(),  # there is no such number, or we may not see it
    "100": _refused(NOT_ACCEPTED),
    "100/33": _to_be_mended(),  # no such number or page, or not ours
    "102": _to_be_mended(),
    "190": _to_be_mended(),  # the token has expired or was withdrawn
    "341": _later(RATE, 60.0),
    "368": _to_be_mended(63013),  # blocked for a while for breaking a policy
    "613": _later(RATE, 60.0),
    "80006": _later(RATE, 60.0),
    "80007": _later(RATE, 60.0),
    # WhatsApp: what stands in the way of all messages.
    "130429": _later(RATE),
    "130497": _refused(63013),  # the business may not write to people in that country
    "131005": _to_be_mended(),
    "131016": _later(),
    "131031": _to_be_mended(LOCKED),
    "131037": _to_be_mended(63022),  # the display name was not approved
    "131042": _to_be_mended(LOCKED),  # payment
    "131045": _to_be_mended(63022),  # the number's certificate
    "131048": _later(RATE, 60.0),  # people have blocked or reported too much
    "131056": _later(RATE, 6.0),  # too much to one person
    "131057": _later(),  # maintenance
    "131064": _later(RATE, 60.0),
    "133004": _later(),
    "133010": _to_be_mended(),  # the number is not registered
    "133016": _later(RATE, 60.0),
    # WhatsApp: one message.
    "130472": _undelivered(63032),  # the person takes part in an experiment of Meta's
    "131000": _later(63023),
    "131008": _refused(NOT_ACCEPTED),
    "131009": _refused(NOT_ACCEPTED),
    "131021": _refused(63031),  # to ourselves
    "131026": _undelivered(63024),
    "131030": _refused(63015),  # a test number knows its recipients
    "131047": _refused(OUTSIDE_WINDOW),
    "131049": _undelivered(63049),  # Meta does not want the person to get more marketing
    "131050": _refused(63033),  # the person wants no marketing
    "131051": _refused(NOT_ACCEPTED),
    "131052": _refused(MEDIA_FETCH),
    "131053": _refused(63019),
    "131062": _refused(63024),
    "131063": _refused(63013),
    # WhatsApp: its template.
    "132000": _refused(PARAMETERS),
    "132001": _refused(63027),
    "132005": _refused(NOT_ACCEPTED),
    "132007": _refused(63013),
    "132008": _refused(PARAMETERS),
    "132012": _refused(PARAMETERS),
    "132015": _refused(63041),
    "132016": _refused(63042),
    "132018": _refused(PARAMETERS),
    "132068": _refused(63013),
    "132069": _later(RATE, 60.0),
    "135000": _refused(63021),
    "137000": _undelivered(63024),
    # Messenger.
    "10/2018065": _refused(OUTSIDE_WINDOW),
    "10/2018108": _undelivered(63024),  # the person takes no messages now
    "10/2018278": _refused(OUTSIDE_WINDOW),
    "100/2018001": _refused(63003),  # there is no such person
    "100/2018007": _refused(63019),
    "100/2018047": _refused(63019),
    "100/2018109": _refused(63019),  # too large
    "551": _undelivered(63024),
    "613/1893016": _later(RATE, 6.0),
    "1200": _later(),
    "2018001": _refused(63003),
}
"""By ``code`` or ``code/subcode``, as Meta numbers them."""


def code_of(trouble: Refused | NotNow | Unsure) -> int:
    """What a message fails with that some of has left, when the rest of it does not."""
    return trouble.code if isinstance(trouble, Refused) else UNKNOWN_ERROR


_PERMISSIONS: Final = range(200, 300)
_UNKNOWN: Final = _refused(UNKNOWN_ERROR)


class Codes:
    """The table, with what a gateway's settings put in its place. Raises ``ValueError`` where these make no sense."""

    def __init__(self, changed: Mapping[str, int]) -> None:
        wrong = next((key for key, code in changed.items() if not _KEY.fullmatch(key) or not 0 < code < 100_000), None)
        if wrong is not None:
            raise ValueError(
                "codes: expected error codes of Meta, as 131026 or 10/2018278, and one of five digits at most for each"
            )
        changes = {
            key: Meaning(code=code, is_undelivered=CODES.get(key, _UNKNOWN).is_undelivered)
            for key, code in changed.items()
        }
        self._meanings = {**CODES, **changes}

    def meaning(self, code: int, subcode: int | None = None) -> Meaning:
        """What an error comes to; one that nobody knows is refused with 30008."""
        found = self._meanings.get(f"{code}/{subcode}") or self._meanings.get(str(code))
        if found is None and code in _PERMISSIONS:
            return _to_be_mended()
        return found or _UNKNOWN
