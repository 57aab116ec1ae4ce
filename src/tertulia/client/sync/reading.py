"""Reading objects and their items: whole, by page, by key, and once more after a server has lost what it knew."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from tertulia.client.errors import (
    ConversationsError,
    ForbiddenError,
    InvalidArgumentError,
    NotFoundError,
    SyncObjectError,
)
from tertulia.client.paging import Trail
from tertulia.client.urls import segment

from .copies import Copy, Key, Kind
from .keeping import Keeper
from .shapes import ItemsAnswer, ItemShape, Meta, Root, items_of

if TYPE_CHECKING:
    from tertulia.client.calls import Calls

log = logging.getLogger(__name__)

Order = Literal["asc", "desc"]
PATHS: Final = {Kind.DOCUMENT: "Documents", Kind.MAP: "Maps", Kind.LIST: "Lists"}
LARGEST_PAGE: Final = 100


class Item(msgspec.Struct, frozen=True):
    """An item that was read."""

    key: Key
    data: msgspec.Raw
    number: int
    at: str


class ItemsPage(msgspec.Struct, frozen=True):
    """Items in the order that was asked for, and whether there is nothing before or after them."""

    items: list[Item]
    is_first: bool
    is_last: bool


class Reading:
    """What a client reads of objects. What is news is told to the follower before anything is given back.

    ``is_open`` says whether a copy is still followed: what is read of others is told to nobody.
    """

    def __init__(self, calls: Calls, keeper: Keeper, is_open: Callable[[Copy], bool]) -> None:
        self.sync_url = ""
        self._calls = calls
        self._keeper = keeper
        self._is_open = is_open

    async def root(self, name: str, kind: Kind, *, include_items: bool = False) -> Root:
        """An object as it is opened. Raises ``SyncObjectError`` when it is not there or may not be seen."""
        url = f"{self.sync_url}/v3/{PATHS[kind]}/{segment(name)}"
        try:
            return await self._calls.get(url, Root, {"Include": "items"} if include_items else {})
        except (NotFoundError, ForbiddenError) as error:
            raise SyncObjectError(f"there is no such {kind}, or it may not be seen") from error

    async def read_all(self, copy: Copy, page_size: int) -> None:
        params: dict[str, str] = {"PageSize": str(page_size), "Order": "asc"}
        trail = Trail()
        with copy.reading() as since:
            while True:
                items, meta = await self._ask(copy, params)
                for item in items:
                    self.load(copy, item, since)
                if not trail.leads_on(meta.next_token):
                    break
                params = {"PageToken": meta.next_token or ""}
        if trail.is_lost:
            raise SyncObjectError(f"the pages of the {copy.kind} do not end")

    async def page(self, copy: Copy, start: Key | None, order: Order, limit: int, inclusive: bool) -> ItemsPage:
        if limit < 1:
            raise InvalidArgumentError("a page has at least one item")
        wanted = min(limit, LARGEST_PAGE)
        params = {"Order": order, "PageSize": str(wanted if inclusive or start is None else wanted + 1)}
        if start is not None:
            params["From"] = str(start)
        with copy.reading() as since:
            shapes, meta = await self._ask(copy, params)
            is_first, is_last = meta.previous_token is None, meta.next_token is None
            if not inclusive and start is not None:
                if shapes and copy.key_of(shapes[0]) == start:
                    # It is itself what comes before.
                    shapes, is_first = shapes[1:], False
                if len(shapes) > wanted:
                    shapes, is_last = shapes[:wanted], False
            items = [item for shape in shapes if (item := self.load(copy, shape, since)) is not None]
        return ItemsPage(items, is_first, is_last)

    async def item(self, copy: Copy, key: Key) -> Item | None:
        with copy.reading() as since:
            items, _ = await self._ask(copy, {"Index" if copy.kind is Kind.LIST else "Key": str(key)})
            return self.load(copy, items[0], since) if items else None

    def load(self, copy: Copy, shape: ItemShape, since: int | None = None) -> Item | None:
        """An item that was read; None when it is no more, or cannot be read."""
        key = copy.key_of(shape)
        if key is None:
            return None
        try:
            now, was_news = copy.load(shape, since)
        except msgspec.MsgspecError as error:
            # One item that makes no sense must not hide all the others.
            log.warning("sync.item_not_readable: %s", error, extra={"object": copy.sid, "why": str(error)})
            return None
        except ConversationsError:
            raise
        except Exception as error:
            # Nor one that its follower cannot bear.
            log.error("sync.follower_failed", extra={"object": copy.sid}, exc_info=error)
            return None
        if now is None:
            return None
        if was_news:
            self._keeper.read(copy, now)
        return Item(key, now.data, now.last_event_id, now.date_updated)

    async def read_again(self, copy: Copy) -> None:
        """Brings up to date what the server has lost: everything doubtful is read, and what is no more is told."""
        if copy.kind is Kind.DOCUMENT:
            root = await self.root(copy.name, copy.kind)
            if self._is_open(copy) and copy.load_document(root.data, root.last_event_id, root.date_updated):
                self._keeper.read_content(copy, root.data, root.date_updated)
        elif copy.kind is Kind.MAP:
            await self.read_all(copy, LARGEST_PAGE)
            self._gone(copy, copy.doubtful())
        else:
            # Not the whole of a long list: only where something may have changed.
            doubtful = sorted(copy.doubtful())
            while doubtful:
                page = await self.page(copy, doubtful[0], "asc", LARGEST_PAGE, True)
                reached = page.items[-1].key if page.items and not page.is_last else doubtful[-1]
                passed = [key for key in doubtful if _is_up_to(key, reached)] or doubtful[:1]
                self._gone(copy, [key for key in copy.doubtful() if key in passed])
                doubtful = [key for key in doubtful if key not in passed]

    def _gone(self, copy: Copy, keys: list[Key]) -> None:
        for key in keys:
            copy.gone(key)
            self._keeper.remove_item(copy, key)

    async def _ask(self, copy: Copy, params: Mapping[str, str]) -> tuple[list[ItemShape], Meta]:
        if copy.items_url is None:
            raise SyncObjectError("a document has no items")
        try:
            answer = await self._calls.get(copy.items_url, ItemsAnswer, params)
        except (NotFoundError, ForbiddenError) as error:
            raise SyncObjectError(f"the {copy.kind} is gone, or may not be seen any more") from error
        if not self._is_open(copy):
            raise SyncObjectError(f"the {copy.kind} is not followed any more")
        if copy.is_overrun:
            raise SyncObjectError(f"the {copy.kind} changes faster than it can be read")
        return items_of(answer.items), answer.meta


def _is_up_to(key: Key, other: Key) -> bool:
    return key <= other if isinstance(key, int) and isinstance(other, int) else str(key) <= str(other)
