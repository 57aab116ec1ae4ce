"""Delivery receipts, at most one per message and participant: a message has no more than 50 or so."""

from __future__ import annotations

from collections.abc import Sequence

from tertulia.server.domain.receipts import Receipt, ReceiptStatus
from tertulia.wire.sids import PARTICIPANT, is_sid

from .database import Connection
from .paging import Page, padded, page, placeholders
from .table import Table

RECEIPTS = Table(Receipt, "receipts")


class Receipts:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, message_sid: str, key: str) -> Receipt | None:
        """By its SID or its participant's, of this message."""
        column = "participant_sid" if is_sid(key, PARTICIPANT) else "sid"
        row = await self._connection.row(
            f"SELECT {RECEIPTS.columns} FROM receipts WHERE message_sid = $1 AND {column} = $2", message_sid, key
        )
        return RECEIPTS.entity(row) if row else None

    async def of_message(self, message_sid: str) -> list[Receipt]:
        """All of a message, by age."""
        rows = await self._connection.rows(
            f"SELECT {RECEIPTS.columns} FROM receipts WHERE message_sid = $1 ORDER BY sid", message_sid
        )
        return RECEIPTS.entities(rows)

    async def page(self, message_sid: str, wanted: Page, *, with_queued: bool) -> list[Receipt]:
        """Of one message, by age; what is still ``queued`` only on demand."""
        where = "message_sid = $1" if with_queued else f"message_sid = $1 AND status <> '{ReceiptStatus.QUEUED}'"
        rows = await page(self._connection, RECEIPTS.columns, "receipts", where, (message_sid,), "sid", wanted)
        return RECEIPTS.entities(rows)

    async def add_many(self, receipts: Sequence[Receipt]) -> None:
        """One statement. Raises ``UniqueViolation`` when a participant has one of the message already."""
        await RECEIPTS.add_many(self._connection, receipts)

    async def save(self, receipt: Receipt, before: Receipt) -> None:
        """Write what differs from ``before``."""
        await RECEIPTS.save(self._connection, receipt, before)

    async def save_many(self, receipts: Sequence[Receipt]) -> None:
        """Write how far each has come; one statement."""
        await self._connection.execute_many(
            "UPDATE receipts SET status = $2, passed = $3, error_code = $4, channel_message_sid = $5, updated_at = $6"
            " WHERE sid = $1",
            [
                (one.sid, one.status, one.passed, one.error_code, one.channel_message_sid, one.updated_at)
                for one in receipts
            ],
        )

    async def remove_of_message(self, message_sid: str) -> None:
        await self._connection.execute("DELETE FROM receipts WHERE message_sid = $1", message_sid)

    async def remove_of_messages(self, message_sids: Sequence[str]) -> None:
        """One statement however many; none for none."""
        if message_sids:
            await self._connection.execute(
                f"DELETE FROM receipts WHERE message_sid IN ({placeholders(len(message_sids), first=1)})",
                *padded(message_sids),
            )

    async def remove_of_conversation(self, conversation_sid: str, most: int) -> int:
        """Remove at most so many receipts of a conversation; how many it were. Fewer than ``most``: none is left."""
        return await self._connection.execute(
            "DELETE FROM receipts WHERE sid IN (SELECT sid FROM receipts WHERE conversation_sid = $1 LIMIT $2)",
            conversation_sid,
            most,
        )
