"""Reads of files: who may see which (semantics 4.8, client-commands 4.10).

Account holders see those of their services. A user sees what he has uploaded and not yet attached, and the files of
messages that he can read; nobody sees what is in quarantine. What one may not see is not there.
"""

from __future__ import annotations

from collections.abc import Sequence

from tertulia.server.domain.callers import Caller
from tertulia.server.domain.errors import MEDIA_UNKNOWN, RESOURCE_NOT_FOUND
from tertulia.server.domain.media import Media
from tertulia.server.storage.database import Database
from tertulia.server.storage.media import MediaFiles, MediaUsage

from .visible import visible_service


class MediaQueries:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def file(self, caller: Caller, service_sid: str, sid: str) -> Media:
        """One that the caller may see; else 50507."""
        found = (await self.files(caller, service_sid, (sid,))).get(sid)
        if found is None:
            raise MEDIA_UNKNOWN()
        return found

    async def files(self, caller: Caller, service_sid: str, sids: Sequence[str]) -> dict[str, Media]:
        """Those of them that the caller may see, by SID. Two statements at most, however many."""
        async with self._database.snapshot() as connection:
            media = MediaFiles(connection)
            found = await media.find_many(service_sid, sids)
            known = {
                sid: one
                for sid, one in found.items()
                if one.account_sid == caller.account_sid and one.quarantined_at is None
            }
            if not caller.is_identity:
                return known
            return await _seen(media, caller, service_sid, known)

    async def linked(self, account_sid: str, service_sid: str, sid: str) -> Media:
        """The file that one of our signed URLs is about; 50507 when it is gone, or in quarantine."""
        async with self._database.snapshot() as connection:
            media = await MediaFiles(connection).find(service_sid, sid)
        if media is None or media.account_sid != account_sid or media.quarantined_at is not None:
            raise MEDIA_UNKNOWN()
        return media

    async def usage(self, caller: Caller, service_sid: str) -> MediaUsage:
        """What a service of the caller's account has; 20404 when there is none of this SID, or it is not his."""
        if caller.is_identity and caller.service_sid != service_sid:
            raise RESOURCE_NOT_FOUND()
        async with self._database.snapshot() as connection:
            await visible_service(connection, caller, service_sid)
            return await MediaFiles(connection).usage(service_sid)

    async def usage_of_all(self) -> MediaUsage:
        """What there is in all accounts, for the metrics."""
        async with self._database.snapshot() as connection:
            return await MediaFiles(connection).usage_of_all()

    async def known_blobs(self, keys: Sequence[str]) -> frozenset[str]:
        """Those of the keys that belong to a file."""
        async with self._database.snapshot() as connection:
            return await MediaFiles(connection).blobs_known(keys)

    async def account_with_orphans(self, before: int, quarantined_before: int) -> str | None:
        async with self._database.snapshot() as connection:
            return await MediaFiles(connection).account_with_orphans(before, quarantined_before)


async def _seen(media: MediaFiles, caller: Caller, service_sid: str, known: dict[str, Media]) -> dict[str, Media]:
    if caller.service_sid != service_sid or not caller.identity:
        return {}
    rooms = {one.conversation_sid for one in known.values() if one.conversation_sid is not None}
    seen = await media.seen(service_sid, caller.identity, sorted(rooms))
    return {
        sid: one
        for sid, one in known.items()
        if (one.author == caller.identity if one.message_sid is None else one.conversation_sid in seen)
    }
