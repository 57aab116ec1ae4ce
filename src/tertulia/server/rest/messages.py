"""Messages of a conversation (rest 6)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.domain import messages as domain
from tertulia.server.domain.attachments import parts_of
from tertulia.server.domain.errors import (
    BAD_DATE_CREATED,
    BAD_DATE_UPDATED,
    BAD_PARAMETER,
    CHANNEL_METADATA_NOT_FOUND,
)
from tertulia.server.domain.media import MediaCategory
from tertulia.server.domain.messages import Message
from tertulia.server.domain.receipts import delivery_of
from tertulia.server.domain.values import second
from tertulia.server.web.forms import Folded, Form, moment, one_of
from tertulia.server.web.operations import BOTH, Call, Operations
from tertulia.server.web.paging import ListRule, Meta, PageQuery, Paging
from tertulia.wire.sync import DeliveryData

from .views import FACE, PREFIX

OPERATIONS = Operations(FACE, PREFIX)
LIST = ListRule("messages", size=50, most=100)

ASCENDING, DESCENDING = "asc", "desc"
_SKIP_FANOUT = "x-skip-fanout"
"""Not published: with ``true`` people on channels are not sent the message, as they had it before it was imported."""


class MediaView(msgspec.Struct, frozen=True):
    sid: str
    content_type: str
    filename: str | None
    size: int
    category: str | UnsetType = UNSET
    """Only of an e-mail's body or history, which the description does not speak of. UNVERIFIED."""


def _media_of(message: Message) -> list[MediaView] | None:
    """None where there are no files."""
    if message.media is None:
        return None
    return [
        MediaView(
            part.sid,
            part.content_type,
            part.filename,
            part.size,
            UNSET if part.category == MediaCategory.MEDIA else part.category,
        )
        for part in parts_of(message.media)
    ]


class MessageLinks(msgspec.Struct, frozen=True, gc=False):
    delivery_receipts: str
    channel_metadata: str


class MessageView(msgspec.Struct, frozen=True, gc=False):
    sid: str
    account_sid: str
    conversation_sid: str
    index: int
    author: str
    participant_sid: str | None
    body: str | None
    attributes: str
    date_created: str
    date_updated: str
    url: str
    links: MessageLinks
    media: list[MediaView] | None = None
    delivery: DeliveryData | None = None
    content_sid: str | None = None
    chat_service_sid: str | UnsetType = UNSET
    """Only where the path names the service."""

    @classmethod
    def of(cls, message: Message, above: str, is_long: bool) -> MessageView:
        """``above`` is the URL of the conversation's messages, with a slash."""
        # By position: a page of history makes fifty of them.
        url = above + message.sid
        created = second(message.created_at)
        return cls(
            message.sid,
            message.account_sid,
            message.conversation_sid,
            message.index,
            message.author,
            message.participant_sid,
            message.body,
            message.attributes,
            created,
            created if message.updated_at == message.created_at else second(message.updated_at),
            url,
            MessageLinks(url + "/Receipts", url + "/ChannelMetadata"),
            _media_of(message),
            delivery_of(message),
            message.content_sid,
            message.service_sid if is_long else UNSET,
        )


class MessageList(msgspec.Struct, frozen=True):
    meta: Meta
    messages: list[MessageView]


class CreateMessage(Form, frozen=True, kw_only=True):
    author: str | None = None
    body: str | None = None
    subject: str | None = None
    attributes: str = "{}"
    media_sid: str | None = None
    content_sid: str | None = None
    content_variables: str | None = None
    date_created: str | UnsetType = UNSET
    date_updated: str | UnsetType = UNSET


class UpdateMessage(Form, frozen=True, kw_only=True):
    author: str | UnsetType = UNSET
    body: str | UnsetType = UNSET
    subject: str | UnsetType = UNSET
    attributes: str | UnsetType = UNSET
    date_created: str | UnsetType = UNSET
    date_updated: str | UnsetType = UNSET


class ListMessages(PageQuery, frozen=True, kw_only=True):
    order: Annotated[Folded, one_of(ASCENDING, DESCENDING)] | UnsetType = UNSET


