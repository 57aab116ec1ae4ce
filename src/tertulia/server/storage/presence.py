"""Presence: nodes that are alive, who is connected to them, and services that are turning reachability on or off."""

from __future__ import annotations

from collections.abc import Sequence

from tertulia.server.domain.presence import Turn, UsersOfNode
from tertulia.server.domain.users import User

from .database import Connection
from .paging import padded, placeholders
from .table import Table
from .users import USERS

TURNS = Table(Turn, "reachability_turns", key="service_sid")


class Nodes:
    """The running servers. A node is alive until the moment its row names."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, node: str, alive_until: int) -> None:
        await self._connection.execute("INSERT INTO nodes (id, alive_until) VALUES ($1, $2)", node, alive_until)

    async def renew(self, node: str, now: int, alive_until: int) -> bool:
        """False when the node is dead already: others may have departed its users."""
        return (
            await self._connection.execute(
                "UPDATE nodes SET alive_until = $3 WHERE id = $1 AND alive_until > $2", node, now, alive_until
            )
            > 0
        )

    async def is_alive(self, node: str, now: int) -> bool:
        found = await self._connection.value("SELECT 1 FROM nodes WHERE id = $1 AND alive_until > $2", node, now)
        return found is not None

    async def has_dead(self, now: int) -> bool:
        return await self._connection.value("SELECT 1 FROM nodes WHERE alive_until <= $1 LIMIT 1", now) is not None

    async def trim(self, before: int) -> int:
        """Forget the dead to whom nobody is connected; how many they were."""
        return await self._connection.execute(
            "DELETE FROM nodes WHERE alive_until <= $1"
            " AND NOT EXISTS (SELECT 1 FROM presences WHERE presences.node = nodes.id)",
            before,
        )


class Presences:
    """Who is connected to which node."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def subject(self, service_sid: str, identity: str) -> tuple[User, bool] | None:
        """A user, locked, and whether his service shows reachability."""
        row = await self._connection.row(
            f"SELECT {USERS.qualified('u')}, s.reachability_enabled FROM users AS u"
            " JOIN services AS s ON s.sid = u.service_sid WHERE u.service_sid = $1 AND u.identity = $2 FOR UPDATE OF u",
            service_sid,
            identity,
        )
        return (USERS.entity(row[:-1]), bool(row[-1])) if row else None

    async def add(self, service_sid: str, identity: str, node: str) -> None:
        await self._connection.execute(
            "INSERT INTO presences (service_sid, identity, node) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            service_sid,
            identity,
            node,
        )

    async def remove(self, service_sid: str, identity: str, node: str) -> None:
        await self._connection.execute(
            "DELETE FROM presences WHERE service_sid = $1 AND identity = $2 AND node = $3", service_sid, identity, node
        )

    async def remove_of(self, service_sid: str, identities: Sequence[str], node: str | None = None) -> None:
        """Those of these users, on one node or on all."""
        if identities:
            marks = placeholders(len(identities), first=3)
            await self._connection.execute(
                f"DELETE FROM presences WHERE service_sid = $1 AND identity IN ({marks})"
                " AND (CAST($2 AS TEXT) IS NULL OR node = $2)",
                service_sid,
                node,
                *padded(identities),
            )

    async def remove_of_service(self, service_sid: str) -> None:
        await self._connection.execute("DELETE FROM presences WHERE service_sid = $1", service_sid)

    async def some_of_service(self, service_sid: str, limit: int) -> list[str]:
        """Identities that are kept as connected, whether their nodes are alive or not."""
        rows = await self._connection.rows(
            "SELECT DISTINCT identity FROM presences WHERE service_sid = $1 LIMIT $2", service_sid, limit
        )
        return [row[0] for row in rows]

    async def some_of_node(self, node: str, service_sid: str, limit: int) -> list[str]:
        rows = await self._connection.rows(
            "SELECT identity FROM presences WHERE node = $1 AND service_sid = $2 ORDER BY identity LIMIT $3",
            node,
            service_sid,
            limit,
        )
        return [row[0] for row in rows]

    async def connected(self, service_sid: str, identities: Sequence[str], now: int) -> set[str]:
        """Those of these users who are connected to a node that is alive."""
        if not identities:
            return set()
        marks = placeholders(len(identities), first=3)
        rows = await self._connection.rows(
            "SELECT DISTINCT p.identity FROM presences AS p JOIN nodes AS n ON n.id = p.node"
            f" WHERE n.alive_until > $2 AND p.service_sid = $1 AND p.identity IN ({marks})",
            service_sid,
            now,
            *padded(identities),
        )
        return {row[0] for row in rows}

    async def users(self, service_sid: str, identities: Sequence[str]) -> list[User]:
        """These users, locked in one order."""
        if not identities:
            return []
        rows = await self._connection.rows(
            f"SELECT {USERS.columns} FROM users WHERE service_sid = $1"
            f" AND identity IN ({placeholders(len(identities), first=2)}) ORDER BY sid FOR UPDATE",
            service_sid,
            *padded(identities),
        )
        return USERS.entities(rows)

    async def shown(self, service_sid: str, limit: int) -> list[User]:
        """Users of whom something is known, locked in one order."""
        rows = await self._connection.rows(
            f"SELECT {USERS.columns} FROM users WHERE service_sid = $1"
            " AND (is_online IS NOT NULL OR is_notifiable IS NOT NULL) ORDER BY sid LIMIT $2 FOR UPDATE",
            service_sid,
            limit,
        )
        return USERS.entities(rows)

    async def show(self, users: Sequence[User]) -> None:
        """Keep what these users are shown as, with its numbers. One statement."""
        await self._connection.execute_many(
            "UPDATE users SET is_online = $2, is_notifiable = $3, reachability_created = $4, reachability_event = $5,"
            " info_event = $6, updated_at = $7 WHERE sid = $1",
            [
                (
                    user.sid,
                    user.is_online,
                    user.is_notifiable,
                    user.reachability_created,
                    user.reachability_event,
                    user.info_event,
                    user.updated_at,
                )
                for user in users
            ],
        )

    async def of_a_dead_node(self, now: int) -> UsersOfNode | None:
        """Whom the sweep has to depart next."""
        # CROSS JOIN: SQLite, which knows no numbers of rows here, would begin with all presences.
        row = await self._connection.row(
            "SELECT s.account_sid, p.service_sid, p.node FROM nodes AS n CROSS JOIN presences AS p"
            " JOIN services AS s ON s.sid = p.service_sid WHERE n.alive_until <= $1 AND p.node = n.id LIMIT 1",
            now,
        )
        return UsersOfNode(*row) if row else None


