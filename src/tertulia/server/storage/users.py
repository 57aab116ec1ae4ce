"""Users."""

from __future__ import annotations

from collections.abc import Sequence

from tertulia.server.domain.users import User
from tertulia.wire.sids import is_sid

from .database import Connection
from .paging import Page, padded, page, placeholders
from .table import Table

USERS = Table(User, "users")


class Users:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, service_sid: str, key: str, *, lock: bool = False) -> User | None:
        """By SID or identity. An identity never looks like a user SID, so one of the two can hit."""
        column = "sid" if is_sid(key, "US") else "identity"
        row = await self._connection.row(
            f"SELECT {USERS.columns} FROM users"
            f" WHERE service_sid = $1 AND {column} = $2{' FOR UPDATE' if lock else ''}",
            service_sid,
            key,
        )
        return USERS.entity(row) if row else None

    async def get(self, sid: str) -> User | None:
        return await USERS.get(self._connection, sid)

    async def add(self, user: User) -> None:
        await USERS.add(self._connection, user)

    async def save(self, user: User) -> None:
        await USERS.save(self._connection, user)

    async def remove(self, user: User) -> None:
        await USERS.remove(self._connection, user.sid)

    async def page(self, service_sid: str, wanted: Page) -> list[User]:
        rows = await page(self._connection, USERS.columns, "users", "service_sid = $1", (service_sid,), "sid", wanted)
        return USERS.entities(rows)

    async def among(self, service_sid: str, sids: Sequence[str]) -> dict[str, User]:
        """Those of these users that the service has, by SID. One statement."""
        if not sids:
            return {}
        rows = await self._connection.rows(
            f"SELECT {USERS.columns} FROM users WHERE service_sid = $1 AND sid IN ({placeholders(len(sids), first=2)})",
            service_sid,
            *padded(sids),
        )
        return {user.sid: user for user in USERS.entities(rows)}

    async def advance_conversations(self, sid: str) -> int:
        """The next number of the user's conversations map; the row stays locked until the commit."""
        number = await self._connection.value(
            "UPDATE users SET conversations_event = conversations_event + 1 WHERE sid = $1"
            " RETURNING conversations_event",
            sid,
        )
        return int(number)
