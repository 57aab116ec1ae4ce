"""Whether a message of a conversation is the one that was sent and whose answer was lost.

Every time here is the server's. What this device's clock says proves nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from .pending import Record

if TYPE_CHECKING:
    from .model.message import Message

CLOCKS_S: Final = 60.0
"""How far the server's clock may be from where we think it is."""


def is_same(message: Message, record: Record, identity: str) -> bool:
    """Whether it can be nothing but this message: ours, behind what was there, of that time, and the same throughout.

    Files alone are proof: they belong to one message. What a template became is the server's affair, so that only its
    SID is compared. A message that somebody has changed since is not recognised.
    """
    if message.author != identity or message.index in record.others:
        return False
    if record.floor is not None and message.index <= record.floor:
        return False
    if record.media_sids:
        return {part.sid for part in message.snapshot().media} == set(record.media_sids)
    if is_before(message, record) or is_after(message, record):
        return False
    if record.content_sid is not None:
        return message.content_sid == record.content_sid
    attributes = {} if record.attributes is None else record.attributes
    return (
        (message.body or "") == (record.body or "")
        and (message.subject or "") == (record.subject or "")
        and message.attributes == attributes
        and not message.snapshot().media
    )


def is_before(message: Message, record: Record) -> bool:
    """Whether it was there before this one went out first, as far as that is known."""
    created = seconds_of(message.date_created)
    return created is not None and record.since is not None and created < record.since - CLOCKS_S


def is_after(message: Message, record: Record) -> bool:
    """Whether it came when this one was not under way any more, as far as that is known."""
    created = seconds_of(message.date_created)
    return created is not None and record.until is not None and created > record.until + CLOCKS_S


def seconds_of(moment: datetime | None) -> float | None:
    """Unix seconds; None of a moment that does not say where on earth it is."""
    try:
        return None if moment is None or moment.tzinfo is None else moment.timestamp()
    except (ValueError, OverflowError):
        return None