class Turns:
    """Services whose users are being brought in line with what was chosen for them."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def begin(self, account_sid: str, service_sid: str) -> None:
        """From the beginning, also when an earlier choice was still on its way."""
        await self._connection.execute(
            "INSERT INTO reachability_turns (service_sid, account_sid, reached) VALUES ($1, $2, '')"
            " ON CONFLICT (service_sid) DO UPDATE SET reached = ''",
            service_sid,
            account_sid,
        )

    async def begin_in_account(self, account_sid: str) -> None:
        """In each service of the account that shows reachability."""
        await self._connection.execute(
            "INSERT INTO reachability_turns (service_sid, account_sid, reached)"
            " SELECT sid, account_sid, '' FROM services WHERE account_sid = $1 AND reachability_enabled"
            " ON CONFLICT (service_sid) DO UPDATE SET reached = ''",
            account_sid,
        )

    async def next(self) -> Turn | None:
        row = await self._connection.row(f"SELECT {TURNS.columns} FROM reachability_turns LIMIT 1")
        return TURNS.entity(row) if row else None

    async def find(self, service_sid: str) -> Turn | None:
        return await TURNS.get(self._connection, service_sid)

    async def save(self, turn: Turn) -> None:
        await TURNS.save(self._connection, turn)

    async def end(self, service_sid: str) -> None:
        await TURNS.remove(self._connection, service_sid)

    async def services_on(self) -> dict[str, str]:
        """The services that show reachability, each with its account."""
        rows = await self._connection.rows("SELECT sid, account_sid FROM services WHERE reachability_enabled")
        return {row[0]: row[1] for row in rows}