@OPERATIONS.operation(
    "POST", "/Conversations/{conversation}/Messages", CreateMessage, status=201, scopes=BOTH, hooks=True
)
async def create_message(call: Call, form: CreateMessage) -> MessageView:
    """Add a message at the end of a conversation; its author is ``system`` unless named."""
    message = await call.execute(
        domain.SendMessage(
            service=call.service_sid,
            conversation=call.path["conversation"],
            author=form.author or None,
            body=form.body,
            subject=form.subject or None,
            attributes=form.attributes,
            media_sids=() if form.media_sid is None else (form.media_sid,),
            content_sid=form.content_sid,
            content_variables=form.content_variables,
            created_at=moment(form.date_created, BAD_DATE_CREATED),
            updated_at=moment(form.date_updated, BAD_DATE_UPDATED),
            skips_channels=call.request.headers.get(_SKIP_FANOUT, "").strip().lower() == "true",
        )
    )
    return _view(message, call)


@OPERATIONS.operation("GET", "/Conversations/{conversation}/Messages", query=ListMessages, scopes=BOTH)
async def list_messages(call: Call) -> MessageList:
    """The messages of a conversation by index; the newest first with ``Order=desc``."""
    query: ListMessages = call.query
    order = query.order
    if order not in (UNSET, ASCENDING, DESCENDING):
        raise BAD_PARAMETER("Order is asc or desc")
    filters = () if order is UNSET else (("Order", order),)
    paging: Paging[Message] = Paging(call, LIST, query, filters=filters, descending=order == DESCENDING)
    read = await call.queries.messages(call.caller, call.service_sid, call.path["conversation"], paging.page)
    found = paging.cut(read)
    above, is_long = _above(call, found[0]) if found else "", call.is_long
    views = [MessageView.of(message, above, is_long) for message in found]
    return MessageList(paging.meta(read, _key), views)


@OPERATIONS.operation("GET", "/Conversations/{conversation}/Messages/{message}", scopes=BOTH)
async def fetch_message(call: Call) -> MessageView:
    """One message, by SID."""
    return _view(await _found(call), call)


@OPERATIONS.operation(
    "POST", "/Conversations/{conversation}/Messages/{message}", UpdateMessage, scopes=BOTH, hooks=True
)
async def update_message(call: Call, form: UpdateMessage) -> MessageView:
    """Change a message; its index stays."""
    message = await call.execute(
        domain.UpdateMessage(
            service=call.service_sid,
            conversation=call.path["conversation"],
            message=call.path["message"],
            author=form.author or UNSET,
            body=form.body,
            subject=form.subject,
            attributes=form.attributes,
            created_at=moment(form.date_created, BAD_DATE_CREATED),
            updated_at=moment(form.date_updated, BAD_DATE_UPDATED),
        )
    )
    return _view(message, call)


@OPERATIONS.operation("DELETE", "/Conversations/{conversation}/Messages/{message}", status=204, scopes=BOTH, hooks=True)
async def delete_message(call: Call) -> None:
    """Remove a message; its index stays a hole."""
    path = call.path
    wish = domain.DeleteMessage(service=call.service_sid, conversation=path["conversation"], message=path["message"])
    await call.execute(wish)


@OPERATIONS.operation("GET", "/Conversations/{conversation}/Messages/{message}/ChannelMetadata", scopes=BOTH)
async def fetch_channel_metadata(call: Call) -> None:
    """What the channel told about a message; 50530 when it told nothing (rest 7.2)."""
    await _found(call)
    raise CHANNEL_METADATA_NOT_FOUND()


def _view(message: Message, call: Call) -> MessageView:
    return MessageView.of(message, _above(call, message), call.is_long)


def _above(call: Call, message: Message) -> str:
    return f"{call.root}/Conversations/{message.conversation_sid}/Messages/"


async def _found(call: Call) -> Message:
    path = call.path
    return await call.queries.message(call.caller, call.service_sid, path["conversation"], path["message"])


def _key(message: Message) -> int:
    return message.index
