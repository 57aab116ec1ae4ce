"""``tertulia outbox``: what is owed to the outside world, also while a server runs. Never what a job holds."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tertulia.cli.call import resolve_settings
from tertulia.cli.failure import CommandFailed
from tertulia.cli.installation import at_installation
from tertulia.cli.tables import Fact, print_all, time_of
from tertulia.server import app, observe
from tertulia.server.sources import Resolved
from tertulia.server.storage.outbox_entries import OutboxEntries, OutboxEntry

BITE = 200
"""Jobs of one transaction: the server waits while we write."""
MOST_DEAD = 1_000_000
MOST_DAYS = 36_500
DAY_US = 24 * 3600 * 1_000_000


def run(options: argparse.Namespace) -> int:
    """List, retry or purge jobs. 1 when one of those named could not be retried or purged."""
    return {"list": _list, "retry": _retry, "purge": _purge}[options.what](options, resolve_settings(options))


def _list(options: argparse.Namespace, resolved: Resolved) -> int:
    async def read(installation: app.Installation) -> list[OutboxEntry]:
        _require_schema(installation)
        async with installation.database.snapshot() as connection:
            return await OutboxEntries(connection).page(state=options.state, kind=options.kind, limit=options.limit)

    print_all([_facts(entry) for entry in at_installation(resolved, read)], as_json=options.json)
    return 0


def _retry(options: argparse.Namespace, resolved: Resolved) -> int:
    if bool(options.ids) == options.all_dead or (options.kind is not None and not options.all_dead):
        raise CommandFailed("name the jobs to retry by their ids, or say --all-dead, with --kind for those of a kind")

    async def retry(installation: app.Installation) -> tuple[int, int]:
        ids = sorted(set(options.ids)) or await _dead(installation, kind=options.kind)
        count = 0
        for bite in _bites(ids):
            async with _opened(installation) as entries:
                count += await entries.retry(bite, installation.clock.now())
        return count, len(ids)

    count, asked = at_installation(resolved, retry, writes=True)
    print(f"{_jobs(count)} to be tried again; a running server begins within a second or so")
    return _rest(asked - count, "unknown, done, being performed, or a newer one of the same purpose waits")


def _purge(options: argparse.Namespace, resolved: Resolved) -> int:
    if bool(options.ids) == options.dead or (options.older_than_days is not None and not options.dead):
        raise CommandFailed("name the jobs to purge by their ids, or say --dead, with --older-than-days for old ones")

    async def purge(installation: app.Installation) -> tuple[int, int]:
        days = options.older_than_days
        before = None if days is None else installation.clock.now() - min(days, MOST_DAYS) * DAY_US
        ids = sorted(set(options.ids)) or await _dead(installation, before=before)
        count = 0
        for bite in _bites(ids):
            async with _opened(installation) as entries:
                count += await entries.purge(bite)
        return count, len(ids)

    count, asked = at_installation(resolved, purge, writes=True)
    print(f"{_jobs(count)} purged")
    return _rest(asked - count, "unknown, or being performed")


async def _dead(installation: app.Installation, *, kind: str | None = None, before: int | None = None) -> list[int]:
    async with installation.database.snapshot() as connection:
        return await OutboxEntries(connection).dead(kind=kind, before=before, limit=MOST_DEAD)


@asynccontextmanager
async def _opened(installation: app.Installation) -> AsyncIterator[OutboxEntries]:
    async with installation.database.transaction() as connection:
        yield OutboxEntries(connection)


def _require_schema(installation: app.Installation) -> None:
    if installation.plan():
        raise CommandFailed("the database is out of date; `tertulia migrate` brings it up to date")


def _bites(ids: Sequence[int]) -> list[Sequence[int]]:
    return [ids[at : at + BITE] for at in range(0, len(ids), BITE)]


def _facts(entry: OutboxEntry) -> dict[str, Fact]:
    return {
        "id": str(entry.id),
        "kind": entry.kind,
        "state": entry.state,
        "account_sid": entry.account_sid,
        "date_promised": time_of(entry.promised_at),
        "date_due": time_of(entry.due_at),
        "attempts": str(entry.attempts),
        "leased_until": time_of(entry.leased_until),
        "date_ended": time_of(entry.ended_at),
        "trace": entry.trace,
        "last_error": None if entry.last_error is None else observe.masked(entry.last_error),
    }


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"


def _rest(count: int, why: str) -> int:
    if count <= 0:
        return 0
    print(f"tertulia: {_jobs(count)} left alone: {why}", file=sys.stderr)
    return 1
