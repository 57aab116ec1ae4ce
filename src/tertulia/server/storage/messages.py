"""Messages."""

from __future__ import annotations

from tertulia.server.domain.messages import Message

from .database import Connection
from .paging import Page, page
from .table import Table

MESSAGES = Table(Message, "messages", key=("conversation_sid", "index"))


class Messages:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, conversation_sid: str, sid: str) -> Message | None:
        """By SID, in this conversation."""
        row = await self._connection.row(
            f"SELECT {MESSAGES.columns} FROM messages WHERE sid = $1 AND conversation_sid = $2", sid, conversation_sid
        )
        return MESSAGES.entity(row) if row else None

    async def at(self, conversation_sid: str, index: int) -> Message | None:
        return await MESSAGES.get(self._connection, conversation_sid, index)

    async def newest(self, conversation_sid: str) -> Message | None:
        """The newest message that exists."""
        row = await self._connection.row(
            f'SELECT {MESSAGES.columns} FROM messages WHERE conversation_sid = $1 ORDER BY "index" DESC LIMIT 1',
            conversation_sid,
        )
        return MESSAGES.entity(row) if row else None

    async def following(self, conversation_sid: str, index: int, upto: int) -> Message | None:
        """The first message that exists after ``index`` and not after ``upto``."""
        row = await self._connection.row(
            f'SELECT {MESSAGES.columns} FROM messages WHERE conversation_sid = $1 AND "index" > $2 AND "index" <= $3'
            ' ORDER BY "index" LIMIT 1',
            conversation_sid,
            index,
            upto,
        )
        return MESSAGES.entity(row) if row else None

    async def add(self, message: Message) -> None:
        await MESSAGES.add(self._connection, message)

    async def save(self, message: Message, before: Message) -> None:
        """Write what differs from ``before``."""
        await MESSAGES.save(self._connection, message, before)

    async def remove(self, message: Message) -> None:
        await MESSAGES.remove(self._connection, message.conversation_sid, message.index)

    async def oldest(self, conversation_sid: str, limit: int) -> list[Message]:
        """The first messages that exist, by index."""
        return await self.page(conversation_sid, Page(limit))

    async def remove_up_to(self, conversation_sid: str, index: int) -> None:
        """Remove every message up to this index."""
        await self._connection.execute(
            'DELETE FROM messages WHERE conversation_sid = $1 AND "index" <= $2', conversation_sid, index
        )

    async def page(self, conversation_sid: str, wanted: Page) -> list[Message]:
        """By index."""
        rows = await page(
            self._connection,
            MESSAGES.columns,
            "messages",
            "conversation_sid = $1",
            (conversation_sid,),
            '"index"',
            wanted,
        )
        return MESSAGES.entities(rows)

    async def added_after(self, conversation_sid: str, event: int, above: int, limit: int) -> list[Message]:
        """Messages that were added after ``event``, in order. All of them have an index over ``above``.

        Giving that bound makes this one run of the tree, without an index of its own.
        """
        rows = await self._connection.rows(
            f"SELECT {MESSAGES.columns} FROM messages"
            ' WHERE conversation_sid = $1 AND "index" > $2 AND created_event > $3 ORDER BY "index" LIMIT $4',
            conversation_sid,
            above,
            event,
            limit,
        )
        return MESSAGES.entities(rows)

    async def edited_after(self, conversation_sid: str, event: int, limit: int) -> list[Message]:
        """Messages that were edited after ``event``, in order of the edit's number."""
        rows = await self._connection.rows(
            f"SELECT {MESSAGES.columns} FROM messages"
            " WHERE conversation_sid = $1 AND event > $2 AND event > created_event ORDER BY event LIMIT $3",
            conversation_sid,
            event,
            limit,
        )
        return MESSAGES.entities(rows)
