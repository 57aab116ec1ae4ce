"""Which conversations somebody outside may write to: by a group, a pair of addresses, or a mailbox."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tertulia.server.domain.conversations import ConversationState

from .database import Connection
from .paging import padded, placeholders

_THERE = "EXISTS (SELECT 1 FROM services AS s WHERE s.sid = {}.service_sid)"
"""What was beneath a deleted service is not there any more, though its rows go in steps."""
_OPEN = f"c.state <> '{ConversationState.CLOSED}'"


class Place(msgspec.Struct, frozen=True):
    """A conversation that somebody takes part in."""

    service_sid: str
    conversation_sid: str
    is_echo: bool = False
    """A number of ours wrote it to the group itself, and the carrier has brought it to another one of ours."""


class Places:
    """Reads of one account."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def of_group(self, account_sid: str, group_key: str, sender: str) -> Place | None:
        """The group text of exactly these numbers; who writes to it and is no person in it is a number of ours."""
        row = await self._connection.row(
            "SELECT service_sid, sid, NOT EXISTS (SELECT 1 FROM participants AS p"
            " WHERE p.conversation_sid = conversations.sid AND p.address = $3)"
            " FROM conversations WHERE account_sid = $1 AND group_key = $2"
            f" AND {_THERE.format('conversations')}",
            account_sid,
            group_key,
            sender,
        )
        return Place(row[0], row[1], is_echo=bool(row[2])) if row else None

    async def of_pair(self, account_sid: str, address: str, proxy_address: str) -> Place | None:
        """The open conversation where this person talks over this address of ours."""
        row = await self._connection.row(
            "SELECT p.service_sid, p.conversation_sid FROM participants AS p"
            " WHERE p.account_sid = $1 AND p.address = $2 AND p.proxy_address = $3 AND p.holds_pair = 1"
            f" AND {_THERE.format('p')}",
            account_sid,
            address,
            proxy_address,
        )
        return Place(*row) if row else None

    async def of_mailbox(self, account_sid: str, address: str, mailbox: str) -> Place | None:
        """The newest open conversation that has the mailbox for itself, and the person without an address of ours."""
        row = await self._connection.row(
            "SELECT c.service_sid, c.sid FROM participants AS p JOIN conversations AS c ON c.sid = p.conversation_sid"
            " WHERE p.service_sid IN (SELECT sid FROM services WHERE account_sid = $1) AND p.address = $2"
            f" AND p.proxy_address IS NULL AND c.email_address = $3 AND {_OPEN} ORDER BY c.sid DESC LIMIT 1",
            account_sid,
            address,
            mailbox,
        )
        return Place(*row) if row else None

    async def of_messages(self, account_sid: str, message_sids: Sequence[str]) -> dict[str, str]:
        """The conversations of those messages that there are, by the message's SID. One statement; none for none."""
        if not message_sids:
            return {}
        rows = await self._connection.rows(
            "SELECT sid, conversation_sid FROM messages WHERE account_sid = $1"
            f" AND sid IN ({placeholders(len(message_sids), first=2)})",
            account_sid,
            *padded(message_sids),
        )
        return {sid: conversation_sid for sid, conversation_sid in rows}

    async def among(self, account_sid: str, address: str, conversation_sids: Sequence[str]) -> dict[str, Place]:
        """Those of the conversations that are open and have a participant of this address. One statement at most."""
        if not conversation_sids:
            return {}
        rows = await self._connection.rows(
            "SELECT c.service_sid, c.sid FROM conversations AS c JOIN participants AS p ON p.conversation_sid = c.sid"
            f" AND p.address = $2 WHERE c.account_sid = $1 AND {_OPEN} AND {_THERE.format('c')}"
            f" AND c.sid IN ({placeholders(len(conversation_sids), first=3)})",
            account_sid,
            address,
            *padded(conversation_sids),
        )
        return {row[1]: Place(*row) for row in rows}
