"""What services keep for how long, and what they have kept longer."""

from __future__ import annotations

import msgspec

from tertulia.server.domain.retention import Retention

from .database import Connection
from .table import Table

RETENTION = Table(Retention, "retention", key="service_sid")


class Keeping(msgspec.Struct, frozen=True):
    """How many days a service keeps things; 0 is for good."""

    service_sid: str
    account_sid: str
    messages_days: int
    closed_conversations_days: int


class Retentions:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, service_sid: str) -> Retention | None:
        return await RETENTION.get(self._connection, service_sid)

    async def keep(self, retention: Retention, *, is_new: bool) -> None:
        if is_new:
            await RETENTION.add(self._connection, retention)
        else:
            await RETENTION.save(self._connection, retention)

    async def limited(
        self, after: str, limit: int, *, messages_days: int, closed_conversations_days: int
    ) -> list[Keeping]:
        """Services that do not keep everything, by SID, with what holds for them; given is what the others choose."""
        rows = await self._connection.rows(
            "SELECT sid, account_sid, messages, closed FROM (SELECT s.sid, s.account_sid,"
            " coalesce(r.messages_days, $2) AS messages, coalesce(r.closed_conversations_days, $3) AS closed"
            " FROM services AS s LEFT JOIN retention AS r ON r.service_sid = s.sid WHERE s.sid > $1) AS kept"
            " WHERE messages > 0 OR closed > 0 ORDER BY sid LIMIT $4",
            after,
            messages_days,
            closed_conversations_days,
            limit,
        )
        return [Keeping(*row) for row in rows]

    async def closed_before(self, service_sid: str, at: int, limit: int) -> list[str]:
        """Conversations that were closed before, the longest closed first."""
        rows = await self._connection.rows(
            "SELECT sid FROM conversations WHERE service_sid = $1 AND state = 'closed' AND state_at < $2"
            " ORDER BY state_at LIMIT $3",
            service_sid,
            at,
            limit,
        )
        return [sid for (sid,) in rows]

    async def oldest_messages(self, service_sid: str, after: str, limit: int) -> list[tuple[str, int | None]]:
        """Conversations by SID, each with the time of its first message; one look-up each."""
        rows = await self._connection.rows(
            "SELECT c.sid, (SELECT m.created_at FROM messages AS m WHERE m.conversation_sid = c.sid"
            ' ORDER BY m."index" LIMIT 1) FROM conversations AS c'
            " WHERE c.service_sid = $1 AND c.sid > $2 ORDER BY c.sid LIMIT $3",
            service_sid,
            after,
            limit,
        )
        return [(sid, at) for sid, at in rows]
