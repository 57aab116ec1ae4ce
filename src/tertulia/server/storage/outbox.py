"""Jobs as rows: promised with their reason, leased, performed elsewhere, settled (architecture 7).

::

    promise --> waiting --lease--> leased --settle--> gone, or done while done jobs are kept
                   ^                 |  |
                   |   postpone,     |  '--bury--> dead --retry--> waiting
                   '--- release, ----'
                        expire

**Order.** Of the unfinished (waiting or leased) jobs of an ordering key one is the *head*, and the others are *behind*
it; only heads are leased. A unique index allows one head at a time. Whoever finishes, buries or removes a head makes
the oldest that is behind it the next one, in the same transaction. So looking for work costs what may be leased now,
however long the queues behind receivers that are down have become.

**Attempts** are counted when a job is leased. What ends an attempt names it by job and number, and does nothing when
the job has been leased again or is not leased any more.

**Keys.** At most one waiting job has a key. A new one replaces it, as a row of its own, so that what is still known of
attempts at the old one cannot touch the new one. Jobs of one key are not performed at the same time: without an
ordering key of its own such a job is ordered by its key.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from tertulia.server.domain.jobs import AGAIN, Attempt, Job, Promised

from .database import Connection, Row

ERROR_CHARS: Final = 300
CANDIDATES: Final = 256
"""Jobs that one lease looks at, at most."""


class Leased(msgspec.Struct, frozen=True, kw_only=True):
    """A job that is ours to perform until the lease ends."""

    attempt: Attempt
    kind: str
    payload: str
    """JSON of the job."""
    receiver: str | None
    account_sid: str | None


_IS_HEAD: Final = "NOT behind AND state IN ('waiting', 'leased')"
INSERT: Final = f"""
INSERT INTO outbox (kind, ordering_key, key, receiver, payload, token, account_sid, trace, promised_at, due_at,
                    state, behind, attempts)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
        'waiting', EXISTS (SELECT 1 FROM outbox WHERE ordering_key = $2 AND {_IS_HEAD}), 0)
"""
_PROMOTE: Final = f"""
UPDATE outbox SET behind = FALSE
WHERE id = (SELECT id FROM outbox WHERE ordering_key = $1 AND behind ORDER BY id LIMIT 1)
  AND NOT EXISTS (SELECT 1 FROM outbox WHERE ordering_key = $1 AND {_IS_HEAD})
