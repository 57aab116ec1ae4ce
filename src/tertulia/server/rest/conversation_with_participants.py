"""Conversations made together with their participants (rest 5.4)."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, field

from tertulia.server.domain.conversation_with_participants import CreateConversationWithParticipants
from tertulia.server.domain.errors import BAD_MEMBER, BAD_PARAMETER
from tertulia.server.domain.participants import AddParticipant
from tertulia.server.web.operations import BOTH, Call, Operations

from .conversations import ConversationForm, ConversationView
from .views import FACE, PREFIX

OPERATIONS = Operations(FACE, PREFIX)


class NestedBinding(msgspec.Struct, frozen=True):
    address: str | None = None
    proxy_address: str | None = None
    projected_address: str | None = None


class NestedMember(msgspec.Struct, frozen=True):
    """As the hosted service takes it."""

    identity: str | None = None
    attributes: str | None = None
    role_sid: str | None = None
    messaging_binding: NestedBinding | None = None


class FlatMember(msgspec.Struct, frozen=True, rename="pascal"):
    """As the published description words it."""

    identity: str | None = None
    attributes: str | None = None
    role_sid: str | None = None
    address: str | None = field(default=None, name="MessagingBinding.Address")
    proxy_address: str | None = field(default=None, name="MessagingBinding.ProxyAddress")
    projected_address: str | None = field(default=None, name="MessagingBinding.ProjectedAddress")


_nested = msgspec.json.Decoder(NestedMember).decode
_flat = msgspec.json.Decoder(FlatMember).decode


class ConversationWithParticipantsForm(ConversationForm, frozen=True, kw_only=True):
    participant: list[str] = field(default_factory=list)
    """A JSON object each."""


@OPERATIONS.operation(
    "POST", "/ConversationWithParticipants", ConversationWithParticipantsForm, status=201, scopes=BOTH, hooks=True
)
async def create_conversation_with_participants(call: Call, form: ConversationWithParticipantsForm) -> ConversationView:
    """Make a conversation of these people; they are let in a moment later, all at once."""
    wish = CreateConversationWithParticipants(
        service=call.service_sid,
        participants=tuple(_member(call.service_sid, text) for text in form.participant),
        **msgspec.structs.asdict(form.fields()),
    )
    made = await call.execute(wish)
    if wish.participants:
        call.status = 202
    view = ConversationView.of(made, call.root)
    return msgspec.structs.replace(view, links=msgspec.structs.replace(view.links, export=UNSET))


def _member(service_sid: str, text: str) -> AddParticipant:
    """A participant from its JSON, in either spelling; raises 50424 when it is none."""
    try:
        nested, flat = _nested(text), _flat(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        # Which of its values does not fit is not said: they may be personal.
        raise BAD_MEMBER() from None
    fields = msgspec.structs.asdict(flat) | _given(nested) | _given(nested.messaging_binding or NestedBinding())
    given = {name: value for name, value in fields.items() if value is not None}
    if any("\0" in value for value in given.values()):
        raise BAD_PARAMETER("Parameter Participant contains a NUL character")
    return AddParticipant(service=service_sid, conversation="", **given)


def _given(part: NestedMember | NestedBinding) -> dict[str, Any]:
    """The values that are there, by name."""
    fields = msgspec.structs.asdict(part)
    return {name: value for name, value in fields.items() if value is not None and name != "messaging_binding"}
