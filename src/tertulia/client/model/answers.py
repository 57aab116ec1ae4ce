"""What commands are answered: the few members that are read (client-commands 4)."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Stamped(msgspec.Struct, frozen=True):
    """A resource after a change. A service that does not say when it changed is believed by the values alone."""

    date_updated: datetime | None = None


class CreatedLinks(msgspec.Struct, frozen=True):
    messages: str
    participants: str


class SyncOfConversation(msgspec.Struct, frozen=True):
    conversation: str
    messages: str | None = None
    participants: str | None = None


class Created(msgspec.Struct, frozen=True):
    """A conversation that was created."""

    sid: str
    sync_objects: SyncOfConversation


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as anybody who may sees it; counts may be absent."""

    sid: str | None = None
    sync_objects: SyncOfConversation | None = None
    messages_count: int = 0
    participants_count: int = 0


class Mine(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation of the user."""

    conversation_sid: str
    unread_messages_count: int | None = None


class Unread(msgspec.Struct, frozen=True):
    unread_messages_count: int | None = None


class Sent(msgspec.Struct, frozen=True):
    index: int
    sid: str | None = None


class Added(msgspec.Struct, frozen=True):
    sid: str
    conversation_sid: str | None = None


class SyncOfUser(msgspec.Struct, frozen=True):
    user_info_map: str | None = None


class UserAnswer(msgspec.Struct, frozen=True, kw_only=True):
    identity: str | None = None
    friendly_name: str | None = None
    attributes: str | None = None
    sync_objects: SyncOfUser = SyncOfUser()
    date_updated: datetime | None = None


class Typed(msgspec.Struct, frozen=True):
    typing_timeout: float | None = None
