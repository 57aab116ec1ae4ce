"""Accounts and API keys."""

from __future__ import annotations

from tertulia.server.domain.accounts import Account, ApiKey

from .database import Connection
from .table import Table

ACCOUNTS = Table(Account, "accounts")
API_KEYS = Table(ApiKey, "api_keys")


class Accounts:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self, sid: str) -> Account | None:
        return await ACCOUNTS.get(self._connection, sid)

    async def first(self) -> Account | None:
        """The account made at the first start."""
        row = await self._connection.row(f"SELECT {ACCOUNTS.columns} FROM accounts ORDER BY sid LIMIT 1")
        return ACCOUNTS.entity(row) if row else None

    async def add(self, account: Account) -> None:
        await ACCOUNTS.add(self._connection, account)

    async def save(self, account: Account) -> None:
        await ACCOUNTS.save(self._connection, account)

    async def key(self, sid: str) -> ApiKey | None:
        return await API_KEYS.get(self._connection, sid)

    async def first_key(self, account_sid: str) -> ApiKey | None:
        """The oldest live key of an account."""
        row = await self._connection.row(
            f"SELECT {API_KEYS.columns} FROM api_keys"
            " WHERE account_sid = $1 AND revoked_at IS NULL ORDER BY sid LIMIT 1",
            account_sid,
        )
        return API_KEYS.entity(row) if row else None

    async def add_key(self, key: ApiKey) -> None:
        await API_KEYS.add(self._connection, key)
