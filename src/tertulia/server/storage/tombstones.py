"""Tombstones: what was removed from a Sync object, without content, so that a client which was away learns it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from .database import Connection


class Tombstone(msgspec.Struct, frozen=True):
    event: int
    item_key: str
    created_event: int
    at: int


class Tombstones:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, object_sid: str, item_key: str, created_event: int, event: int, at: int) -> None:
        await self._connection.execute(
            "INSERT INTO tombstones (object_sid, event, item_key, created_event, at) VALUES ($1, $2, $3, $4, $5)",
            object_sid,
            event,
            item_key,
            created_event,
            at,
        )

    async def add_many(self, object_sid: str, removals: Iterable[tuple[str, int, int]], at: int) -> None:
        """Several of one object: of each item its key, the number it was added under, and that of its removal."""
        await self._connection.execute_many(
            "INSERT INTO tombstones (object_sid, event, item_key, created_event, at) VALUES ($1, $2, $3, $4, $5)",
            [(object_sid, event, key, created, at) for key, created, event in removals],
        )

    async def after(self, object_sid: str, event: int, limit: int) -> list[Tombstone]:
        """Removals after ``event`` of items that stood at ``event``, in order (realtime 9.7)."""
        rows = await self._connection.rows(
            "SELECT event, item_key, created_event, at FROM tombstones"
            " WHERE object_sid = $1 AND event > $2 AND created_event <= $2 ORDER BY event LIMIT $3",
            object_sid,
            event,
            limit,
        )
        return [Tombstone(*row) for row in rows]

    async def trim(self, before: int, limit: int) -> int:
        """Drop at most ``limit`` that are older; how many went."""
        return await self._connection.execute(
            "DELETE FROM tombstones WHERE (object_sid, event) IN"
            " (SELECT object_sid, event FROM tombstones WHERE at < $1 ORDER BY at LIMIT $2)",
            before,
            limit,
        )
