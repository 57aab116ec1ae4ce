"""Who does not want to hear from us, and who has written to us when (semantics 4.7, 4.10)."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from .database import Connection
from .paging import padded, placeholders

Person = tuple[str, str]
"""What a sender of ours is remembered under (``Sender.opt_out_key``), and the person's address."""


class OptOuts:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def has(self, account_sid: str, key: str, address: str) -> bool:
        """Whether this person wants to hear nothing from what is remembered under the key."""
        found = await self._connection.value(
            "SELECT 1 FROM opt_outs WHERE account_sid = $1 AND pool = $2 AND address = $3", account_sid, key, address
        )
        return found is not None

    async def among(self, account_sid: str, people: Collection[Person]) -> frozenset[Person]:
        """Those of them who have opted out. One statement; none for none."""
        if not people:
            return frozenset()
        keys, addresses = sorted({key for key, _ in people}), sorted({address for _, address in people})
        after_keys = 2 + len(padded(keys))
        rows = await self._connection.rows(
            "SELECT pool, address FROM opt_outs WHERE account_sid = $1"
            f" AND pool IN ({placeholders(len(keys), first=2)})"
            f" AND address IN ({placeholders(len(addresses), first=after_keys)})",
            account_sid,
            *padded(keys),
            *padded(addresses),
        )
        return frozenset((row[0], row[1]) for row in rows).intersection(people)

    async def add_many(self, account_sid: str, people: Collection[Person], at: int) -> None:
        """They have opted out; one statement, none for none."""
        if people:
            await self._connection.execute_many(
                "INSERT INTO opt_outs (account_sid, pool, address, created_at) VALUES ($1, $2, $3, $4)"
                " ON CONFLICT DO NOTHING",
                [(account_sid, key, address, at) for key, address in sorted(people)],
            )

    async def remove_many(self, account_sid: str, people: Collection[Person]) -> None:
        """They want to hear from us again; one statement, none for none."""
        if people:
            await self._connection.execute_many(
                "DELETE FROM opt_outs WHERE account_sid = $1 AND pool = $2 AND address = $3",
                [(account_sid, key, address) for key, address in sorted(people)],
            )

    async def carry_over(self, account_sid: str, key: str, to: str) -> None:
        """Who wants to hear nothing from what is remembered under the key wants nothing from the other, too."""
        await self._connection.execute(
            "INSERT INTO opt_outs (account_sid, pool, address, created_at)"
            " SELECT account_sid, $1, address, created_at FROM opt_outs WHERE account_sid = $2 AND pool = $3"
            " ON CONFLICT DO NOTHING",
            to,
            account_sid,
            key,
        )

    async def forget(self, account_sid: str, key: str) -> None:
        """Nothing is remembered under this key."""
        await self._connection.execute("DELETE FROM opt_outs WHERE account_sid = $1 AND pool = $2", account_sid, key)


class LastHeard:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def at(self, account_sid: str, sender: str, address: str) -> int | None:
        """When this person last wrote to this address of ours, in UTC microseconds; None: never."""
        found: int | None = await self._connection.value(
            "SELECT heard_at FROM last_heard WHERE account_sid = $1 AND sender = $2 AND address = $3",
            account_sid,
            sender,
            address,
        )
        return found

    async def note_many(self, account_sid: str, heard: Mapping[Person, int]) -> None:
        """They have written then, by our address and theirs; never sets back. One statement, none for none."""
        if heard:
            await self._connection.execute_many(
                "INSERT INTO last_heard (account_sid, sender, address, heard_at) VALUES ($1, $2, $3, $4)"
                " ON CONFLICT (account_sid, sender, address) DO UPDATE SET heard_at = excluded.heard_at"
                " WHERE last_heard.heard_at < excluded.heard_at",
                [(account_sid, sender, address, at) for (sender, address), at in sorted(heard.items())],
            )

    async def trim(self, before: int, limit: int) -> int:
        """Forget at most ``limit`` that are older; how many went."""
        return await self._connection.execute(
            "DELETE FROM last_heard WHERE (account_sid, sender, address) IN"
            " (SELECT account_sid, sender, address FROM last_heard WHERE heard_at < $1 ORDER BY heard_at LIMIT $2)"
            " AND heard_at < $1",  # he may be writing just now
            before,
            limit,
        )
