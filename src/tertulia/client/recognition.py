"""Whether a message of a conversation is the one that was sent and whose answer was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .pending import Record

if TYPE_CHECKING:
    from .model.message import Message

CLOCKS_S: Final = 60.0
"""How far the server's clock may be from where we think it is."""


def is_same(message: Message, record: Record, identity: str, until: float) -> bool:
    """Whether it can be nothing but this message: ours, of that time, and the same in everything that was sent.

    Files alone are proof: they belong to one message. What a template became is the server's affair, so that only its
    SID is compared. A message that somebody has changed since is not recognised.
    """
    if message.author != identity or (record.floor is not None and message.index <= record.floor):
        return False
    if record.media_sids:
        return {part.sid for part in message.snapshot().media} == set(record.media_sids)
    if is_before(message, record) or is_after(message, record, until):
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
    """Whether it was there before this one went out first."""
    created = message.date_created
    return created is not None and created.timestamp() < (record.first_at or 0) + record.ahead_s - CLOCKS_S


def is_after(message: Message, record: Record, until: float) -> bool:
    """Whether it came when this one was not under way any more."""
    created = message.date_created
    return created is not None and created.timestamp() > until + record.ahead_s + CLOCKS_S
