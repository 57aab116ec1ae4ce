"""Services, and what hangs beneath one."""

from __future__ import annotations

from tertulia.server.domain.services import Service

from .database import Connection
from .paging import Page, page
from .table import Table

SERVICES = Table(Service, "services")

_GOES_ALONG = ("roles", "notification_settings", "presences", "reachability_turns", "retention")
"""What there is little of. The rest is removed in steps, see ``remains``."""


class Services:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, account_sid: str, sid: str) -> Service | None:
        """A service of the account."""
        service = await SERVICES.get(self._connection, sid)
        return service if service is not None and service.account_sid == account_sid else None

    async def get(self, sid: str) -> Service | None:
        """A service, whosever it is; for the operator."""
        return await SERVICES.get(self._connection, sid)

    async def lock(self, account_sid: str, sid: str) -> Service | None:
        row = await self._connection.row(
            f"SELECT {SERVICES.columns} FROM services WHERE sid = $1 AND account_sid = $2 FOR UPDATE", sid, account_sid
        )
        return SERVICES.entity(row) if row else None

    async def add(self, service: Service) -> None:
        await SERVICES.add(self._connection, service)

    async def save(self, service: Service) -> None:
        await SERVICES.save(self._connection, service)

    async def page(self, account_sid: str, wanted: Page) -> list[Service]:
        rows = await page(
            self._connection, SERVICES.columns, "services", "account_sid = $1", (account_sid,), "sid", wanted
        )
        return SERVICES.entities(rows)

    async def remove(self, sid: str) -> None:
        """Delete a service; what is beneath it can no longer be found, and is removed as ``remains``."""
        for table in _GOES_ALONG:
            await self._connection.execute(f"DELETE FROM {table} WHERE service_sid = $1", sid)
        await self._connection.execute("DELETE FROM services WHERE sid = $1", sid)
