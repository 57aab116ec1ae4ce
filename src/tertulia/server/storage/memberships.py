"""Memberships: participants seen from the user's side, with their conversations."""

from __future__ import annotations

from collections.abc import Sequence

from tertulia.server.domain.conversations import Conversation
from tertulia.server.domain.limits import UNREAD_SHOWN
from tertulia.server.domain.memberships import Membership
from tertulia.server.domain.participants import Participant
from tertulia.wire.sids import is_sid

from .conversations import CONVERSATIONS
from .database import Connection, Row
from .paging import Page, padded, page, placeholders
from .participants import PARTICIPANTS

_P = PARTICIPANTS.qualified("p")
_C = CONVERSATIONS.qualified("c")
_UNREAD = f"""CASE WHEN p.last_read_index IS NULL THEN NULL ELSE (
    SELECT count(*) FROM (SELECT 1 FROM messages AS m
        WHERE m.conversation_sid = p.conversation_sid AND m."index" > p.last_read_index
        LIMIT {UNREAD_SHOWN}) AS unread) END"""
_COLUMNS = f"{_P}, {_C}, {_UNREAD}"
_SOURCE = "participants AS p JOIN conversations AS c ON c.sid = p.conversation_sid"
_WIDTH = PARTICIPANTS.width
_SET_UP = "c.state <> 'initializing'"
"""Who is being let into a conversation is not there yet (semantics 4.6)."""


def _membership(row: Row) -> Membership:
    return Membership(PARTICIPANTS.entity(row[:_WIDTH]), CONVERSATIONS.entity(row[_WIDTH:-1]), row[-1])


class Memberships:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, user_sid: str, conversation: str) -> Membership | None:
        """One conversation of a user, by SID or unique name."""
        column = "c.sid" if is_sid(conversation, "CH") else "c.unique_name"
        row = await self._connection.row(
            f"SELECT {_COLUMNS} FROM {_SOURCE} WHERE p.user_sid = $1 AND {column} = $2 AND {_SET_UP}",
            user_sid,
            conversation,
        )
        return _membership(row) if row else None

    async def page(self, user_sid: str, wanted: Page) -> list[Membership]:
        """A user's conversations, by age of the membership."""
        where = f"p.user_sid = $1 AND {_SET_UP}"
        rows = await page(self._connection, _COLUMNS, _SOURCE, where, (user_sid,), "p.sid", wanted)
        return [_membership(row) for row in rows]

    async def listed(self, user_sid: str, wanted: Page) -> list[tuple[Participant, Conversation]]:
        """The conversations that a user's clients see, by SID: one run of an index, and nothing is counted."""
        where = "p.user_sid = $1 AND p.listed_event IS NOT NULL"
        rows = await page(self._connection, f"{_P}, {_C}", _SOURCE, where, (user_sid,), "p.conversation_sid", wanted)
        return [(PARTICIPANTS.entity(row[:_WIDTH]), CONVERSATIONS.entity(row[_WIDTH:])) for row in rows]

    async def of_address(self, service_sid: str, address: str, wanted: Page) -> list[Membership]:
        """The conversations in which an address takes part."""
        where = f"p.service_sid = $1 AND (p.address = $2 OR p.projected_address = $2) AND {_SET_UP}"
        rows = await page(self._connection, _COLUMNS, _SOURCE, where, (service_sid, address), "p.sid", wanted)
        return [_membership(row) for row in rows]

    async def count_listed(self, user_sid: str) -> int:
        """How many conversations a user is in that are not closed (semantics 5.4)."""
        return int(
            await self._connection.value(
                "SELECT count(*) FROM participants AS p JOIN conversations AS c ON c.sid = p.conversation_sid"
                " WHERE p.user_sid = $1 AND c.state <> 'closed'",
                user_sid,
            )
        )

    async def unread(self, conversation_sid: str, horizon: int) -> int:
        """Messages after ``horizon``, at most 1000."""
        return int(
            await self._connection.value(
                'SELECT count(*) FROM (SELECT 1 FROM messages WHERE conversation_sid = $1 AND "index" > $2'
                f" LIMIT {UNREAD_SHOWN}) AS unread",
                conversation_sid,
                horizon,
            )
        )

    async def added_after(self, user_sid: str, event: int, limit: int) -> list[Participant]:
        """Participants whose item in the user's conversations map was added after ``event``, in order of addition."""
        rows = await self._connection.rows(
            f"SELECT {PARTICIPANTS.columns} FROM participants"
            " WHERE user_sid = $1 AND listed_event > $2 AND listed_created > $2 ORDER BY listed_created LIMIT $3",
            user_sid,
            event,
            limit,
        )
        return PARTICIPANTS.entities(rows)

    async def changed_after(self, user_sid: str, event: int, limit: int) -> list[Participant]:
        """Participants whose item there changed after ``event``, its addition aside, in order of its number."""
        rows = await self._connection.rows(
            f"SELECT {PARTICIPANTS.columns} FROM participants"
            " WHERE user_sid = $1 AND listed_event > $2 AND listed_event > listed_created"
            " ORDER BY listed_event LIMIT $3",
            user_sid,
            event,
            limit,
        )
        return PARTICIPANTS.entities(rows)

    async def items(self, user_sid: str, wanted: Page) -> list[Participant]:
        """Items of the user's conversations map, by conversation SID."""
        rows = await page(
            self._connection,
            PARTICIPANTS.columns,
            "participants",
            "user_sid = $1 AND listed_event IS NOT NULL",
            (user_sid,),
            "conversation_sid",
            wanted,
        )
        return PARTICIPANTS.entities(rows)

    async def of_user(self, user_sid: str, most: int) -> list[Participant]:
        """At most so many of the participants a user is, or was before he was deleted, in order of conversation."""
        rows = await self._connection.rows(
            f"SELECT {PARTICIPANTS.columns} FROM participants WHERE user_sid = $1 ORDER BY conversation_sid LIMIT $2",
            user_sid,
            most,
        )
        return PARTICIPANTS.entities(rows)

    async def visible(
        self, service_sid: str, identity: str, conversation_sids: Sequence[str]
    ) -> dict[str, tuple[Conversation, bool]]:
        """Those conversations of the service, each with whether this identity takes part. One statement."""
        if not conversation_sids:
            return {}
        marks = placeholders(len(conversation_sids), first=3)
        rows = await self._connection.rows(
            f"SELECT {_C}, p.sid IS NOT NULL FROM conversations AS c"
            " LEFT JOIN participants AS p ON p.conversation_sid = c.sid AND p.identity = $2"
            " AND EXISTS (SELECT 1 FROM users AS u WHERE u.sid = p.user_sid)"
            f" WHERE c.service_sid = $1 AND c.sid IN ({marks})"
            " AND EXISTS (SELECT 1 FROM services AS s WHERE s.sid = $1)",
            service_sid,
            identity,
            *padded(conversation_sids),
        )
        return {row[0]: (CONVERSATIONS.entity(row[:-1]), bool(row[-1])) for row in rows}
