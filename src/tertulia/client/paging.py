"""Pages: some items, and the way to those beside them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar, overload

from .errors import ConversationsError

log = logging.getLogger(__name__)

T = TypeVar("T")

MOST_PAGES: Final = 10_000


class NoSuchPageError(ConversationsError, LookupError):
    """There is no page there."""


class Page(Sequence[T], Generic[T]):
    """A sequence of items. ``async for`` goes over this page and all that follow."""

    __slots__ = ("_next", "_previous", "items")

    def __init__(
        self,
        items: Sequence[T],
        next: Callable[[], Awaitable[Page[T]]] | None = None,
        previous: Callable[[], Awaitable[Page[T]]] | None = None,
    ) -> None:
        self.items = tuple(items)
        self._next = next
        self._previous = previous

    def __repr__(self) -> str:
        return f"<Page of {len(self.items)}>"

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, place: int) -> T: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[T]: ...

    def __getitem__(self, place: int | slice) -> T | Sequence[T]:
        return self.items[place]

    @property
    def has_next(self) -> bool:
        return self._next is not None

    @property
    def has_previous(self) -> bool:
        return self._previous is not None

    async def next(self) -> Page[T]:
        """The page behind this one. Raises ``NoSuchPageError`` at the end."""
        if self._next is None:
            raise NoSuchPageError("this is the last page")
        return await self._next()

    async def previous(self) -> Page[T]:
        """The page before this one. Raises ``NoSuchPageError`` at the beginning."""
        if self._previous is None:
            raise NoSuchPageError("this is the first page")
        return await self._previous()

    async def __aiter__(self) -> AsyncIterator[T]:
        page = self
        while True:
            for item in page.items:
                yield item
            if not page.has_next:
                return
            page = await page.next()


class Trail:
    """The pages of one listing that lie behind us: one that goes round in circles, or never ends, is left."""

    def __init__(self, most: int = MOST_PAGES) -> None:
        self._left = most
        self._tokens: set[str] = set()
        self.is_lost = False
        """Whether the listing was left before its end."""

    def leads_on(self, token: str | None) -> bool:
        """Whether there is a page to go on to, by the token that the last one gave."""
        if not token:
            return False
        self._left -= 1
        self.is_lost = token in self._tokens or not self._left
        self._tokens.add(token)
        if self.is_lost:
            why = f"{len(self._tokens)} pages, and always another"
            log.warning("client.pages_without_end: %s", why, extra={"why": why})
        return not self.is_lost