"""
_MINE: Final = "id = $1 AND attempts = $2 AND state = 'leased'"
_LEASE: Final = """
UPDATE outbox SET state = 'leased', leased_by = $1, leased_until = $2, attempts = attempts + 1
WHERE id IN ({ids})
RETURNING id, attempts, token, promised_at, trace, earlier_attempts, kind, payload, receiver, account_sid
"""
# The ordering keys that somebody waits in, one seek each, and of them those without a head.
_HEADLESS: Final = f"""
WITH RECURSIVE queue (name) AS (
    SELECT min(ordering_key) FROM outbox WHERE behind
    UNION ALL
    SELECT (SELECT min(ordering_key) FROM outbox WHERE behind AND ordering_key > queue.name)
    FROM queue WHERE queue.name IS NOT NULL
)
SELECT name FROM queue
WHERE name IS NOT NULL AND NOT EXISTS (SELECT 1 FROM outbox WHERE ordering_key = queue.name AND {_IS_HEAD})
"""


class Outbox:
    """The jobs there are. With ``done_at`` what is settled stays, as done at that time; without it, it goes."""

    __slots__ = ("_connection", "_done_at")

    def __init__(self, connection: Connection, done_at: int | None = None) -> None:
        self._connection = connection
        self._done_at = done_at

    # -- promising ----------------------------------------------------------------------------------------------------

    async def promise(
        self,
        promised: Sequence[Promised],
        now: int,
        *,
        new_token: Callable[[], str],
        account_sid: str | None = None,
        trace: str | None = None,
    ) -> None:
        """Owe these jobs, in this order; one insert, whatever their number.

        Of several with one key the last counts, and replaces the waiting job of that key, if there is one.
        """
        last = {one.key: one for one in promised if one.key is not None}
        if last:
            await self.withdraw(last)
        rows = [
            (
                type(one.job).__name__,
                one.ordering_key if one.ordering_key is not None else one.key,
                one.key,
                one.job.receiver,
                msgspec.json.encode(one.job).decode(),
                new_token(),
                account_sid,
                trace,
                now,
                now if one.due_at is None else one.due_at,
            )
            for one in promised
            if one.key is None or last[one.key] is one
        ]
        await self._connection.execute_many(INSERT, rows)

    async def withdraw(self, keys: Iterable[str]) -> int:
        """The waiting jobs of these keys are no longer owed; how many that were. Those being performed stay."""
        names = tuple(keys)
        gone = await self._connection.rows(
            f"DELETE FROM outbox WHERE state = 'waiting' AND key IN ({numbered(names)}) RETURNING ordering_key, behind",
            *names,
        )
        await promote(self._connection, gone)
        return len(gone)

    # -- performing ---------------------------------------------------------------------------------------------------

    async def is_due(
        self, now: int, kinds: Sequence[str], full: Collection[str] = (), full_accounts: Collection[str] = ()
    ) -> bool:
        """Whether ``lease`` would find a job, when these receivers, and any of these accounts, get no more."""
        condition, parameters = _due(now, kinds, full, full_accounts)
        return await self._connection.value(f"SELECT 1 FROM outbox WHERE {condition} LIMIT 1", *parameters) is not None

    async def lease(
        self,
        worker: str,
        *,
        now: int,
        lease_s: float,
        limit: int,
        kinds: Sequence[str],
        per_receiver: int | None = None,
        busy: Mapping[str, int] | None = None,
        busy_accounts: Mapping[str, int] | None = None,
    ) -> list[Leased]:
        """At most ``limit`` due jobs of these kinds, the longest due first; nobody else gets them until the lease ends.

        ``busy`` says how many jobs of each receiver this worker performs already: it gets no more than make up
        ``per_receiver``. ``busy_accounts`` says how many jobs with a receiver it performs for each account, which gets
        no more of them than it leaves of ``limit``. An empty list means that nothing is left for it; a short one does
        not.
        """
        busy, busy_accounts = busy or {}, busy_accounts or {}
        full = full_of(busy, per_receiver)
        full_accounts = [account for account, count in busy_accounts.items() if count >= limit]
        condition, parameters = _due(now, kinds, full, full_accounts)
        candidates = await self._connection.rows(
            f"SELECT id, receiver, account_sid FROM outbox WHERE {condition}"
            f" ORDER BY due_at, id LIMIT {CANDIDATES} FOR UPDATE SKIP LOCKED",
            *parameters,
        )
        ids = _chosen(candidates, limit, per_receiver, busy, busy_accounts)
        if not ids:
            return []
        until = now + int(lease_s * 1_000_000)
        rows = await self._connection.rows(_LEASE.format(ids=numbered(ids, 3)), worker, until, *ids)
        leased = {row[0]: _leased(row) for row in rows}
        return [leased[id_] for id_ in ids if id_ in leased]

    async def settle(self, attempt: Attempt) -> bool:
        """The job is done. False, and nothing happens, when the attempt is no longer the present one."""
        if self._done_at is None:
            ended = await self._connection.row(
                f"DELETE FROM outbox WHERE {_MINE} RETURNING ordering_key, behind", attempt.job_id, attempt.number
            )
        else:
            # What it held has served; message bodies are not kept longer than needed.
            ended = await self._connection.row(
                "UPDATE outbox SET state = 'done', ended_at = $3, payload = '', leased_by = NULL, leased_until = NULL"
                f" WHERE {_MINE} RETURNING ordering_key, behind",
                attempt.job_id,
                attempt.number,
                self._done_at,
            )
        return await self._ended(ended)

    async def carry_on(self, attempt: Attempt, following: Job, now: int, token: str) -> bool:
        """A step of the job is done; what follows takes its place, ahead of what is behind it. False as ``settle``.

        It is as new: with a token and an age of its own, and all its attempts before it. A newer job of its key takes
        its place.
        """
        mine = await self._mine(attempt)
        if mine is None:
            return False
        if await self._without_replaced([mine]):
            await self._connection.execute(
                "UPDATE outbox SET state = 'waiting', payload = $2, token = $3, receiver = $4, promised_at = $5,"
                " due_at = $5, earlier_attempts = attempts, last_error = NULL, leased_by = NULL, leased_until = NULL"
                " WHERE id = $1",
                attempt.job_id,
                msgspec.json.encode(following).decode(),
                token,
                following.receiver,
                now,
            )
        return True

    async def _mine(self, attempt: Attempt) -> Row | None:
        """The job (id, key), if this is its present attempt."""
        return await self._connection.row(
            f"SELECT id, key FROM outbox WHERE {_MINE} FOR UPDATE", attempt.job_id, attempt.number
        )

    async def bury(self, attempt: Attempt, now: int, why: str) -> bool:
        """It is dead: not tried any more, in nobody's way, and kept to be looked at. False as ``settle``."""
        ended = await self._connection.row(
            "UPDATE outbox SET state = 'dead', ended_at = $3, last_error = $4, leased_by = NULL, leased_until = NULL"
            f" WHERE {_MINE} RETURNING ordering_key, behind",
            attempt.job_id,
            attempt.number,
            now,
            why[:ERROR_CHARS],
        )
        return await self._ended(ended)

    async def _ended(self, row: Row | None) -> bool:
        if row is None:
            return False
        await promote(self._connection, [row])
        return True

    async def postpone(self, attempt: Attempt, due_at: int, why: str) -> bool:
        """It is tried again then; a newer job of its key that waits already takes its place. False as ``settle``."""
        mine = await self._mine(attempt)
        if mine is None:
            return False
        if await self._without_replaced([mine]):
            await self._connection.execute(
                "UPDATE outbox SET state = 'waiting', due_at = $2, last_error = $3, leased_by = NULL,"
                " leased_until = NULL WHERE id = $1",
                attempt.job_id,
                due_at,
                why[:ERROR_CHARS],
            )
        return True

    async def release(self, attempts: Iterable[Attempt], why: str) -> int:
        """These were leased and are not performed to their end; anybody may have them at once. How many went back."""
        numbers = {attempt.job_id: attempt.number for attempt in attempts}
        if not numbers:
            return 0
        rows = await self._connection.rows(
            f"SELECT id, key, attempts FROM outbox WHERE state = 'leased' AND id IN ({numbered(numbers)}) FOR UPDATE",
            *numbers,
        )
        return await self._return([row[:2] for row in rows if row[2] == numbers[row[0]]], why)

    async def has_expired(self, now: int) -> bool:
        """Whether ``expire`` would find a job."""
        sql = "SELECT 1 FROM outbox WHERE state = 'leased' AND leased_until <= $1 LIMIT 1"
        return await self._connection.value(sql, now) is not None

    async def expire(self, now: int, limit: int, spared: Collection[int] = ()) -> int:
        """At most ``limit`` jobs whose lease has run out wait again; how many. Not those ``spared``, by id."""
        others = f" AND id NOT IN ({numbered(spared, 3)})" if spared else ""
        rows = await self._connection.rows(
            f"SELECT id, key FROM outbox WHERE state = 'leased' AND leased_until <= $1{others}"
            " ORDER BY leased_until, id LIMIT $2 FOR UPDATE SKIP LOCKED",
            now,
            limit,
            *spared,
        )
        return await self._return(rows, "the lease ran out")

    async def _return(self, rows: Sequence[Row], why: str) -> int:
        ids = await self._without_replaced(rows)
        if ids:
            await self._connection.execute(
                "UPDATE outbox SET state = 'waiting', last_error = $1, leased_by = NULL, leased_until = NULL"
                f" WHERE id IN ({numbered(ids, 2)})",
                why,
                *ids,
            )
        return len(rows)

    async def _without_replaced(self, rows: Sequence[Row]) -> list[int]:
        """Of leased jobs (id, key) that are to wait again, those that may: of one key the newest stays alone."""
        keys = {key for _, key in rows if key is not None}
        if not keys:
            return [id_ for id_, _ in rows]
        waiting = await self._connection.rows(
            f"SELECT id, key FROM outbox WHERE state = 'waiting' AND key IN ({numbered(keys)}) FOR UPDATE", *keys
        )
        newest = {key: id_ for id_, key in sorted([*rows, *waiting]) if key is not None}
        replaced = [id_ for id_, key in [*rows, *waiting] if key is not None and newest[key] != id_]
        if replaced:
            gone = await self._connection.rows(
                f"DELETE FROM outbox WHERE id IN ({numbered(replaced)}) RETURNING ordering_key, behind", *replaced
            )
            await promote(self._connection, gone)
        return [id_ for id_, key in rows if key is None or newest[key] == id_]

    async def next_due(self, after: int, kinds: Sequence[str]) -> int | None:
        """When the next job of these kinds becomes due that is not yet at ``after``."""
        due_at: int | None = await self._connection.value(
            "SELECT due_at FROM outbox WHERE state = 'waiting' AND NOT behind AND due_at > $1"
            f" AND kind IN ({numbered(kinds, 2)}) ORDER BY due_at LIMIT 1",
            after,
            *kinds,
        )
        return due_at

    async def headless(self) -> list[str]:
        """Ordering keys that have lost their head without a successor: none, unless two transactions crossed.

        PostgreSQL: a job may be promised behind a head that another transaction is about to remove. Neither sees what
        the other does.
        """
        return [key for (key,) in await self._connection.rows(_HEADLESS)]

    async def mend(self) -> int:
        """Headless ordering keys go on; how many."""
        keys = await self.headless()
        await promote(self._connection, [(key, False) for key in keys])
        return len(keys)


