"""Conversations (rest 5)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType, field

from tertulia.server.domain import conversations as domain
from tertulia.server.domain.conversations import Conversation, ConversationState
from tertulia.server.domain.errors import (
    BAD_DATE_CREATED,
    BAD_DATE_UPDATED,
    BAD_PARAMETER,
    END_BEFORE_START,
    STATE_EMPTY,
    STATE_UNKNOWN,
)
from tertulia.server.domain.values import parse_date, second
from tertulia.server.storage.conversations import ConversationFilter
from tertulia.server.web.forms import Folded, Form, moment, one_of
from tertulia.server.web.operations import BOTH, Call, Operations
from tertulia.server.web.page_tokens import Key
from tertulia.server.web.paging import ListRule, Meta, PageQuery, Paging

from .views import FACE, PREFIX, TimersView

OPERATIONS = Operations(FACE, PREFIX)
LIST = ListRule("conversations", size=50, most=100)

_LISTED = (ConversationState.ACTIVE, ConversationState.INACTIVE, ConversationState.CLOSED)
State = Annotated[Folded, one_of(*_LISTED)]
_LAST_OF_SECOND = 999_999


class EmailBindingView(msgspec.Struct, frozen=True):
    projected_address: str | None
    name: str | None


class BindingsView(msgspec.Struct, frozen=True):
    """The conversation's own addresses; no members when there are none."""

    email: EmailBindingView | UnsetType = UNSET

    @classmethod
    def of(cls, conversation: Conversation) -> BindingsView:
        if conversation.email_address is None and conversation.email_name is None:
            return _NO_BINDINGS
        return cls(EmailBindingView(conversation.email_address, conversation.email_name))


_NO_BINDINGS = BindingsView()


class ConversationLinks(msgspec.Struct, frozen=True):
    participants: str
    messages: str
    webhooks: str
    export: str | UnsetType = UNSET


class ConversationView(msgspec.Struct, frozen=True):
    sid: str
    account_sid: str
    chat_service_sid: str
    messaging_service_sid: str | None
    friendly_name: str | None
    unique_name: str | None
    attributes: str
    state: str
    date_created: str
    date_updated: str
    timers: TimersView
    bindings: BindingsView
    url: str
    links: ConversationLinks

    @classmethod
    def of(cls, conversation: Conversation, root: str) -> ConversationView:
        url = f"{root}/Conversations/{conversation.sid}"
        return cls(
            sid=conversation.sid,
            account_sid=conversation.account_sid,
            chat_service_sid=conversation.service_sid,
            messaging_service_sid=conversation.messaging_service_sid,
            friendly_name=conversation.friendly_name,
            unique_name=conversation.unique_name,
            attributes=conversation.attributes,
            state=conversation.state,
            date_created=second(conversation.created_at),
            date_updated=second(conversation.updated_at),
            timers=TimersView.of(conversation),
            bindings=BindingsView.of(conversation),
            url=url,
            links=ConversationLinks(
                participants=f"{url}/Participants",
                messages=f"{url}/Messages",
                webhooks=f"{url}/Webhooks",
                export=f"{url}/Export",
            ),
        )


class ConversationList(msgspec.Struct, frozen=True):
    meta: Meta
    conversations: list[ConversationView]


class ConversationForm(Form, frozen=True, kw_only=True):
    """Creating and updating take the same parameters."""

    friendly_name: str | UnsetType = UNSET
    unique_name: str | UnsetType = UNSET
    attributes: str | UnsetType = UNSET
    date_created: str | UnsetType = UNSET
    date_updated: str | UnsetType = UNSET
    messaging_service_sid: str | UnsetType = UNSET
    state: State | UnsetType = UNSET
    timers_inactive: str | UnsetType = field(default=UNSET, name="Timers.Inactive")
    timers_closed: str | UnsetType = field(default=UNSET, name="Timers.Closed")
    email_address: str | UnsetType = field(default=UNSET, name="Bindings.Email.Address")
    email_name: str | UnsetType = field(default=UNSET, name="Bindings.Email.Name")

    def fields(self) -> domain.ConversationFields:
        """What the command says. An empty FriendlyName is ignored, an empty UniqueName frees it (rest 1.3)."""
        return domain.ConversationFields(
            friendly_name=self.friendly_name or UNSET,
            unique_name=self.unique_name,
            attributes=self.attributes,
            messaging_service_sid=self.messaging_service_sid,
            state=self.state,
            inactive_timer=self.timers_inactive,
            closed_timer=self.timers_closed,
            email_address=None if self.email_address == "" else self.email_address,
            email_name=None if self.email_name == "" else self.email_name,
            created_at=moment(self.date_created, BAD_DATE_CREATED),
            updated_at=moment(self.date_updated, BAD_DATE_UPDATED),
        )


