"""What a role may grant (semantics 2.2), the roles of a new service (2.3), and how a command says what it needs."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class RoleKind(StrEnum):
    SERVICE = "service"
    CONVERSATION = "conversation"


class Permission(StrEnum):
    CREATE_CONVERSATION = "createConversation"
    JOIN_CONVERSATION = "joinConversation"
    ADD_PARTICIPANT = "addParticipant"
    ADD_NON_CHAT_PARTICIPANT = "addNonChatParticipant"
    REMOVE_PARTICIPANT = "removeParticipant"
    LEAVE_CONVERSATION = "leaveConversation"
    SEND_MESSAGE = "sendMessage"
    SEND_MEDIA_MESSAGE = "sendMediaMessage"
    EDIT_OWN_MESSAGE = "editOwnMessage"
    EDIT_ANY_MESSAGE = "editAnyMessage"
    EDIT_OWN_MESSAGE_ATTRIBUTES = "editOwnMessageAttributes"
    EDIT_ANY_MESSAGE_ATTRIBUTES = "editAnyMessageAttributes"
    DELETE_OWN_MESSAGE = "deleteOwnMessage"
    DELETE_ANY_MESSAGE = "deleteAnyMessage"
    DELETE_CONVERSATION = "deleteConversation"
    EDIT_CONVERSATION_NAME = "editConversationName"
    EDIT_CONVERSATION_ATTRIBUTES = "editConversationAttributes"
    EDIT_OWN_USER_INFO = "editOwnUserInfo"
    EDIT_ANY_USER_INFO = "editAnyUserInfo"
    EDIT_NOTIFICATION_LEVEL = "editNotificationLevel"
    EDIT_OWN_PARTICIPANT_ATTRIBUTES = "editOwnParticipantAttributes"
    EDIT_ANY_PARTICIPANT_ATTRIBUTES = "editAnyParticipantAttributes"
    READ_CHANNEL_METADATA = "readChannelMetadata"
    """Accepted in roles, asked for nowhere: every participant may (semantics 2.2)."""


_SERVICE_ONLY = frozenset(
    {
        Permission.CREATE_CONVERSATION,
        Permission.JOIN_CONVERSATION,
        Permission.EDIT_OWN_USER_INFO,
        Permission.EDIT_ANY_USER_INFO,
    }
)
_CONVERSATION_ONLY = frozenset(
    {
        Permission.SEND_MESSAGE,
        Permission.SEND_MEDIA_MESSAGE,
        Permission.LEAVE_CONVERSATION,
        Permission.EDIT_NOTIFICATION_LEVEL,
    }
)

GRANTABLE: dict[RoleKind, frozenset[Permission]] = {
    RoleKind.SERVICE: frozenset(Permission) - _CONVERSATION_ONLY,
    RoleKind.CONVERSATION: frozenset(Permission) - _SERVICE_ONLY,
}
"""Which permissions a role of each kind may hold."""


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """One permission a command asks for, as data.

    ``any`` grants it in every case; ``own`` when the caller's own thing is concerned. With ``when``, the need holds
    only if one of the named fields of the command is set.
    """

    any: Permission
    own: Permission | None = None
    when: tuple[str, ...] = ()

    def is_met(self, granted: frozenset[str], own: bool) -> bool:
        return self.any in granted or (own and self.own is not None and self.own in granted)

    def least(self, own: bool) -> Permission:
        """The permission that would do, where the caller's own thing is concerned or another's."""
        return self.own if own and self.own is not None else self.any


class DefaultRole(msgspec.Struct, frozen=True):
    friendly_name: str
    kind: RoleKind
    permissions: tuple[Permission, ...]


P = Permission
SERVICE_ADMIN = DefaultRole(
    "service admin",
    RoleKind.SERVICE,
    (
        P.ADD_PARTICIPANT,
        P.CREATE_CONVERSATION,
        P.DELETE_ANY_MESSAGE,
        P.DELETE_CONVERSATION,
        P.EDIT_ANY_MESSAGE,
        P.EDIT_ANY_MESSAGE_ATTRIBUTES,
        P.EDIT_ANY_PARTICIPANT_ATTRIBUTES,
        P.EDIT_ANY_USER_INFO,
        P.EDIT_CONVERSATION_ATTRIBUTES,
        P.EDIT_CONVERSATION_NAME,
        P.JOIN_CONVERSATION,
        P.REMOVE_PARTICIPANT,
    ),
)
SERVICE_USER = DefaultRole(
    "service user",
    RoleKind.SERVICE,
    (P.CREATE_CONVERSATION, P.EDIT_OWN_USER_INFO, P.JOIN_CONVERSATION),
)
CONVERSATION_CREATOR = DefaultRole(
    "channel admin",
    RoleKind.CONVERSATION,
    (
        P.ADD_PARTICIPANT,
        P.ADD_NON_CHAT_PARTICIPANT,
        P.DELETE_ANY_MESSAGE,
        P.DELETE_OWN_MESSAGE,
        P.DELETE_CONVERSATION,
        P.EDIT_ANY_MESSAGE,
        P.EDIT_ANY_MESSAGE_ATTRIBUTES,
        P.EDIT_ANY_PARTICIPANT_ATTRIBUTES,
        P.EDIT_OWN_PARTICIPANT_ATTRIBUTES,
        P.EDIT_CONVERSATION_ATTRIBUTES,
        P.EDIT_CONVERSATION_NAME,
        P.EDIT_NOTIFICATION_LEVEL,
        P.EDIT_OWN_MESSAGE,
        P.EDIT_OWN_MESSAGE_ATTRIBUTES,
        P.LEAVE_CONVERSATION,
        P.REMOVE_PARTICIPANT,
        P.SEND_MEDIA_MESSAGE,
        P.SEND_MESSAGE,
    ),
)
CONVERSATION_MEMBER = DefaultRole(
    "channel user",
    RoleKind.CONVERSATION,
    (
        P.DELETE_OWN_MESSAGE,
        P.EDIT_NOTIFICATION_LEVEL,
        P.EDIT_OWN_MESSAGE,
        P.EDIT_OWN_MESSAGE_ATTRIBUTES,
        P.EDIT_OWN_PARTICIPANT_ATTRIBUTES,
        P.LEAVE_CONVERSATION,
        P.SEND_MEDIA_MESSAGE,
        P.SEND_MESSAGE,
    ),
)
