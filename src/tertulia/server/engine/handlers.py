"""The table of contents of the handlers: importing it fills the tables of ``rules``."""

from __future__ import annotations

from . import (
    accounts,
    address_configurations,
    conversation_with_participants,
    conversations,
    credentials,
    effects,
    memberships,
    messages,
    notifications,
    participants,
    presence,
    push,
    receipts,
    remains,
    retention,
    roles,
    services,
    timers,
    users,
    webhooks,
)

__all__ = [
    "accounts",
    "address_configurations",
    "conversation_with_participants",
    "conversations",
    "credentials",
    "effects",
    "memberships",
    "messages",
    "notifications",
    "participants",
    "presence",
    "push",
    "receipts",
    "remains",
    "retention",
    "roles",
    "services",
    "timers",
    "users",
    "webhooks",
]
