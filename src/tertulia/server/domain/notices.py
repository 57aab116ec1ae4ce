"""Notices: what happened that devices are told, to which of them, and what became of it (semantics 7.4).

A notice has a delivery for each device of everybody concerned, also for those that are not told: so it can be said
afterwards, for everybody, why his device rang or did not.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from .base import Command, Entity
from .jobs import AGAIN, Job
from .push_content import PushContent, PushKind

BATCH: Final = 100
"""Devices of one job at most."""


class Notice(Entity, frozen=True):
    sid: str
    """``RU…``: devices are told this id (semantics 7.5)."""
    account_sid: str
    service_sid: str
    kind: str
    """One of ``PushKind``."""
    conversation_sid: str | None
    subject_sid: str
    """The message; the participant who came or went; of a badge or a test, the user."""
    why_nobody: str | None
    """Why no device at all is told, where that has one reason."""
    created_at: int


class DeliveryState(StrEnum):
    WAITING = "waiting"
    """Not yet sent, or to be tried again."""
    SENT = "sent"
    GONE = "gone"
    """The push service knows no such device any more: its registration was removed."""
    FAILED = "failed"
    EXPIRED = "expired"
    """Given up: its push service could not be reached for too long."""
    WITHDRAWN = "withdrawn"
    """Before it was sent, its reason went: the registration or the message was removed, its user left, or muted the
    conversation, or notifications were switched off."""
    SKIPPED = "skipped"
    """Never meant to be sent; ``answer`` says why."""


class SkipReason(StrEnum):
    """Why a device of somebody concerned is not told."""

    AUTHOR = "its user wrote the message"
    JOINED_LATER = "its user joined after the message"
    MUTED = "its user has muted the conversation"
    ONLINE = "its user is connected, and push.only_offline is on"
    INACTIVE = "it is registered under no credential of its kind"
    UNWANTED = "it was registered for other kinds of notifications"


class Delivery(Entity, frozen=True):
    """One device and one notice."""

    notice_sid: str
    registration_sid: str
    identity: str
    kind: str
    """Of the device."""
    credential_sid: str | None
    shows_badge: bool
    """The number on the icon is sent along: as it is when it is sent."""
    state: str
    attempts: int
    answer: str | None
    """What the push service said the last time, or why nothing was sent."""
    at: int
    """When it came into this state, or was last tried."""


class PlanPush(Job, frozen=True, kw_only=True):
    """Something happened that devices may have to be told."""

    account_sid: str
    service_sid: str
    kind: PushKind
    subject_sid: str
    conversation_sid: str
    message_index: int | None = None
    actor: str
    """Who did it: an identity, an address, or ``system``."""
    concerned: str | None = None
    """SID of the user who alone is told; None: all members but the actor."""
    happened_at: int | None = None
    """None: of an earlier release, which counted from when it was planned."""
    is_muted: bool = False
    """Of who left: he had muted the conversation."""
    roster_event: int | None = None
    """Of a message: the roster's number then. Who came later has a higher one, and is not told; None: of an earlier
    release, which told them."""


class CountBadge(Job, frozen=True, kw_only=True):
    """A user has read on: the number on his icons may be another. Performed when the ``second`` is over."""

    account_sid: str
    service_sid: str
    user_sid: str
    second: int
    """Unix time. Whoever reads quickly is counted once in each: who never stops reading is counted, too."""

    @property
    def key(self) -> str:
        return f"badge/{self.user_sid}/{self.second}"

    @property
    def due_at(self) -> int:
        return (self.second + 1) * 1_000_000


class SendPushes(Job, frozen=True, kw_only=True):
    """Tell these devices, all under one credential."""

    account_sid: str
    service_sid: str
    notice_sid: str
    credential_sid: str
    conversation_sid: str | None
    """Whose members they have to be when they are told; None where that does not matter."""
    registrations: tuple[str, ...]
    content: PushContent
    begun_at: int | None = None
    """When what is told happened; None: when the job was promised."""
    tries: int = 0
    """Attempts before this job."""

    @property
    def receiver(self) -> str | None:
        """What is tried again takes no place from what is new."""
        return f"{AGAIN}push/{self.credential_sid}" if self.tries else f"push/{self.credential_sid}"


class PlanNotice(Command[int], frozen=True, kw_only=True):
    """Decide who is told of what happened; how many devices that are. Of the system."""

    plan: PlanPush


class PlanBadge(Command[int], frozen=True, kw_only=True):
    """Count what a user has not read, and have it shown on his icons; how many devices. Of the system."""

    service: str
    user: str


class TestPush(Command[Notice], frozen=True, kw_only=True):
    """Send a test to all devices of a user; raises 50200 when there is no such user. Of the operator."""

    __test__ = False  # not one of pytest's

    service: str
    user: str


class Result(msgspec.Struct, frozen=True):
    """What became of one device of a batch."""

    registration_sid: str
    state: DeliveryState
    answer: str
    gone_since: int | None = None
    """Of ``GONE``: a registration renewed after it stays."""


class SendLater(msgspec.Struct, frozen=True):
    """Some of a batch that go on with a job of their own."""

    job: SendPushes
    due_at: int
    key: str | None = None
    """Where it may be replaced."""


class RecordPushes(Command[None], frozen=True, kw_only=True):
    """Keep what became of pushes, and what follows for their registrations. Of the system."""

    service: str
    notice: str
    results: Sequence[Result]
    later: Sequence[SendLater] = ()
    """What goes on, in place of the job that is settled."""
    instead_of: str | None = None
    """The key of a job that waits and is not needed any more."""
