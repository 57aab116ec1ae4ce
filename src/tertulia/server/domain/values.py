"""Values that several entities share: how they are checked, parsed and shown."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import msgspec

from tertulia.wire import identities, nesting

from . import limits
from .errors import (
    ATTRIBUTES_NOT_JSON,
    ATTRIBUTES_TOO_LONG,
    IDENTITY_LIKE_SID,
    IDENTITY_MISSING,
    IDENTITY_RESERVED,
    IDENTITY_TOO_LONG,
    NAME_TOO_LONG,
    UNIQUE_NAME_LIKE_SID,
    UNIQUE_NAME_TOO_LONG,
    Row,
)

_LIKE_CONVERSATION = re.compile(r"CH[0-9a-fA-F]{32}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
# Six digits at most: longer numbers are out of range in any unit, and some are refused by Python itself.
_DURATION = re.compile(
    r"P(?=.)(?:(?P<weeks>\d{1,6})W|(?:(?P<days>\d{1,6})D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,6})M)?(?:(?P<seconds>\d{1,6})(?:[.,]\d+)?S)?)?)",
    re.ASCII,
)
# Raw: checked, not built, so that a number of any size is as good as it is in JSON.
_decode = msgspec.json.Decoder(msgspec.Raw).decode


def check_attributes(text: str, limit: int) -> None:
    """The text is JSON of at most ``limit`` bytes and 64 levels; else 50303 or 50304."""
    if text == "{}":
        return
    try:
        data = text.encode()
        if len(data) > limit:
            raise ATTRIBUTES_TOO_LONG(f"Attributes have {len(data)} bytes, {limit} are allowed")
        _decode(data)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        raise ATTRIBUTES_NOT_JSON() from None
    if nesting.is_deeper(data):
        # Every client reads them, wherever it may be in its stack.
        raise ATTRIBUTES_NOT_JSON(f"Attributes are nested deeper than {nesting.DEEPEST} levels")


def check_length(text: str | None, limit: int, failure: Row, name: str) -> None:
    """At most ``limit`` characters; else the given failure, which says how many there are."""
    if text is not None and len(text) > limit:
        raise failure(f"{name} has {len(text)} characters, {limit} are allowed")


def check_friendly_name(text: str | None, limit: int = limits.FRIENDLY_NAME_CHARS) -> None:
    check_length(text, limit, NAME_TOO_LONG, "FriendlyName")


def check_unique_name(text: str | None) -> None:
    check_length(text, limits.UNIQUE_NAME_CHARS, UNIQUE_NAME_TOO_LONG, "UniqueName")
    if text is not None and _LIKE_CONVERSATION.fullmatch(text):
        raise UNIQUE_NAME_LIKE_SID()


_REFUSALS = {row.code: row for row in (IDENTITY_MISSING, IDENTITY_RESERVED, IDENTITY_LIKE_SID, IDENTITY_TOO_LONG)}


def check_identity(identity: str | None) -> None:
    """An identity that may name a user (semantics 3.3)."""
    try:
        identities.check_identity(identity or "")
    except identities.IdentityRefused as refused:
        raise _REFUSALS[refused.code](refused.message) from None


def parse_date(text: str, failure: Row, name: str | None = None) -> int:
    """An RFC 3339 date as UTC microseconds, cut to the whole second; else the given failure, of what ``name`` says."""
    sentence = None if name is None else f"{name} is not an RFC 3339 date"
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise failure(sentence)
    day, clock, _, zone = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone in 'Zz' else zone}")
        # In UTC, so that what has a year here has one wherever it is shown.
        return (moment.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        raise failure(sentence) from None


def parse_duration_s(text: str, failure: Row) -> int:
    """An ISO 8601 duration of weeks, days, hours, minutes and seconds, in seconds; else the given failure.

    Years and months have no fixed length and are refused.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise failure()
    parts = {unit: int(number) for unit, number in match.groupdict().items() if number is not None}
    seconds = int(timedelta(**parts).total_seconds())
    if seconds >= 10**9:
        raise failure()
    return seconds


_MINUTES = tuple(f"T{minute // 60:02}:{minute % 60:02}:" for minute in range(24 * 60))
_SECONDS = tuple(f"{second:02}Z" for second in range(60))


@lru_cache(maxsize=1024)
def _day(number: int) -> str:
    return (_EPOCH + timedelta(days=number)).date().isoformat()


def second(us: int) -> str:
    """UTC microseconds as REST shows them: whole seconds, cut (rest 1.4)."""
    # From tables: a page of history shows a hundred of them, and strftime takes eight times as long.
    day, seconds = divmod(us // 1_000_000, 86_400)
    return _day(day) + _MINUTES[seconds // 60] + _SECONDS[seconds % 60]


@lru_cache(maxsize=4096)
def millisecond(us: int) -> str:
    """UTC microseconds as the client API and Sync show them: milliseconds, cut (realtime 11)."""
    seconds, rest = divmod(us, 1_000_000)
    day, seconds = divmod(seconds, 86_400)
    return f"{_day(day)}{_MINUTES[seconds // 60]}{seconds % 60:02}.{rest // 1000:03}Z"
