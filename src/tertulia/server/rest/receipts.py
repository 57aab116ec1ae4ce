"""Delivery receipts of a message (rest 7.1). They can be read only: channels make them."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.domain.receipts import Receipt
from tertulia.server.domain.values import second
from tertulia.server.web.operations import BOTH, Call, Operations
from tertulia.server.web.paging import ListRule, Meta, PageQuery, Paging

from .views import FACE, PREFIX

OPERATIONS = Operations(FACE, PREFIX)
LIST = ListRule("delivery_receipts", size=50, most=50)

_ALL = "/Conversations/{conversation}/Messages/{message}/Receipts"


class ReceiptView(msgspec.Struct, frozen=True):
    sid: str
    account_sid: str
    conversation_sid: str
    message_sid: str
    channel_message_sid: str | None
    participant_sid: str
    status: str
    error_code: int
    date_created: str
    date_updated: str
    url: str
    chat_service_sid: str | UnsetType = UNSET
    """Only where the path names the service."""

    @classmethod
    def of(cls, receipt: Receipt, root: str, is_long: bool) -> ReceiptView:
        above = f"{root}/Conversations/{receipt.conversation_sid}/Messages/{receipt.message_sid}"
        return cls(
            sid=receipt.sid,
            account_sid=receipt.account_sid,
            conversation_sid=receipt.conversation_sid,
            message_sid=receipt.message_sid,
            channel_message_sid=receipt.channel_message_sid,
            participant_sid=receipt.participant_sid,
            status=receipt.status,
            error_code=receipt.error_code,
            date_created=second(receipt.created_at),
            date_updated=second(receipt.updated_at),
            url=f"{above}/Receipts/{receipt.sid}",
            chat_service_sid=receipt.service_sid if is_long else UNSET,
        )


class ReceiptList(msgspec.Struct, frozen=True):
    meta: Meta
    delivery_receipts: list[ReceiptView]


@OPERATIONS.operation("GET", _ALL, query=PageQuery, scopes=BOTH)
async def list_receipts(call: Call) -> ReceiptList:
    """The receipts of a message by age, as soon as it has left for the channel."""
    paging: Paging[Receipt] = Paging(call, LIST, call.query)
    path = call.path
    read = await call.queries.receipts.page(
        call.caller, call.service_sid, path["conversation"], path["message"], paging.page
    )
    views = [ReceiptView.of(receipt, call.root, call.is_long) for receipt in paging.cut(read)]
    return ReceiptList(paging.meta(read, _key), views)


@OPERATIONS.operation("GET", _ALL + "/{receipt}", scopes=BOTH)
async def fetch_receipt(call: Call) -> ReceiptView:
    """One receipt, by SID."""
    path = call.path
    receipt = await call.queries.receipts.one(
        call.caller, call.service_sid, path["conversation"], path["message"], path["receipt"]
    )
    return ReceiptView.of(receipt, call.root, call.is_long)


def _key(receipt: Receipt) -> str:
    return receipt.sid
