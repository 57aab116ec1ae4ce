"""A user's conversations: what he has read, what he hears of (rest 11.2)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.domain.errors import BAD_PARAMETER
from tertulia.server.domain.memberships import LeaveConversation, Membership, UpdateMembership
from tertulia.server.domain.participants import NotificationLevel
from tertulia.server.domain.values import second
from tertulia.server.web.forms import Folded, Form, moment, one_of
from tertulia.server.web.operations import BOTH, Call, Operations
from tertulia.server.web.paging import ListRule, Meta, PageQuery, Paging

from .parameters import read_index
from .views import FACE, PREFIX, TimersView

OPERATIONS = Operations(FACE, PREFIX)
LIST = ListRule("conversations", size=50, most=50)


class UserConversationLinks(msgspec.Struct, frozen=True):
    participant: str
    conversation: str


class UserConversationView(msgspec.Struct, frozen=True):
    account_sid: str
    chat_service_sid: str
    conversation_sid: str
    unread_messages_count: int | None
    last_read_message_index: int | None
    participant_sid: str
    user_sid: str | None
    friendly_name: str | None
    conversation_state: str
    timers: TimersView
    attributes: str
    date_created: str
    date_updated: str
    created_by: str
    notification_level: str
    unique_name: str | None
    url: str
    links: UserConversationLinks

    @classmethod
    def of(cls, membership: Membership, root: str) -> UserConversationView:
        participant, conversation = membership.participant, membership.conversation
        home = f"{root}/Conversations/{conversation.sid}"
        return cls(
            account_sid=conversation.account_sid,
            chat_service_sid=conversation.service_sid,
            conversation_sid=conversation.sid,
            unread_messages_count=membership.unread,
            last_read_message_index=participant.last_read_index,
            participant_sid=participant.sid,
            user_sid=participant.user_sid,
            friendly_name=conversation.friendly_name,
            conversation_state=conversation.state,
            timers=TimersView.of(conversation),
            attributes=conversation.attributes,
            date_created=second(conversation.created_at),
            date_updated=second(conversation.updated_at),
            created_by=conversation.created_by,
            notification_level=participant.notification_level,
            unique_name=conversation.unique_name,
            url=f"{root}/Users/{participant.user_sid}/Conversations/{conversation.sid}",
            links=UserConversationLinks(participant=f"{home}/Participants/{participant.sid}", conversation=home),
        )


class UserConversationList(msgspec.Struct, frozen=True):
    meta: Meta
    conversations: list[UserConversationView]


class UpdateUserConversation(Form, frozen=True, kw_only=True):
    notification_level: Annotated[Folded, one_of(*NotificationLevel)] | UnsetType = UNSET
    last_read_timestamp: str | UnsetType = UNSET
    last_read_message_index: str | UnsetType = UNSET


@OPERATIONS.operation("GET", "/Users/{user}/Conversations", query=PageQuery, scopes=BOTH)
async def list_user_conversations(call: Call) -> UserConversationList:
    """The conversations a user takes part in, closed ones included."""
    paging: Paging[Membership] = Paging(call, LIST, call.query)
    read = await call.queries.memberships(call.service_sid, call.path["user"], paging.page)
    root = call.root
    views = [UserConversationView.of(one, root) for one in paging.cut(read)]
    return UserConversationList(paging.meta(read, _key), views)


@OPERATIONS.operation("GET", "/Users/{user}/Conversations/{conversation}", scopes=BOTH)
async def fetch_user_conversation(call: Call) -> UserConversationView:
    """One conversation of a user, by SID or unique name."""
    found = await call.queries.membership(call.service_sid, call.path["user"], call.path["conversation"])
    return UserConversationView.of(found, call.root)


@OPERATIONS.operation("POST", "/Users/{user}/Conversations/{conversation}", UpdateUserConversation, scopes=BOTH)
async def update_user_conversation(call: Call, form: UpdateUserConversation) -> UserConversationView:
    """Move a user's read horizon, or mute the conversation for him."""
    membership = await call.execute(
        UpdateMembership(
            service=call.service_sid,
            user=call.path["user"],
            conversation=call.path["conversation"],
            last_read_index=read_index(form.last_read_message_index),
            last_read_at=moment(form.last_read_timestamp, BAD_PARAMETER, "LastReadTimestamp"),
            notification_level=form.notification_level,
        )
    )
    return UserConversationView.of(membership, call.root)


@OPERATIONS.operation("DELETE", "/Users/{user}/Conversations/{conversation}", status=204, scopes=BOTH)
async def delete_user_conversation(call: Call) -> None:
    """The user leaves the conversation."""
    path = call.path
    await call.execute(
        LeaveConversation(service=call.service_sid, user=path["user"], conversation=path["conversation"]),
    )


def _key(membership: Membership) -> str:
    return membership.participant.sid
