"""The outbox as operators see it, and what they may do with it; what has been there long enough goes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from .database import Connection
from .outbox import INSERT, numbered, promote

COUNTED: Final = 10_000
"""Beyond this many, waiting jobs are not counted: nobody waits for the number."""


class OutboxEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it may be shown: never what it holds, whom it is for, or its token."""

    id: int
    kind: str
    state: str
    account_sid: str | None
    promised_at: int
    due_at: int
    attempts: int
    leased_until: int | None
    ended_at: int | None
    last_error: str | None
    trace: str | None


_COLUMNS: Final = ", ".join(OutboxEntry.__struct_fields__)


class OutboxEntries:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def page(self, *, state: str | None = None, kind: str | None = None, limit: int) -> list[OutboxEntry]:
        """The newest jobs, newest first."""
        wanted = [(name, value) for name, value in (("state", state), ("kind", kind)) if value is not None]
        terms = " AND ".join(f"{name} = ${number}" for number, (name, _) in enumerate(wanted, 2)) or "TRUE"
        rows = await self._connection.rows(
            f"SELECT {_COLUMNS} FROM outbox WHERE {terms} ORDER BY id DESC LIMIT $1",
            limit,
            *(value for _, value in wanted),
        )
        return [OutboxEntry(**dict(zip(OutboxEntry.__struct_fields__, row, strict=True))) for row in rows]

    async def dead(self, *, before: int | None = None, kind: str | None = None, limit: int) -> list[int]:
        """The ids of dead jobs, those that died first first: of this kind, that died before this moment."""
        terms = "state = 'dead' AND ended_at IS NOT NULL"
        values: list[object] = [limit]
        for term, value in (("ended_at <", before), ("kind =", kind)):
            if value is not None:
                values.append(value)
                terms += f" AND {term} ${len(values)}"
        rows = await self._connection.rows(
            f"SELECT id FROM outbox WHERE {terms} ORDER BY ended_at, id LIMIT $1", *values
        )
        return [id_ for (id_,) in rows]

    async def retry(self, ids: Collection[int], now: int) -> int:
        """Dead ones are owed again, with all their attempts; waiting ones are due now. How many.

        A dead one comes back as a new job at the end of its order, with the token its receiver knows. It stays dead
        when a newer one of its key waits.
        """
        if not ids:
            return 0
        names = numbered(ids, 2)
        hastened = await self._connection.execute(
            f"UPDATE outbox SET due_at = $1 WHERE state = 'waiting' AND id IN ({names})", now, *ids
        )
        rows = await self._connection.rows(
            "SELECT id, kind, ordering_key, key, receiver, payload, token, account_sid, trace FROM outbox AS mine"
            f" WHERE state = 'dead' AND id IN ({numbered(ids)}) AND (key IS NULL OR NOT EXISTS"
            " (SELECT 1 FROM outbox AS newer WHERE newer.key = mine.key AND newer.state = 'waiting'))"
            " ORDER BY id",
            *ids,
        )
        newest = {row[3]: row[0] for row in rows}
        again = [row for row in rows if row[3] is None or newest[row[3]] == row[0]]
        await self._connection.execute_many(INSERT, [(*row[1:], now, now) for row in again])
        await self._remove([row[0] for row in again])
        return hastened + len(again)

    async def purge(self, ids: Collection[int]) -> int:
        """These are gone, whatever they owed; those being performed stay. How many went."""
        if not ids:
            return 0
        gone = await self._connection.rows(
            f"DELETE FROM outbox WHERE state <> 'leased' AND id IN ({numbered(ids)})"
            " RETURNING ordering_key, behind OR state IN ('done', 'dead')",
            *ids,
        )
        await promote(self._connection, gone)
        return len(gone)

    async def _remove(self, ids: Sequence[int]) -> None:
        if ids:
            await self._connection.execute(f"DELETE FROM outbox WHERE id IN ({numbered(ids)})", *ids)

    async def trim(self, state: str, before: int, limit: int) -> int:
        """Drop at most ``limit`` that have been ``done`` or ``dead`` since before this moment; how many went."""
        return await self._connection.execute(
            "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox"
            " WHERE state = $1 AND ended_at < $2 AND ended_at IS NOT NULL ORDER BY ended_at, id LIMIT $3)",
            state,
            before,
            limit,
        )

    async def waiting(self, now: int) -> dict[str, int]:
        """How many jobs of each kind are due or behind others; each counted to ten thousand at most."""
        heads = f"SELECT kind FROM outbox WHERE state = 'waiting' AND NOT behind AND due_at <= $1 LIMIT {COUNTED}"
        followers = f"SELECT kind FROM outbox WHERE behind LIMIT {COUNTED}"
        rows = await self._connection.rows(
            f"SELECT kind, count(*) FROM (SELECT * FROM ({heads}) AS heads"
            f" UNION ALL SELECT * FROM ({followers}) AS followers) AS some GROUP BY kind",
            now,
        )
        return dict(rows)
