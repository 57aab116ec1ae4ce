"""What a client tells its application: one struct per kind of event, in place of names (object-model D.3).

An event about a message reaches who listens to the message, to its conversation and to the client, in this order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from .states import (
    ClientSync,
    ConnectionState,
    ConversationField,
    ConversationSync,
    MessageField,
    ParticipantField,
    UserField,
)

if TYPE_CHECKING:
    from .model.conversation import Conversation
    from .model.message import Message
    from .model.participant import Participant
    from .model.snapshots import ConversationSnapshot, MessageSnapshot, ParticipantSnapshot, UserSnapshot
    from .model.user import User
    from .outbox import PendingMessage
    from .push import PushNotification


class Event(msgspec.Struct, frozen=True, eq=False):
    """Something that became true."""


# --- the client


class ClientReady(Event, frozen=True, eq=False):
    """``start()`` is about to return."""


class ClientFailed(Event, frozen=True, eq=False):
    """The start failed."""

    error: BaseException


class ConnectionStateChanged(Event, frozen=True, eq=False):
    state: ConnectionState
    previous: ConnectionState


class ConnectionErrorOccurred(Event, frozen=True, eq=False):
    """A connection failed, or was refused. Unless it is ``terminal`` the client tries again by itself."""

    terminal: bool
    message: str
    http_status: int | None = None
    code: int | None = None


class SyncStatusChanged(Event, frozen=True, eq=False):
    """The client knows more of the user's conversations than before."""

    status: ClientSync


class TokenAboutToExpire(Event, frozen=True, eq=False):
    """The token ends soon. With a provider the client renews it; without, the application calls ``update_token``."""

    expires_at: float | None
    """Unix seconds; None of a token that cannot be read."""


class TokenExpired(Event, frozen=True, eq=False):
    """The token has ended: a new one brings the client back."""

    expires_at: float | None


class TokenUpdated(Event, frozen=True, eq=False):
    expires_at: float | None


class TokenUpdateFailed(Event, frozen=True, eq=False):
    """The provider failed, or the server refused what it gave. The client goes on trying if it has a provider."""

    error: BaseException


class HandlerFailed(Event, frozen=True, eq=False):
    """A handler of the application raised."""

    event: Event
    error: BaseException


class PushReceived(Event, frozen=True, eq=False):
    """``handle_push`` was given a notification."""

    notification: PushNotification


# --- conversations


class ConversationAdded(Event, frozen=True, eq=False):
    """The client knows a conversation it did not know. Once per object; ``status`` is set before."""

    conversation: Conversation


class ConversationJoined(Event, frozen=True, eq=False):
    conversation: Conversation


class ConversationLeft(Event, frozen=True, eq=False):
    conversation: Conversation


class ConversationRemoved(Event, frozen=True, eq=False):
    """It is gone, or not the user's any more. Its object gets no further events."""

    conversation: Conversation


class ConversationUpdated(Event, frozen=True, eq=False):
    conversation: Conversation
    reasons: frozenset[ConversationField]
    previous: ConversationSnapshot


class ConversationSyncChanged(Event, frozen=True, eq=False):
    """More of a conversation is usable than before, or it cannot be opened."""

    conversation: Conversation
    status: ConversationSync


# --- participants


class ParticipantJoined(Event, frozen=True, eq=False):
    participant: Participant


class ParticipantLeft(Event, frozen=True, eq=False):
    participant: Participant


class ParticipantUpdated(Event, frozen=True, eq=False):
    participant: Participant
    reasons: frozenset[ParticipantField]
    previous: ParticipantSnapshot


class TypingStarted(Event, frozen=True, eq=False):
    conversation: Conversation
    participant: Participant


class TypingEnded(Event, frozen=True, eq=False):
    conversation: Conversation
    participant: Participant


# --- messages


class MessageAdded(Event, frozen=True, eq=False):
    """A new message. Messages of before are fetched, and make no event."""

    message: Message


class MessageUpdated(Event, frozen=True, eq=False):
    """A message that this client has fetched, or heard of, was changed."""

    message: Message
    reasons: frozenset[MessageField]
    previous: MessageSnapshot


class MessageRemoved(Event, frozen=True, eq=False):
    """A message that this client has fetched, or heard of, was removed."""

    message: Message


class MessagePending(Event, frozen=True, eq=False):
    """A message was put into the outbox: show it."""

    message: PendingMessage


class MessageSent(Event, frozen=True, eq=False):
    """A message of the outbox has arrived: show the real one in its place."""

    pending: PendingMessage
    message: Message | None
    """None when it cannot be seen here: it was removed meanwhile, or its event takes too long."""


class MessageFailed(Event, frozen=True, eq=False):
    """The server refused a message of the outbox; it stays there until it is sent again or dropped."""

    pending: PendingMessage
    error: BaseException


# --- users


class UserSubscribed(Event, frozen=True, eq=False):
    user: User


class UserUnsubscribed(Event, frozen=True, eq=False):
    user: User


class UserUpdated(Event, frozen=True, eq=False):
    user: User
    reasons: frozenset[UserField]
    previous: UserSnapshot
