"""The table of contents of the handlers: importing it fills the tables of ``rules``."""

from __future__ import annotations

from . import (
    accounts,
    conversations,
    effects,
    memberships,
    messages,
    participants,
    push,
    roles,
    services,
    users,
)

__all__ = [
    "accounts",
    "conversations",
    "effects",
    "memberships",
    "messages",
    "participants",
    "push",
    "roles",
    "services",
    "users",
]
