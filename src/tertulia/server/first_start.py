"""What the first start makes: an account, an API key, and a default service with its four roles."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable

import msgspec

from tertulia.server.clock import Clock
from tertulia.server.domain import callers
from tertulia.server.domain.accounts import Account, ApiKey
from tertulia.server.engine.services import make_service
from tertulia.server.engine.unit import Policy, Unit
from tertulia.server.sealing import Sealer
from tertulia.server.settings import Bootstrap
from tertulia.server.storage.accounts import Accounts
from tertulia.server.storage.database import Database

_ALPHABET = string.ascii_letters + string.digits
"""Official libraries refuse credentials with anything else in them (rest 1.2)."""


class Credentials(msgspec.Struct, frozen=True):
    """Of the first account. Printed without the secrets."""

    account_sid: str
    auth_token: str
    api_key_sid: str
    api_key_secret: str
    service_sid: str

    def __repr__(self) -> str:
        return f"Credentials({self.account_sid}, ***, {self.api_key_sid}, ***, {self.service_sid})"


async def make_first_account(
    database: Database, sealer: Sealer, bootstrap: Bootstrap, clock: Clock, new_sid: Callable[[str], str]
) -> None:
    """Make them in an empty database; ``bootstrap`` fixes what it names. Changes nothing where an account is."""
    async with database.transaction() as connection:
        accounts = Accounts(connection)
        if await accounts.first() is not None:
            return
        now = clock.now()
        account_sid = bootstrap.account_sid or new_sid("AC")
        key_sid = bootstrap.api_key_sid or new_sid("SK")
        service_sid = bootstrap.service_sid or new_sid("IS")
        unit = Unit(connection, callers.system(account_sid), now, new_sid, Policy(base_url=""))
        await accounts.add(
            Account(
                sid=account_sid,
                friendly_name="first account",
                auth_token=sealer.seal(bootstrap.auth_token or _secret(32), account_sid),
                default_service_sid=service_sid,
                default_messaging_service_sid=None,
                default_inactive_timer=None,
                default_closed_timer=None,
                created_at=now,
                updated_at=now,
            )
        )
        await accounts.add_key(
            ApiKey(
                sid=key_sid,
                account_sid=account_sid,
                friendly_name="first key",
                secret=sealer.seal(bootstrap.api_key_secret or _secret(32), key_sid),
                created_at=now,
                revoked_at=None,
            )
        )
        await make_service(unit, service_sid, account_sid, "default service")


async def first_credentials(database: Database, sealer: Sealer) -> Credentials | None:
    """Read them back; None in an empty database. Raises ``SealingError`` when the key is another."""
    async with database.snapshot() as connection:
        accounts = Accounts(connection)
        account = await accounts.first()
        key = await accounts.first_key(account.sid) if account else None
    if account is None or key is None:
        return None
    return Credentials(
        account_sid=account.sid,
        auth_token=sealer.open(account.auth_token, account.sid),
        api_key_sid=key.sid,
        api_key_secret=sealer.open(key.secret, key.sid),
        service_sid=account.default_service_sid,
    )


def _secret(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
