"""What Sync objects hold, as a client reads it: whatever is missing has a meaning (realtime 11, client-commands 5)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.client.attributes import Json
from tertulia.client.decoding import decoder


class LastMessageData(msgspec.Struct, frozen=True):
    index: int | None = None
    timestamp: datetime | None = None


class StateData(msgspec.Struct, frozen=True, rename="camel"):
    current: str
    date_updated: datetime | None = None


class ConversationData(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A conversation's document. What is absent stays as it was."""

    sid: str | UnsetType = UNSET
    friendly_name: str | UnsetType | None = UNSET
    unique_name: str | UnsetType | None = UNSET
    attributes: Json | UnsetType = UNSET
    created_by: str | UnsetType | None = UNSET
    date_created: datetime | UnsetType | None = UNSET
    date_updated: datetime | UnsetType | None = UNSET
    state: StateData | UnsetType | None = UNSET
    last_message: LastMessageData | UnsetType | None = UNSET
    bindings: dict[str, Any] | UnsetType | None = UNSET
    messages: str
    roster: str


class MembershipData(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """An item of the user's conversations."""

    channel: str
    status: str = "unknown"
    last_consumed_message_index: int | None = None
    notification_level: str | None = None


class DeliveryData(msgspec.Struct, frozen=True):
    total: int = 0
    sent: str = "none"
    delivered: str = "none"
    read: str = "none"
    undelivered: str = "none"
    failed: str = "none"


class MediaData(msgspec.Struct, frozen=True, rename="camel"):
    sid: str
    category: str = "media"
    filename: str | None = None
    content_type: str = "application/octet-stream"
    size: int = 0


class MessageData(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """An item of a conversation's messages."""

    sid: str
    author: str | None = None
    text: str | None = None
    subject: str | None = None
    content_sid: str | None = None
    member_sid: str | None = None
    attributes: Json = None
    timestamp: datetime | None = None
    date_updated: datetime | None = None
    last_updated_by: str | None = None
    media: MediaData | None = None
    medias: tuple[MediaData, ...] | None = None
    delivery: DeliveryData | None = None
    channel_metadata: bool = False


class ParticipantData(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """An item of a conversation's roster."""

    identity: str | None = None
    type: str | None = None
    attributes: Json = None
    role_sid: str | None = None
    date_created: datetime | None = None
    date_updated: datetime | None = None
    last_consumed_message_index: int | None = None
    last_consumption_timestamp: datetime | int | None = None
    user_info: str | None = None
    bindings: dict[str, Any] | None = None


class ValueData(msgspec.Struct, frozen=True):
    value: Json = None


class ReachabilityData(msgspec.Struct, frozen=True):
    online: bool | None = None
    notifiable: bool | None = None


conversation_data = decoder(ConversationData)
membership_data = decoder(MembershipData)
message_data = decoder(MessageData)
participant_data = decoder(ParticipantData)
value_data = decoder(ValueData)
reachability_data = decoder(ReachabilityData)
