"""The client library: a user's conversations, live, over asyncio.

In reading order:

* ``client`` — ``ConversationsClient``, the face; ``life`` — its parts, and how they start and stop.
* ``config`` — what a client is told; ``states``, ``events``, ``errors`` — what it tells.
* ``model`` — conversations, messages, participants, users.
* ``files``, ``media``, ``content``, ``receipts``, ``push`` — what is sent along, and fetched when asked for.
* ``outbox`` and ``store`` — sending without a connection, and keeping things on disk.
* ``link`` and ``connection`` — the socket; ``calls`` — requests over it; ``tokens`` and ``renewal`` — who we are.
* ``sync`` — copies of the server's objects, kept by its events.
"""

from __future__ import annotations

from .client import ConversationsClient
from .config import ClientConfig, PushConfig, TokenProvider, TokenRequest
from .draft import MessageDraft
from .model.conversation import Conversation
from .model.message import Message
from .model.participant import Participant
from .model.user import User
from .paging import Page
from .states import (
    ClientState,
    ClientSync,
    ConnectionState,
    ConversationField,
    ConversationStatus,
    ConversationSync,
    MessageField,
    NotificationLevel,
    ParticipantField,
    TokenReason,
    UserField,
)

__all__ = [
    "ClientConfig",
    "ClientState",
    "ClientSync",
    "ConnectionState",
    "Conversation",
    "ConversationField",
    "ConversationStatus",
    "ConversationSync",
    "ConversationsClient",
    "Message",
    "MessageDraft",
    "MessageField",
    "NotificationLevel",
    "Page",
    "Participant",
    "ParticipantField",
    "PushConfig",
    "TokenProvider",
    "TokenReason",
    "TokenRequest",
    "User",
    "UserField",
]
