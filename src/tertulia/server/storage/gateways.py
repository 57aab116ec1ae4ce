"""Gateways, and the addresses they serve."""

from __future__ import annotations

from collections.abc import Collection

from tertulia.server.domain.gateways import Gateway, Sender

from .database import Connection
from .paging import Page, padded, page, placeholders
from .table import Table

GATEWAYS = Table(Gateway, "gateways")
SENDERS = Table(Sender, "senders", key=("account_sid", "address"))


class Gateways:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self, sid: str) -> Gateway | None:
        """One of any account."""
        return await GATEWAYS.get(self._connection, sid)

    async def find(self, account_sid: str, key: str, *, lock: bool = False) -> Gateway | None:
        """A gateway of the account, by SID or name."""
        row = await self._connection.row(
            f"SELECT {GATEWAYS.columns} FROM gateways WHERE account_sid = $1 AND (sid = $2 OR name = $2)"
            f"{' FOR UPDATE' if lock else ''}",
            account_sid,
            key,
        )
        return GATEWAYS.entity(row) if row else None

    async def all(self) -> list[Gateway]:
        """Those of every account, oldest first."""
        return GATEWAYS.entities(await self._connection.rows(f"SELECT {GATEWAYS.columns} FROM gateways ORDER BY sid"))

    async def of_account(self, account_sid: str) -> list[Gateway]:
        """Those of an account, oldest first."""
        return GATEWAYS.entities(
            await self._connection.rows(
                f"SELECT {GATEWAYS.columns} FROM gateways WHERE account_sid = $1 ORDER BY sid", account_sid
            )
        )

    async def count(self, account_sid: str) -> int:
        """How many the account has."""
        return int(await self._connection.value("SELECT count(*) FROM gateways WHERE account_sid = $1", account_sid))

    async def versions(self) -> dict[str, str]:
        """The sealed settings of those in accounts that are served, by SID."""
        rows = await self._connection.rows(
            "SELECT g.sid, g.settings FROM gateways g JOIN accounts a ON a.sid = g.account_sid"
            " WHERE a.suspended_at IS NULL ORDER BY g.sid"
        )
        return {row[0]: row[1] for row in rows}

    async def page(self, account_sid: str, wanted: Page) -> list[Gateway]:
        rows = await page(
            self._connection, GATEWAYS.columns, "gateways", "account_sid = $1", (account_sid,), "sid", wanted
        )
        return GATEWAYS.entities(rows)

    async def add(self, gateway: Gateway) -> None:
        await GATEWAYS.add(self._connection, gateway)

    async def save(self, gateway: Gateway, before: Gateway) -> None:
        """Write what differs from ``before``."""
        await GATEWAYS.save(self._connection, gateway, before)

    async def remove(self, sid: str) -> None:
        await GATEWAYS.remove(self._connection, sid)


class Senders:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, account_sid: str, address: str, *, lock: bool = False) -> Sender | None:
        """The account's sender of this address."""
        row = await self._connection.row(
            f"SELECT {SENDERS.columns} FROM senders WHERE account_sid = $1 AND address = $2"
            f"{' FOR UPDATE' if lock else ''}",
            account_sid,
            address,
        )
        return SENDERS.entity(row) if row else None

    async def among(self, account_sid: str, addresses: Collection[str]) -> dict[str, Sender]:
        """Those of the account's senders that have one of these addresses. One statement; none for none."""
        if not addresses:
            return {}
        rows = await self._connection.rows(
            f"SELECT {SENDERS.columns} FROM senders WHERE account_sid = $1"
            f" AND address IN ({placeholders(len(addresses), first=2)})",
            account_sid,
            *padded(tuple(addresses)),
        )
        return {sender.address: sender for sender in SENDERS.entities(rows)}

    async def any(self, account_sid: str) -> bool:
        """Whether the account has a sender."""
        found = await self._connection.value("SELECT 1 FROM senders WHERE account_sid = $1 LIMIT 1", account_sid)
        return found is not None

    async def count(self, account_sid: str) -> int:
        """How many the account has."""
        return int(await self._connection.value("SELECT count(*) FROM senders WHERE account_sid = $1", account_sid))

    async def of_account(self, account_sid: str) -> list[Sender]:
        """Those of an account, by address."""
        return SENDERS.entities(
            await self._connection.rows(
                f"SELECT {SENDERS.columns} FROM senders WHERE account_sid = $1 ORDER BY address", account_sid
            )
        )

    async def of_gateway(self, gateway_sid: str) -> list[Sender]:
        """Those that a gateway serves, by address."""
        return SENDERS.entities(
            await self._connection.rows(
                f"SELECT {SENDERS.columns} FROM senders WHERE gateway_sid = $1 ORDER BY address", gateway_sid
            )
        )

    async def page(self, account_sid: str, wanted: Page) -> list[Sender]:
        rows = await page(
            self._connection, SENDERS.columns, "senders", "account_sid = $1", (account_sid,), "address", wanted
        )
        return SENDERS.entities(rows)

    async def add(self, sender: Sender) -> None:
        await SENDERS.add(self._connection, sender)

    async def save(self, sender: Sender, before: Sender) -> None:
        """Write what differs from ``before``."""
        await SENDERS.save(self._connection, sender, before)

    async def remove(self, sender: Sender) -> None:
        await SENDERS.remove(self._connection, sender.account_sid, sender.address)
