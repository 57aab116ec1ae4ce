"""Reading the messages of a conversation: by page, by place, one by one (object-model D.4)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Literal

from tertulia.client import arguments
from tertulia.client.errors import InvalidArgumentError
from tertulia.client.paging import Page

from .part import JOIN_FIRST, ConversationPart

if TYPE_CHECKING:
    from tertulia.client.receipts import RecipientDescriptor

    from .message import Message

LARGEST_PAGE = 100
"""What the server gives at a time."""

Order = Literal["asc", "desc"]


class Reading(ConversationPart):
    """The reading half of a conversation. Only what is asked for is fetched; what was fetched stays live.

    ``before`` and ``after`` are bounds, and never among what comes. ``anchor`` is where one begins, and comes first.
    Who walks (``messages``, ``messages_page``) begins at the newest and goes back, unless ``newest_first`` is False. A
    list (``last_messages``, ``messages_before``, ``messages_after``) stands oldest first, as it is shown.
    """

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
        """Messages one by one, newest first, fetched in pages as they are needed.

        Those with an index below ``before`` and above ``after``, neither of them included; ``limit`` of them at most.
        ``newest_first=False`` begins at the oldest of these.
        """
        bounds = (("before", before), ("after", after), ("limit", limit))
        for name, bound in bounds:
            if bound is not None:
                arguments.number(bound, name, 0 if name == "limit" else -1)
        arguments.number(page_size, "page_size", 1, LARGEST_PAGE)
        order: Order = "desc" if newest_first else "asc"
        start = before if newest_first else after
        if start is not None:
            start += -1 if newest_first else 1
        end = after if newest_first else before
        if limit == 0:
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
        """A page of messages, newest first, that begins at the newest, or with ``anchor``, which is included.

        Where that message was removed, it begins with the next one. ``next()`` goes on in the same direction,
        ``previous()`` the other way, also beyond ``anchor``. ``newest_first=False`` goes from the oldest to the newest.
        ``page_size`` is 1 to 100.
        """
        if anchor is not None:
            arguments.number(anchor, "anchor", -1)
        return await self._page(anchor, "desc" if newest_first else "asc", page_size)

    async def last_messages(self, count: int) -> list[Message]:
        """The newest messages, oldest first; fewer than ``count`` when there are no more."""
        return await self._older(count, None)

    async def messages_before(self, index: int, count: int) -> list[Message]:
        """The messages right before this index, which is not included, oldest first."""
        return await self._older(count, arguments.number(index, "an index", 0))

    async def messages_after(self, index: int, count: int) -> list[Message]:
        """The messages right after this index, which is not included, oldest first."""
        arguments.number(index, "an index", -1)
        found = self.messages(
            arguments.number(count, "count", 0), after=index, page_size=_at_once(count), newest_first=False
        )
        return [message async for message in found]

    async def _older(self, count: int, before: int | None) -> list[Message]:
        arguments.number(count, "count", 0)
        return [message async for message in self.messages(count, before=before, page_size=_at_once(count))][::-1]

    async def message_by_index(self, index: int) -> Message | None:
        """The message at this place; None when there is none (any more)."""
        arguments.number(index, "an index", 0)
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
        arguments.number(page_size, "page_size", 1)
        return self._session.receipts.all_recipients(self.sid, page_size)

    async def _page(self, start: int | None, order: Order, limit: int) -> Page[Message]:
        arguments.number(limit, "page_size", 1, LARGEST_PAGE)
        if start is not None and start < 0:
            if order == "desc":
                return Page(())
            start = 0
        await self.ready()
        copy = self._history.copy
        if copy is None:
            raise InvalidArgumentError(f"only who takes part can read the messages; {JOIN_FIRST}")
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


def _at_once(count: int) -> int:
    return max(1, min(count, LARGEST_PAGE))
