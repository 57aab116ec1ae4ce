"""The client library: a user's conversations, live, over asyncio.

In reading order:

* ``client`` — ``ConversationsClient``, the face; ``life`` — its parts, and how they start and stop.
* ``config`` — what a client is told; ``states``, ``events``, ``errors`` — what it tells.
* ``model`` — conversations, messages, participants, users.
* ``files``, ``media``, ``content``, ``receipts``, ``push`` — what is sent along, and fetched when asked for; ``bodies``
  and ``discreet`` — how files come, and what logs hear of it.
* ``outbox`` and ``store`` — sending without a connection, and keeping things on disk.
* ``link`` and ``connection`` — the socket; ``calls`` — requests over it; ``tokens`` and ``renewal`` — who we are.
* ``sync`` — copies of the server's objects, kept by its events.
* ``decoding``, ``moments`` and ``attributes`` — what others have written, read so that it does no harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .client import ConversationsClient
from .config import ClientConfig, PushConfig, TokenProvider, TokenRequest
from .draft import MessageDraft
from .files import FileToSend
from .media import Media
from .model.conversation import Conversation
from .model.message import Message
from .model.participant import Participant
from .model.user import User
from .paging import Page
from .pending import PendingMessage, PendingState
from .push_store import FilePushStore
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
from .token_store import FileTokenStore

if TYPE_CHECKING:
    from .sqlite_store import SqliteStore

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
    "FilePushStore",
    "FileToSend",
    "FileTokenStore",
    "Media",
    "Message",
    "MessageDraft",
    "MessageField",
    "NotificationLevel",
    "Page",
    "Participant",
    "ParticipantField",
    "PendingMessage",
    "PendingState",
    "PushConfig",
    "SqliteStore",
    "TokenProvider",
    "TokenReason",
    "TokenRequest",
    "User",
    "UserField",
]


def __getattr__(name: str) -> object:
    if name == "SqliteStore":
        # Who keeps nothing does not pay for a database.
        from .sqlite_store import SqliteStore

        return SqliteStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
