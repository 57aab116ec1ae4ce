"""Roles."""

from __future__ import annotations

from tertulia.server.domain.roles import Role

from .database import Connection
from .paging import Page, page
from .table import Table

ROLES = Table(Role, "roles")


class Roles:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, service_sid: str, sid: str) -> Role | None:
        """A role of the service."""
        role = await ROLES.get(self._connection, sid)
        return role if role is not None and role.service_sid == service_sid else None

    async def add(self, role: Role) -> None:
        await ROLES.add(self._connection, role)

    async def save(self, role: Role) -> None:
        await ROLES.save(self._connection, role)

    async def remove(self, role: Role) -> None:
        await ROLES.remove(self._connection, role.sid)

    async def is_assigned(self, sid: str) -> bool:
        """Somebody has it."""
        return bool(
            await self._connection.value(
                "SELECT EXISTS (SELECT 1 FROM users WHERE role_sid = $1)"
                " OR EXISTS (SELECT 1 FROM participants WHERE role_sid = $1)",
                sid,
            )
        )

    async def page(self, service_sid: str, wanted: Page) -> list[Role]:
        rows = await page(self._connection, ROLES.columns, "roles", "service_sid = $1", (service_sid,), "sid", wanted)
        return ROLES.entities(rows)

    async def permissions_of_user(self, service_sid: str, identity: str) -> str:
        """Permission names of a user's service role; empty when there is no such user."""
        return (
            await self._connection.value(
                "SELECT r.permissions FROM users AS u JOIN roles AS r ON r.sid = u.role_sid"
                " WHERE u.service_sid = $1 AND u.identity = $2",
                service_sid,
                identity,
            )
            or ""
        )