def full_of(busy: Mapping[str, int], per_receiver: int | None) -> list[str]:
    """The receivers that get no more."""
    if per_receiver is None:
        return []
    return [receiver for receiver, count in busy.items() if count >= _share(receiver, per_receiver)]


def _share(receiver: str, per_receiver: int) -> int:
    return max(per_receiver // 4, 1) if receiver.startswith(AGAIN) else per_receiver


def numbered(values: Collection[object], start: int = 1) -> str:
    """``$1, $2, ...`` for so many parameters."""
    return ", ".join([f"${number}" for number in range(start, start + len(values))])


async def promote(connection: Connection, ended: Iterable[Row]) -> None:
    """Where a head has gone (ordering key, was behind), the oldest behind it is the next one."""
    keys = {ordering_key for ordering_key, behind in ended if ordering_key is not None and not behind}
    if keys:
        await connection.execute_many(_PROMOTE, [(key,) for key in keys])


def _due(
    now: int, kinds: Sequence[str], full: Collection[str], full_accounts: Collection[str]
) -> tuple[str, tuple[object, ...]]:
    condition = f"state = 'waiting' AND NOT behind AND due_at <= $1 AND kind IN ({numbered(kinds, 2)})"
    if full:
        condition += f" AND (receiver IS NULL OR receiver NOT IN ({numbered(full, 2 + len(kinds))}))"
    if full_accounts:
        names = numbered(full_accounts, 2 + len(kinds) + len(full))
        condition += f" AND (receiver IS NULL OR account_sid IS NULL OR account_sid NOT IN ({names}))"
    return condition, (now, *kinds, *full, *full_accounts)


def _chosen(
    candidates: Iterable[Row],
    limit: int,
    per_receiver: int | None,
    busy: Mapping[str, int],
    busy_accounts: Mapping[str, int],
) -> list[int]:
    taken, shares = dict(busy), dict(busy_accounts)
    ids: list[int] = []
    for id_, receiver, account in candidates:
        if len(ids) >= limit:
            break
        if receiver is not None:
            if per_receiver is not None and taken.get(receiver, 0) >= _share(receiver, per_receiver):
                continue
            if account is not None:
                share = shares.get(account, 0)
                if share >= limit - len(ids):
                    continue
                shares[account] = share + 1
            taken[receiver] = taken.get(receiver, 0) + 1
        ids.append(id_)
    return ids


def _leased(row: Row) -> Leased:
    job_id, number, token, promised_at, trace, earlier, kind, payload, receiver, account_sid = row
    return Leased(
        attempt=Attempt(
            job_id=job_id, number=number, token=token, promised_at=promised_at, trace=trace, earlier=earlier
        ),
        kind=kind,
        payload=payload,
        receiver=receiver,
        account_sid=account_sid,
    )
