"""What Sync answers and tells, as a client reads it: data stays as it came, for whom it concerns (realtime 9)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Annotated, Final, TypeVar

import msgspec

from tertulia.client.decoding import decoder

log = logging.getLogger(__name__)

T = TypeVar("T")

NOTHING = msgspec.Raw(b"null")
LARGEST: Final = 2**53 - 1
"""Beyond this number not all who read JSON agree, and no event has ever come."""

Number = Annotated[int, msgspec.Meta(ge=-1, le=LARGEST)]
"""The number of an event; -1 is before the first."""
Index = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]
"""A place in a list."""


class RootLinks(msgspec.Struct):
    items: str | None = None


class ItemShape(msgspec.Struct):
    """An entry of a map (``key``) or a list (``index``)."""

    data: msgspec.Raw
    last_event_id: Number
    date_updated: str = ""
    key: str | None = None
    index: Index | None = None


class Root(msgspec.Struct):
    """An object, as it is opened."""

    sid: str
    last_event_id: Number
    date_updated: str = ""
    links: RootLinks = msgspec.field(default_factory=RootLinks)
    data: msgspec.Raw = NOTHING
    items: list[msgspec.Raw] | None = None


class Meta(msgspec.Struct):
    previous_token: str | None = None
    next_token: str | None = None


class ItemsAnswer(msgspec.Struct):
    items: list[msgspec.Raw]
    meta: Meta = msgspec.field(default_factory=Meta)


class Failure(msgspec.Struct):
    status: int
    code: int | None = None
    message: str = ""


class EventShape(msgspec.Struct):
    """One event, of an object or about a subscription."""

    id: Number = -1
    date_created: str = ""
    document_sid: str | None = None
    map_sid: str | None = None
    list_sid: str | None = None
    item_key: str | None = None
    item_index: Index | None = None
    item_data: msgspec.Raw = NOTHING
    document_data: msgspec.Raw = NOTHING
    object_sid: str | None = None
    object_type: str | None = None
    replay_status: str | None = None
    last_event_id: Number | None = None
    error: Failure | None = None


class Notice(msgspec.Struct):
    """The payload of a notification: one event or several, all of one type."""

    event_type: str
    correlation_id: int | float | None = None
    event: EventShape | None = None
    events: list[EventShape] = []

    def all(self) -> list[EventShape]:
        return self.events if self.event is None else [self.event, *self.events]


class _Unread(msgspec.Struct):
    """The same with its events as they came."""

    event_type: str
    correlation_id: int | float | None = None
    event: msgspec.Raw | None = None
    events: list[msgspec.Raw] = []


class Accepted(msgspec.Struct):
    """The answer to a batch of subscriptions."""

    estimated_delivery_in_ms: float = 10_000
    max_batch_size: int = 100
    ttl_in_s: float | None = None


def decode_notice(payload: bytes) -> Notice:
    """A notification. An event that makes no sense is left out. Raises ``msgspec.DecodeError`` when nothing does."""
    try:
        return _decode_notice(payload)
    except msgspec.ValidationError:
        unread = _decode_unread(payload)
    one = () if unread.event is None else (unread.event,)
    events = _readable((*one, *unread.events), _decode_event, "sync.event_not_readable")
    return Notice(unread.event_type, unread.correlation_id, None, events)


def items_of(told: Sequence[msgspec.Raw]) -> list[ItemShape]:
    """The items of an answer. One that makes no sense must not hide all the others: it is left out."""
    return _readable(told, _decode_item, "sync.item_not_readable")


def _readable(told: Sequence[msgspec.Raw], decode: Callable[[msgspec.Raw], T], otherwise: str) -> list[T]:
    found: list[T] = []
    why: msgspec.DecodeError | None = None
    for each in told:
        try:
            found.append(decode(each))
        except msgspec.DecodeError as error:
            why = error
    if why is not None:
        log.warning("%s: %s", otherwise, why, extra={"count": len(told) - len(found), "why": str(why)})
    return found


_decode_notice = decoder(Notice)
_decode_unread = decoder(_Unread)
_decode_event = decoder(EventShape)
_decode_item = decoder(ItemShape)
