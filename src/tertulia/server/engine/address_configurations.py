"""Address configurations: making, changing, removing (rest 3.3, semantics 4.4)."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.domain.address_configurations import (
    AddressConfiguration,
    AddressConfigurationDeleted,
    AddressConfigured,
    AddressFields,
    AutoCreation,
    CreateAddressConfiguration,
    DeleteAddressConfiguration,
    UpdateAddressConfiguration,
)
from tertulia.server.domain.errors import RESOURCE_NOT_FOUND, SERVICE_UNKNOWN, STATE_FORBIDS

from .rules import handles
from .scenes import AccountScene, in_account
from .unit import Unit

T = TypeVar("T")


@handles(CreateAddressConfiguration, on=in_account, for_clients=False)
async def create_address_configuration(
    unit: Unit, command: CreateAddressConfiguration, _scene: AccountScene
) -> AddressConfiguration:
    account_sid = unit.caller.account_sid
    if await unit.address_configurations.find(account_sid, command.address) is not None:
        raise STATE_FORBIDS("The address is configured already")
    blank = AddressConfiguration(
        sid=unit.new_sid("IG"),
        account_sid=account_sid,
        kind=command.kind,
        address=command.address,
        friendly_name=None,
        address_country=command.address_country.upper() if command.address_country else None,
        auto_enabled=False,
        auto_kind=AutoCreation.DEFAULT,
        auto_service_sid=None,
        webhook_url=None,
        webhook_method=None,
        webhook_filters=None,
        flow_sid=None,
        retry_count=None,
        created_at=unit.now,
        updated_at=unit.now,
    )
    configuration = await _with(unit, command, blank)
    await unit.address_configurations.add(configuration)
    unit.record(AddressConfigured(configuration=configuration))
    return configuration


@handles(UpdateAddressConfiguration, on=in_account, for_clients=False)
async def update_address_configuration(
    unit: Unit, command: UpdateAddressConfiguration, _scene: AccountScene
) -> AddressConfiguration:
    before = await _locked(unit, command.configuration)
    edited = await _with(unit, command, before)
    if edited == before:
        return before
    configuration = msgspec.structs.replace(edited, updated_at=unit.now)
    await unit.address_configurations.save(configuration, before)
    unit.record(AddressConfigured(configuration=configuration))
    return configuration


@handles(DeleteAddressConfiguration, on=in_account, for_clients=False)
async def delete_address_configuration(unit: Unit, command: DeleteAddressConfiguration, _scene: AccountScene) -> None:
    configuration = await _locked(unit, command.configuration)
    await unit.address_configurations.remove(configuration.sid)
    unit.record(AddressConfigurationDeleted(configuration=configuration))


async def _locked(unit: Unit, key: str) -> AddressConfiguration:
    found = await unit.address_configurations.find(unit.caller.account_sid, key, lock=True)
    if found is None:
        raise RESOURCE_NOT_FOUND()
    return found


async def _with(unit: Unit, wish: AddressFields, before: AddressConfiguration) -> AddressConfiguration:
    """The configuration as wished, with only what belongs to its type, and all of that."""
    if wish.auto_service and await unit.services.find(unit.caller.account_sid, wish.auto_service) is None:
        raise SERVICE_UNKNOWN()
    filters: str | UnsetType = UNSET
    if wish.webhook_filters is not UNSET:
        filters = " ".join(dict.fromkeys(wish.webhook_filters))
    edited = msgspec.structs.replace(
        before,
        friendly_name=_or(wish.friendly_name, before.friendly_name) or None,
        auto_enabled=_or(wish.auto_enabled, before.auto_enabled),
        auto_kind=before.auto_kind if wish.auto_kind is UNSET else AutoCreation(wish.auto_kind),
        auto_service_sid=_or(wish.auto_service, before.auto_service_sid) or None,
        webhook_url=_or(wish.webhook_url, before.webhook_url) or None,
        webhook_method=_or(wish.webhook_method, before.webhook_method) or "POST",
        webhook_filters=_or(filters, before.webhook_filters) or None,
        flow_sid=_or(wish.flow_sid, before.flow_sid) or None,
        retry_count=_or(wish.retry_count, before.retry_count),
    )
    fitting = _fitting(edited)
    fitting.require_complete()
    return fitting


def _or(wished: T | UnsetType, before: T) -> T:
    return before if wished is UNSET else wished


def _fitting(edited: AddressConfiguration) -> AddressConfiguration:
    if edited.auto_kind is not AutoCreation.WEBHOOK:
        edited = msgspec.structs.replace(edited, webhook_url=None, webhook_method=None, webhook_filters=None)
    if edited.auto_kind is not AutoCreation.STUDIO:
        edited = msgspec.structs.replace(edited, flow_sid=None, retry_count=None)
    return edited
