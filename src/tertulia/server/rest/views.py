"""Shapes that several resources show."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.domain.conversations import Conversation
from tertulia.server.domain.participants import Participant
from tertulia.server.domain.values import second

FACE = "rest"
PREFIX = "/v1"


class TimersView(msgspec.Struct, frozen=True):
    """The moments at which pending timers go off; no members when there are none (rest 5.2)."""

    date_inactive: str | UnsetType = UNSET
    date_closed: str | UnsetType = UNSET

    @classmethod
    def of(cls, conversation: Conversation) -> TimersView:
        if conversation.inactive_at is None and conversation.closed_at is None:
            return _NO_TIMERS
        return cls(_moment(conversation.inactive_at), _moment(conversation.closed_at))


_NO_TIMERS = TimersView()


def _moment(us: int | None) -> str | UnsetType:
    return UNSET if us is None else second(us)


class MessagingBindingView(msgspec.Struct, frozen=True):
    """A participant's place on a channel, with the members that are set (rest 8)."""

    type: str
    address: str | UnsetType = UNSET
    proxy_address: str | UnsetType = UNSET
    projected_address: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    level: str | UnsetType = UNSET

    @classmethod
    def of(cls, participant: Participant) -> MessagingBindingView | None:
        """None for a participant who only chats."""
        kind = participant.binding.kind
        if kind is None:
            return None
        return cls(
            kind,
            participant.address or UNSET,
            participant.proxy_address or UNSET,
            participant.projected_address or UNSET,
            participant.email_name or UNSET,
            participant.email_level or UNSET,
        )


class WholeMessagingBindingView(msgspec.Struct, frozen=True):
    """The same with all six members, null where nothing is set (rest 8)."""

    type: str
    address: str | None
    proxy_address: str | None
    projected_address: str | None
    name: str | None
    level: str | None

    @classmethod
    def of(cls, participant: Participant) -> WholeMessagingBindingView | None:
        """None for a participant who only chats."""
        kind = participant.binding.kind
        if kind is None:
            return None
        return cls(
            kind,
            participant.address,
            participant.proxy_address,
            participant.projected_address,
            participant.email_name,
            participant.email_level,
        )
