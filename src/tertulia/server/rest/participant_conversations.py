"""The conversations in which an identity or an address takes part (rest 11.3)."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.domain.errors import BAD_PARAMETER, IDENTITY_AND_ADDRESS
from tertulia.server.domain.memberships import Membership
from tertulia.server.domain.values import second
from tertulia.server.web.operations import BOTH, Call, Operations
from tertulia.server.web.paging import ListRule, Meta, PageQuery, Paging

from .views import FACE, PREFIX, TimersView, WholeMessagingBindingView

OPERATIONS = Operations(FACE, PREFIX)
LIST = ListRule("conversations", size=50, most=50)


class ParticipantConversationLinks(msgspec.Struct, frozen=True):
    participant: str
    conversation: str


class ParticipantConversationView(msgspec.Struct, frozen=True):
    account_sid: str
    chat_service_sid: str
    participant_sid: str
    participant_user_sid: str | None
    participant_identity: str | None
    participant_messaging_binding: WholeMessagingBindingView | None
    conversation_sid: str
    conversation_unique_name: str | None
    conversation_friendly_name: str | None
    conversation_attributes: str
    conversation_date_created: str
    conversation_date_updated: str
    conversation_created_by: str
    conversation_state: str
    conversation_timers: TimersView
    links: ParticipantConversationLinks

    @classmethod
    def of(cls, membership: Membership, root: str) -> ParticipantConversationView:
        participant, conversation = membership.participant, membership.conversation
        home = f"{root}/Conversations/{conversation.sid}"
        return cls(
            account_sid=conversation.account_sid,
            chat_service_sid=conversation.service_sid,
            participant_sid=participant.sid,
            participant_user_sid=participant.user_sid,
            participant_identity=participant.identity,
            participant_messaging_binding=WholeMessagingBindingView.of(participant),
            conversation_sid=conversation.sid,
            conversation_unique_name=conversation.unique_name,
            conversation_friendly_name=conversation.friendly_name,
            conversation_attributes=conversation.attributes,
            conversation_date_created=second(conversation.created_at),
            conversation_date_updated=second(conversation.updated_at),
            conversation_created_by=conversation.created_by,
            conversation_state=conversation.state,
            conversation_timers=TimersView.of(conversation),
            links=ParticipantConversationLinks(participant=f"{home}/Participants/{participant.sid}", conversation=home),
        )


class ParticipantConversationList(msgspec.Struct, frozen=True):
    meta: Meta
    conversations: list[ParticipantConversationView]


class ListParticipantConversations(PageQuery, frozen=True, kw_only=True):
    """Exactly one of the two, not empty."""

    identity: str | UnsetType = UNSET
    address: str | UnsetType = UNSET


@OPERATIONS.operation("GET", "/ParticipantConversations", query=ListParticipantConversations, scopes=BOTH)
async def list_participant_conversations(call: Call) -> ParticipantConversationList:
    """The conversations of an identity or of an address, closed ones included; none when nobody has it."""
    query: ListParticipantConversations = call.query
    identity, address = query.identity or None, query.address or None
    if identity is not None and address is not None:
        raise IDENTITY_AND_ADDRESS()
    if identity is not None:
        filters = (("Identity", identity),)
    elif address is not None:
        filters = (("Address", address),)
    else:
        raise BAD_PARAMETER("Give either Identity or Address")
    paging: Paging[Membership] = Paging(call, LIST, query, filters=filters)
    if identity is not None:
        read = await call.queries.memberships_of_identity(call.service_sid, identity, paging.page)
    else:
        read = await call.queries.memberships_of_address(call.service_sid, address or "", paging.page)
    root = call.root
    views = [ParticipantConversationView.of(one, root) for one in paging.cut(read)]
    return ParticipantConversationList(paging.meta(read, _key), views)


def _key(membership: Membership) -> str:
    return membership.participant.sid
