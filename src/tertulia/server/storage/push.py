"""Push registrations."""

from __future__ import annotations

from tertulia.server.domain.push import PushRegistration

from .database import Connection
from .table import Table

REGISTRATIONS = Table(PushRegistration, "push_registrations")


class PushRegistrations:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find_device(self, service_sid: str, kind: str, address: str) -> PushRegistration | None:
        row = await self._connection.row(
            f"SELECT {REGISTRATIONS.columns} FROM push_registrations"
            " WHERE service_sid = $1 AND kind = $2 AND address = $3 FOR UPDATE",
            service_sid,
            kind,
            address,
        )
        return REGISTRATIONS.entity(row) if row else None

    async def get(self, sid: str) -> PushRegistration | None:
        return await REGISTRATIONS.get(self._connection, sid)

    async def add(self, registration: PushRegistration) -> None:
        await REGISTRATIONS.add(self._connection, registration)

    async def save(self, registration: PushRegistration) -> None:
        await REGISTRATIONS.save(self._connection, registration)

    async def remove(self, sid: str) -> None:
        await REGISTRATIONS.remove(self._connection, sid)

    async def remove_of_identity(self, service_sid: str, identity: str) -> None:
        await self._connection.execute(
            "DELETE FROM push_registrations WHERE service_sid = $1 AND identity = $2", service_sid, identity
        )

    async def keep_newest(self, service_sid: str, identity: str, count: int) -> None:
        """Drop the registrations of an identity beyond the ``count`` renewed last (semantics 7.2)."""
        await self._connection.execute(
            "DELETE FROM push_registrations WHERE service_sid = $1 AND identity = $2 AND sid NOT IN"
            " (SELECT sid FROM push_registrations WHERE service_sid = $1 AND identity = $2"
            " ORDER BY updated_at DESC, sid DESC LIMIT $3)",
            service_sid,
            identity,
            count,
        )
