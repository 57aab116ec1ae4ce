"""Shapes of Sync: the data of documents and items, events, and the messages of subscribing (realtime 9 and 11).

Data is camelCase, everything around it snake_case, as clients expect. An event is encoded once, by
:func:`live_body`, and the same bytes go to every subscriber.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, UnsetType

EVENT_PROTOCOL_VERSION = 4

DOCUMENT_EVENT = "com.twilio.rtd.cds.document"
LIST_EVENT = "com.twilio.rtd.cds.list"
MAP_EVENT = "com.twilio.rtd.cds.map"
REPLAY_EVENT = "twilio.sync.event"
TYPING = "twilio.ipmsg.typing_indicator"

encode = msgspec.json.Encoder().encode

Bindings = dict[str, dict[str, str]]


# --- data


class LastMessage(msgspec.Struct, frozen=True, rename="camel"):
    index: int
    timestamp: str


class StateData(msgspec.Struct, frozen=True, rename="camel"):
    current: str
    date_updated: str


class DocumentData(msgspec.Struct, frozen=True, rename="camel"):
    """A conversation's own fields (realtime 11.2). To clear a field it is sent as null."""

    sid: str
    friendly_name: str | None
    unique_name: str | None
    attributes: str
    created_by: str
    date_created: str
    date_updated: str
    state: StateData
    last_message: LastMessage | None
    bindings: Bindings
    messages: str
    roster: str


class DeliveryData(msgspec.Struct, frozen=True):
    """What a message's receipts come to, each member ``none``, ``some`` or ``all``. ``total`` is never 0: then there
    is none."""

    total: int
    sent: str
    delivered: str
    read: str
    undelivered: str
    failed: str


class AttachmentData(msgspec.Struct, frozen=True, rename="camel"):
    """The one file of old clients (realtime 11.4)."""

    sid: str
    filename: str | None
    content_type: str
    size: int


class MediaData(msgspec.Struct, frozen=True, rename="camel"):
    """A file, or a long body, of a message (realtime 11.4)."""

    sid: str
    category: str
    filename: str | None
    content_type: str
    size: int


class MessageData(msgspec.Struct, frozen=True, rename="camel"):
    """One message (realtime 11.4); always complete, since an absent field means it was cleared."""

    sid: str
    author: str
    text: str | None
    type: str
    attributes: str
    timestamp: str
    date_updated: str
    last_updated_by: str | None
    member_sid: str | None
    subject: str | None
    content_sid: str | None
    delivery: DeliveryData | None = None
    media: AttachmentData | UnsetType = UNSET
    """The first of its files of category ``media``."""
    medias: tuple[MediaData, ...] | UnsetType = UNSET
    """All of its files and long bodies."""


class ParticipantData(msgspec.Struct, frozen=True, rename="camel"):
    """One participant (realtime 11.3)."""

    identity: str | None
    type: str
    attributes: str
    role_sid: str | None
    date_created: str
    date_updated: str
    last_consumed_message_index: int | None
    last_consumption_timestamp: str | None
    user_info: str | UnsetType = UNSET
    bindings: Bindings | UnsetType = UNSET


class MembershipData(msgspec.Struct, frozen=True, rename="camel"):
    """A conversation in its member's map (realtime 11.1)."""

    status: str
    channel: str
    messages: str
    roster: str
    last_consumed_message_index: int | None
    notification_level: str


class ValueData(msgspec.Struct, frozen=True):
    """``friendlyName`` and ``attributes`` of a user (realtime 11.5)."""

    value: str | None


class ReachabilityData(msgspec.Struct, frozen=True):
    online: bool | None
    notifiable: bool | None


ItemData = MessageData | ParticipantData | MembershipData | ValueData | ReachabilityData


# --- objects and items, as read


class ObjectLinks(msgspec.Struct, frozen=True):
    items: str


class ObjectRoot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """The answer to opening an object (realtime 9.1)."""

    sid: str
    unique_name: str
    account_sid: str
    service_sid: str
    created_by: str
    url: str
    links: ObjectLinks | UnsetType = UNSET
    revision: str
    last_event_id: int
    date_created: str
    date_updated: str
    date_expires: None = None
    data: DocumentData | UnsetType = UNSET
    items: list[Item] | UnsetType = UNSET


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a map (``key``) or a list (``index``), as read (realtime 9.2)."""

    key: str | UnsetType = UNSET
    index: int | UnsetType = UNSET
    map_sid: str | UnsetType = UNSET
    list_sid: str | UnsetType = UNSET
    data: ItemData
    revision: str
    last_event_id: int
    date_created: str
    date_updated: str
    date_expires: None = None
    url: str


class PageMeta(msgspec.Struct, frozen=True):
    previous_token: str | None
    next_token: str | None
    page_size: int


class ItemPage(msgspec.Struct, frozen=True):
    items: list[Item]
    meta: PageMeta


def revision(event: int) -> str:
    """Opaque to clients: the last event's number in hexadecimal (realtime 9.1)."""
    return f"{event:x}" if event > 0 else "0"


