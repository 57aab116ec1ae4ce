"""Memberships: a user's side of a conversation, as read horizon and notification level (API: user conversation)."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from .base import Command
from .conversations import Conversation
from .errors import LEVEL_UNKNOWN
from .participants import NotificationLevel, Participant, check_read_index


class Membership(msgspec.Struct, frozen=True):
    """One conversation of one user, with what he has not read."""

    participant: Participant
    conversation: Conversation
    unread: int | None
    """Messages after the horizon, at most 1000; None before the first reading (semantics 6.2)."""


class UpdateMembership(Command[Membership], frozen=True, kw_only=True):
    """Move the read horizon (also backwards; None clears it), or mute. Clipped to the newest message (6.1)."""

    service: str
    user: str
    """SID or identity."""
    conversation: str
    last_read_index: int | UnsetType | None = UNSET
    last_read_at: int | UnsetType = UNSET
    notification_level: str | UnsetType = UNSET

    def check(self) -> None:
        check_read_index(self.last_read_index)
        if self.notification_level is not UNSET and self.notification_level not in set(NotificationLevel):
            raise LEVEL_UNKNOWN()


class LeaveConversation(Command[None], frozen=True, kw_only=True):
    """End a user's membership (REST: deleting the user conversation)."""

    service: str
    user: str
    conversation: str
