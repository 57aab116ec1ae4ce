"""Conversations: making, reading, changing, deleting (client-commands 4.1).

State and timers are not of this face: a client that sends them is not heard (semantics 2.2).
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.domain.conversations import (
    Conversation,
    CreateConversation,
    DeleteConversation,
    UpdateConversation,
)
from tertulia.server.domain.memberships import Membership
from tertulia.server.domain.sync import ObjectKind, conversation_object_name
from tertulia.server.domain.values import millisecond
from tertulia.server.engine.sync.document import email_binding
from tertulia.server.web.operations import Call, Operations
from tertulia.wire.sync import Bindings

from .links import COMMANDS, conversation_url

OPERATIONS = Operations("client")

_ALL = f"{COMMANDS}/Conversations"
_ONE = _ALL + "/{conversation}"

JOINED = "joined"
NOT_PARTICIPATING = "notParticipating"


class SyncObjects(msgspec.Struct, frozen=True):
    conversation: str
    participants: str
    messages: str

    @classmethod
    def of(cls, sid: str) -> SyncObjects:
        return cls(
            conversation=conversation_object_name(ObjectKind.DOCUMENT, sid),
            participants=conversation_object_name(ObjectKind.ROSTER, sid),
            messages=conversation_object_name(ObjectKind.MESSAGES, sid),
        )


class Links(msgspec.Struct, frozen=True):
    participants: str
    messages: str

    @classmethod
    def of(cls, url: str) -> Links:
        return cls(participants=f"{url}/Participants", messages=f"{url}/Messages")


class ConversationView(msgspec.Struct, frozen=True, kw_only=True):
    """Every member, always: clients merge it into what they know, and a missing one would erase it (4.1)."""

    sid: str
    account_sid: str
    chat_service_sid: str
    messaging_service_sid: str | None
    friendly_name: str | None
    unique_name: str | None
    attributes: str
    state: str
    created_by: str
    date_created: str
    date_updated: str
    messages_count: int
    participants_count: int
    bindings: Bindings
    status: str | UnsetType = UNSET
    """The caller's side of it, in what he reads; a command's answer knows only the conversation."""
    notification_level: str | UnsetType | None = UNSET
    last_read_message_index: int | UnsetType | None = UNSET
    unread_messages_count: int | UnsetType | None = UNSET
    url: str
    links: Links
    sync_objects: SyncObjects

    @classmethod
    def of(cls, conversation: Conversation, base_url: str) -> ConversationView:
        url = conversation_url(base_url, conversation.sid)
        return cls(
            sid=conversation.sid,
            account_sid=conversation.account_sid,
            chat_service_sid=conversation.service_sid,
            messaging_service_sid=conversation.messaging_service_sid,
            friendly_name=conversation.friendly_name,
            unique_name=conversation.unique_name,
            attributes=conversation.attributes,
            state=conversation.state,
            created_by=conversation.created_by,
            date_created=millisecond(conversation.created_at),
            date_updated=millisecond(conversation.updated_at),
            messages_count=conversation.message_count,
            participants_count=conversation.participant_count,
            bindings=email_binding(conversation),
            url=url,
            links=Links.of(url),
            sync_objects=SyncObjects.of(conversation.sid),
        )

    def seen_by(self, member: Membership | None) -> ConversationView:
        """With the side of a member; without one, of somebody who does not take part."""
        participant = member.participant if member else None
        return msgspec.structs.replace(
            self,
            status=JOINED if member else NOT_PARTICIPATING,
            notification_level=participant.notification_level if participant else None,
            last_read_message_index=participant.last_read_index if participant else None,
            unread_messages_count=member.unread if member else None,
        )


class CreateBody(msgspec.Struct, frozen=True):
    """``access`` may come along and has no effect (semantics 5.4)."""

    friendly_name: str | None = None
    unique_name: str | None = None
    attributes: str = "{}"


class UpdateBody(msgspec.Struct, frozen=True):
    """An empty name, or null, takes the name away."""

    friendly_name: str | UnsetType | None = UNSET
    unique_name: str | UnsetType | None = UNSET
    attributes: str | UnsetType = UNSET


@OPERATIONS.operation("POST", _ALL, CreateBody, status=201, body="json")
async def create_conversation(call: Call, body: CreateBody) -> ConversationView:
    wish = CreateConversation(
        service=call.service_sid,
        friendly_name=body.friendly_name,
        unique_name=body.unique_name,
        attributes=body.attributes,
    )
    # Making one is not joining it: the client's second command does that (semantics 5.4).
    return ConversationView.of(await call.execute(wish), call.base_url).seen_by(None)


@OPERATIONS.operation("GET", _ONE)
async def fetch_conversation(call: Call) -> ConversationView:
    seen = await call.queries.visible_conversation(call.caller, call.path["conversation"])
    return ConversationView.of(seen.conversation, call.base_url).seen_by(seen.membership)


@OPERATIONS.operation("POST", _ONE, UpdateBody, body="json")
async def update_conversation(call: Call, body: UpdateBody) -> ConversationView:
    wish = UpdateConversation(
        service=call.service_sid,
        conversation=call.path["conversation"],
        friendly_name=body.friendly_name,
        unique_name=body.unique_name,
        attributes=body.attributes,
    )
    return ConversationView.of(await call.execute(wish), call.base_url)


@OPERATIONS.operation("DELETE", _ONE, status=204)
async def delete_conversation(call: Call) -> None:
    await call.execute(DeleteConversation(service=call.service_sid, conversation=call.path["conversation"]))
