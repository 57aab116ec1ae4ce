"""Gateways: who takes messages to phones and mailboxes. Additions of ours; secrets go in and never come out."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.channels.base import NotNow, Refused
from tertulia.server.channels.checking import examined
from tertulia.server.channels.opening import Channels
from tertulia.server.channels.registry import NoAdapter, adapter_of
from tertulia.server.domain import gateways as domain
from tertulia.server.domain.errors import BAD_PARAMETER, RESOURCE_NOT_FOUND
from tertulia.server.domain.gateways import Gateway
from tertulia.server.domain.values import second
from tertulia.server.engine.gateway_directory import GatewayDirectory
from tertulia.server.web.forms import Form
from tertulia.server.web.operations import Call, Operations
from tertulia.server.web.paging import ListRule, Meta, PageQuery, Paging

from .views import FACE

OPERATIONS = Operations(FACE, "/channels")
LIST = ListRule("gateways", size=50, most=100)


class GatewayView(msgspec.Struct, frozen=True):
    sid: str
    account_sid: str
    name: str
    adapter: str
    settings: dict[str, Any]
    """Those in force; a secret that is set shows as ``***``."""
    callback_url: str
    """Where its provider reaches this server, if it calls it."""
    date_created: str
    date_updated: str
    url: str


class GatewayList(msgspec.Struct, frozen=True):
    meta: Meta
    gateways: list[GatewayView]


class FindingView(msgspec.Struct, frozen=True):
    is_good: bool
    what: str
    """What was looked at, and what was found."""
    remedy: str | None
    """What to do about it."""


class FindingList(msgspec.Struct, frozen=True):
    findings: list[FindingView]


class AddGateway(Form, frozen=True, kw_only=True):
    name: str
    """Unique in the account: letters, digits, dots, dashes, underscores."""
    adapter: str
    """Which there are, and what can be set of each, stands in the reference of channels."""
    settings: str = "{}"
    """A JSON object."""


class UpdateGateway(Form, frozen=True, kw_only=True):
    name: str | UnsetType = UNSET
    settings: str = "{}"
    """A JSON object of those to change."""


@OPERATIONS.operation("POST", "/Gateways", AddGateway, status=201)
async def add_gateway(call: Call, form: AddGateway) -> GatewayView:
    """Make a gateway. ``Settings`` is a JSON object of what its adapter can be told."""
    with contextlib.suppress(NoAdapter):
        # Here, not while the command has its transaction: it may take a tenth of a second.
        await asyncio.to_thread(adapter_of, form.adapter)
    gateway = await call.execute(
        domain.AddGateway(name=form.name, adapter=form.adapter, settings=_settings(form.settings))
    )
    return _view(call, gateway)


@OPERATIONS.operation("GET", "/Gateways", query=PageQuery)
async def list_gateways(call: Call) -> GatewayList:
    """The gateways of the account, by age."""
    paging: Paging[Gateway] = Paging(call, LIST, call.query)
    read = await call.queries.of_account.gateways(call.caller, paging.page)
    return GatewayList(paging.meta(read, _key), [_view(call, one) for one in paging.cut(read)])


@OPERATIONS.operation("GET", "/Gateways/{gateway}")
async def fetch_gateway(call: Call) -> GatewayView:
    """One gateway, by SID or name, without its secrets."""
    return _view(call, await call.queries.of_account.gateway(call.caller, call.path["gateway"]))


@OPERATIONS.operation("POST", "/Gateways/{gateway}", UpdateGateway)
async def update_gateway(call: Call, form: UpdateGateway) -> GatewayView:
    """Change a gateway: settings that are not sent stay, as does a secret of ``***``; null goes back to the default."""
    gateway = await call.execute(
        domain.UpdateGateway(gateway=call.path["gateway"], name=form.name, settings=_settings(form.settings))
    )
    return _view(call, gateway)


@OPERATIONS.operation("DELETE", "/Gateways/{gateway}", status=204)
async def remove_gateway(call: Call) -> None:
    """Forget a gateway that serves no sender any more; 409 else."""
    await call.execute(domain.RemoveGateway(gateway=call.path["gateway"]))


@OPERATIONS.operation("POST", "/Gateways/{gateway}/Check")
async def check_gateway(call: Call) -> FindingList:
    """Ask its provider whether it can be reached and believes us. Sends no message; takes half a minute at most."""
    gateway = await call.queries.of_account.gateway(call.caller, call.path["gateway"])
    try:
        async with _channels(call).use(gateway.sid) as channel:
            findings = await examined(channel, gateway.adapter, _channels(call).callback_url(gateway.sid))
    except NotNow as problem:
        return FindingList([FindingView(False, problem.why, "mend its settings" if problem.is_alarming else None)])
    except Refused as gone:
        raise RESOURCE_NOT_FOUND() from gone
    return FindingList([FindingView(one.is_good, one.what, one.remedy) for one in findings])


def _settings(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise BAD_PARAMETER("Settings is a JSON object") from None


def _view(call: Call, gateway: Gateway) -> GatewayView:
    return GatewayView(
        sid=gateway.sid,
        account_sid=gateway.account_sid,
        name=gateway.name,
        adapter=gateway.adapter,
        settings=_directory(call).shown(gateway),
        callback_url=_channels(call).callback_url(gateway.sid),
        date_created=second(gateway.created_at),
        date_updated=second(gateway.updated_at),
        url=f"{call.root}/Gateways/{gateway.sid}",
    )


def _channels(call: Call) -> Channels:
    assert call.channels is not None, "the composition gives them"
    return call.channels


def _directory(call: Call) -> GatewayDirectory:
    assert call.gateways is not None, "the composition gives it"
    return call.gateways


def _key(gateway: Gateway) -> str:
    return gateway.sid
