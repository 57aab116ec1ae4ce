"""Accounts and their API keys: making and ending them, and what new conversations of an account get (rest 3.1)."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from tertulia.server.domain.accounts import (
    Account,
    AccountCreated,
    AccountReinstated,
    AccountSuspended,
    AccountUpdated,
    ApiKey,
    CreateAccount,
    CreateKey,
    KeyCreated,
    KeyRevoked,
    ReinstateAccount,
    RevokeKey,
    SuspendAccount,
    UpdateAccount,
)
from tertulia.server.domain.errors import RESOURCE_NOT_FOUND, SERVICE_UNKNOWN
from tertulia.server.domain.secrets import Secret

from .rules import handles
from .scenes import AccountScene, InstallationScene, in_account, in_installation
from .services import make_service
from .unit import Unit


async def make_account(unit: Unit, *, sid: str, service_sid: str, friendly_name: str, auth_token: Secret) -> Account:
    """Keep a new account with its default service."""
    account = Account(
        sid=sid,
        friendly_name=friendly_name,
        auth_token=unit.sealer.seal(auth_token.text, sid),
        default_service_sid=service_sid,
        default_messaging_service_sid=None,
        default_inactive_timer=None,
        default_closed_timer=None,
        created_at=unit.now,
        updated_at=unit.now,
    )
    await unit.accounts.add(account)
    await make_service(unit, service_sid, sid, "default service")
    unit.record(AccountCreated(account=account))
    return account


async def make_key(unit: Unit, *, sid: str, account_sid: str, friendly_name: str, secret: Secret) -> ApiKey:
    """Keep a new key of an account."""
    key = ApiKey(
        sid=sid,
        account_sid=account_sid,
        friendly_name=friendly_name,
        secret=unit.sealer.seal(secret.text, sid),
        created_at=unit.now,
        revoked_at=None,
    )
    await unit.accounts.add_key(key)
    unit.record(KeyCreated(key=key))
    return key


@handles(CreateAccount, on=in_installation, for_clients=False)
async def create_account(unit: Unit, command: CreateAccount, _scene: InstallationScene) -> Account:
    return await make_account(
        unit,
        sid=unit.new_sid("AC"),
        service_sid=unit.new_sid("IS"),
        friendly_name=command.friendly_name,
        auth_token=command.auth_token,
    )


@handles(SuspendAccount, on=in_installation, for_clients=False)
async def suspend_account(unit: Unit, command: SuspendAccount, _scene: InstallationScene) -> Account:
    before = await _require_account(unit, command.account)
    if before.suspended_at is not None:
        return before
    account = msgspec.structs.replace(before, suspended_at=unit.now, updated_at=unit.now)
    await unit.accounts.save(account)
    unit.record(AccountSuspended(account=account))
    return account


@handles(ReinstateAccount, on=in_installation, for_clients=False)
async def reinstate_account(unit: Unit, command: ReinstateAccount, _scene: InstallationScene) -> Account:
    before = await _require_account(unit, command.account)
    if before.suspended_at is None:
        return before
    account = msgspec.structs.replace(before, suspended_at=None, updated_at=unit.now)
    await unit.accounts.save(account)
    unit.record(AccountReinstated(account=account))
    return account


@handles(CreateKey, on=in_installation, for_clients=False)
async def create_key(unit: Unit, command: CreateKey, _scene: InstallationScene) -> ApiKey:
    account = await _require_account(unit, command.account)
    return await make_key(
        unit,
        sid=unit.new_sid("SK"),
        account_sid=account.sid,
        friendly_name=command.friendly_name,
        secret=command.secret,
    )


@handles(RevokeKey, on=in_installation, for_clients=False)
async def revoke_key(unit: Unit, command: RevokeKey, _scene: InstallationScene) -> ApiKey:
    before = await unit.accounts.key(command.key)
    if before is None:
        raise RESOURCE_NOT_FOUND(f"There is no API key {command.key}")
    if before.revoked_at is not None:
        return before
    key = msgspec.structs.replace(before, revoked_at=unit.now)
    await unit.accounts.save_key(key)
    unit.record(KeyRevoked(key=key))
    return key


async def _require_account(unit: Unit, sid: str) -> Account:
    account = await unit.accounts.lock(sid)
    if account is None:
        raise RESOURCE_NOT_FOUND(f"There is no account {sid}")
    return account


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
