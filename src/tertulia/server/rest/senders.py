"""Senders: the addresses of an account, and the gateways that serve them. Additions of ours."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.domain import gateways as domain
from tertulia.server.domain.gateways import Sender
from tertulia.server.domain.values import second
from tertulia.server.web.forms import Form
from tertulia.server.web.operations import Call, Operations
from tertulia.server.web.paging import ListRule, Meta, PageQuery, Paging

from .views import FACE

OPERATIONS = Operations(FACE, "/channels")
LIST = ListRule("senders", size=50, most=100)


class SenderView(msgspec.Struct, frozen=True):
    account_sid: str
    address: str
    type: str
    gateway_sid: str
    pool: str | None
    """Who opts out of one sender of a pool has opted out of all."""
    per_minute: int | None
    """Null is what its kind of number may send."""
    date_created: str
    date_updated: str

    @classmethod
    def of(cls, sender: Sender) -> SenderView:
        return cls(
            account_sid=sender.account_sid,
            address=sender.address,
            type=sender.kind,
            gateway_sid=sender.gateway_sid,
            pool=sender.pool,
            per_minute=sender.per_minute,
            date_created=second(sender.created_at),
            date_updated=second(sender.updated_at),
        )


class SenderList(msgspec.Struct, frozen=True):
    meta: Meta
    senders: list[SenderView]


class AddSender(Form, frozen=True, kw_only=True):
    address: str
    """A number as `+1...`, a short code, `whatsapp:+1...`, `messenger:...`, `rcs:...`, or a mailbox."""
    gateway: str
    """SID or name."""
    pool: str | None = None
    """Who opts out of one sender of a pool has opted out of all."""
    per_minute: int | None = None
    """Messages a minute; else what its kind of number may send."""


class UpdateSender(Form, frozen=True, kw_only=True):
    gateway: str | UnsetType = UNSET
    """SID or name."""
    pool: str | UnsetType = UNSET
    per_minute: int | UnsetType = UNSET


@OPERATIONS.operation("POST", "/Senders", AddSender, status=201)
async def add_sender(call: Call, form: AddSender) -> SenderView:
    """An address of ours, served by a gateway. From the first one on the account has no addresses but these."""
    return SenderView.of(
        await call.execute(
            domain.AddSender(
                address=form.address, gateway=form.gateway, pool=form.pool or None, per_minute=form.per_minute
            )
        )
    )


@OPERATIONS.operation("GET", "/Senders", query=PageQuery)
async def list_senders(call: Call) -> SenderList:
    """The account's addresses, in their order."""
    paging: Paging[Sender] = Paging(call, LIST, call.query)
    read = await call.queries.of_account.senders(call.caller, paging.page)
    return SenderList(paging.meta(read, _key), [SenderView.of(one) for one in paging.cut(read)])


@OPERATIONS.operation("GET", "/Senders/{address}")
async def fetch_sender(call: Call) -> SenderView:
    """One address."""
    return SenderView.of(await call.queries.of_account.sender(call.caller, call.path["address"]))


@OPERATIONS.operation("POST", "/Senders/{address}", UpdateSender)
async def update_sender(call: Call, form: UpdateSender) -> SenderView:
    """Change what serves an address, or how; an empty pool is none, 0 a minute what its kind may send."""
    sender = await call.execute(
        domain.UpdateSender(
            address=call.path["address"],
            gateway=form.gateway,
            pool=form.pool if form.pool is UNSET else form.pool or None,
            per_minute=form.per_minute if form.per_minute is UNSET else form.per_minute or None,
        )
    )
    return SenderView.of(sender)


@OPERATIONS.operation("DELETE", "/Senders/{address}", status=204)
async def remove_sender(call: Call) -> None:
    """An address is the account's no more; its address configuration goes with it."""
    await call.execute(domain.RemoveSender(address=call.path["address"]))


def _key(sender: Sender) -> str:
    return sender.address
