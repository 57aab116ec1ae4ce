"""What is looked at when a message goes out: addresses of ours, who does not want to hear from them, who wrote last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from tertulia.server.domain.gateways import Sender
from tertulia.server.domain.mail_threads import Earlier, message_id_of
from tertulia.server.domain.participants import Participant

from .database import Connection
from .gateways import SENDERS
from .paging import padded, placeholders
from .participants import PARTICIPANTS

LOOKED_BACK: Final = 100
"""So many messages before an e-mail are looked at for a subject."""


class Standing(msgspec.Struct, frozen=True):
    """How a participant stands to a channel message that he may get."""

    participant_sid: str
    is_member: bool
    email_level: str | None


class Heard(msgspec.Struct, frozen=True):
    """What we know of a person and an address of ours."""

    is_opted_out: bool = False
    heard_at: int | None = None
    is_ours: bool = False
    """The person's address is a sender of the account."""


class ChannelReads:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def bound(self, conversation_sid: str) -> list[Participant]:
        """The participants who have any address, by age."""
        # The condition is that of an index, word for word: of a thousand members who chat none is looked at.
        rows = await self._connection.rows(
            f"SELECT {PARTICIPANTS.columns} FROM participants WHERE conversation_sid = $1"
            " AND (address IS NOT NULL OR projected_address IS NOT NULL) ORDER BY sid",
            conversation_sid,
        )
        return PARTICIPANTS.entities(rows)

    async def gateways(self, account_sid: str, addresses: Sequence[str]) -> tuple[dict[str, str], bool]:
        """The gateway of each of these addresses that is ours; and whether the account has any. One statement."""
        marks = placeholders(len(addresses), first=2)
        rows = await self._connection.rows(
            f"SELECT address, gateway_sid FROM senders WHERE account_sid = $1 AND address IN ({marks})"
            " UNION ALL SELECT NULL, NULL WHERE EXISTS (SELECT 1 FROM senders WHERE account_sid = $1)",
            account_sid,
            *padded(addresses),
        )
        return {address: gateway for address, gateway in rows if address is not None}, bool(rows)

    async def sender(self, account_sid: str, address: str) -> tuple[Sender | None, bool]:
        """The account's sender of this address; and whether it has any. One statement."""
        row = await self._connection.row(
            f"SELECT {SENDERS.columns} FROM senders WHERE account_sid = $1"
            " ORDER BY CASE WHEN address = $2 THEN 0 ELSE 1 END LIMIT 1",
            account_sid,
            address,
        )
        found = None if row is None else SENDERS.entity(row)
        return (found if found is not None and found.address == address else None), found is not None

    async def standing(self, channel_message_sid: str) -> list[Standing]:
        """Those who have a receipt of it, in the order of its recipients."""
        rows = await self._connection.rows(
            "SELECT r.participant_sid, p.sid IS NOT NULL, p.email_level FROM receipts AS r"
            " LEFT JOIN participants AS p ON p.sid = r.participant_sid"
            " WHERE r.channel_message_sid = $1 ORDER BY r.sid",
            channel_message_sid,
        )
        return [Standing(row[0], bool(row[1]), row[2]) for row in rows]

    async def heard(self, account_sid: str, sender: str, pool: str, addresses: Sequence[str]) -> dict[str, Heard]:
        """Of these people those who have opted out of the pool, have written to the sender, or are senders themselves.

        One statement.
        """
        marks = placeholders(len(addresses), first=4)
        rows = await self._connection.rows(
            "SELECT address, 1, NULL FROM opt_outs WHERE account_sid = $1 AND pool = $2"
            f" AND address IN ({marks})"
            " UNION ALL SELECT address, 0, heard_at FROM last_heard WHERE account_sid = $1 AND sender = $3"
            f" AND address IN ({marks})"
            f" UNION ALL SELECT address, 2, NULL FROM senders WHERE account_sid = $1 AND address IN ({marks})",
            account_sid,
            pool,
            sender,
            *padded(addresses),
        )
        found: dict[str, Heard] = {}
        for address, what, heard_at in rows:
            known = found.get(address, Heard())
            found[address] = Heard(
                known.is_opted_out or what == 1, heard_at if what == 0 else known.heard_at, known.is_ours or what == 2
            )
        return found

    async def earlier(self, conversation_sid: str, index: int) -> list[Earlier]:
        """The messages before this one, the newest first, at most ``LOOKED_BACK``."""
        rows = await self._connection.rows(
            "SELECT m.sid, m.subject, (SELECT a.provider_id FROM arrivals AS a WHERE a.message_sid = m.sid"
            " AND a.sender LIKE '%@%' LIMIT 1) FROM messages AS m"
            ' WHERE m.conversation_sid = $1 AND m."index" < $2 ORDER BY m."index" DESC LIMIT $3',
            conversation_sid,
            index,
            LOOKED_BACK,
        )
        return [Earlier(sid, subject, message_id_of(provider_id)) for sid, subject, provider_id in rows]
