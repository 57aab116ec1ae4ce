"""Gateways and senders: making, changing, removing; and whether an address is ours (semantics 4.1, gateways 8.0)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from tertulia.server import observe
from tertulia.server.bus.base import GatewaysChanged
from tertulia.server.channels.registry import MASK, BadSettings, NoAdapter, adapter_of, require_allowed, settings_of
from tertulia.server.domain.address_configurations import AddressConfigurationDeleted
from tertulia.server.domain.addresses import check_ours
from tertulia.server.domain.errors import (
    ADDRESS_EMPTY,
    BAD_ADDRESS,
    BAD_PARAMETER,
    NO_WHATSAPP_SENDER,
    PROJECTED_NOT_OURS,
    PROXY_NOT_OURS,
    RESOURCE_NOT_FOUND,
    STATE_FORBIDS,
)
from tertulia.server.domain.gateways import (
    AddGateway,
    AddSender,
    Gateway,
    GatewayChanged,
    GatewayRemoved,
    RemoveGateway,
    RemoveSender,
    Sender,
    SenderChanged,
    SenderRemoved,
    UpdateGateway,
    UpdateSender,
)
from tertulia.server.sealing import Sealer, SealingError
from tertulia.wire.sids import GATEWAY

from .rules import handles
from .scenes import AccountScene, in_account
from .unit import Unit

log = logging.getLogger(__name__)

_settings = msgspec.json.Decoder(dict[str, Any]).decode


def opened_settings(sealer: Sealer, gateway: Gateway) -> dict[str, Any]:
    """What was set, as it was given. Raises ``SealingError``."""
    return _settings(sealer.open(gateway.settings, gateway.sid))


def _fitting(
    unit: Unit, adapter: str, given: Mapping[str, Any], had: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The settings, when they fit the adapter; 20001 else. ``had`` is what stars in them stand for.

    As they were understood, not as they were spelled; only those given, so that a default may change.
    """
    wanted = {name: value for name, value in given.items() if value is not None and value != MASK}
    try:
        settings = settings_of(adapter_of(adapter), wanted, had)
        require_allowed(adapter_of(adapter), settings, may_listen=unit.policy.may_listen)
    except (NoAdapter, BadSettings) as problem:
        raise BAD_PARAMETER(str(problem)) from None
    builtins = msgspec.to_builtins(settings)
    return {name: builtins[name] for name in wanted}


def _sealed(unit: Unit, settings: Mapping[str, Any], sid: str) -> str:
    return unit.sealer.seal(msgspec.json.encode(settings).decode(), sid)


def _had(unit: Unit, gateway: Gateway) -> dict[str, Any]:
    """What was set. Nothing where it cannot be read any more: then everything has to be given anew."""
    try:
        return opened_settings(unit.sealer, gateway)
    except SealingError:
        return {}


@handles(AddGateway, on=in_account, for_clients=False)
async def add_gateway(unit: Unit, command: AddGateway, _scene: AccountScene) -> Gateway:
    await _require_free_name(unit, command.name)
    most = unit.policy.gateways_per_account
    if await unit.gateways.count(unit.caller.account_sid) >= most:
        raise STATE_FORBIDS(f"The account has {most} gateways, and may have no more (channels.gateways_per_account)")
    sid = unit.new_sid(GATEWAY)
    gateway = Gateway(
        sid=sid,
        account_sid=unit.caller.account_sid,
        name=command.name,
        adapter=command.adapter,
        settings=_sealed(unit, _fitting(unit, command.adapter, command.settings), sid),
        created_at=unit.now,
        updated_at=unit.now,
    )
    await unit.gateways.add(gateway)
    _changed(unit, gateway)
    return gateway


@handles(UpdateGateway, on=in_account, for_clients=False)
async def update_gateway(unit: Unit, command: UpdateGateway, _scene: AccountScene) -> Gateway:
    before = await _gateway(unit, command.gateway, lock=True)
    sealed = before.settings
    if command.settings:
        had = _had(unit, before)
        # Stars are what is shown of a secret, not a new one.
        given = {name: value for name, value in command.settings.items() if value != MASK}
        wanted = _fitting(unit, before.adapter, {**had, **given}, had)
        if wanted != had:
            sealed = _sealed(unit, wanted, before.sid)
    name = before.name if command.name is UNSET else command.name
    if name != before.name:
        await _require_free_name(unit, name)
    edited = msgspec.structs.replace(before, name=name, settings=sealed)
    if edited == before:
        return before
    gateway = msgspec.structs.replace(edited, updated_at=unit.now)
    await unit.gateways.save(gateway, before)
    _changed(unit, gateway)
    return gateway


@handles(RemoveGateway, on=in_account, for_clients=False)
async def remove_gateway(unit: Unit, command: RemoveGateway, _scene: AccountScene) -> None:
    gateway = await _gateway(unit, command.gateway, lock=True)
    served = await unit.senders.of_gateway(gateway.sid)
    if served:
        senders = "1 sender: move or remove it" if len(served) == 1 else f"{len(served)} senders: move or remove them"
        raise STATE_FORBIDS(f"Gateway {gateway.name} still serves {senders} first")
    await unit.gateways.remove(gateway.sid)
    unit.record(GatewayRemoved(gateway=gateway))
    unit.tell(GatewaysChanged(gateway.account_sid))


