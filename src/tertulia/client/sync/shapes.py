"""What Sync answers and tells, as a client reads it: data stays as it came, for whom it concerns (realtime 9)."""

from __future__ import annotations

import msgspec

NOTHING = msgspec.Raw(b"null")


class RootLinks(msgspec.Struct):
    items: str | None = None


class ItemShape(msgspec.Struct):
    """An entry of a map (``key``) or a list (``index``)."""

    data: msgspec.Raw
    last_event_id: int
    date_updated: str = ""
    key: str | None = None
    index: int | None = None


class Root(msgspec.Struct):
    """An object, as it is opened."""

    sid: str
    last_event_id: int
    date_updated: str = ""
    links: RootLinks = msgspec.field(default_factory=RootLinks)
    data: msgspec.Raw = NOTHING
    items: list[ItemShape] | None = None


class Meta(msgspec.Struct):
    previous_token: str | None = None
    next_token: str | None = None


class ItemsAnswer(msgspec.Struct):
    items: list[ItemShape]
    meta: Meta = msgspec.field(default_factory=Meta)


class Failure(msgspec.Struct):
    status: int
    code: int | None = None
    message: str = ""


class EventShape(msgspec.Struct):
    """One event, of an object or about a subscription."""

    id: int = -1
    date_created: str = ""
    document_sid: str | None = None
    map_sid: str | None = None
    list_sid: str | None = None
    item_key: str | None = None
    item_index: int | None = None
    item_data: msgspec.Raw = NOTHING
    document_data: msgspec.Raw = NOTHING
    object_sid: str | None = None
    object_type: str | None = None
    replay_status: str | None = None
    last_event_id: int | None = None
    error: Failure | None = None


class Notice(msgspec.Struct):
    """The payload of a notification: one event or several, all of one type."""

    event_type: str
    correlation_id: int | float | None = None
    event: EventShape | None = None
    events: list[EventShape] = []

    def all(self) -> list[EventShape]:
        return self.events if self.event is None else [self.event, *self.events]


class Accepted(msgspec.Struct):
    """The answer to a batch of subscriptions."""

    estimated_delivery_in_ms: float = 10_000
    max_batch_size: int = 100
    ttl_in_s: float | None = None


decode_notice = msgspec.json.Decoder(Notice).decode
