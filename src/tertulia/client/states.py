"""The closed sets: which states there are, which fields can change. Values are those of the wire where it has them."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class ClientState(StrEnum):
    """Where a client is in its life."""

    NEW = "new"
    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"
    SHUT_DOWN = "shut_down"


class ConnectionState(StrEnum):
    """What the connection does at the moment (realtime 5.2)."""

    UNKNOWN = "unknown"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTING = "disconnecting"
    DISCONNECTED = "disconnected"
    """It does not come back by itself: shut down, or the token has ended."""
    DENIED = "denied"
    """The token was refused; another one brings it back."""


class ClientSync(IntEnum):
    """How much of the user's conversations is known (object-model C.1). Ordered."""

    FAILED = -1
    NONE = 0
    STARTED = 1
    CONVERSATIONS_LISTED = 2
    """Every conversation has an object."""
    COMPLETED = 3
    """Every joined one has its roster, and hears of its messages."""


class ConversationSync(IntEnum):
    """How much of one conversation is known (object-model C.1). Ordered."""

    FAILED = -1
    NONE = 0
    IDENTIFIER = 1
    METADATA = 2
    """Names, attributes and dates count."""
    ALL = 3
    """Participants and messages are usable."""


class ConversationStatus(StrEnum):
    """Whether the user of this client is in the conversation."""

    JOINED = "joined"
    NOT_PARTICIPATING = "notParticipating"


class NotificationLevel(StrEnum):
    DEFAULT = "default"
    MUTED = "muted"


class ConversationField(StrEnum):
    """What of a conversation can change."""

    ATTRIBUTES = "attributes"
    BINDINGS = "bindings"
    CREATED_BY = "created_by"
    DATE_CREATED = "date_created"
    DATE_UPDATED = "date_updated"
    FRIENDLY_NAME = "friendly_name"
    LAST_MESSAGE = "last_message"
    LAST_READ_MESSAGE_INDEX = "last_read_message_index"
    NOTIFICATION_LEVEL = "notification_level"
    STATE = "state"
    STATUS = "status"
    UNIQUE_NAME = "unique_name"


class MessageField(StrEnum):
    """What of a message can change."""

    ATTRIBUTES = "attributes"
    AUTHOR = "author"
    BODY = "body"
    CONTENT_SID = "content_sid"
    DATE_CREATED = "date_created"
    DATE_UPDATED = "date_updated"
    DELIVERY = "delivery"
    LAST_UPDATED_BY = "last_updated_by"
    MEDIA = "media"
    PARTICIPANT_SID = "participant_sid"
    SUBJECT = "subject"


class ParticipantField(StrEnum):
    """What of a participant can change."""

    ATTRIBUTES = "attributes"
    BINDINGS = "bindings"
    DATE_CREATED = "date_created"
    DATE_UPDATED = "date_updated"
    LAST_READ_MESSAGE_INDEX = "last_read_message_index"
    LAST_READ_TIMESTAMP = "last_read_timestamp"
    ROLE_SID = "role_sid"


class UserField(StrEnum):
    """What of a user can change."""

    ATTRIBUTES = "attributes"
    FRIENDLY_NAME = "friendly_name"
    IS_NOTIFIABLE = "is_notifiable"
    IS_ONLINE = "is_online"


class TokenReason(StrEnum):
    """Why a token is asked for."""

    START = "start"
    ABOUT_TO_EXPIRE = "about_to_expire"
    EXPIRED = "expired"
    REJECTED = "rejected"
