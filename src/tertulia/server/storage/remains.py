"""What is left of things that were deleted: rows that nobody can find any more, removed some at a time.

A deleted conversation leaves its messages and their files, a deleted service everything beneath it. Each method
removes about as much as it is told to, and says how much that was; 0 means that nothing is left. They look for
themselves what is next, so they can be called again at any time, also after a crash.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from tertulia.server.domain.media import Media
from tertulia.server.domain.sync import ObjectKind, object_sid

from .database import Connection
from .media import MediaFiles

_OBJECTS: Final = (ObjectKind.DOCUMENT, ObjectKind.MESSAGES, ObjectKind.ROSTER)
_VISIT: Final = 8
"""What looking after one conversation costs beside its rows, in rows."""


class Gone(msgspec.Struct, frozen=True):
    """What went: the number of rows, and those of files, whose bytes have to go as well."""

    rows: int
    media: Sequence[Media]


class Remains:
    __slots__ = ("_connection", "_media")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._media = MediaFiles(connection)

    async def of_conversation(self, sid: str, most: int) -> Gone:
        """Messages, files, receipts, channel messages and tombstones of a conversation that is gone."""
        media: list[Media] = []
        gone = await self._connection.execute(
            'DELETE FROM messages WHERE conversation_sid = $1 AND "index" IN'
            ' (SELECT "index" FROM messages WHERE conversation_sid = $1 ORDER BY "index" LIMIT $2)',
            sid,
            most,
        )
        if gone < most:
            media = await self._media.remove_of_conversation(sid, most - gone)
            gone += len(media)
        if gone < most:
            gone += await self._some("receipts", "conversation_sid = $1", sid, most - gone)
        if gone < most:
            gone += await self._some_of_channels(sid, most - gone)
        for kind in _OBJECTS:
            if gone < most:
                gone += await self._connection.execute(
                    "DELETE FROM tombstones WHERE object_sid = $1 AND event IN"
                    " (SELECT event FROM tombstones WHERE object_sid = $1 LIMIT $2)",
                    object_sid(kind, sid),
                    most - gone,
                )
        return Gone(gone, media)

    async def of_service(self, sid: str, most: int) -> Gone:
        """Everything beneath a service that is gone. What others may want comes first: pairs, sets of numbers."""
        media: list[Media] = []
        gone = await self._some("participants", "service_sid = $1 AND holds_pair = 1", sid, most)
        if gone < most:
            gone += await self._connection.execute(
                "UPDATE conversations SET group_key = NULL WHERE sid IN"
                " (SELECT sid FROM conversations WHERE service_sid = $1 AND group_key IS NOT NULL LIMIT $2)",
                sid,
                most - gone,
            )
        while gone < most:
            conversation = await self._connection.value(
                "SELECT sid FROM conversations WHERE service_sid = $1 ORDER BY sid LIMIT 1", sid
            )
            if conversation is None:
                break
            of_it = await self.of_conversation(conversation, most - gone)
            gone += _VISIT + of_it.rows
            media += of_it.media
            if gone < most:
                gone += await self._some("participants", "conversation_sid = $1", conversation, most - gone)
            if gone < most:
                await self._connection.execute("DELETE FROM scoped_webhooks WHERE conversation_sid = $1", conversation)
                await self._connection.execute("DELETE FROM conversations WHERE sid = $1", conversation)
        if gone < most:
            uploads = await self._media.remove_of_service(sid, most - gone)
            gone += len(uploads)
            media += uploads
        for table in ("participants", "users", "push_registrations"):
            if gone < most:
                gone += await self._some(table, "service_sid = $1", sid, most - gone)
        return Gone(gone, media)

    async def _some_of_channels(self, conversation_sid: str, most: int) -> int:
        some = "SELECT sid FROM channel_messages WHERE conversation_sid = $1 ORDER BY sid LIMIT $2"
        gone = await self._connection.execute(
            f"DELETE FROM handles WHERE channel_message_sid IN ({some})", conversation_sid, most
        )
        return gone + await self._connection.execute(
            f"DELETE FROM channel_messages WHERE sid IN ({some})", conversation_sid, most
        )

    async def _some(self, table: str, where: str, value: str, most: int) -> int:
        return await self._connection.execute(
            f"DELETE FROM {table} WHERE sid IN (SELECT sid FROM {table} WHERE {where} LIMIT $2)", value, most
        )
