"""Participants of a conversation (rest 8)."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType, field

from tertulia.server.domain import participants as domain
from tertulia.server.domain.errors import BAD_DATE_CREATED, BAD_DATE_UPDATED, BAD_PARAMETER
from tertulia.server.domain.participants import Participant
from tertulia.server.domain.values import second
from tertulia.server.web.forms import Form, moment
from tertulia.server.web.operations import BOTH, Call, Operations
from tertulia.server.web.paging import ListRule, Meta, PageQuery, Paging

from .parameters import or_null, read_index
from .views import FACE, PREFIX, MessagingBindingView

OPERATIONS = Operations(FACE, PREFIX)
LIST = ListRule("participants", size=50, most=100)


class ParticipantView(msgspec.Struct, frozen=True):
    sid: str
    account_sid: str
    conversation_sid: str
    identity: str | None
    attributes: str
    messaging_binding: MessagingBindingView | None
    role_sid: str | None
    date_created: str
    date_updated: str
    last_read_message_index: int | None
    last_read_timestamp: str | None
    url: str
    chat_service_sid: str | UnsetType = UNSET
    """Only where the path names the service."""

    @classmethod
    def of(cls, participant: Participant, call: Call) -> ParticipantView:
        read_at = participant.last_read_at
        return cls(
            sid=participant.sid,
            account_sid=participant.account_sid,
            conversation_sid=participant.conversation_sid,
            identity=participant.identity,
            attributes=participant.attributes,
            messaging_binding=MessagingBindingView.of(participant),
            role_sid=participant.role_sid,
            date_created=second(participant.created_at),
            date_updated=second(participant.updated_at),
            last_read_message_index=participant.last_read_index,
            last_read_timestamp=None if read_at is None else second(read_at),
            url=f"{call.root}/Conversations/{participant.conversation_sid}/Participants/{participant.sid}",
            chat_service_sid=participant.service_sid if call.is_long else UNSET,
        )


class ParticipantList(msgspec.Struct, frozen=True):
    meta: Meta
    participants: list[ParticipantView]


class CreateParticipant(Form, frozen=True, kw_only=True):
    identity: str | None = None
    address: str | None = field(default=None, name="MessagingBinding.Address")
    proxy_address: str | None = field(default=None, name="MessagingBinding.ProxyAddress")
    projected_address: str | None = field(default=None, name="MessagingBinding.ProjectedAddress")
    attributes: str = "{}"
    role_sid: str | None = None
    date_created: str | UnsetType = UNSET
    date_updated: str | UnsetType = UNSET


class UpdateParticipant(Form, frozen=True, kw_only=True):
    attributes: str | UnsetType = UNSET
    role_sid: str | UnsetType = UNSET
    identity: str | UnsetType = UNSET
    proxy_address: str | UnsetType = field(default=UNSET, name="MessagingBinding.ProxyAddress")
    projected_address: str | UnsetType = field(default=UNSET, name="MessagingBinding.ProjectedAddress")
    last_read_message_index: str | UnsetType = UNSET
    last_read_timestamp: str | UnsetType = UNSET
    date_created: str | UnsetType = UNSET
    date_updated: str | UnsetType = UNSET


@OPERATIONS.operation(
    "POST", "/Conversations/{conversation}/Participants", CreateParticipant, status=201, scopes=BOTH, hooks=True
)
async def create_participant(call: Call, form: CreateParticipant) -> ParticipantView:
    """Add a chat user, somebody on a channel, or a member of a group text."""
    participant = await call.execute(
        domain.AddParticipant(
            service=call.service_sid,
            conversation=call.path["conversation"],
            identity=form.identity,
            address=form.address,
            proxy_address=form.proxy_address,
            projected_address=form.projected_address,
            attributes=form.attributes,
            role_sid=form.role_sid,
            created_at=moment(form.date_created, BAD_DATE_CREATED),
            updated_at=moment(form.date_updated, BAD_DATE_UPDATED),
        )
    )
    return ParticipantView.of(participant, call)


@OPERATIONS.operation("GET", "/Conversations/{conversation}/Participants", query=PageQuery, scopes=BOTH)
async def list_participants(call: Call) -> ParticipantList:
    """The participants of a conversation, by age."""
    paging: Paging[Participant] = Paging(call, LIST, call.query)
    read = await call.queries.participants(call.caller, call.service_sid, call.path["conversation"], paging.page)
    return ParticipantList(paging.meta(read, _key), [ParticipantView.of(one, call) for one in paging.cut(read)])


@OPERATIONS.operation("GET", "/Conversations/{conversation}/Participants/{participant}", scopes=BOTH)
async def fetch_participant(call: Call) -> ParticipantView:
    """One participant, by SID or identity."""
    path = call.path
    found = await call.queries.participant(call.caller, call.service_sid, path["conversation"], path["participant"])
    return ParticipantView.of(found, call)


@OPERATIONS.operation(
    "POST", "/Conversations/{conversation}/Participants/{participant}", UpdateParticipant, scopes=BOTH, hooks=True
)
async def update_participant(call: Call, form: UpdateParticipant) -> ParticipantView:
    """Change a participant: attributes, role, addresses, read horizon."""
    participant = await call.execute(
        domain.UpdateParticipant(
            service=call.service_sid,
            conversation=call.path["conversation"],
            participant=call.path["participant"],
            attributes=form.attributes,
            role_sid=form.role_sid,
            identity=form.identity,
            proxy_address=or_null(form.proxy_address),
            projected_address=or_null(form.projected_address),
            last_read_index=read_index(form.last_read_message_index),
            last_read_at=moment(form.last_read_timestamp, BAD_PARAMETER, "LastReadTimestamp"),
            created_at=moment(form.date_created, BAD_DATE_CREATED),
            updated_at=moment(form.date_updated, BAD_DATE_UPDATED),
        )
    )
    return ParticipantView.of(participant, call)


@OPERATIONS.operation(
    "DELETE", "/Conversations/{conversation}/Participants/{participant}", status=204, scopes=BOTH, hooks=True
)
async def delete_participant(call: Call) -> None:
    """Remove a participant; what he wrote stays."""
    path = call.path
    wish = domain.RemoveParticipant(
        service=call.service_sid, conversation=path["conversation"], participant=path["participant"]
    )
    await call.execute(wish)


def _key(participant: Participant) -> str:
    return participant.sid
