"""My conversations: the user's side of each, read horizon and notification level (client-commands 4.1, 4.4)."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.domain.conversations import Conversation
from tertulia.server.domain.errors import BAD_PARAMETER, BAD_READ_INDEX, RESOURCE_NOT_FOUND
from tertulia.server.domain.memberships import Membership, UpdateMembership
from tertulia.server.domain.participants import Participant
from tertulia.server.domain.values import millisecond
from tertulia.server.engine.sync.document import email_binding
from tertulia.server.engine.windows import Cut
from tertulia.server.web.forms import Form
from tertulia.server.web.operations import Call, Operations
from tertulia.wire.sync import Bindings

from .conversations import JOINED, Links, SyncObjects
from .links import COMMANDS, conversation_url, my_conversations_url
from .paging import PageMeta, read_token, token_for

OPERATIONS = Operations("client")

_MINE = f"{COMMANDS}/Users/{{identity}}/Conversations"
_ONE = _MINE + "/{conversation}"

PAGE_SIZE = 100


class MembershipView(msgspec.Struct, frozen=True, kw_only=True):
    conversation_sid: str
    account_sid: str
    chat_service_sid: str
    participant_sid: str
    user_sid: str | None
    friendly_name: str | None
    unique_name: str | None
    attributes: str
    state: str
    created_by: str
    date_created: str
    date_updated: str
    bindings: Bindings
    status: str
    notification_level: str
    last_read_message_index: int | None
    unread_messages_count: int | UnsetType | None = UNSET
    """None until something was read (semantics 6.2); not counted in a list."""
    url: str
    links: Links
    sync_objects: SyncObjects

    @classmethod
    def of(cls, participant: Participant, conversation: Conversation, base_url: str, list_url: str) -> MembershipView:
        return cls(
            conversation_sid=conversation.sid,
            account_sid=conversation.account_sid,
            chat_service_sid=conversation.service_sid,
            participant_sid=participant.sid,
            user_sid=participant.user_sid,
            friendly_name=conversation.friendly_name,
            unique_name=conversation.unique_name,
            attributes=conversation.attributes,
            state=conversation.state,
            created_by=conversation.created_by,
            date_created=millisecond(conversation.created_at),
            date_updated=millisecond(conversation.updated_at),
            bindings=email_binding(conversation),
            status=JOINED,
            notification_level=participant.notification_level,
            last_read_message_index=participant.last_read_index,
            url=f"{list_url}/{conversation.sid}",
            links=Links.of(conversation_url(base_url, conversation.sid)),
            sync_objects=SyncObjects.of(conversation.sid),
        )

    @classmethod
    def counted(cls, member: Membership, base_url: str, list_url: str) -> MembershipView:
        """With what is unread."""
        view = cls.of(member.participant, member.conversation, base_url, list_url)
        return msgspec.structs.replace(view, unread_messages_count=member.unread)


class MembershipList(msgspec.Struct, frozen=True):
    conversations: list[MembershipView]
    meta: PageMeta


class ListQuery(Form, frozen=True, kw_only=True):
    page_token: str | None = None


class UpdateBody(msgspec.Struct, frozen=True):
    last_read_message_index: Any = UNSET
    """A message index, or null for *nothing read*."""
    notification_level: str | UnsetType = UNSET


@OPERATIONS.operation("GET", _MINE, query=ListQuery)
async def list_my_conversations(call: Call) -> MembershipList:
    mine, base_url = _require_mine(call), call.base_url
    query: ListQuery = call.query
    place = read_token(query.page_token) if query.page_token else None
    size, backward, start = PAGE_SIZE, False, None
    if place is not None:
        if not isinstance(place.key, str):
            raise BAD_PARAMETER("PageToken is not one of this list")
        size, backward, start = place.size, place.backward, Cut(place.key, place.after)
    found = await call.queries.my_conversations(call.caller, size, start, backward=backward)
    return MembershipList(
        [MembershipView.of(participant, conversation, base_url, mine) for participant, conversation in found.rows],
        PageMeta(
            previous_token=token_for(found.previous, size, descending=False, backward=True),
            next_token=token_for(found.next, size, descending=False, backward=False),
        ),
    )


@OPERATIONS.operation("GET", _ONE)
async def fetch_my_conversation(call: Call) -> MembershipView:
    mine = _require_mine(call)
    member = await call.queries.my_conversation(call.caller, call.path["conversation"])
    return MembershipView.counted(member, call.base_url, mine)


@OPERATIONS.operation("POST", _ONE, UpdateBody, body="json")
async def update_my_conversation(call: Call, body: UpdateBody) -> MembershipView:
    mine = _require_mine(call)
    wish = UpdateMembership(
        service=call.service_sid,
        user=call.caller.author,
        conversation=call.path["conversation"],
        last_read_index=_index(body.last_read_message_index),
        notification_level=body.notification_level,
    )
    return MembershipView.counted(await call.execute(wish), call.base_url, mine)


def _require_mine(call: Call) -> str:
    """The URL of the caller's own list; nobody else's exists for him."""
    if call.path["identity"] != call.caller.identity:
        raise RESOURCE_NOT_FOUND()
    return my_conversations_url(call.base_url, call.caller.author)


def _index(given: Any) -> int | UnsetType | None:
    if given is None or given is UNSET:
        return None if given is None else UNSET
    if isinstance(given, bool) or not isinstance(given, int):
        raise BAD_READ_INDEX()
    return given
