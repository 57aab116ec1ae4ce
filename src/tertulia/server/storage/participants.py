"""Participants, as members of a conversation."""

from __future__ import annotations

from tertulia.server.domain.addresses import GroupMember, MessagingBinding, canonical
from tertulia.server.domain.conversations import Conversation, ListedMember
from tertulia.server.domain.participants import Participant
from tertulia.wire.sids import is_sid

from .database import Connection
from .paging import Page, padded, page, placeholders
from .table import Table

PARTICIPANTS = Table(Participant, "participants")

_SEAT = (
    f"SELECT {PARTICIPANTS.qualified('p')}, coalesce(c.permissions, ''), coalesce(s.permissions, '')"
    " FROM participants AS p"
    " JOIN users AS u ON u.sid = p.user_sid"
    " LEFT JOIN roles AS c ON c.sid = p.role_sid"
    " LEFT JOIN roles AS s ON s.sid = u.role_sid"
    " WHERE p.conversation_sid = $1 AND p.identity = $2"
)


class Participants:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, conversation_sid: str, key: str) -> Participant | None:
        """By SID or identity. An identity never looks like a participant SID."""
        column = "sid" if is_sid(key, "MB") else "identity"
        row = await self._connection.row(
            f"SELECT {PARTICIPANTS.columns} FROM participants WHERE conversation_sid = $1 AND {column} = $2",
            conversation_sid,
            key,
        )
        return PARTICIPANTS.entity(row) if row else None

    async def member(self, conversation_sid: str, identity: str) -> Participant | None:
        """The participant of a user there is: one who was deleted is none any more, though his rows go in steps."""
        row = await self._connection.row(
            f"SELECT {PARTICIPANTS.columns} FROM participants WHERE conversation_sid = $1 AND identity = $2"
            " AND EXISTS (SELECT 1 FROM users AS u WHERE u.sid = participants.user_sid)",
            conversation_sid,
            identity,
        )
        return PARTICIPANTS.entity(row) if row else None

    async def seat(self, conversation_sid: str, identity: str) -> tuple[Participant, str] | None:
        """A user's participant, with the names of every permission his two roles grant (semantics 2.1)."""
        row = await self._connection.row(_SEAT, conversation_sid, identity)
        if row is None:
            return None
        return PARTICIPANTS.entity(row[:-2]), f"{row[-2]} {row[-1]}"

    async def authored(self, conversation: Conversation, author: str) -> str | None:
        """SID of the participant whose identity or address an author's name is (rest 6). Three look-ups, no scan."""
        sid: str | None = await self._connection.value(
            "SELECT sid FROM participants WHERE conversation_sid = $1 AND identity = $2"
            " UNION ALL SELECT sid FROM participants WHERE service_sid = $3 AND address = $4 AND conversation_sid = $1"
            " UNION ALL SELECT sid FROM participants"
            " WHERE service_sid = $3 AND projected_address = $4 AND conversation_sid = $1 LIMIT 1",
            conversation.sid,
            author,
            conversation.service_sid,
            canonical(author),
        )
        return sid

    async def speaker(self, conversation: Conversation, address: str, proxy_address: str) -> str | None:
        """SID of the participant who has this address: the one who talks over ours, where there are two of it."""
        sid: str | None = await self._connection.value(
            "SELECT sid FROM participants WHERE service_sid = $1 AND address = $2 AND conversation_sid = $3"
            " ORDER BY CASE WHEN proxy_address = $4 THEN 0 ELSE 1 END, sid LIMIT 1",
            conversation.service_sid,
            address,
            conversation.sid,
            proxy_address,
        )
        return sid

    async def add(self, participant: Participant) -> None:
        await PARTICIPANTS.add(self._connection, participant)

    async def save(self, participant: Participant, before: Participant) -> None:
        """Write what differs from ``before``."""
        await PARTICIPANTS.save(self._connection, participant, before)

    async def remove(self, participant: Participant) -> None:
        await PARTICIPANTS.remove(self._connection, participant.sid)

    async def holder_of_pair(self, account_sid: str, address: str, proxy_address: str) -> str | None:
        """The open conversation of the account in which this pair of addresses talks (semantics 4.2).

        Where its service is gone, the pair is free from now on.
        """
        row = await self._connection.row(
            "SELECT conversation_sid, sid, EXISTS (SELECT 1 FROM services AS s WHERE s.sid = participants.service_sid)"
            " FROM participants"
            " WHERE account_sid = $1 AND address = $2 AND proxy_address = $3 AND holds_pair = 1",
            account_sid,
            address,
            proxy_address,
        )
        if row is None:
            return None
        conversation_sid: str = row[0]
        if row[2]:
            return conversation_sid
        await self._connection.execute("UPDATE participants SET holds_pair = NULL WHERE sid = $1", row[1])
        return None

    async def on_channels(self, conversation_sid: str) -> int:
        """How many participants are there without an identity."""
        return int(
            await self._connection.value(
                "SELECT count(*) FROM participants WHERE conversation_sid = $1 AND identity IS NULL", conversation_sid
            )
        )

    async def with_address(self, conversation_sid: str, sids: tuple[str, ...]) -> set[str]:
        """Which of these participants are reached by an address: somebody on a channel, not a user."""
        if not sids:
            return set()
        rows = await self._connection.rows(
            "SELECT sid FROM participants WHERE conversation_sid = $1 AND address IS NOT NULL AND identity IS NULL"
            f" AND sid IN ({placeholders(len(sids), first=2)})",
            conversation_sid,
            *padded(sids),
        )
        return {sid for (sid,) in rows}

    async def group_members(self, conversation_sid: str) -> list[tuple[str, GroupMember]]:
        """Every participant's SID with what the rules of group texting look at."""
        rows = await self._connection.rows(
            "SELECT sid, identity, address, proxy_address, projected_address"
            " FROM participants WHERE conversation_sid = $1",
            conversation_sid,
        )
        return [(row[0], GroupMember(row[1] is not None, MessagingBinding(*row[2:]))) for row in rows]

    async def page(self, conversation_sid: str, wanted: Page) -> list[Participant]:
        rows = await page(
            self._connection,
            PARTICIPANTS.columns,
            "participants",
            "conversation_sid = $1",
            (conversation_sid,),
            "sid",
            wanted,
        )
        return PARTICIPANTS.entities(rows)

    async def added_after(self, conversation_sid: str, event: int, limit: int) -> list[Participant]:
        """Participants whose roster item was added after ``event``, in order of addition."""
        rows = await self._connection.rows(
            f"SELECT {PARTICIPANTS.columns} FROM participants"
            " WHERE conversation_sid = $1 AND roster_event > $2 AND roster_created > $2"
            " ORDER BY roster_created LIMIT $3",
            conversation_sid,
            event,
            limit,
        )
        return PARTICIPANTS.entities(rows)

    async def changed_after(self, conversation_sid: str, event: int, limit: int) -> list[Participant]:
        """Participants whose roster item changed after ``event``, its addition aside, in order of its number."""
        rows = await self._connection.rows(
            f"SELECT {PARTICIPANTS.columns} FROM participants"
            " WHERE conversation_sid = $1 AND roster_event > $2 AND roster_event > roster_created"
            " ORDER BY roster_event LIMIT $3",
            conversation_sid,
            event,
            limit,
        )
        return PARTICIPANTS.entities(rows)

    async def unlist(self, conversation_sid: str, at: int) -> tuple[ListedMember, ...]:
        """Take the conversation out of every member's conversations map.

        Four statements however many members there are. Leaves a tombstone in each map.
        """
        listed = "SELECT user_sid FROM participants WHERE conversation_sid = $1 AND listed_event IS NOT NULL"
        members = await self._connection.rows(
            f"UPDATE users SET conversations_event = conversations_event + 1 WHERE sid IN ({listed})"
            " RETURNING sid, conversations_event",
            conversation_sid,
        )
        await self._connection.execute(
            "INSERT INTO tombstones (object_sid, event, item_key, created_event, at)"
            " SELECT 'MC' || substr(u.sid, 3), u.conversations_event, p.conversation_sid, p.listed_created, $2"
            " FROM participants AS p JOIN users AS u ON u.sid = p.user_sid"
            " WHERE p.conversation_sid = $1 AND p.listed_event IS NOT NULL",
            conversation_sid,
            at,
        )
        await self._connection.execute(
            "UPDATE participants SET listed_created = NULL, listed_event = NULL WHERE conversation_sid = $1",
            conversation_sid,
        )
        return tuple(ListedMember(sid, event) for sid, event in members)

    async def enlist(self, conversation_sid: str) -> list[Participant]:
        """Put the conversation into the conversations map of each member; its participants, by age.

        Three statements however many members there are.
        """
        await self._connection.execute(
            "UPDATE users SET conversations_event = conversations_event + 1"
            " WHERE sid IN (SELECT user_sid FROM participants WHERE conversation_sid = $1)",
            conversation_sid,
        )
        number = "(SELECT u.conversations_event FROM users AS u WHERE u.sid = participants.user_sid)"
        await self._connection.execute(
            f"UPDATE participants SET listed_created = {number}, listed_event = {number}"
            " WHERE conversation_sid = $1 AND user_sid IS NOT NULL",
            conversation_sid,
        )
        rows = await self._connection.rows(
            f"SELECT {PARTICIPANTS.columns} FROM participants WHERE conversation_sid = $1 ORDER BY sid",
            conversation_sid,
        )
        return PARTICIPANTS.entities(rows)

    async def free_pairs(self, conversation_sid: str) -> None:
        """Let others have the pairs of addresses that this conversation held."""
        await self._connection.execute(
            "UPDATE participants SET holds_pair = NULL WHERE conversation_sid = $1 AND holds_pair = 1", conversation_sid
        )
