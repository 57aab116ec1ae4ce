"""Participants: adding, joining, changing, removing, leaving (client-commands 4.2)."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.domain.participants import (
    AddParticipant,
    JoinConversation,
    Participant,
    RemoveParticipant,
    UpdateParticipant,
)
from tertulia.server.domain.values import millisecond
from tertulia.server.web.operations import Call, Operations

from .links import COMMANDS, conversation_url

OPERATIONS = Operations("client")

_ALL = f"{COMMANDS}/Conversations/{{conversation}}/Participants"
_ONE = _ALL + "/{participant}"


class MessagingBindingView(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    address: str | None
    proxy_address: str | None
    projected_address: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    level: str | UnsetType = UNSET

    @classmethod
    def of(cls, participant: Participant) -> MessagingBindingView | None:
        kind = participant.binding.kind
        if kind is None:
            return None
        return cls(
            type=kind,
            address=participant.address,
            proxy_address=participant.proxy_address,
            projected_address=participant.projected_address or UNSET,
            name=participant.email_name or UNSET,
            level=participant.email_level or UNSET,
        )


class Links(msgspec.Struct, frozen=True):
    conversation: str


class ParticipantView(msgspec.Struct, frozen=True, kw_only=True):
    sid: str
    account_sid: str
    chat_service_sid: str
    conversation_sid: str
    role_sid: str | None
    identity: str | None
    attributes: str
    date_created: str
    date_updated: str
    messaging_binding: MessagingBindingView | None
    url: str
    links: Links

    @classmethod
    def of(cls, participant: Participant, base_url: str) -> ParticipantView:
        conversation = conversation_url(base_url, participant.conversation_sid)
        return cls(
            sid=participant.sid,
            account_sid=participant.account_sid,
            chat_service_sid=participant.service_sid,
            conversation_sid=participant.conversation_sid,
            role_sid=participant.role_sid,
            identity=participant.identity,
            attributes=participant.attributes,
            date_created=millisecond(participant.created_at),
            date_updated=millisecond(participant.updated_at),
            messaging_binding=MessagingBindingView.of(participant),
            url=f"{conversation}/Participants/{participant.sid}",
            links=Links(conversation),
        )


class MessagingBindingBody(msgspec.Struct, frozen=True):
    address: str | None = None
    proxy_address: str | None = None
    name: str | None = None
    """With ``level`` for e-mail alone."""
    level: str | None = None


class AddBody(msgspec.Struct, frozen=True):
    identity: str | None = None
    messaging_binding: MessagingBindingBody | None = None
    attributes: str = "{}"


class UpdateBody(msgspec.Struct, frozen=True):
    attributes: str | UnsetType = UNSET


@OPERATIONS.operation("POST", _ALL, AddBody, status=201, body="json")
async def add_participant(call: Call, body: AddBody) -> ParticipantView:
    """To add oneself is to join (semantics 2.2)."""
    conversation, place = call.path["conversation"], body.messaging_binding
    wish: JoinConversation | AddParticipant
    if body.identity is not None and body.identity == call.caller.identity and place is None:
        wish = JoinConversation(service=call.service_sid, conversation=conversation, attributes=body.attributes)
    else:
        wish = AddParticipant(
            service=call.service_sid,
            conversation=conversation,
            identity=body.identity,
            address=place.address if place else None,
            proxy_address=place.proxy_address if place else None,
            email_name=place.name if place else None,
            email_level=place.level if place else None,
            attributes=body.attributes,
        )
    return ParticipantView.of(await call.execute(wish), call.base_url)


@OPERATIONS.operation("POST", _ONE, UpdateBody, body="json")
async def update_participant(call: Call, body: UpdateBody) -> ParticipantView:
    wish = UpdateParticipant(
        service=call.service_sid,
        conversation=call.path["conversation"],
        participant=call.path["participant"],
        attributes=body.attributes,
    )
    return ParticipantView.of(await call.execute(wish), call.base_url)


@OPERATIONS.operation("DELETE", _ONE, status=204)
async def remove_participant(call: Call) -> None:
    """By SID or identity; to remove oneself is to leave."""
    wish = RemoveParticipant(
        service=call.service_sid,
        conversation=call.path["conversation"],
        participant=call.path["participant"],
    )
    await call.execute(wish)
