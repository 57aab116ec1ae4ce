"""Messages: sending, changing, removing, and what is asked about one (client-commands 4.3, 4.8, 4.9).

Nobody reads history here: that is the Sync list's.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.domain.attachments import parts_of
from tertulia.server.domain.errors import CHANNEL_METADATA_NOT_FOUND, NOT_A_PARTICIPANT
from tertulia.server.domain.media import MediaCategory
from tertulia.server.domain.messages import DeleteMessage, Message, SendMessage, UpdateMessage
from tertulia.server.domain.receipts import delivery_of
from tertulia.server.domain.values import millisecond
from tertulia.server.web.forms import Form
from tertulia.server.web.operations import Call, Operations
from tertulia.wire.sync import DeliveryData

from .links import COMMANDS, conversation_url, receipts_url
from .paging import PageMeta

OPERATIONS = Operations("client")

_CONVERSATION = f"{COMMANDS}/Conversations/{{conversation}}"
_ALL = f"{_CONVERSATION}/Messages"
_ONE = _ALL + "/{message}"


class Links(msgspec.Struct, frozen=True):
    conversation: str
    messages_receipts: str


class MediaView(msgspec.Struct, frozen=True):
    sid: str
    size: int
    content_type: str
    filename: str | None
    category: str | UnsetType = UNSET
    """Only of an e-mail's body or history."""


class MessageView(msgspec.Struct, frozen=True, kw_only=True):
    sid: str
    account_sid: str
    chat_service_sid: str
    conversation_sid: str
    index: int
    author: str
    participant_sid: str | None
    body: str | None
    subject: str | None
    attributes: str
    media: tuple[MediaView, ...] | None
    content_sid: str | None
    delivery: DeliveryData | None
    date_created: str
    date_updated: str
    last_updated_by: str | None
    url: str
    links: Links

    @classmethod
    def of(cls, message: Message, base_url: str) -> MessageView:
        conversation = conversation_url(base_url, message.conversation_sid)
        return cls(
            sid=message.sid,
            account_sid=message.account_sid,
            chat_service_sid=message.service_sid,
            conversation_sid=message.conversation_sid,
            index=message.index,
            author=message.author,
            participant_sid=message.participant_sid,
            body=message.body,
            subject=message.subject,
            attributes=message.attributes,
            media=_media_of(message),
            content_sid=message.content_sid,
            delivery=delivery_of(message),
            date_created=millisecond(message.created_at),
            date_updated=millisecond(message.updated_at),
            last_updated_by=message.last_updated_by,
            url=f"{conversation}/Messages/{message.sid}",
            links=Links(conversation, receipts_url(base_url, message.conversation_sid, message.sid)),
        )


def _media_of(message: Message) -> tuple[MediaView, ...] | None:
    """None where there are no files."""
    if message.media is None:
        return None
    return tuple(
        MediaView(
            part.sid,
            part.size,
            part.content_type,
            part.filename,
            UNSET if part.category == MediaCategory.MEDIA else part.category,
        )
        for part in parts_of(message.media)
    )


class SendBody(msgspec.Struct, frozen=True):
    body: str | None = None
    subject: str | None = None
    attributes: str = "{}"
    media_sids: tuple[str, ...] | None = None
    """The message builder sends an empty list where there is none."""
    content_sid: str | None = None
    content_variables: str | None = None


class UpdateBody(msgspec.Struct, frozen=True):
    """A client changes nothing else of a message."""

    body: str | UnsetType = UNSET
    attributes: str | UnsetType = UNSET


class RecipientView(msgspec.Struct, frozen=True):
    """Whom a message reached by e-mail."""

    message_sid: str
    type: str
    level: str
    name: str | None
    address: str


class RecipientList(msgspec.Struct, frozen=True):
    message_recipients: tuple[RecipientView, ...]
    meta: PageMeta


class RecipientQuery(Form, frozen=True, kw_only=True):
    message_sid: str | None = None


@OPERATIONS.operation("POST", _ALL, SendBody, status=201, body="json")
async def send_message(call: Call, body: SendBody) -> MessageView:
    wish = SendMessage(
        service=call.service_sid,
        conversation=call.path["conversation"],
        body=body.body,
        subject=body.subject,
        attributes=body.attributes,
        media_sids=body.media_sids or (),
        content_sid=body.content_sid,
        content_variables=body.content_variables,
    )
    return MessageView.of(await call.execute(wish), call.base_url)


@OPERATIONS.operation("GET", _ONE)
async def fetch_message(call: Call) -> MessageView:
    return MessageView.of(await _message(call), call.base_url)


@OPERATIONS.operation("POST", _ONE, UpdateBody, body="json")
async def update_message(call: Call, body: UpdateBody) -> MessageView:
    wish = UpdateMessage(
        service=call.service_sid,
        conversation=call.path["conversation"],
        message=call.path["message"],
        body=body.body,
        attributes=body.attributes,
    )
    return MessageView.of(await call.execute(wish), call.base_url)


@OPERATIONS.operation("DELETE", _ONE, status=204)
async def delete_message(call: Call) -> None:
    wish = DeleteMessage(service=call.service_sid, conversation=call.path["conversation"], message=call.path["message"])
    await call.execute(wish)


@OPERATIONS.operation("GET", f"{_ONE}/ChannelMetadata")
async def fetch_channel_metadata(call: Call) -> None:
    """Nothing comes from a channel yet. Clients take this very code for *there is none*, and others for a failure."""
    await _message(call)
    raise CHANNEL_METADATA_NOT_FOUND()


@OPERATIONS.operation("GET", f"{_CONVERSATION}/MessageRecipients", query=RecipientQuery)
async def list_message_recipients(call: Call) -> RecipientList:
    query: RecipientQuery = call.query
    if query.message_sid is not None:
        await call.queries.visible_message(call.caller, call.path["conversation"], query.message_sid)
    elif (await call.queries.visible_conversation(call.caller, call.path["conversation"])).membership is None:
        raise NOT_A_PARTICIPANT()
    return RecipientList((), PageMeta())


async def _message(call: Call) -> Message:
    return await call.queries.visible_message(call.caller, call.path["conversation"], call.path["message"])
