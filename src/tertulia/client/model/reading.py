"""Reading the messages of a conversation: by page, by place, one by one (object-model D.4)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Literal

from tertulia.client.errors import InvalidArgumentError
from tertulia.client.paging import Page

from .part import ConversationPart

if TYPE_CHECKING:
    from tertulia.client.receipts import RecipientDescriptor

    from .message import Message

LARGEST_PAGE = 100
"""What the server gives at a time."""

Order = Literal["asc", "desc"]


class Reading(ConversationPart):
    """The reading half of a conversation. Only what is asked for is fetched; what was fetched stays live."""

    __slots__ = ()

    async def messages(
        self,
        limit: int | None = None,
        *,
        before: int | None = None,
        after: int | None = None,
        page_size: int = 30,
        newest_first: bool = True,
    ) -> AsyncGenerator[Message, None]:
        """Messages one by one, fetched in pages as they are needed.

        ``before`` and ``after`` are indices that do not count themselves; with ``newest_first`` it begins at the
        newest, or below ``before``.
        """
        order: Order = "desc" if newest_first else "asc"
        start = before if newest_first else after
        if start is not None:
            start += -1 if newest_first else 1
        end = after if newest_first else before
        if limit is not None and limit < 1:
            return
        page = await self._page(start, order, min(page_size, limit or page_size))
        count = 0
        async for message in page:
            if end is not None and (message.index <= end if newest_first else message.index >= end):
                return
            yield message
            count += 1
            if count == limit:
                return

    async def messages_page(
        self, page_size: int = 30, *, anchor: int | None = None, newest_first: bool = True
    ) -> Page[Message]:
        """A page of messages that begins at ``anchor`` (included), or at the newest or oldest.

        ``page_size`` is 1 to 100. ``next()`` goes on in the same direction.
        """
        return await self._page(anchor, "desc" if newest_first else "asc", page_size)

    async def last_messages(self, count: int) -> list[Message]:
        """The newest messages, oldest of them first."""
        return [message async for message in self.messages(count, page_size=min(count, LARGEST_PAGE) or 1)][::-1]

    async def messages_before(self, index: int, count: int) -> list[Message]:
        """Messages up to this index, included, oldest first (as the mobile SDKs have it)."""
        page_size = min(count, LARGEST_PAGE) or 1
        return [message async for message in self.messages(count, before=index + 1, page_size=page_size)][::-1]

    async def messages_after(self, index: int, count: int) -> list[Message]:
        """Messages from this index on, included, oldest first."""
        messages = self.messages(count, after=index - 1, page_size=min(count, LARGEST_PAGE) or 1, newest_first=False)
        return [message async for message in messages]

    async def message_by_index(self, index: int) -> Message | None:
        """The message at this place; None when there is none (any more)."""
        known = self._history.by_index.get(index)
        if known is not None:
            return known
        await self.ready()
        copy = self._history.copy
        if copy is None or await self._session.following.item(copy, index) is None:
            return None
        return self._history.by_index.get(index)

    def message_recipients(self, page_size: int = 50) -> AsyncIterator[RecipientDescriptor]:
        """To whom the e-mails of this conversation went; a page has those of so many messages."""
        return self._session.receipts.all_recipients(self.sid, page_size)

    async def _page(self, start: int | None, order: Order, limit: int) -> Page[Message]:
        if not 1 <= limit <= LARGEST_PAGE:
            raise InvalidArgumentError(f"a page has 1 to {LARGEST_PAGE} messages, not {limit}")
        if start is not None and start < 0:
            if order == "desc":
                return Page(())
            start = 0
        await self.ready()
        copy = self._history.copy
        if copy is None:
            raise InvalidArgumentError("only who takes part can read the messages")
        with self._history.holding():
            page = await self._session.following.page(copy, start=start, order=order, limit=limit)
            known = self._history.by_index
            items = [known[int(item.key)] for item in page.items if int(item.key) in known]
        if not page.items:
            return Page(items)
        step = -1 if order == "desc" else 1
        first, last = int(page.items[0].key), int(page.items[-1].key)
        back: Order = "asc" if order == "desc" else "desc"
        return Page(
            items,
            None if page.is_last else lambda: self._page(last + step, order, limit),
            None if page.is_first else lambda: self._before(first - step, back, limit),
        )

    async def _before(self, start: int, back: Order, limit: int) -> Page[Message]:
        """The page on the other side of ``start``, in the order of the pages it precedes."""
        page = await self._page(start, back, limit)
        return Page(page.items[::-1], page._previous, page._next)
