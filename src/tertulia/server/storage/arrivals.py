"""Arrivals: what came in over channels."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from tertulia.server.domain.arrivals import Arrival, ArrivalState

from .database import Connection
from .paging import padded, placeholders
from .table import Table

ARRIVALS = Table(Arrival, "arrivals")


class GroupArrival(msgspec.Struct, frozen=True):
    """What tells copies of one message to a group from another message. Printed without addresses."""

    is_copy: bool
    provider_id: str
    sender: str
    recipient: str
    group_key: str
    digest: str

    def __repr__(self) -> str:
        return "GroupArrival(***)"


class Arrivals:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self, sid: str, *, lock: bool = False) -> Arrival | None:
        row = await self._connection.row(
            f"SELECT {ARRIVALS.columns} FROM arrivals WHERE sid = $1{' FOR UPDATE' if lock else ''}", sid
        )
        return ARRIVALS.entity(row) if row else None

    async def waiting(self, sid: str) -> tuple[Arrival, bool] | None:
        """The arrival if it waits still, and whether its account is suspended."""
        row = await self._connection.row(
            f"SELECT {ARRIVALS.columns}, (SELECT suspended_at FROM accounts WHERE accounts.sid = arrivals.account_sid)"
            " FROM arrivals WHERE sid = $1 AND state = $2",
            sid,
            ArrivalState.WAITING.value,
        )
        return (ARRIVALS.entity(row[:-1]), row[-1] is not None) if row else None

    async def known(self, gateway_sid: str, provider_ids: Collection[str]) -> frozenset[str]:
        """Those of the names that the gateway has used already. One statement; none for none."""
        if not provider_ids:
            return frozenset()
        rows = await self._connection.rows(
            "SELECT provider_id FROM arrivals WHERE gateway_sid = $1"
            f" AND provider_id IN ({placeholders(len(provider_ids), first=2)})",
            gateway_sid,
            *padded(tuple(provider_ids)),
        )
        return frozenset(row[0] for row in rows)

    async def to_groups(self, account_sid: str, group_keys: Collection[str], since: int) -> list[GroupArrival]:
        """What came to these groups since then, in the order it came. One statement; none for none."""
        if not group_keys:
            return []
        rows = await self._connection.rows(
            "SELECT state, provider_id, sender, recipient, group_key, digest FROM arrivals"
            f" WHERE account_sid = $1 AND created_at >= $2 AND group_key IN ({placeholders(len(group_keys), first=3)})"
            " ORDER BY sid",
            account_sid,
            since,
            *padded(tuple(group_keys)),
        )
        return [GroupArrival(state == ArrivalState.COPY, *facts) for state, *facts in rows]

    async def parts(self, account_sid: str, keys: Collection[str]) -> list[Arrival]:
        """The parts that wait for others, of messages with these keys. One statement; none for none."""
        if not keys:
            return []
        rows = await self._connection.rows(
            f"SELECT {ARRIVALS.columns} FROM arrivals WHERE account_sid = $1 AND state = $2"
            f" AND group_key IN ({placeholders(len(keys), first=3)}) ORDER BY sid",
            account_sid,
            ArrivalState.PART.value,
            *padded(tuple(keys)),
        )
        return ARRIVALS.entities(rows)

    async def join(self, sids: Collection[str], now: int) -> None:
        """These parts are a message now, and say nothing any more. One statement; none for none."""
        if sids:
            await self._connection.execute(
                "UPDATE arrivals SET state = $1, content = NULL, updated_at = $2"
                f" WHERE sid IN ({placeholders(len(sids), first=3)})",
                ArrivalState.JOINED.value,
                now,
                *padded(tuple(sids)),
            )

    async def add_many(self, arrivals: Sequence[Arrival]) -> None:
        """One statement. Raises ``UniqueViolation``."""
        await ARRIVALS.add_many(self._connection, arrivals)

    async def save(self, arrival: Arrival, before: Arrival) -> None:
        """Write what differs from ``before``."""
        await ARRIVALS.save(self._connection, arrival, before)

    async def waiting_among(self, sids: Collection[str]) -> frozenset[str]:
        """Those of them that wait still. One statement; none for none."""
        if not sids:
            return frozenset()
        rows = await self._connection.rows(
            f"SELECT sid FROM arrivals WHERE state = $1 AND sid IN ({placeholders(len(sids), first=2)})",
            ArrivalState.WAITING.value,
            *padded(tuple(sids)),
        )
        return frozenset(row[0] for row in rows)

    async def trim(self, before: int, limit: int) -> int:
        """Forget at most ``limit`` that are older; how many went."""
        return await self._connection.execute(
            "DELETE FROM arrivals WHERE sid IN"
            " (SELECT sid FROM arrivals WHERE created_at < $1 ORDER BY created_at LIMIT $2)",
            before,
            limit,
        )
