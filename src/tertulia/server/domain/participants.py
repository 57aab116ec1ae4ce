"""Participants: members of a conversation, by identity, by address, or both (rest 8, semantics 4.1)."""

from __future__ import annotations

from enum import StrEnum

from msgspec import UNSET, UnsetType

from .addresses import MessagingBinding, keep_canonical
from .base import Change, Command, Entity
from .conversations import Conversation
from .errors import (
    BAD_READ_INDEX,
    BINDING_FIELDS,
    IDENTITY_MISSING,
    IDENTITY_WITH_ADDRESS,
    PROJECTED_NEEDS_CHAT,
)
from .limits import FRIENDLY_NAME_CHARS, PARTICIPANT_ATTRIBUTES
from .users import User
from .values import check_attributes, check_identity, check_length


class NotificationLevel(StrEnum):
    DEFAULT = "default"
    MUTED = "muted"


class Participant(Entity, frozen=True):
    sid: str
    account_sid: str
    service_sid: str
    conversation_sid: str
    identity: str | None
    user_sid: str | None
    role_sid: str | None
    attributes: str
    address: str | None
    proxy_address: str | None
    projected_address: str | None
    email_name: str | None
    email_level: str | None
    holds_pair: int | None
    """1 while it keeps its pair of addresses from others: until the conversation is closed (semantics 4.2)."""
    created_at: int
    updated_at: int
    last_read_index: int | None
    last_read_at: int | None
    notification_level: str
    roster_created: int
    """The numbers of its item in the conversation's roster."""
    roster_event: int
    listed_created: int | None
    """The numbers of its item in the user's conversations map; None while the map does not have it."""
    listed_event: int | None

    @property
    def binding(self) -> MessagingBinding:
        return MessagingBinding(self.address, self.proxy_address, self.projected_address)

    @property
    def is_chat(self) -> bool:
        return self.identity is not None

    @property
    def is_bound(self) -> bool:
        """He is reached by an address; counted in the conversation's ``bound_count``."""
        return self.address is not None

    @property
    def kind(self) -> str:
        """How clients see it: ``chat`` whenever there is an identity (realtime 11.3)."""
        return "chat" if self.identity is not None else self.binding.kind or "chat"


def check_read_index(index: int | UnsetType | None) -> None:
    if isinstance(index, int) and index < 0:
        raise BAD_READ_INDEX()


class AddParticipant(Command[Participant], frozen=True, kw_only=True):
    """Add a chat user, somebody on a channel, or a member of a group text; a new identity becomes a user."""

    service: str
    conversation: str
    identity: str | None = None
    address: str | None = None
    proxy_address: str | None = None
    projected_address: str | None = None
    email_name: str | None = None
    email_level: str | None = None
    attributes: str = "{}"
    role_sid: str | None = None
    created_at: int | UnsetType = UNSET
    updated_at: int | UnsetType = UNSET

    def __post_init__(self) -> None:
        keep_canonical(self, "address", "proxy_address", "projected_address")

    @property
    def binding(self) -> MessagingBinding:
        return MessagingBinding(self.address, self.proxy_address, self.projected_address)

    def check(self) -> None:
        if self.identity is not None and (self.address is not None or self.proxy_address is not None):
            raise IDENTITY_WITH_ADDRESS()
        if self.identity is not None:
            check_identity(self.identity)
        elif self.address is None and self.projected_address is None:
            raise IDENTITY_MISSING()
        if self.address is not None and self.projected_address is not None:
            raise PROJECTED_NEEDS_CHAT()
        self.binding.check()
        if self.email_name is not None or self.email_level is not None:
            if self.binding.kind != "email":
                raise BINDING_FIELDS()
            check_length(self.email_name, FRIENDLY_NAME_CHARS, BINDING_FIELDS, "Name")
            if self.email_level not in (None, "to", "cc"):
                raise BINDING_FIELDS("The level of an e-mail participant is to or cc")
        check_attributes(self.attributes, PARTICIPANT_ATTRIBUTES)


class JoinConversation(Command[Participant], frozen=True, kw_only=True):
    """The caller adds himself (semantics 2.2)."""

    service: str
    conversation: str
    attributes: str = "{}"

    def check(self) -> None:
        check_attributes(self.attributes, PARTICIPANT_ATTRIBUTES)


class UpdateParticipant(Command[Participant], frozen=True, kw_only=True):
    """Change a participant. None for an address removes it; a read index of None clears the horizon."""

    service: str
    conversation: str
    participant: str
    """SID or identity."""
    attributes: str | UnsetType = UNSET
    role_sid: str | UnsetType = UNSET
    identity: str | UnsetType = UNSET
    proxy_address: str | UnsetType | None = UNSET
    projected_address: str | UnsetType | None = UNSET
    last_read_index: int | UnsetType | None = UNSET
    last_read_at: int | UnsetType = UNSET
    created_at: int | UnsetType = UNSET
    updated_at: int | UnsetType = UNSET

    def __post_init__(self) -> None:
        keep_canonical(self, "proxy_address", "projected_address")

    def check(self) -> None:
        if self.attributes is not UNSET:
            check_attributes(self.attributes, PARTICIPANT_ATTRIBUTES)
        if self.identity is not UNSET:
            check_identity(self.identity)
        check_read_index(self.last_read_index)


class RemoveParticipant(Command[None], frozen=True, kw_only=True):
    """Remove a participant; his messages stay. Removing oneself is leaving."""

    service: str
    conversation: str
    participant: str


class ParticipantAdded(Change, frozen=True, kw_only=True):
    conversation: Conversation
    before: Conversation
    participant: Participant
    user: User | None


class ParticipantUpdated(Change, frozen=True, kw_only=True):
    conversation: Conversation
    participant: Participant
    before: Participant


class ParticipantRemoved(Change, frozen=True, kw_only=True):
    conversation: Conversation
    """With the roster's number of the removal."""
    participant: Participant
    listed_event: int | None
    """Number of the removal in the user's conversations map, if it stood there."""
