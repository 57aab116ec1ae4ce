"""Services, and what hangs beneath one."""

from __future__ import annotations

from tertulia.server.domain.services import Service

from .database import Connection
from .paging import Page, page
from .table import Table

SERVICES = Table(Service, "services")

_BENEATH = ("participants", "conversations", "users", "roles", "push_registrations")


class Services:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, account_sid: str, sid: str) -> Service | None:
        """A service of the account."""
        service = await SERVICES.get(self._connection, sid)
        return service if service is not None and service.account_sid == account_sid else None

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

    async def remove_with_everything(self, sid: str) -> None:
        """Delete a service and all rows beneath it; their tombstones go with their age."""
        # By their conversations: messages have no index by service, and there are many.
        await self._connection.execute(
            "DELETE FROM messages WHERE conversation_sid IN (SELECT sid FROM conversations WHERE service_sid = $1)", sid
        )
        for table in _BENEATH:
            await self._connection.execute(f"DELETE FROM {table} WHERE service_sid = $1", sid)
        await self._connection.execute("DELETE FROM services WHERE sid = $1", sid)
