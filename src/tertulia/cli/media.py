"""``tertulia media``: how many files there are, and what of them nobody needs any more, also while a server runs."""

from __future__ import annotations

import argparse

import msgspec

from tertulia.cli.call import resolve_settings
from tertulia.cli.failure import CommandFailed
from tertulia.cli.installation import at_installation
from tertulia.cli.tables import Fact, print_all
from tertulia.server import app
from tertulia.server.blobs.base import BlobError
from tertulia.server.engine.media_queries import MediaQueries
from tertulia.server.jobs.media import due_before, strays
from tertulia.server.sources import Resolved
from tertulia.server.storage.media import MediaFiles, MediaUsage


class Waste(msgspec.Struct, frozen=True):
    """What could be removed."""

    orphans: MediaUsage
    strays: MediaUsage


def run(options: argparse.Namespace) -> int:
    return {"list": _list, "gc": _gc}[options.what](options, resolve_settings(options))


def _list(options: argparse.Namespace, resolved: Resolved) -> int:
    async def read(installation: app.Installation) -> list[tuple[str, str, MediaUsage]]:
        _require_schema(installation)
        async with installation.database.snapshot() as connection:
            return await MediaFiles(connection).usages()

    rows: list[dict[str, Fact]] = [
        {"account_sid": account, "service_sid": service, "files": str(usage.files), "bytes": str(usage.size)}
        for account, service, usage in at_installation(resolved, read)
    ]
    print_all(rows, as_json=options.json)
    return 0


def _gc(options: argparse.Namespace, resolved: Resolved) -> int:
    """Records go by commands, whose jobs remove the bytes; bytes without a record go at once."""

    async def collect(installation: app.Installation) -> Waste:
        _require_schema(installation)
        queries, now = MediaQueries(installation.database), installation.clock.now()
        before, quarantined_before = due_before(now, resolved.settings.media)
        async with installation.database.snapshot() as connection:
            orphans = await MediaFiles(connection).count_orphans(before, quarantined_before)
        if not options.dry_run:
            await installation.forget_orphans(before, quarantined_before)
        found, size = 0, 0
        async with app.opened_blobs(resolved.settings) as blobs:
            try:
                async for blob in strays(blobs, installation.sealer.key_id, queries, now):
                    found, size = found + 1, size + blob.size
                    if not options.dry_run:
                        await blobs.remove(blob.key)
            except BlobError as trouble:
                raise CommandFailed(f"the store of blobs is unavailable: {trouble}") from None
        return Waste(orphans, MediaUsage(found, size))

    waste = at_installation(resolved, collect, writes=not options.dry_run)
    verb = "would be removed" if options.dry_run else "removed"
    print(f"{_said(waste.orphans)} that nobody attached, or in quarantine for long enough, {verb}")
    print(f"{_said(waste.strays)} without a record {verb}")
    if waste.orphans.files and not options.dry_run:
        print("a running server removes the bytes of the former within a second or so; else the next one to start")
    return 0


def _require_schema(installation: app.Installation) -> None:
    if installation.plan():
        raise CommandFailed("the database is out of date; `tertulia migrate` brings it up to date")


def _said(usage: MediaUsage) -> str:
    return f"{usage.files} {'file' if usage.files == 1 else 'files'} ({usage.size} bytes)"
