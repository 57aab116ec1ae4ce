"""Moments that a server tells: whoever gets one can compare it, and show it in whatever zone he is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_DAY: Final = timedelta(days=1)
_FIRST: Final = datetime.min.replace(tzinfo=UTC) + _DAY
_LAST: Final = datetime.max.replace(tzinfo=UTC) - _DAY


def moment(told: datetime | int | None) -> datetime | None:
    """A moment in UTC, told as a date or in milliseconds; None for one that not every zone has.

    A date without a zone is one of UTC.
    """
    if told is None:
        return None
    try:
        if isinstance(told, int):
            found = datetime.fromtimestamp(told / 1000, UTC)
        else:
            found = told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)
    except (OverflowError, OSError, ValueError):
        return None
    return found if _FIRST <= found <= _LAST else None
