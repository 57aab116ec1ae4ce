"""Accounts and API keys."""

from __future__ import annotations

from collections.abc import Collection

from tertulia.server.domain.accounts import Account, ApiKey

from .database import Connection
from .paging import padded, placeholders
from .table import Table

ACCOUNTS = Table(Account, "accounts")
API_KEYS = Table(ApiKey, "api_keys")


class Accounts:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self, sid: str) -> Account | None:
        return await ACCOUNTS.get(self._connection, sid)

    async def is_suspended(self, sid: str) -> bool:
        """Whether nothing is done in its name; nor for one that is gone."""
        sql = "SELECT NOT EXISTS (SELECT 1 FROM accounts WHERE sid = $1 AND suspended_at IS NULL)"
        return bool(await self._connection.value(sql, sid))

    async def first(self) -> Account | None:
        """The account made at the first start."""
        # Not by SID alone: that of the first account may be one the operator has chosen.
        row = await self._connection.row(f"SELECT {ACCOUNTS.columns} FROM accounts ORDER BY created_at, sid LIMIT 1")
        return ACCOUNTS.entity(row) if row else None

    async def all(self) -> list[Account]:
        """Every account, oldest first."""
        return ACCOUNTS.entities(
            await self._connection.rows(f"SELECT {ACCOUNTS.columns} FROM accounts ORDER BY created_at, sid")
        )

    async def lock(self, sid: str) -> Account | None:
        row = await self._connection.row(f"SELECT {ACCOUNTS.columns} FROM accounts WHERE sid = $1 FOR UPDATE", sid)
        return ACCOUNTS.entity(row) if row else None

    async def add(self, account: Account) -> None:
        await ACCOUNTS.add(self._connection, account)

    async def save(self, account: Account) -> None:
        await ACCOUNTS.save(self._connection, account)

    async def key(self, sid: str) -> ApiKey | None:
        return await API_KEYS.get(self._connection, sid)

    async def keys(self, account_sid: str) -> list[ApiKey]:
        """Every key of an account, revoked ones too, oldest first."""
        rows = await self._connection.rows(
            f"SELECT {API_KEYS.columns} FROM api_keys WHERE account_sid = $1 ORDER BY created_at, sid", account_sid
        )
        return API_KEYS.entities(rows)

    async def first_key(self, account_sid: str) -> ApiKey | None:
        """The oldest live key of an account."""
        row = await self._connection.row(
            f"SELECT {API_KEYS.columns} FROM api_keys"
            " WHERE account_sid = $1 AND revoked_at IS NULL ORDER BY created_at, sid LIMIT 1",
            account_sid,
        )
        return API_KEYS.entity(row) if row else None

    async def add_key(self, key: ApiKey) -> None:
        await API_KEYS.add(self._connection, key)

    async def save_key(self, key: ApiKey) -> None:
        await API_KEYS.save(self._connection, key)

    async def standing(self, keys: Collection[str], services: Collection[str]) -> set[str]:
        """Which of these keys are live, in accounts that are not suspended, and which of these services exist."""
        rows = await self._connection.rows(
            "SELECT k.sid FROM api_keys AS k JOIN accounts AS a ON a.sid = k.account_sid"
            f" WHERE k.sid IN ({placeholders(len(keys), first=1)})"
            " AND k.revoked_at IS NULL AND a.suspended_at IS NULL"
            " UNION ALL SELECT s.sid FROM services AS s"
            f" WHERE s.sid IN ({placeholders(len(services), first=1 + len(padded(tuple(keys))))})",
            *padded(tuple(keys)),
            *padded(tuple(services)),
        )
        return {row[0] for row in rows}