# --- events


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One numbered change of one object."""

    id: int
    date_created: str


class DocumentUpdated(Event, frozen=True, kw_only=True):
    document_sid: str
    document_revision: str
    document_unique_name: str
    document_data: DocumentData
    date_expires: None = None


class DocumentRemoved(Event, frozen=True, kw_only=True):
    document_sid: str


class MapItemChanged(Event, frozen=True, kw_only=True):
    map_sid: str
    map_revision: str
    item_key: str
    item_revision: str
    item_url: str
    item_data: ItemData
    date_expires: None = None


class MapItemRemoved(Event, frozen=True, kw_only=True):
    map_sid: str
    map_revision: str
    item_key: str
    item_revision: str
    item_data: None = None


class MapRemoved(Event, frozen=True, kw_only=True):
    map_sid: str


class ListItemChanged(Event, frozen=True, kw_only=True):
    list_sid: str
    list_revision: str
    item_index: int
    item_revision: str
    item_url: str
    item_data: ItemData
    date_expires: None = None


class ListItemRemoved(Event, frozen=True, kw_only=True):
    list_sid: str
    list_revision: str
    item_index: int
    item_revision: str
    item_data: None = None


class ListRemoved(Event, frozen=True, kw_only=True):
    list_sid: str


class ObjectEvent(msgspec.Struct, frozen=True):
    """An event with what travels around it: which object, which kind, which of the three live message types."""

    object_sid: str
    event_type: str
    message_type: str
    event: Event

    @property
    def number(self) -> int:
        return self.event.id

    @property
    def supersedes(self) -> bool:
        """It makes earlier events of its object needless for who has not seen them: a document's new content."""
        return self.event_type == "document_updated"

    @property
    def ends_object(self) -> bool:
        return self.event_type in ("document_removed", "map_removed", "list_removed")


class LiveBody(msgspec.Struct, frozen=True):
    event_type: str
    event_protocol_version: int
    event: Event


class ReplayBody(msgspec.Struct, frozen=True):
    event_type: str
    correlation_id: int
    event_protocol_version: int
    events: Sequence[Event]


def live_body(event: ObjectEvent) -> bytes:
    """The payload of a live notification."""
    return encode(LiveBody(event.event_type, EVENT_PROTOCOL_VERSION, event.event))


def replay_body(event_type: str, correlation_id: int, events: Sequence[Event]) -> bytes:
    """The payload of a replay notification: one run of events of one type, in order."""
    return encode(ReplayBody(event_type, correlation_id, EVENT_PROTOCOL_VERSION, events))


# --- subscribing


class SubscriptionRequest(msgspec.Struct, frozen=True):
    object_sid: str
    object_type: str = ""
    last_event_id: int | None = None


class SubscriptionCommand(msgspec.Struct, frozen=True):
    """``POST /v4/Subscriptions`` (realtime 9.4)."""

    action: str
    correlation_id: int
    requests: list[SubscriptionRequest]
    retried_requests: int = 0


class SubscriptionAccepted(msgspec.Struct, frozen=True):
    estimated_delivery_in_ms: int
    max_batch_size: int
    ttl_in_s: int


class Established(msgspec.Struct, frozen=True):
    object_sid: str
    object_type: str
    replay_status: str
    last_event_id: int


class Canceled(msgspec.Struct, frozen=True):
    object_sid: str
    object_type: str


class SyncFailure(msgspec.Struct, frozen=True):
    status: int
    code: int
    message: str


class SubscriptionFailed(msgspec.Struct, frozen=True):
    object_sid: str
    object_type: str
    error: SyncFailure


class SubscriptionBody(msgspec.Struct, frozen=True):
    event_type: str
    correlation_id: int
    event_protocol_version: int
    events: Sequence[Established | Canceled | SubscriptionFailed]


def subscription_body(
    event_type: str, correlation_id: int, events: Sequence[Established | Canceled | SubscriptionFailed]
) -> bytes:
    """The payload of ``subscription_established``, ``_canceled`` (one *l*) or ``_failed``."""
    return msgspec.json.encode(SubscriptionBody(event_type, correlation_id, EVENT_PROTOCOL_VERSION, events))


class TypingData(msgspec.Struct, frozen=True):
    channel_sid: str
    identity: str
    typing_timeout: int
