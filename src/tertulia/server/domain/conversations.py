"""Conversations: what they are, what one may ask for, what can become true (rest 5, semantics 5)."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.wire.sids import is_sid

from .addresses import keep_canonical
from .base import Change, Command, Entity
from .errors import (
    BAD_PARAMETER,
    CLOSED_TIMER_FORMAT,
    CLOSED_TIMER_SHORT,
    CONVERSATION_CLOSED,
    CREATED_CLOSED,
    INACTIVE_TIMER_FORMAT,
    INACTIVE_TIMER_SHORT,
    MESSAGING_SERVICE_MALFORMED,
    STATE_EMPTY,
    STATE_UNKNOWN,
    STILL_INITIALIZING,
    Row,
)
from .jobs import Job
from .limits import CLOSED_TIMER_S, CONVERSATION_ATTRIBUTES, FRIENDLY_NAME_CHARS, INACTIVE_TIMER_S
from .values import check_attributes, check_friendly_name, check_length, check_unique_name, parse_duration_s
from .webhooks import ScopedWebhook


class ConversationState(StrEnum):
    INITIALIZING = "initializing"
    ACTIVE = "active"
    INACTIVE = "inactive"
    CLOSED = "closed"


class Conversation(Entity, frozen=True):
    sid: str
    account_sid: str
    service_sid: str
    messaging_service_sid: str | None
    friendly_name: str | None
    unique_name: str | None
    attributes: str
    state: str
    state_at: int
    """When the state was last changed."""
    created_by: str
    creator_joined_at: int | None
    """When the creating user first became a participant; until then he may read the conversation (semantics 2.4)."""
    email_address: str | None
    email_name: str | None
    created_at: int
    updated_at: int
    inactive_after_s: int | None
    closed_after_s: int | None
    inactive_at: int | None
    """When the pending timer makes it inactive."""
    closed_at: int | None
    """When the pending timer closes it."""
    last_index: int
    """Index of the newest message ever; -1 before the first. Never goes back."""
    newest_index: int | None
    """Index and time of the newest message that exists, for ``lastMessage``."""
    newest_at: int | None
    message_count: int
    participant_count: int
    bound_count: int
    """Participants who have an address: where there are none, a message goes out to nobody (semantics 4.5)."""
    group_key: str | None
    """The sorted addresses of a group text; unique among the account's open conversations (semantics 4.6)."""
    webhook_count: int
    document_event: int
    """Last numbers given in the three Sync objects (architecture 6)."""
    messages_event: int
    roster_event: int

    @property
    def is_open(self) -> bool:
        return self.state != ConversationState.CLOSED

    @property
    def is_listed(self) -> bool:
        """Members' clients see it."""
        return self.state in (ConversationState.ACTIVE, ConversationState.INACTIVE)

    @property
    def has_timers(self) -> bool:
        return self.inactive_after_s is not None or self.closed_after_s is not None

    @property
    def deadline(self) -> int | None:
        """When the first pending timer goes off."""
        pending = [at for at in (self.inactive_at, self.closed_at) if at is not None]
        return min(pending, default=None)

    def require_open(self) -> None:
        """Raise 50377 for a closed conversation, 50386 for one that is being set up."""
        if self.state == ConversationState.CLOSED:
            raise CONVERSATION_CLOSED()
        self.require_set_up()

    def require_set_up(self) -> None:
        """Raise 50386 for a conversation that is being set up."""
        if self.state == ConversationState.INITIALIZING:
            raise STILL_INITIALIZING()

    def in_state(self, state: ConversationState, now: int) -> Conversation:
        """In another state from now on; the deadlines that it does not have go."""
        moved = msgspec.structs.replace(self, state=state.value, state_at=now)
        return msgspec.structs.replace(
            moved,
            inactive_at=self.inactive_at if state is ConversationState.ACTIVE else None,
            closed_at=self.closed_at if moved.is_listed else None,
        )

    def revived(self, now: int) -> Conversation:
        """After a message or a new participant: active, and its timers run from now (semantics 5.2)."""
        if self.state == ConversationState.ACTIVE and not self.has_timers:
            return self
        state_at = self.state_at if self.state == ConversationState.ACTIVE else now
        return msgspec.structs.replace(self, state=ConversationState.ACTIVE.value, state_at=state_at).armed(now)

    def joined_by(self, identity: str | None, now: int) -> Conversation:
        """After this identity became a participant: its creator has then been here (semantics 2.4)."""
        if self.creator_joined_at is not None or identity is None or identity != self.created_by:
            return self
        return msgspec.structs.replace(self, creator_joined_at=now)

    def armed(self, now: int) -> Conversation:
        """With both deadlines counted from ``now``, as its state has them."""
        inactive = self.inactive_after_s if self.state == ConversationState.ACTIVE else None
        closed = self.closed_after_s if self.is_listed else None
        return msgspec.structs.replace(
            self,
            inactive_at=None if inactive is None else now + inactive * 1_000_000,
            closed_at=None if closed is None else now + closed * 1_000_000,
        )


def check_timer(text: str, least_s: int, short: Row, malformed: Row) -> int:
    """A timer's seconds; 0 stands for *no timer*."""
    seconds = parse_duration_s(text, malformed)
    if 0 < seconds < least_s:
        raise short(f"{text} is under {least_s} seconds")
    return seconds


def timer_s(text: str | None, least_s: int, short: Row, malformed: Row) -> int | None:
    """What a timer parameter says: seconds, or None for an empty or zero one."""
    return check_timer(text, least_s, short, malformed) or None if text else None


