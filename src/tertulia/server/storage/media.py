"""Media: the records of files; their bytes are among the blobs.

What each service has of them is counted as they come and go, so that a quota costs one row, and the metrics a few.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from tertulia.server.domain.conversations import ConversationState
from tertulia.server.domain.media import Media

from .database import Connection, Row
from .paging import padded, placeholders
from .table import Table

MEDIA = Table(Media, "media")


_ORPHAN = "message_sid IS NULL AND quarantined_at IS NULL AND created_at < ${0}"
_QUARANTINED = "message_sid IS NULL AND quarantined_at IS NOT NULL AND quarantined_at < ${0}"

_SEEN = (
    "SELECT c.sid FROM conversations AS c JOIN participants AS p ON p.conversation_sid = c.sid AND p.identity = $2"
    f" WHERE c.service_sid = $1 AND c.state IN ('{ConversationState.ACTIVE}', '{ConversationState.INACTIVE}')"
    " AND EXISTS (SELECT 1 FROM users AS u WHERE u.sid = p.user_sid)"
    " AND EXISTS (SELECT 1 FROM services AS s WHERE s.sid = c.service_sid) AND c.sid IN ({})"
)


class MediaUsage(msgspec.Struct, frozen=True):
    """What there is: files, and their bytes."""

    files: int
    size: int


class MediaFiles:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, service_sid: str, sid: str) -> Media | None:
        """A file of the service, attached or not."""
        media = await MEDIA.get(self._connection, sid)
        return media if media is not None and media.service_sid == service_sid else None

    async def find_many(self, service_sid: str, sids: Sequence[str]) -> dict[str, Media]:
        """Those of the service that there are, by SID. One statement; none for none."""
        if not sids:
            return {}
        rows = await self._connection.rows(
            f"SELECT {MEDIA.columns} FROM media WHERE sid IN ({placeholders(len(sids), first=2)}) AND service_sid = $1",
            service_sid,
            *padded(sids),
        )
        return {media.sid: media for media in MEDIA.entities(rows)}

    async def seen(self, service_sid: str, identity: str, conversation_sids: Sequence[str]) -> frozenset[str]:
        """Those of the conversations that this user sees: he takes part, and they are not closed (semantics 2.4)."""
        if not conversation_sids:
            return frozenset()
        sql = _SEEN.format(placeholders(len(conversation_sids), first=3))
        rows = await self._connection.rows(sql, service_sid, identity, *padded(conversation_sids))
        return frozenset(row[0] for row in rows)

    async def add(self, media: Media) -> None:
        await MEDIA.add(self._connection, media)
        await self._count((media,), 1)

    async def add_many(self, media: Sequence[Media]) -> None:
        """A statement, and one per service; none for none."""
        if media:
            await MEDIA.add_many(self._connection, media)
            await self._count(media, 1)

    async def remove(self, media: Media) -> bool:
        """Whether it was there still."""
        is_gone = await MEDIA.remove(self._connection, media.sid)
        if is_gone:
            await self._count((media,), -1)
        return is_gone

    async def remove_many(self, media: Sequence[Media]) -> list[Media]:
        """Those of them that were there still, and belonged to no message."""
        if not media:
            return []
        rows = await self._connection.rows(
            f"DELETE FROM media WHERE sid IN ({placeholders(len(media), first=1)}) AND message_sid IS NULL"
            f" RETURNING {MEDIA.columns}",
            *padded([one.sid for one in media]),
        )
        return await self._removed(rows)

    # --- of messages

    async def attach_many(self, sids: Sequence[str], conversation_sid: str, message_sid: str, now: int) -> int:
        """These files belong to the message; how many it were that belonged to none before. One statement.

        Fewer than there are ``sids``: somebody else was quicker, and the caller's transaction must not commit.
        """
        if not sids:
            return 0
        return await self._connection.execute(
            "UPDATE media SET conversation_sid = $1, message_sid = $2, updated_at = $3"
            f" WHERE sid IN ({placeholders(len(sids), first=4)}) AND message_sid IS NULL",
            conversation_sid,
            message_sid,
            now,
            *padded(sids),
        )

    async def of_message(self, message_sid: str) -> list[Media]:
        """All files of a message, by age of the upload; the order in the message is that of its ``media``."""
        rows = await self._connection.rows(
            f"SELECT {MEDIA.columns} FROM media WHERE message_sid = $1 ORDER BY sid", message_sid
        )
        return MEDIA.entities(rows)

    async def remove_of_message(self, message_sid: str) -> list[Media]:
        """There are no files of the message any more; what they were, so that their blobs can be removed."""
        rows = await self._connection.rows(
            f"DELETE FROM media WHERE message_sid = $1 RETURNING {MEDIA.columns}", message_sid
        )
        return await self._removed(rows)

    async def remove_of_messages(self, message_sids: Sequence[str]) -> list[Media]:
        """As ``remove_of_message``, of many. One statement; none for none."""
        if not message_sids:
            return []
        rows = await self._connection.rows(
            f"DELETE FROM media WHERE message_sid IN ({placeholders(len(message_sids), first=1)})"
            f" RETURNING {MEDIA.columns}",
            *padded(message_sids),
        )
        return await self._removed(rows)

    async def remove_of_conversation(self, conversation_sid: str, most: int) -> list[Media]:
        """Remove at most so many files of a conversation; what they were. Fewer than ``most``: none is left."""
        return await self._remove_some("conversation_sid = $1", conversation_sid, most)

    async def remove_of_service(self, service_sid: str, most: int) -> list[Media]:
        """Likewise of a service, attached or not."""
        return await self._remove_some("service_sid = $1", service_sid, most)

    async def _remove_some(self, where: str, value: str, most: int) -> list[Media]:
        rows = await self._connection.rows(
            f"DELETE FROM media WHERE sid IN (SELECT sid FROM media WHERE {where} ORDER BY sid LIMIT $2)"
            f" RETURNING {MEDIA.columns}",
            value,
            most,
        )
        return await self._removed(rows)

    async def _removed(self, rows: Sequence[Row]) -> list[Media]:
        removed = MEDIA.entities(rows)
        await self._count(removed, -1)
        return removed

    # --- counting

    async def usage(self, service_sid: str) -> MediaUsage:
        """What the service has, attached or not."""
        row = await self._connection.row("SELECT files, size FROM media_usage WHERE service_sid = $1", service_sid)
        return MediaUsage(*row) if row else MediaUsage(0, 0)

    async def usage_of_all(self) -> MediaUsage:
        """What there is in all services."""
        row = await self._connection.row("SELECT coalesce(sum(files), 0), coalesce(sum(size), 0) FROM media_usage")
        return MediaUsage(int(row[0]), int(row[1])) if row else MediaUsage(0, 0)

    async def usages(self) -> list[tuple[str, str, MediaUsage]]:
        """Account, service, and what it has, of every service that there is; for the operator."""
        rows = await self._connection.rows(
            "SELECT s.account_sid, s.sid, coalesce(u.files, 0), coalesce(u.size, 0) FROM services AS s"
            " LEFT JOIN media_usage AS u ON u.service_sid = s.sid ORDER BY s.account_sid, s.sid"
        )
        return [(account, service, MediaUsage(files, size)) for account, service, files, size in rows]

    async def _count(self, media: Iterable[Media], sign: int) -> None:
        of_services: defaultdict[str, list[Media]] = defaultdict(list)
        for one in media:
            of_services[one.service_sid].append(one)
        for service_sid in sorted(of_services):
            found = of_services[service_sid]
            await self._connection.execute(
                "INSERT INTO media_usage (service_sid, files, size) VALUES ($1, $2, $3) ON CONFLICT (service_sid)"
                " DO UPDATE SET files = media_usage.files + excluded.files, size = media_usage.size + excluded.size",
                service_sid,
                sign * len(found),
                sign * sum(one.size for one in found),
            )

    # --- housekeeping

    async def orphans(self, account_sid: str, before: int, quarantined_before: int, most: int) -> list[Media]:
        """Files of the account that belong to no message and were uploaded, or put into quarantine, before then."""
        found: list[Media] = []
        for where, value in ((_ORPHAN, before), (_QUARANTINED, quarantined_before)):
            if len(found) < most:
                rows = await self._connection.rows(
                    f"SELECT {MEDIA.columns} FROM media WHERE {where.format(1)} AND account_sid = $2 LIMIT $3",
                    value,
                    account_sid,
                    most - len(found),
                )
                found += MEDIA.entities(rows)
        return found

    async def account_with_orphans(self, before: int, quarantined_before: int) -> str | None:
        """An account that has some."""
        for where, value in ((_ORPHAN, before), (_QUARANTINED, quarantined_before)):
            sid: str | None = await self._connection.value(
                f"SELECT account_sid FROM media WHERE {where.format(1)} LIMIT 1", value
            )
            if sid is not None:
                return sid
        return None

    async def count_orphans(self, before: int, quarantined_before: int) -> MediaUsage:
        """All of them, in every account; for the operator."""
        row = await self._connection.row(
            "SELECT count(*), coalesce(sum(size), 0) FROM media"
            f" WHERE ({_ORPHAN.format(1)}) OR ({_QUARANTINED.format(2)})",
            before,
            quarantined_before,
        )
        return MediaUsage(int(row[0]), int(row[1])) if row else MediaUsage(0, 0)

    async def blobs_known(self, keys: Sequence[str]) -> frozenset[str]:
        """Those of the keys that a file has its bytes under."""
        if not keys:
            return frozenset()
        rows = await self._connection.rows(
            f"SELECT blob FROM media WHERE blob IN ({placeholders(len(keys), first=1)})", *padded(keys)
        )
        return frozenset(row[0] for row in rows)
