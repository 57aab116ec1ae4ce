"""Conversations."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tertulia.server.domain.conversations import Conversation
from tertulia.wire.sids import is_sid

from .database import Connection
from .paging import Page, padded, page, placeholders
from .table import Table

CONVERSATIONS = Table(Conversation, "conversations")

_BENEATH_A_SERVICE = "EXISTS (SELECT 1 FROM services AS s WHERE s.sid = conversations.service_sid)"
"""What was beneath a deleted service is not there any more, though its rows go in steps."""

_IN_SERVICE = f"SELECT {CONVERSATIONS.columns} FROM conversations WHERE {_BENEATH_A_SERVICE} AND service_sid = $1"
_BY_SID = f"{_IN_SERVICE} AND sid = $2"
_BY_NAME = f"{_IN_SERVICE} AND unique_name = $2"
_LOCK_BY_SID = f"{_BY_SID} FOR UPDATE"
_LOCK_BY_NAME = f"{_BY_NAME} FOR UPDATE"


class ConversationFilter(msgspec.Struct, frozen=True):
    """What the list of a service's conversations is narrowed to. Times are inclusive, in microseconds."""

    state: str | None = None
    created_from: int | None = None
    created_to: int | None = None

    @property
    def by_date(self) -> bool:
        return self.created_from is not None or self.created_to is not None


class Conversations:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, service_sid: str, key: str, *, lock: bool = False) -> Conversation | None:
        """By SID or unique name. A unique name never looks like a SID."""
        # Whole texts: put together for each message, they would cost more than to be run.
        by_sid, by_name = (_LOCK_BY_SID, _LOCK_BY_NAME) if lock else (_BY_SID, _BY_NAME)
        sql = by_sid if is_sid(key, "CH") else by_name
        row = await self._connection.row(sql, service_sid, key)
        return CONVERSATIONS.entity(row) if row else None

    async def get(self, sid: str, *, lock: bool = False) -> Conversation | None:
        """By SID, in whichever service."""
        row = await self._connection.row(
            f"SELECT {CONVERSATIONS.columns} FROM conversations WHERE sid = $1 AND {_BENEATH_A_SERVICE}"
            f"{' FOR UPDATE' if lock else ''}",
            sid,
        )
        return CONVERSATIONS.entity(row) if row else None

    async def lock_many(self, sids: Sequence[str]) -> dict[str, Conversation]:
        """Those of these that there are, by SID, locked in the order of their SIDs. One statement."""
        if not sids:
            return {}
        rows = await self._connection.rows(
            f"SELECT {CONVERSATIONS.columns} FROM conversations WHERE sid IN ({placeholders(len(sids), first=1)})"
            f" AND {_BENEATH_A_SERVICE} ORDER BY sid FOR UPDATE",
            *padded(sids),
        )
        return {conversation.sid: conversation for conversation in CONVERSATIONS.entities(rows)}

    async def add(self, conversation: Conversation) -> None:
        await CONVERSATIONS.add(self._connection, conversation)

    async def save(self, conversation: Conversation, before: Conversation) -> None:
        """Write what differs from ``before``."""
        await CONVERSATIONS.save(self._connection, conversation, before)

    async def remove(self, conversation: Conversation) -> None:
        """Delete it with its participants, and so free its names, pairs and set. Its messages remain (``remains``)."""
        await self._connection.execute("DELETE FROM participants WHERE conversation_sid = $1", conversation.sid)
        await CONVERSATIONS.remove(self._connection, conversation.sid)

    async def with_group_key(self, account_sid: str, key: str) -> str | None:
        """The open conversation of the account that is a group text of these numbers.

        Where its service is gone, the set is free from now on.
        """
        row = await self._connection.row(
            f"SELECT sid, {_BENEATH_A_SERVICE} FROM conversations WHERE account_sid = $1 AND group_key = $2",
            account_sid,
            key,
        )
        if row is None:
            return None
        sid: str = row[0]
        if row[1]:
            return sid
        await self._connection.execute("UPDATE conversations SET group_key = NULL WHERE sid = $1", sid)
        return None

    async def page(self, service_sid: str, only: ConversationFilter, wanted: Page) -> list[Conversation]:
        """By age; by date of creation when the filter names one (rest 1.6)."""
        conditions, parameters = ["service_sid = $1"], [service_sid]
        for condition, value in (
            ("state = ", only.state),
            ("created_at >= ", only.created_from),
            ("created_at <= ", only.created_to),
        ):
            if value is not None:
                parameters.append(value)  # type: ignore[arg-type]
                conditions.append(f"{condition}${len(parameters)}")
        rows = await page(
            self._connection,
            CONVERSATIONS.columns,
            "conversations",
            " AND ".join(conditions),
            tuple(parameters),
            "created_at, sid" if only.by_date else "sid",
            wanted,
        )
        return CONVERSATIONS.entities(rows)
