"""What the first start makes: an account, an API key, and a default service with its four roles."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tertulia.server.bootstrap import Bootstrap
from tertulia.server.bus.inprocess import InProcessBus
from tertulia.server.clock import Clock
from tertulia.server.domain import callers
from tertulia.server.domain.secrets import Secret
from tertulia.server.engine.accounts import make_account, make_key
from tertulia.server.engine.hook_directory import HookDirectory
from tertulia.server.engine.notification_directory import NotificationDirectory
from tertulia.server.engine.unit import Policy, Unit
from tertulia.server.randomness import draw_secret
from tertulia.server.sealing import Sealer
from tertulia.server.storage.accounts import Accounts
from tertulia.server.storage.credentials import Credentials as PushCredentials
from tertulia.server.storage.database import Database


class NoCredentials(Exception):
    """There are none like those; the text says why, and what to do."""


class Credentials(msgspec.Struct, frozen=True):
    """An account and a key of it. Printed without the secrets."""

    account_sid: str
    auth_token: str
    api_key_sid: str
    api_key_secret: str
    service_sid: str
    """The account's default service."""
    is_suspended: bool = False

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
        now, bus = clock.now(), InProcessBus()
        account_sid = bootstrap.account_sid or new_sid("AC")
        unit = Unit(
            connection,
            callers.system(account_sid),
            now,
            new_sid,
            Policy(base_url=""),
            sealer,
            HookDirectory(bus, clock),
            NotificationDirectory(bus, clock),
        )
        await make_account(
            unit,
            sid=account_sid,
            service_sid=bootstrap.service_sid or new_sid("IS"),
            friendly_name="first account",
            auth_token=Secret(bootstrap.auth_token or draw_secret()),
        )
        await make_key(
            unit,
            sid=bootstrap.api_key_sid or new_sid("SK"),
            account_sid=account_sid,
            friendly_name="first key",
            secret=Secret(bootstrap.api_key_secret or draw_secret()),
        )


async def open_first_account(database: Database, sealer: Sealer) -> str | None:
    """SID of the account made at the first start; None where there was none.

    Raises ``SealingError`` when what is kept here was sealed with another key.
    """
    async with database.snapshot() as connection:
        account = await Accounts(connection).first()
        push_credentials = await PushCredentials(connection).one_of_each_key()
    if account is None:
        return None
    sealer.open(account.auth_token, account.sid)
    for credential in push_credentials:
        sealer.open(credential.sealed, credential.sid)
    return account.sid


async def first_credentials(database: Database, sealer: Sealer) -> Credentials | None:
    """Those of the first account, read back; None where there are none. Raises as ``credentials_of`` does."""
    try:
        return await credentials_of(database, sealer)
    except NoCredentials:
        return None


async def credentials_of(
    database: Database, sealer: Sealer, account_sid: str | None = None, key_sid: str | None = None
) -> Credentials:
    """An account with its auth token and a key: those that are named, else the key's account, the first account, and
    the oldest live key of it.

    Raises ``NoCredentials``; ``SealingError`` when the sealing key is another.
    """
    async with database.snapshot() as connection:
        accounts = Accounts(connection)
        key = await accounts.key(key_sid) if key_sid is not None else None
        if key_sid is not None and key is None:
            raise NoCredentials(f"there is no API key {key_sid}")
        named = account_sid or (key.account_sid if key is not None else None)
        account = await (accounts.get(named) if named is not None else accounts.first())
        if account is None:
            raise NoCredentials(f"there is no account {named}" if named is not None else "there is no account yet")
        key = key or await accounts.first_key(account.sid)
    if key is None:
        raise NoCredentials(f"account {account.sid} has no live API key; `tertulia keys create` makes one")
    if key.account_sid != account.sid:
        raise NoCredentials(f"API key {key.sid} is not one of account {account.sid}")
    if key.revoked_at is not None:
        raise NoCredentials(f"API key {key.sid} was revoked")
    return Credentials(
        account_sid=account.sid,
        auth_token=sealer.open(account.auth_token, account.sid),
        api_key_sid=key.sid,
        api_key_secret=sealer.open(key.secret, key.sid),
        service_sid=account.default_service_sid,
        is_suspended=account.suspended_at is not None,
    )
