"""What nodes are told when keys and accounts end (semantics 3.1)."""

from __future__ import annotations

from tertulia.server.bus.base import KeysChanged
from tertulia.server.domain.accounts import AccountReinstated, AccountSuspended, KeyRevoked
from tertulia.server.engine.rules import effect_of
from tertulia.server.engine.unit import Unit


@effect_of(KeyRevoked)
async def key_revoked(unit: Unit, change: KeyRevoked) -> None:
    unit.tell(KeysChanged(change.key.account_sid))


@effect_of(AccountSuspended)
async def account_suspended(unit: Unit, change: AccountSuspended) -> None:
    unit.tell(KeysChanged(change.account.sid))


@effect_of(AccountReinstated)
async def account_reinstated(unit: Unit, change: AccountReinstated) -> None:
    unit.tell(KeysChanged(change.account.sid))
