"""Events and messages as JSON, the way ``listen`` and ``send`` print them (docs/chat.md)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec

from tertulia.client import Conversation, Message, Participant, User, events
from tertulia.client.events import Event

E = TypeVar("E", bound=Event)
Object = dict[str, Any]

_encode: Final = msgspec.json.Encoder(decimal_format="string").encode


def encode(line: Object) -> bytes:
    """A line of JSON. What a terminal would obey, and what cannot be seen, is in it by its number."""
    text = _encode(line).decode()
    if text.isprintable():
        return text.encode()
    return "".join(each if each.isprintable() else _numbered(each) for each in text).encode()


def _numbered(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[place]:02x}{units[place + 1]:02x}" for place in range(0, len(units), 2))


def line_of(event: Event, now: datetime) -> Object | None:
    """What is printed of an event; None for one that is not."""
    make = _MAKERS.get(type(event))
    if make is None:
        return None
    name, fields = make
    return stamped(name, now, fields(event))


def stamped(name: str, now: datetime, fields: Mapping[str, Any]) -> Object:
    return {"type": name, "time": moment(now), **fields}


def moment(when: datetime | None) -> str | None:
    """RFC 3339 in UTC, with milliseconds; a moment that UTC has no date for keeps its own zone."""
    if when is None:
        return None
    when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    with contextlib.suppress(OverflowError):
        when = when.astimezone(UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def message_object(message: Message) -> Object:
    return {
        "sid": message.sid,
        "index": message.index,
        "author": message.author,
        "body": message.body,
        "subject": message.subject,
        "attributes": message.attributes,
        "participant": message.participant_sid,
        "date_created": moment(message.date_created),
        "date_updated": moment(message.date_updated),
        "last_updated_by": message.last_updated_by,
        "content_sid": message.content_sid,
        "media": [
            {"sid": part.sid, "filename": part.filename, "content_type": part.content_type, "size": part.size}
            for part in message.media
        ],
    }


def conversation_object(conversation: Conversation) -> Object:
    last = conversation.last_message
    return {
        "sid": conversation.sid,
        "friendly_name": conversation.friendly_name,
        "unique_name": conversation.unique_name,
        "attributes": conversation.attributes,
        "status": conversation.status.value,
        "state": None if conversation.state is None else conversation.state.current,
        "notification_level": conversation.notification_level.value,
        "last_message_index": None if last is None else last.index,
        "last_read_message_index": conversation.last_read_message_index,
    }


def participant_object(participant: Participant) -> Object:
    return {
        "sid": participant.sid,
        "identity": participant.identity,
        "type": participant.type,
        "attributes": participant.attributes,
        "last_read_message_index": participant.last_read_message_index,
    }


def _user_object(user: User) -> Object:
    return {
        "identity": user.identity,
        "friendly_name": user.friendly_name,
        "attributes": user.attributes,
        "is_online": user.is_online,
        "is_notifiable": user.is_notifiable,
    }


def conversation_of(event: Event) -> str | None:
    """The SID of the conversation it is about; None when it is about none."""
    subject = getattr(event, "message", None) or getattr(event, "participant", None)
    conversation = getattr(event, "conversation", None) or getattr(subject, "conversation", None)
    sid = getattr(conversation, "sid", None)
    return sid if isinstance(sid, str) else None


def _message(event: Any) -> Object:
    return {"conversation": event.message.conversation.sid, "message": message_object(event.message)}


def _participant(event: Any) -> Object:
    participant = event.participant
    return {"conversation": participant.conversation.sid, "participant": participant_object(participant)}


def _conversation(event: Any) -> Object:
    return {"conversation": event.conversation.sid, "details": conversation_object(event.conversation)}


def _changed(fields: Callable[[Any], Object]) -> Callable[[Any], Object]:
    return lambda event: {**fields(event), "changed": sorted(event.reasons)}


_MAKERS: Final[dict[type[Event], tuple[str, Callable[[Any], Object]]]] = {
    events.MessageAdded: ("message_added", _message),
    events.MessageUpdated: ("message_updated", _changed(_message)),
    events.MessageRemoved: ("message_removed", _message),
    events.ParticipantJoined: ("participant_joined", _participant),
    events.ParticipantUpdated: ("participant_updated", _changed(_participant)),
    events.ParticipantLeft: ("participant_left", _participant),
    events.TypingStarted: ("typing_started", _participant),
    events.TypingEnded: ("typing_ended", _participant),
    events.ConversationAdded: ("conversation_added", _conversation),
    events.ConversationJoined: ("conversation_joined", _conversation),
    events.ConversationUpdated: ("conversation_updated", _changed(_conversation)),
    events.ConversationLeft: ("conversation_left", _conversation),
    events.ConversationRemoved: ("conversation_removed", _conversation),
    events.UserUpdated: ("user_updated", _changed(lambda event: {"user": _user_object(event.user)})),
    events.ConnectionStateChanged: ("connection", lambda event: {"state": event.state.value}),
}

READY: Final = "ready"
"""Printed when everything is known and each further event will come."""
HISTORY: Final = "message_history"
"""A message of before, asked for with ``--history``."""
TYPES: Final = frozenset((READY, HISTORY, *(name for name, _ in _MAKERS.values())))
