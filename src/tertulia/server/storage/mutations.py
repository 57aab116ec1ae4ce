"""Answers kept for some minutes under the id a client gave its wish, so that a repeat gets the same one."""

from __future__ import annotations

from .database import Connection


class Mutations:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, caller: str, mutation_id: str) -> tuple[str, str] | None:
        """The command's name and the answer, as JSON."""
        row = await self._connection.row(
            "SELECT command, answer FROM mutations WHERE caller = $1 AND id = $2", caller, mutation_id
        )
        return (row[0], row[1]) if row else None

    async def add(self, caller: str, mutation_id: str, command: str, answer: str, at: int) -> None:
        """Raises ``UniqueViolation`` when another repeat was quicker."""
        await self._connection.execute(
            "INSERT INTO mutations (caller, id, command, answer, at) VALUES ($1, $2, $3, $4, $5)",
            caller,
            mutation_id,
            command,
            answer,
            at,
        )

    async def trim(self, before: int, limit: int) -> int:
        """Drop at most ``limit`` that are older; how many went."""
        return await self._connection.execute(
            "DELETE FROM mutations WHERE (caller, id) IN"
            " (SELECT caller, id FROM mutations WHERE at < $1 ORDER BY at LIMIT $2)",
            before,
            limit,
        )
