"""Credentials of push services."""

from __future__ import annotations

from tertulia.server.domain.credentials import Credential

from .database import Connection
from .paging import Page, page
from .table import Table

CREDENTIALS = Table(Credential, "credentials")


class Credentials:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, account_sid: str, sid: str) -> Credential | None:
        """A credential of the account."""
        found = await CREDENTIALS.get(self._connection, sid)
        return found if found is not None and found.account_sid == account_sid else None

    async def lock(self, account_sid: str, sid: str) -> Credential | None:
        row = await self._connection.row(
            f"SELECT {CREDENTIALS.columns} FROM credentials WHERE sid = $1 AND account_sid = $2 FOR UPDATE",
            sid,
            account_sid,
        )
        return CREDENTIALS.entity(row) if row else None

    async def all(self) -> list[Credential]:
        """Those of every account, oldest first."""
        return CREDENTIALS.entities(
            await self._connection.rows(f"SELECT {CREDENTIALS.columns} FROM credentials ORDER BY created_at, sid")
        )

    async def page(self, account_sid: str, wanted: Page) -> list[Credential]:
        rows = await page(
            self._connection, CREDENTIALS.columns, "credentials", "account_sid = $1", (account_sid,), "sid", wanted
        )
        return CREDENTIALS.entities(rows)

    async def add(self, credential: Credential) -> None:
        await CREDENTIALS.add(self._connection, credential)

    async def save(self, credential: Credential, before: Credential) -> None:
        """Write what differs from ``before``."""
        await CREDENTIALS.save(self._connection, credential, before)

    async def remove(self, sid: str) -> None:
        await CREDENTIALS.remove(self._connection, sid)

    async def one_of_each_key(self) -> list[Credential]:
        """The oldest credential sealed with each key there is; one, unless something went wrong."""
        rows = await self._connection.rows(
            f"SELECT {CREDENTIALS.columns} FROM credentials WHERE sid IN"
            " (SELECT min(sid) FROM credentials GROUP BY substr(sealed, 1, $1)) ORDER BY sid",
            len("s1.") + 12,
        )
        return CREDENTIALS.entities(rows)