@handles(AddSender, on=in_account, for_clients=False)
async def add_sender(unit: Unit, command: AddSender, _scene: AccountScene) -> Sender:
    account_sid = unit.caller.account_sid
    gateway = await _gateway(unit, command.gateway, lock=True)
    if await unit.senders.find(account_sid, command.address, lock=True) is not None:
        raise STATE_FORBIDS("The address is a sender already")
    most = unit.policy.senders_per_account
    if await unit.senders.count(account_sid) >= most:
        raise STATE_FORBIDS(f"The account has {most} senders, and may have no more (channels.senders_per_account)")
    sender = Sender(
        account_sid=account_sid,
        address=command.address,
        kind=check_ours(command.address, ADDRESS_EMPTY, BAD_ADDRESS),
        gateway_sid=gateway.sid,
        pool=command.pool,
        per_minute=command.per_minute,
        created_at=unit.now,
        updated_at=unit.now,
    )
    _require_kind(gateway, sender.kind)
    await unit.senders.add(sender)
    await _carry_opt_outs(unit, msgspec.structs.replace(sender, pool=None), sender)
    unit.record(SenderChanged(sender=sender))
    unit.tell(GatewaysChanged(account_sid))
    return sender


@handles(UpdateSender, on=in_account, for_clients=False)
async def update_sender(unit: Unit, command: UpdateSender, _scene: AccountScene) -> Sender:
    before = await _sender(unit, command.address)
    edited = before
    if command.gateway is not UNSET:
        gateway = await _gateway(unit, command.gateway, lock=True)
        _require_kind(gateway, before.kind)
        edited = msgspec.structs.replace(edited, gateway_sid=gateway.sid)
    if command.pool is not UNSET:
        edited = msgspec.structs.replace(edited, pool=command.pool)
    if command.per_minute is not UNSET:
        edited = msgspec.structs.replace(edited, per_minute=command.per_minute)
    if edited == before:
        return before
    sender = msgspec.structs.replace(edited, updated_at=unit.now)
    await unit.senders.save(sender, before)
    await _carry_opt_outs(unit, before, sender)
    unit.record(SenderChanged(sender=sender))
    unit.tell(GatewaysChanged(sender.account_sid))
    return sender


@handles(RemoveSender, on=in_account, for_clients=False)
async def remove_sender(unit: Unit, command: RemoveSender, _scene: AccountScene) -> None:
    sender = await _sender(unit, command.address)
    await unit.senders.remove(sender)
    configuration = await unit.address_configurations.find(sender.account_sid, sender.address, lock=True)
    if configuration is not None:
        await unit.address_configurations.remove(configuration.sid)
        unit.record(AddressConfigurationDeleted(configuration=configuration))
        log.warning("address_configuration.removed", extra=observe.fields(code=50610, configuration=configuration.sid))
    unit.record(SenderRemoved(sender=sender))
    unit.tell(GatewaysChanged(sender.account_sid))


async def require_ours(
    unit: Unit,
    account_sid: str,
    proxy: str | None = None,
    projected: str | None = None,
    *,
    theirs: str | None = None,
) -> None:
    """The account may speak from these addresses: 50413 or 50439 else, 50415 for WhatsApp (semantics 4.1).

    ``theirs``, that of the person, must not be one of its own: 50407. Two of them would talk to each other for ever, as
    what the one is sent the other hears. Every address is its own while it has no sender at all. One statement; none
    for none.
    """
    given = [address for address in (proxy, projected, theirs) if address is not None]
    if not given:
        return
    ours, has_any = await unit.channel_reads.gateways(account_sid, given)
    if not has_any:
        return
    if theirs in ours:
        raise BAD_ADDRESS("Address is one of the account's own senders")
    if proxy is not None and proxy not in ours:
        raise NO_WHATSAPP_SENDER() if proxy.startswith("whatsapp:") else PROXY_NOT_OURS()
    if projected is not None and projected not in ours:
        raise PROJECTED_NOT_OURS()


async def _carry_opt_outs(unit: Unit, before: Sender, sender: Sender) -> None:
    """Who has said STOP to the sender has said it to him in another pool, too (semantics 4.10)."""
    if sender.opt_out_key == before.opt_out_key:
        return
    await unit.opt_outs.carry_over(sender.account_sid, before.opt_out_key, sender.opt_out_key)
    if before.pool is None:
        # The pool hears of START from now on: left where it was it would come back with the sender's leaving.
        await unit.opt_outs.forget(sender.account_sid, before.opt_out_key)


async def _gateway(unit: Unit, key: str, *, lock: bool = False) -> Gateway:
    gateway = await unit.gateways.find(unit.caller.account_sid, key, lock=lock)
    if gateway is None:
        raise RESOURCE_NOT_FOUND()
    return gateway


async def _sender(unit: Unit, address: str) -> Sender:
    sender = await unit.senders.find(unit.caller.account_sid, address, lock=True)
    if sender is None:
        raise RESOURCE_NOT_FOUND()
    return sender


async def _require_free_name(unit: Unit, name: str) -> None:
    if await unit.gateways.find(unit.caller.account_sid, name) is not None:
        raise STATE_FORBIDS(f"There is a gateway {name} already")


def _require_kind(gateway: Gateway, kind: str) -> None:
    try:
        adapter = adapter_of(gateway.adapter)
    except NoAdapter as problem:
        raise BAD_PARAMETER(str(problem)) from None
    if kind not in adapter.kinds:
        raise BAD_PARAMETER(f"Gateway {gateway.name} serves {', '.join(sorted(adapter.kinds))}, not {kind}")


def _changed(unit: Unit, gateway: Gateway) -> None:
    unit.record(GatewayChanged(gateway=gateway))
    unit.tell(GatewaysChanged(gateway.account_sid))
