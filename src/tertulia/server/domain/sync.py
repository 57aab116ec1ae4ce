"""Names of Sync objects: views of conversations and users that clients follow (realtime 9, architecture 6).

An object's SID is its owner's SID with another prefix, so no table is needed to go from one to the other.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from tertulia.wire.sids import is_sid


class ObjectKind(StrEnum):
    """The five views. The value is the prefix of the object's SID."""

    DOCUMENT = "ET"
    """A conversation's own fields."""
    MESSAGES = "ES"
    """List of a conversation's messages."""
    ROSTER = "MP"
    """Map of a conversation's participants."""
    CONVERSATIONS = "MC"
    """Map of a user's conversations."""
    USER_INFO = "MU"
    """Map of a user's profile."""

    @property
    def of_user(self) -> bool:
        return self in (ObjectKind.CONVERSATIONS, ObjectKind.USER_INFO)

    @property
    def owner_prefix(self) -> str:
        return "US" if self.of_user else "CH"


_CONVERSATION_SUFFIXES = {
    "channel": ObjectKind.DOCUMENT,
    "messages": ObjectKind.MESSAGES,
    "roster": ObjectKind.ROSTER,
}
_USER_SUFFIXES = {"conversations": ObjectKind.CONVERSATIONS, "info": ObjectKind.USER_INFO}
_SUFFIX_OF = {kind: suffix for suffix, kind in (_CONVERSATION_SUFFIXES | _USER_SUFFIXES).items()}


class ObjectName(msgspec.Struct, frozen=True):
    """What a client asked for: by the owner's SID, or a user's map by service and identity."""

    kind: ObjectKind
    owner_sid: str | None
    service_sid: str | None = None
    identity: str | None = None


def object_sid(kind: ObjectKind, owner_sid: str) -> str:
    return kind + owner_sid[2:]


def conversation_object_name(kind: ObjectKind, conversation_sid: str) -> str:
    return f"{conversation_sid}.{_SUFFIX_OF[kind]}"


def user_object_name(kind: ObjectKind, service_sid: str, identity: str) -> str:
    return f"{service_sid}.{identity}.{_SUFFIX_OF[kind]}"


def parse_object_sid(sid: str) -> ObjectName | None:
    """The object a SID stands for; None when no object of ours can have it."""
    for kind in ObjectKind:
        if is_sid(sid, kind.value):
            return ObjectName(kind, kind.owner_prefix + sid[2:])
    return None


def parse_object_name(name: str) -> ObjectName | None:
    """The object a SID or unique name stands for. Identities may contain dots."""
    head, _, suffix = name.rpartition(".")
    if is_sid(head, "CH") and suffix in _CONVERSATION_SUFFIXES:
        return ObjectName(_CONVERSATION_SUFFIXES[suffix], head)
    service, _, identity = head.partition(".")
    if is_sid(service, "IS") and identity and suffix in _USER_SUFFIXES:
        return ObjectName(_USER_SUFFIXES[suffix], None, service, identity)
    return parse_object_sid(name)
