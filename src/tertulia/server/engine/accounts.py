"""Accounts: what new conversations of the account get (rest 3.1)."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from tertulia.server.domain.accounts import Account, AccountUpdated, UpdateAccount
from tertulia.server.domain.errors import RESOURCE_NOT_FOUND, SERVICE_UNKNOWN

from .rules import handles
from .scenes import AccountScene, in_account
from .unit import Unit


@handles(UpdateAccount, on=in_account, for_clients=False)
async def update_account(unit: Unit, command: UpdateAccount, _scene: AccountScene) -> Account:
    before = await unit.accounts.get(unit.caller.account_sid)
    if before is None:
        raise RESOURCE_NOT_FOUND()
    changes: dict[str, str | None] = {}
    if command.default_service is not UNSET:
        if await unit.services.find(before.sid, command.default_service) is None:
            raise SERVICE_UNKNOWN()
        changes["default_service_sid"] = command.default_service
    if command.default_messaging_service_sid is not UNSET:
        changes["default_messaging_service_sid"] = command.default_messaging_service_sid or None
    if command.default_inactive_timer is not UNSET:
        changes["default_inactive_timer"] = command.default_inactive_timer or None
    if command.default_closed_timer is not UNSET:
        changes["default_closed_timer"] = command.default_closed_timer or None
    account = msgspec.structs.replace(before, **changes)
    if account == before:
        return before
    account = msgspec.structs.replace(account, updated_at=unit.now)
    await unit.accounts.save(account)
    unit.record(AccountUpdated(account=account))
    return account
