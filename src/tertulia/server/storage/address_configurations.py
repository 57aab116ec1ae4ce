"""Address configurations."""

from __future__ import annotations

from tertulia.server.domain.address_configurations import AddressConfiguration
from tertulia.wire.sids import ADDRESS_CONFIGURATION, is_sid

from .database import Connection
from .paging import Page, page
from .table import Table

CONFIGURATIONS = Table(AddressConfiguration, "address_configurations")


class AddressConfigurations:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, account_sid: str, key: str, *, lock: bool = False) -> AddressConfiguration | None:
        """A configuration of the account, by SID or by its address."""
        column = "sid" if is_sid(key, ADDRESS_CONFIGURATION) else "address"
        row = await self._connection.row(
            f"SELECT {CONFIGURATIONS.columns} FROM address_configurations"
            f" WHERE account_sid = $1 AND {column} = $2{' FOR UPDATE' if lock else ''}",
            account_sid,
            key,
        )
        return CONFIGURATIONS.entity(row) if row else None

    async def page(self, account_sid: str, kind: str | None, wanted: Page) -> list[AddressConfiguration]:
        """Those of one kind, or of all."""
        rows = await page(
            self._connection,
            CONFIGURATIONS.columns,
            "address_configurations",
            "account_sid = $1" if kind is None else "account_sid = $1 AND kind = $2",
            (account_sid,) if kind is None else (account_sid, kind),
            "sid",
            wanted,
        )
        return CONFIGURATIONS.entities(rows)

    async def add(self, configuration: AddressConfiguration) -> None:
        await CONFIGURATIONS.add(self._connection, configuration)

    async def save(self, configuration: AddressConfiguration, before: AddressConfiguration) -> None:
        """Write what differs from ``before``."""
        await CONFIGURATIONS.save(self._connection, configuration, before)

    async def remove(self, sid: str) -> None:
        await CONFIGURATIONS.remove(self._connection, sid)

    async def switch_off(self, service_sid: str, now: int) -> None:
        """Make no more conversations in this service."""
        await self._connection.execute(
            "UPDATE address_configurations SET auto_enabled = FALSE, auto_service_sid = NULL, updated_at = $2"
            " WHERE auto_service_sid = $1",
            service_sid,
            now,
        )