class ConversationFields(Command[Conversation], frozen=True, kw_only=True):
    """The parameters that creating and updating share; an absent one leaves the value alone."""

    friendly_name: str | UnsetType | None = UNSET
    unique_name: str | UnsetType | None = UNSET
    attributes: str | UnsetType = UNSET
    messaging_service_sid: str | UnsetType | None = UNSET
    state: str | UnsetType = UNSET
    inactive_timer: str | UnsetType = UNSET
    """ISO 8601 duration; empty or zero removes it."""
    closed_timer: str | UnsetType = UNSET
    email_address: str | UnsetType | None = UNSET
    email_name: str | UnsetType | None = UNSET
    created_at: int | UnsetType = UNSET
    updated_at: int | UnsetType = UNSET

    def __post_init__(self) -> None:
        keep_canonical(self, "email_address")

    def check(self) -> None:
        if isinstance(self.friendly_name, str):
            check_friendly_name(self.friendly_name)
        if isinstance(self.unique_name, str):
            check_unique_name(self.unique_name)
        if self.attributes is not UNSET:
            check_attributes(self.attributes, CONVERSATION_ATTRIBUTES)
        # An empty SID or address is none, as an empty name is.
        if self.messaging_service_sid and not is_sid(self.messaging_service_sid, "MG"):
            raise MESSAGING_SERVICE_MALFORMED()
        if self.state is not UNSET and self.state not in ("active", "inactive", "closed"):
            raise STATE_UNKNOWN() if self.state else STATE_EMPTY()
        _ = (self.inactive_after_s, self.closed_after_s)  # reading them checks them
        if isinstance(self.email_name, str):
            check_friendly_name(self.email_name)
        if self.email_address:
            check_length(self.email_address, FRIENDLY_NAME_CHARS, BAD_PARAMETER, "Bindings.Email.Address")
            if "@" not in self.email_address:
                raise BAD_PARAMETER("Bindings.Email.Address is no e-mail address")

    @property
    def inactive_after_s(self) -> int | UnsetType | None:
        if self.inactive_timer is UNSET:
            return UNSET
        return timer_s(self.inactive_timer, INACTIVE_TIMER_S, INACTIVE_TIMER_SHORT, INACTIVE_TIMER_FORMAT)

    @property
    def closed_after_s(self) -> int | UnsetType | None:
        if self.closed_timer is UNSET:
            return UNSET
        return timer_s(self.closed_timer, CLOSED_TIMER_S, CLOSED_TIMER_SHORT, CLOSED_TIMER_FORMAT)


class CreateConversation(ConversationFields, frozen=True, kw_only=True):
    service: str

    def check(self) -> None:
        super().check()
        if self.state == ConversationState.CLOSED:
            raise CREATED_CLOSED()


class UpdateConversation(ConversationFields, frozen=True, kw_only=True):
    service: str
    conversation: str
    """SID or unique name."""


class DeleteConversation(Command[None], frozen=True, kw_only=True):
    """Remove a conversation with its messages and participants; allowed in every state.

    It is gone at once, and its names are free. What it leaves, the messages, is removed in steps.
    """

    service: str
    conversation: str


class ApplyTimers(Command[None], frozen=True, kw_only=True):
    """Do to a conversation what its timers say is due, if anything still is; of the system."""

    conversation: str
    """SID."""


class MoveOnConversation(Job, frozen=True, kw_only=True):
    """A timer of a conversation may be due."""

    account_sid: str
    conversation_sid: str

    @staticmethod
    def key(conversation_sid: str) -> str:
        """Of the waiting job: a conversation has one at most."""
        return f"timer/{conversation_sid}"


class RemoveConversationRemains(Command[int], frozen=True, kw_only=True):
    """Remove some of what a deleted conversation has left; how much that was. Of the system."""

    conversation: str
    """SID."""
    most: int
    goes_on: bool = False
    """Promise to go on with it, if something may be left."""


class SweepConversation(Job, frozen=True, kw_only=True):
    """A deleted conversation has left messages."""

    account_sid: str
    conversation_sid: str


class ListedMember(msgspec.Struct, frozen=True):
    """Whose conversations map loses the conversation, and under which number."""

    user_sid: str
    event: int


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """The message from outside that a conversation was made for. Printed without addresses and content."""

    address: str
    """The person's; in a group all whom the message reached."""
    proxy_address: str | None
    """Ours that it came to; None in a group."""
    author_address: str | None
    """In a group: its sender."""
    body: str | None
    media: str | None
    """Its files, as a message has them."""

    def __repr__(self) -> str:
        return "Opening(***)"


class ConversationCreated(Change, frozen=True, kw_only=True):
    conversation: Conversation
    opening: Opening | None = None
    """None where somebody has asked for it."""


class ConversationUpdated(Change, frozen=True, kw_only=True):
    conversation: Conversation
    before: Conversation


StateReason = Literal["API", "TIMER", "EVENT"]
"""What moved a conversation: a request, a timer, a message or participant (semantics 5.1)."""


class ConversationStateChanged(Change, frozen=True, kw_only=True):
    """One transition; recorded once for each, wherever it comes from."""

    conversation: Conversation
    before_state: str
    reason: StateReason
    at: int


class ConversationLeftClients(Change, frozen=True, kw_only=True):
    """Closed or about to be deleted: members' clients lose it (semantics 5.1)."""

    conversation: Conversation
    members: tuple[ListedMember, ...]


class ConversationDeleted(Change, frozen=True, kw_only=True):
    conversation: Conversation
    webhooks: tuple[ScopedWebhook, ...] = ()
    """Those it had; they hear of its end."""
