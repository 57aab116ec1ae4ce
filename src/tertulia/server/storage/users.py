"""Users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from tertulia.server.domain.users import User
from tertulia.wire.sids import is_sid

from .database import Connection
from .paging import Page, padded, page, placeholders
from .table import Table

USERS = Table(User, "users")

_BENEATH_A_SERVICE = "EXISTS (SELECT 1 FROM services AS t WHERE t.sid = users.service_sid)"
"""Users of a deleted service are not there any more, though their rows go in steps."""
_IS_SHOWN = "SELECT 1 FROM services AS s WHERE s.sid = users.service_sid AND s.reachability_enabled"


class Users:
    __slots__ = ("_connection",)

    columns: ClassVar[str] = USERS.columns

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, service_sid: str, key: str, *, lock: bool = False) -> User | None:
        """By SID or identity. An identity never looks like a user SID, so one of the two can hit."""
        column = "sid" if is_sid(key, "US") else "identity"
        row = await self._connection.row(
            f"SELECT {self.columns} FROM users"
            f" WHERE service_sid = $1 AND {column} = $2 AND {_BENEATH_A_SERVICE}{' FOR UPDATE' if lock else ''}",
            service_sid,
            key,
        )
        return USERS.entity(row) if row else None

    async def get(self, sid: str) -> User | None:
        row = await self._connection.row(
            f"SELECT {self.columns} FROM users WHERE sid = $1 AND {_BENEATH_A_SERVICE}", sid
        )
        return USERS.entity(row) if row else None

    async def exists(self, service_sid: str, identity: str) -> bool:
        found = await self._connection.value(
            f"SELECT 1 FROM users WHERE service_sid = $1 AND identity = $2 AND {_BENEATH_A_SERVICE}",
            service_sid,
            identity,
        )
        return found is not None

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
            f"SELECT {self.columns} FROM users WHERE service_sid = $1 AND {_BENEATH_A_SERVICE}"
            f" AND sid IN ({placeholders(len(sids), first=2)})",
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


class ShownUsers(Users):
    """Users as others may see them: without presence from the moment at which reachability is turned off.

    Their rows follow in bounded steps; they are not to be saved from here.
    """

    __slots__ = ()

    columns = USERS.columns
    for _column in ("is_online", "is_notifiable"):
        columns = columns.replace(f'"{_column}"', f'CASE WHEN EXISTS ({_IS_SHOWN}) THEN "{_column}" END')