class ListConversations(PageQuery, frozen=True, kw_only=True):
    start_date: str | UnsetType = UNSET
    end_date: str | UnsetType = UNSET
    state: State | UnsetType = UNSET


@OPERATIONS.operation("POST", "/Conversations", ConversationForm, status=201, scopes=BOTH, hooks=True)
async def create_conversation(call: Call, form: ConversationForm) -> ConversationView:
    """Make a conversation."""
    wish = domain.CreateConversation(service=call.service_sid, **msgspec.structs.asdict(form.fields()))
    return ConversationView.of(await call.execute(wish), call.root)


@OPERATIONS.operation("GET", "/Conversations", query=ListConversations, scopes=BOTH)
async def list_conversations(call: Call) -> ConversationList:
    """The conversations of a service by age; the newest first when a date is given."""
    query: ListConversations = call.query
    only, filters = _filter(query)
    paging: Paging[Conversation] = Paging(call, LIST, query, filters=filters, descending=only.by_date)
    read = await call.queries.conversations(call.service_sid, only, paging.page)
    root = call.root
    views = [ConversationView.of(one, root) for one in paging.cut(read)]
    return ConversationList(paging.meta(read, _key_by_date if only.by_date else _key), views)


@OPERATIONS.operation("GET", "/Conversations/{conversation}", scopes=BOTH)
async def fetch_conversation(call: Call) -> ConversationView:
    """One conversation, by SID or unique name."""
    found = await call.queries.conversation(call.caller, call.service_sid, call.path["conversation"])
    return ConversationView.of(found, call.root)


@OPERATIONS.operation("POST", "/Conversations/{conversation}", ConversationForm, scopes=BOTH, hooks=True)
async def update_conversation(call: Call, form: ConversationForm) -> ConversationView:
    """Change a conversation; a closed one stays as it is."""
    wish = domain.UpdateConversation(
        service=call.service_sid,
        conversation=call.path["conversation"],
        **msgspec.structs.asdict(form.fields()),
    )
    return ConversationView.of(await call.execute(wish), call.root)


@OPERATIONS.operation("DELETE", "/Conversations/{conversation}", status=204, scopes=BOTH, hooks=True)
async def delete_conversation(call: Call) -> None:
    """Remove a conversation with its messages and participants."""
    await call.execute(
        domain.DeleteConversation(service=call.service_sid, conversation=call.path["conversation"]),
    )


def _filter(query: ListConversations) -> tuple[ConversationFilter, tuple[tuple[str, str], ...]]:
    """What the list is narrowed to, and how its page URLs repeat that."""
    filters = []
    start = end = state = None
    if query.start_date is not UNSET:
        start = parse_date(query.start_date, BAD_PARAMETER, "StartDate")
        filters.append(("StartDate", query.start_date))
    if query.end_date is not UNSET:
        # Inclusive: dates are shown in whole seconds, so the last one counts to its end.
        end = parse_date(query.end_date, BAD_PARAMETER, "EndDate") + _LAST_OF_SECOND
        filters.append(("EndDate", query.end_date))
    if start is not None and end is not None and end < start:
        raise END_BEFORE_START()
    if query.state is not UNSET:
        state = query.state
        if state not in _LISTED:
            raise STATE_UNKNOWN() if state else STATE_EMPTY()
        filters.append(("State", state))
    return ConversationFilter(state=state, created_from=start, created_to=end), tuple(filters)


def _key(conversation: Conversation) -> Key:
    return conversation.sid


def _key_by_date(conversation: Conversation) -> Key:
    return conversation.created_at, conversation.sid
