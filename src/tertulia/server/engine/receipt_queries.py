"""Reads of delivery receipts (rest 7.1, client-commands 4.7)."""

from __future__ import annotations

from tertulia.server.domain.callers import Caller
from tertulia.server.domain.errors import CONVERSATION_NOT_FOUND, MESSAGE_NOT_FOUND, RECEIPT_NOT_FOUND
from tertulia.server.domain.receipts import Receipt, ReceiptStatus
from tertulia.server.storage.database import Connection, Database
from tertulia.server.storage.messages import Messages
from tertulia.server.storage.paging import Page
from tertulia.server.storage.participants import Participants
from tertulia.server.storage.receipts import Receipts

from .scenes import take_seat
from .visible import visible_conversation
from .windows import Cut, Window, window


class ReceiptReads:
    """A missing conversation, message or receipt and one the caller may not see are the same ``NotFound``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def one(self, caller: Caller, service_sid: str, conversation: str, message: str, sid: str) -> Receipt:
        """By SID, for account holders, who do not see what is still ``queued``."""
        async with self._database.snapshot() as connection:
            await _require_message(connection, caller, service_sid, conversation, message)
            receipt = await Receipts(connection).find(message, sid)
        if receipt is None or receipt.sid != sid or receipt.status == ReceiptStatus.QUEUED:
            raise RECEIPT_NOT_FOUND()
        return receipt

    async def page(
        self, caller: Caller, service_sid: str, conversation: str, message: str, wanted: Page
    ) -> list[Receipt]:
        """Those of a message by age, for account holders, who do not see what is still ``queued``."""
        async with self._database.snapshot() as connection:
            await _require_message(connection, caller, service_sid, conversation, message)
            return await Receipts(connection).page(message, wanted, with_queued=False)

    async def mine(
        self, caller: Caller, conversation: str, message: str, limit: int, start: Cut[str] | None, *, backward: bool
    ) -> Window[str, Receipt]:
        """Those of a message by age, from ``queued`` on, for who takes part in the conversation.

        Its waiting creator gets 50430. Five statements at most.
        """
        async with self._database.snapshot() as connection:
            await _require_message(connection, caller, caller.service_sid or "", conversation, message)
            receipts = Receipts(connection)

            async def fetch(page: Page) -> list[tuple[str, Receipt]]:
                return [(one.sid, one) for one in await receipts.page(message, page, with_queued=True)]

            return await window(fetch, limit, start, backward=backward)


async def _require_message(
    connection: Connection, caller: Caller, service_sid: str, conversation: str, message: str
) -> None:
    found = await visible_conversation(connection, caller, service_sid, conversation)
    if caller.is_identity and not found.is_listed:
        raise CONVERSATION_NOT_FOUND()
    await take_seat(Participants(connection), caller, found)
    if await Messages(connection).find(found.sid, message) is None:
        raise MESSAGE_NOT_FOUND()
