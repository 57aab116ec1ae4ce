"""Delivery receipts of one message, one for each participant on a channel (client-commands 4.7).

What they come to is in the message itself, and in its Sync item.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.domain.errors import BAD_PARAMETER
from tertulia.server.domain.receipts import Receipt
from tertulia.server.domain.values import millisecond
from tertulia.server.engine.windows import Cut
from tertulia.server.web.forms import Form
from tertulia.server.web.operations import Call, Operations

from .links import COMMANDS
from .paging import PageMeta, read_size, read_token, token_for

OPERATIONS = Operations("client")

PAGE_SIZE = 50


class ReceiptView(msgspec.Struct, frozen=True):
    sid: str
    message_sid: str
    conversation_sid: str
    channel_message_sid: str | None
    participant_sid: str
    status: str
    error_code: int
    date_created: str
    date_updated: str

    @classmethod
    def of(cls, receipt: Receipt) -> ReceiptView:
        return cls(
            sid=receipt.sid,
            message_sid=receipt.message_sid,
            conversation_sid=receipt.conversation_sid,
            channel_message_sid=receipt.channel_message_sid,
            participant_sid=receipt.participant_sid,
            status=receipt.status,
            error_code=receipt.error_code,
            date_created=millisecond(receipt.created_at),
            date_updated=millisecond(receipt.updated_at),
        )


class ReceiptList(msgspec.Struct, frozen=True):
    delivery_receipts: list[ReceiptView]
    meta: PageMeta


class ListQuery(Form, frozen=True, kw_only=True):
    page_size: str | UnsetType = UNSET
    page_token: str | None = None


@OPERATIONS.operation(
    "GET", f"{COMMANDS}/Conversations/{{conversation}}/Messages/{{message}}/Receipts", query=ListQuery
)
async def list_receipts(call: Call) -> ReceiptList:
    """By age, from ``queued`` on."""
    query: ListQuery = call.query
    size, backward, start = read_size(query.page_size, PAGE_SIZE), False, None
    if query.page_token:
        place = read_token(query.page_token)
        if not isinstance(place.key, str):
            raise BAD_PARAMETER("PageToken is not one of this list")
        size, backward, start = place.size, place.backward, Cut(place.key, place.after)
    found = await call.queries.receipts.mine(
        call.caller, call.path["conversation"], call.path["message"], size, start, backward=backward
    )
    return ReceiptList(
        [ReceiptView.of(receipt) for receipt in found.rows],
        PageMeta(
            previous_token=token_for(found.previous, size, descending=False, backward=True),
            next_token=token_for(found.next, size, descending=False, backward=False),
        ),
    )
