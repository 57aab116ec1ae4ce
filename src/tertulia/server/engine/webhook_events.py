"""What a change is called towards webhooks, before and after it, and the parameters that describe it.

A pre-action event is described by the change that its command would make: the same values, under the same names,
without those that do not exist before it (the SID and the dates of a new thing, the time of a removal). Sources:
semantics 1.4, 1.6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from tertulia.server.domain.attachments import parts_of
from tertulia.server.domain.base import Change
from tertulia.server.domain.callers import Caller, CallerKind
from tertulia.server.domain.conversations import (
    Conversation,
    ConversationCreated,
    ConversationDeleted,
    ConversationStateChanged,
    ConversationUpdated,
)
from tertulia.server.domain.messages import Message, MessageAdded, MessageRemoved, MessageUpdated
from tertulia.server.domain.participants import (
    Participant,
    ParticipantAdded,
    ParticipantRemoved,
    ParticipantUpdated,
)
from tertulia.server.domain.receipts import ReceiptRecorded
from tertulia.server.domain.users import User, UserCreated, UserUpdated
from tertulia.server.domain.values import millisecond
from tertulia.server.domain.webhooks import Parameters

Facts = dict[str, str | None]
"""Parameters by name; those without a value are not sent (semantics 1.3)."""


class _MediaFact(msgspec.Struct, frozen=True, rename="pascal"):
    """A file of a message, as receivers are told of it."""

    sid: str
    filename: str | None
    content_type: str
    size: int
    category: str


_encode: Final = msgspec.json.Encoder().encode


class Event(msgspec.Struct, frozen=True):
    """A kind of change, as webhooks hear of it."""

    name: str
    """Of the post-action event."""
    facts: Callable[[Any, int], Facts]
    """Describes a change of the kind that is made at a time."""
    pre_name: str | None = None
    """Of the pre-action event, where there is one."""
    unborn: frozenset[str] = frozenset()
    """The facts that the pre-action event lacks."""
    settled: frozenset[str] = frozenset()
    """Those that only the pre-action event has."""


def event_of(change: Change) -> Event | None:
    """What webhooks call it; None for what they do not hear of."""
    return EVENTS.get(type(change))


def subject_of(change: Any) -> Conversation | User:
    """What the change has happened to; it names the account and the service."""
    subject: Conversation | User = change.user if type(change) in _OF_USERS else change.conversation
    return subject


_OF_USERS: Final = frozenset((UserCreated, UserUpdated))
_SOURCES: Final = {CallerKind.IDENTITY: "SDK", CallerKind.CHANNEL: "SDK"}


def post_parameters(event: Event, change: Change, caller: Caller, now: int) -> Parameters:
    """What a receiver gets after the change, but for the number of the attempt."""
    facts = event.facts(change, now)
    if event.settled:
        facts = {name: value for name, value in facts.items() if name not in event.settled}
    return with_common(event.name, subject_of(change), caller, facts)


def pre_parameters(event: Event, change: Change, caller: Caller, now: int) -> Parameters:
    """What a receiver is asked with before it."""
    assert event.pre_name is not None, "asked only where there is a pre-action event"
    facts = {name: value for name, value in event.facts(change, now).items() if name not in event.unborn}
    return with_common(event.pre_name, subject_of(change), caller, facts)


def with_common(name: str, subject: Conversation | User, caller: Caller, facts: Facts) -> Parameters:
    """The facts behind what every request holds; without those that have no value."""
    common: Facts = {
        "AccountSid": subject.account_sid,
        "EventType": name,
        "Source": caller.source or _SOURCES.get(caller.kind, "API"),
        "ClientIdentity": caller.identity if caller.is_identity else None,
        "ChatServiceSid": subject.service_sid,
    }
    return tuple((key, value) for key, value in (common | facts).items() if value is not None)


# ------------------------------------------------------------------------------------------------- conversations


def _conversation(change: ConversationCreated | ConversationUpdated | ConversationDeleted, _now: int) -> Facts:
    conversation = change.conversation
    return {
        "ConversationSid": conversation.sid,
        "DateCreated": millisecond(conversation.created_at),
        "DateUpdated": millisecond(conversation.updated_at),
        "FriendlyName": conversation.friendly_name,
        "UniqueName": conversation.unique_name,
        "Attributes": conversation.attributes,
        "MessagingServiceSid": conversation.messaging_service_sid,
        "State": conversation.state,
    }


def _conversation_removed(change: ConversationDeleted, now: int) -> Facts:
    return _conversation(change, now) | {"DateRemoved": millisecond(now)}


def _conversation_created(change: ConversationCreated, now: int) -> Facts:
    opening = change.opening
    if opening is None:
        return _conversation(change, now)
    return _conversation(change, now) | {
        "MessagingBinding.ProxyAddress": opening.proxy_address,
        "MessagingBinding.Address": opening.address,
        "MessagingBinding.AuthorAddress": opening.author_address,
        "MessageBody": opening.body,
        "Media": _media(opening.media),
    }


def _state_changed(change: ConversationStateChanged, _now: int) -> Facts:
    return {
        "ConversationSid": change.conversation.sid,
        "StateUpdated": millisecond(change.at),
        "StateFrom": change.before_state,
        "StateTo": change.conversation.state,
        "Reason": change.reason,
        "MessagingServiceSid": change.conversation.messaging_service_sid,
    }


# ------------------------------------------------------------------------------------------------------ messages


def _message(message: Message) -> Facts:
    return {
        "ConversationSid": message.conversation_sid,
        "MessageSid": message.sid,
        "Index": str(message.index),
        "DateCreated": millisecond(message.created_at),
        "Body": message.body,
        "Author": message.author,
        "ParticipantSid": message.participant_sid,
        "Attributes": message.attributes,
        "Media": _media(message.media),
    }


def _media(text: str | None) -> str | None:
    """The files of a message, as its row has them, with capitalised keys (semantics 1.3)."""
    if text is None:
        return None
    parts = parts_of(text)
    return _encode(
        [_MediaFact(part.sid, part.filename, part.content_type, part.size, part.category) for part in parts]
    ).decode()


def _message_added(change: MessageAdded, _now: int) -> Facts:
    return _message(change.message) | {"MessagingServiceSid": change.conversation.messaging_service_sid}


def _message_updated(change: MessageUpdated, _now: int) -> Facts:
    return _message(change.message) | {"DateUpdated": millisecond(change.message.updated_at)}


def _message_removed(change: MessageRemoved, now: int) -> Facts:
    removed: Facts = {"DateUpdated": millisecond(change.message.updated_at), "DateRemoved": millisecond(now)}
    return _message(change.message) | removed


# -------------------------------------------------------------------------------------------------- participants


def _participant(participant: Participant) -> Facts:
    return {
        "ConversationSid": participant.conversation_sid,
        "ParticipantSid": participant.sid,
        "DateCreated": millisecond(participant.created_at),
        "Identity": participant.identity,
        "RoleSid": participant.role_sid,
        "Attributes": participant.attributes,
        "MessagingBinding.ProxyAddress": participant.proxy_address,
        "MessagingBinding.Address": participant.address,
        "MessagingBinding.ProjectedAddress": participant.projected_address,
        "MessagingBinding.Type": (participant.binding.kind or "chat").upper(),
    }


def _participant_added(change: ParticipantAdded, _now: int) -> Facts:
    return _participant(change.participant)


def _participant_updated(change: ParticipantUpdated, _now: int) -> Facts:
    participant, index = change.participant, change.participant.last_read_index
    return _participant(participant) | {
        "DateUpdated": millisecond(participant.updated_at),
        "LastReadMessageIndex": None if index is None else str(index),
    }


def _participant_removed(change: ParticipantRemoved, now: int) -> Facts:
    removed: Facts = {"DateUpdated": millisecond(change.participant.updated_at), "DateRemoved": millisecond(now)}
    return _participant(change.participant) | removed


# ------------------------------------------------------------------------------------------ receipts and users


def _receipt_recorded(change: ReceiptRecorded, _now: int) -> Facts:
    receipt = change.receipt
    return {
        "ConversationSid": receipt.conversation_sid,
        "MessageSid": receipt.message_sid,
        "DeliveryReceiptSid": receipt.sid,
        "ChannelMessageSid": receipt.channel_message_sid,
        "ParticipantSid": receipt.participant_sid,
        "Status": receipt.status,
        "ErrorCode": str(receipt.error_code),
        "DateCreated": millisecond(receipt.created_at),
        "DateUpdated": millisecond(receipt.updated_at),
    }


def _user(change: UserCreated | UserUpdated, _now: int) -> Facts:
    user = change.user
    return {
        "UserSid": user.sid,
        "DateCreated": millisecond(user.created_at),
        "Identity": user.identity,
        "RoleSid": user.role_sid,
        "Attributes": user.attributes,
        "FriendlyName": user.friendly_name,
    }


def _user_updated(change: UserUpdated, now: int) -> Facts:
    user = change.user
    return _user(change, now) | {
        "DateUpdated": millisecond(user.updated_at),
        # These two begin in lower case, and have no value while reachability is off.
        "isOnline": _word(user.is_online),
        "isNotifiable": _word(user.is_notifiable),
    }


def _word(flag: bool | None) -> str | None:
    return None if flag is None else "true" if flag else "false"


_NEW_CONVERSATION: Final = frozenset(("ConversationSid", "DateCreated", "DateUpdated"))
_OPENING: Final = frozenset(("MessageBody", "Media"))
_NEW_MESSAGE: Final = frozenset(("MessageSid", "Index", "DateCreated", "MessagingServiceSid"))
_NEW_PARTICIPANT: Final = frozenset(("ParticipantSid", "DateCreated"))
_HORIZON: Final = frozenset(("LastReadMessageIndex",))
_REMOVAL: Final = frozenset(("DateRemoved",))
_USER_STATE: Final = frozenset(("DateCreated", "isOnline", "isNotifiable"))

MESSAGE_ADDED: Final = Event("onMessageAdded", _message_added, "onMessageAdd", _NEW_MESSAGE)

EVENTS: Final[dict[type[Change], Event]] = {
    ConversationCreated: Event(
        "onConversationAdded", _conversation_created, "onConversationAdd", _NEW_CONVERSATION, _OPENING
    ),
    ConversationUpdated: Event("onConversationUpdated", _conversation, "onConversationUpdate"),
    ConversationDeleted: Event("onConversationRemoved", _conversation_removed, "onConversationRemove", _REMOVAL),
    ConversationStateChanged: Event("onConversationStateUpdated", _state_changed),
    MessageAdded: MESSAGE_ADDED,
    MessageUpdated: Event("onMessageUpdated", _message_updated, "onMessageUpdate"),
    MessageRemoved: Event("onMessageRemoved", _message_removed, "onMessageRemove", _REMOVAL),
    ParticipantAdded: Event("onParticipantAdded", _participant_added, "onParticipantAdd", _NEW_PARTICIPANT),
    ParticipantUpdated: Event("onParticipantUpdated", _participant_updated, "onParticipantUpdate", _HORIZON),
    ParticipantRemoved: Event("onParticipantRemoved", _participant_removed, "onParticipantRemove", _REMOVAL),
    ReceiptRecorded: Event("onDeliveryUpdated", _receipt_recorded),
    UserCreated: Event("onUserAdded", _user),
    UserUpdated: Event("onUserUpdated", _user_updated, "onUserUpdate", _USER_STATE),
}
"""The changes that webhooks hear of."""

AMENDABLE: Final[dict[str, tuple[str, ...]]] = {
    "onConversationAdd": ("friendly_name",),
    "onConversationUpdate": ("friendly_name",),
    "onMessageAdd": ("body", "author", "attributes"),
    "onMessageUpdate": ("body", "author", "attributes"),
}
"""The fields of a command that the answer to a pre-action event may replace (semantics 1.5)."""
