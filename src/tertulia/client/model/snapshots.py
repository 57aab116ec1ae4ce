"""What is known of a thing at one moment, as a value. Live objects hold one and change by getting another.

Printed, as events that carry them are, they say which and not what: words and names stay out of logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

import msgspec

from tertulia.client.attributes import Json
from tertulia.client.states import ConversationStatus, NotificationLevel

from .payloads import MediaData

F = TypeVar("F", bound=StrEnum)


class ConversationState(msgspec.Struct, frozen=True):
    """``active``, ``inactive`` or ``closed``, and since when."""

    current: str
    date_updated: datetime | None


class LastMessage(msgspec.Struct, frozen=True):
    index: int | None
    date_created: datetime | None


class ConversationSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    sid: str
    friendly_name: str | None = None
    unique_name: str | None = None
    attributes: Json = msgspec.field(default_factory=dict)
    created_by: str | None = None
    date_created: datetime | None = None
    date_updated: datetime | None = None
    state: ConversationState | None = None
    last_message: LastMessage | None = None
    bindings: Mapping[str, Any] = msgspec.field(default_factory=dict)
    status: ConversationStatus = ConversationStatus.NOT_PARTICIPATING
    last_read_message_index: int | None = None
    notification_level: NotificationLevel = NotificationLevel.DEFAULT

    def __repr__(self) -> str:
        return f"<ConversationSnapshot {self.sid} {self.status}>"


class Delivery(msgspec.Struct, frozen=True):
    """What the delivery receipts of a message come to: each ``none``, ``some`` or ``all`` of ``total``."""

    total: int
    sent: str
    delivered: str
    read: str
    undelivered: str
    failed: str


class MessageSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    sid: str
    index: int
    author: str | None
    body: str | None
    subject: str | None
    attributes: Json
    content_sid: str | None
    participant_sid: str | None
    date_created: datetime | None
    date_updated: datetime | None
    last_updated_by: str | None
    media: tuple[MediaData, ...]
    delivery: Delivery | None
    has_channel_metadata: bool

    def __repr__(self) -> str:
        return f"<MessageSnapshot {self.sid} {self.index}>"


class ParticipantSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    sid: str
    identity: str | None
    type: str
    attributes: Json
    role_sid: str | None
    date_created: datetime | None
    date_updated: datetime | None
    last_read_message_index: int | None
    last_read_timestamp: datetime | None
    bindings: Mapping[str, Any]
    user_info: str | None

    def __repr__(self) -> str:
        return f"<ParticipantSnapshot {self.sid} {self.type}>"


class UserSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    identity: str
    friendly_name: str | None = None
    attributes: Json = msgspec.field(default_factory=dict)
    is_online: bool | None = None
    is_notifiable: bool | None = None

    def __repr__(self) -> str:
        return f"<UserSnapshot online={self.is_online}>"


def changed(before: msgspec.Struct, now: msgspec.Struct, fields: type[F]) -> frozenset[F]:
    """Which of the fields have another value than before."""
    return frozenset(field for field in fields if getattr(before, field) != getattr(now, field))
