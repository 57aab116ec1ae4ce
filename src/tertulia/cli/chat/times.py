"""Moments as people read them, in the zone of the terminal."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def in_utc_unless_told(moment: datetime) -> datetime:
    """The moment with a zone: one that came without is of UTC."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def clock(moment: datetime) -> str:
    """``14:05``."""
    return _here(moment).strftime("%H:%M")


def day(moment: datetime) -> date:
    """The day on which it was here."""
    return _here(moment).date()


def day_name(which: date, today: date) -> str:
    """``Today``, ``Yesterday``, ``Monday 3 March``, and with the year when it was another."""
    if which == today:
        return "Today"
    if which == today - timedelta(days=1):
        return "Yesterday"
    name = f"{_DAYS[which.weekday()]} {which.day} {_MONTHS[which.month - 1]}"
    return name if which.year == today.year else f"{name} {which.year}"


def when(moment: datetime, now: datetime) -> str:
    """As short as it is clear: the clock today, the day in the last week, else the date."""
    past = day(now) - day(moment)
    if past <= timedelta(0):
        return clock(moment)
    if past < timedelta(days=7):
        return _DAYS[day(moment).weekday()][:3]
    return day(moment).isoformat()


def _here(moment: datetime) -> datetime:
    """In the zone of the terminal; a moment at the end of time, which has no date here, stays in its own."""
    moment = in_utc_unless_told(moment)
    try:
        return moment.astimezone()
    except (OverflowError, ValueError, OSError):
        return moment


def size(count: int) -> str:
    """Bytes, rounded: ``12 kB``."""
    if count < 1000:
        return f"{count} B"
    for unit, factor in (("kB", 1000), ("MB", 1000**2)):
        if count < 999.5 * factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count / 1000**3:.3g} GB"
