"""Local copies of documents, maps and lists: which items are known, as of which event (realtime 9.6).

A copy holds numbers only; what the items say is kept by its follower. Whatever is repeated, replayed, or read while it
changes, the follower is told each state at most once, and in order.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from enum import StrEnum
from typing import Final, Protocol

import msgspec

from .shapes import EventShape, ItemShape

Key = str | int
NEVER: Final = -2
"""Before every event."""
MOST_AHEAD: Final = 500
"""How many items are held for the events that have not told of them yet."""
MOST_HEARD: Final = 10_000
"""Of how many items it is remembered what was told of them while they were read."""


class Kind(StrEnum):
    """The three kinds of objects."""

    DOCUMENT = "document"
    MAP = "map"
    LIST = "list"


class How(StrEnum):
    """How an item has come to be known, or to be different."""

    LOADED = "loaded"
    """It was read; it may have been there for long."""
    ADDED = "added"
    """It is new. Told once of each new item, also when it was read before its event came."""
    UPDATED = "updated"
    """It is different. It need not be known."""


class Follower(Protocol):
    """Who keeps what an object holds."""

    def item_changed(self, key: Key, data: msgspec.Raw, at: str, how: How) -> None: ...
    def item_removed(self, key: Key) -> None: ...
    def document_changed(self, data: msgspec.Raw, at: str) -> None: ...
    def object_removed(self) -> None: ...


class ItemFollower:
    """A follower of a map or a list, which have no content of their own."""

    __slots__ = ()

    def document_changed(self, data: msgspec.Raw, at: str) -> None:
        raise TypeError("a map or a list has no content of its own")


class ContentFollower:
    """A follower of a document, which has no items."""

    __slots__ = ()

    def item_changed(self, key: Key, data: msgspec.Raw, at: str, how: How) -> None:
        raise TypeError("a document has no items")

    def item_removed(self, key: Key) -> None:
        raise TypeError("a document has no items")


class Copy:
    """One object that is followed."""

    __slots__ = (
        "_ahead",
        "_complete",
        "_content",
        "_heard",
        "_reads",
        "follower",
        "is_doubtful",
        "is_established",
        "is_overrun",
        "is_whole",
        "items_url",
        "kind",
        "last_event_id",
        "name",
        "numbers",
        "sid",
    )

    def __init__(
        self, name: str, kind: Kind, sid: str, last_event_id: int, items_url: str | None, follower: Follower
    ) -> None:
        self.name = name
        self.kind = kind
        self.sid = sid
        self.last_event_id = last_event_id
        """Everything up to this event is known."""
        self.items_url = items_url
        self.follower = follower
        self.numbers: dict[Key, int] = {}
        """The last event of each known item."""
        self.is_established = False
        """Its events come as they happen."""
        self.is_doubtful = False
        """The server has lost what was known of it: it is to be read again."""
        self.is_whole = False
        """All items of a map are known, as of some event up to the last."""
        self._content = NEVER
        """The last event of a document's content."""
        self._complete = last_event_id
        """Where the last replay ended: until then nothing is missing. In its midst, what came early may come late."""
        self._reads = 0
        self._heard: dict[Key, ItemShape | int] | None = None
        """What events have told of items while reads were under way: the item, or the event of its removal."""
        self.is_overrun = False
        """More than ``MOST_HEARD`` of it was told while reads were under way: what they bring is of no use."""
        self._ahead: dict[Key, ItemShape] | None = None
        """Items that were read in a later state than events have told of."""

    def __repr__(self) -> str:
        return f"<Copy {self.kind} {self.sid} at {self.last_event_id}>"

    # --- what is read

    def load_document(self, data: msgspec.Raw, number: int, at: str) -> bool:
        """A document's content was read, as of this event; whether it was news."""
        if number <= self._content:
            return False
        previous, self._content = self._content, number
        try:
            self.follower.document_changed(data, at)
        except BaseException:
            self._content = previous
            raise
        return True

    def load(self, item: ItemShape, since: int | None = None) -> tuple[ItemShape | None, bool]:
        """An item was read: what it is by now (None when it is no more), and whether it was news.

        ``since`` is what ``reading`` gave. What a read brings late does not undo what events have told meanwhile.
        """
        key = self.key_of(item)
        if key is None:
            return None, False
        since = self.last_event_id if since is None else since
        heard = self._heard.get(key) if self._heard else None
        heard_of = NEVER if heard is None else heard if isinstance(heard, int) else heard.last_event_id
        if heard_of > item.last_event_id:
            if not isinstance(heard, ItemShape):
                return None, False
            item = heard
        number, known = item.last_event_id, self.numbers.get(key)
        if known is not None and known >= number:
            return item, False
        if number > since and number > heard_of:
            if known is None and number <= self._complete:
                # It came and went: of that a replay says nothing (realtime 9.7).
                return None, False
            # Its event is still on the way, and will say whether it is new. A copy, or the whole page stays with it.
            if self._ahead is None:
                self._ahead = {}
            self._ahead[key] = msgspec.structs.replace(item, data=item.data.copy())
            if len(self._ahead) > MOST_AHEAD:
                # Events that are so far behind may never come.
                del self._ahead[next(iter(self._ahead))]
        self._tell(key, item, How.LOADED)
        return item, True

    @contextlib.contextmanager
    def reading(self) -> Iterator[int]:
        """Inside, items are asked for and loaded; what events tell meanwhile wins over older answers."""
        self._reads += 1
        try:
            yield self.last_event_id
        finally:
            self._reads -= 1
            if not self._reads:
                self._heard, self.is_overrun = None, False

    def forget(self, key: Key) -> None:
        """The follower has let this item go: a read tells it anew."""
        self.numbers.pop(key, None)

    # --- what happens

    def apply(self, event_type: str, event: EventShape, *, replayed: bool) -> bool:
        """An event came; whether it was news. Replayed ones count before all is established (realtime 9.6)."""
        number = event.id
        if number <= self.last_event_id or not event_type.startswith(self.kind):
            return False
        if replayed or self.is_established:
            self.last_event_id = number
        match event_type:
            case "document_updated":
                return self.load_document(event.document_data, number, event.date_created)
            case "map_item_added" | "list_item_added":
                return self._changed(event, How.ADDED)
            case "map_item_updated" | "list_item_updated":
                return self._changed(event, How.UPDATED)
            case "map_item_removed" | "list_item_removed":
                return self._was_removed(event)
        return False

    def went_live(self, last_event_id: int | None) -> list[Key]:
        """Everything up to this event has come, and what happens from now on will.

        Gives the items that turned out to be no more: they came and went while they were read and nobody listened.
        """
        self.is_established = True
        if last_event_id is not None:
            self.last_event_id = max(self.last_event_id, last_event_id)
        self._complete = self.last_event_id
        if not self._ahead:
            return []
        gone = [key for key, item in self._ahead.items() if item.last_event_id <= self._complete]
        for key in gone:
            del self._ahead[key]
            self.gone(key)
        return gone

    def fall_back(self, last_event_id: int) -> None:
        """The server knows no more than this: it has lost what came after, and counts on from there.

        What is known of the time that was lost counts as unknown; read it again (``doubtful``).
        """
        self.last_event_id = self._complete = last_event_id
        self.is_doubtful = True
        self._content = NEVER
        self._ahead = self._heard = None
        for key, number in self.numbers.items():
            if number > last_event_id:
                self.numbers[key] = NEVER

    def doubtful(self) -> list[Key]:
        """Items that were not read again since their state was lost."""
        return [key for key, number in self.numbers.items() if number == NEVER]

    def gone(self, key: Key) -> None:
        """An item that is known turned out to be no more."""
        if self.numbers.pop(key, None) is not None:
            self.follower.item_removed(key)

    def _changed(self, event: EventShape, how: How) -> bool:
        key = self.key_of(event)
        if key is None:
            return False
        known = self.numbers.get(key)
        item = ItemShape(event.item_data, event.id, event.date_created, event.item_key, event.item_index)
        self._hear(key, item)
        ahead = self._read_ahead(key, event.id)
        if ahead is not None and ahead.last_event_id > event.id:
            item = ahead  # as it is by now
        if known is not None and known >= event.id:
            # Only that it is new may be news: it was read before it was told.
            if ahead is None or how is not How.ADDED:
                return False
        elif known is not None and ahead is None:
            how = How.UPDATED  # an addition of what is known
        self._tell(key, item, how)
        return True

    def _tell(self, key: Key, item: ItemShape, how: How) -> None:
        # Before it is told: a follower may let it go at once.
        self.numbers[key] = item.last_event_id
        try:
            self.follower.item_changed(key, item.data, item.date_updated, how)
        except BaseException:
            # Nobody holds it as it is: a read tells it anew.
            self.forget(key)
            raise

    def _was_removed(self, event: EventShape) -> bool:
        key = self.key_of(event)
        if key is None:
            return False
        self._hear(key, event.id)
        known = self.numbers.get(key)
        ahead = self._read_ahead(key, event.id)
        if known is not None and known > event.id and ahead is None:
            return False  # that it has come again was told
        self.numbers.pop(key, None)
        self.follower.item_removed(key)
        return True

    def _read_ahead(self, key: Key, number: int) -> ItemShape | None:
        """The item as it was read before any event told of it; kept until events have come as far."""
        ahead = self._ahead.get(key) if self._ahead else None
        if ahead is not None and self._ahead is not None and ahead.last_event_id <= number:
            del self._ahead[key]
        return ahead

    def _hear(self, key: Key, told: ItemShape | int) -> None:
        if not self._reads or self.is_overrun:
            return
        if self._heard is None:
            self._heard = {}
        self._heard[key] = told
        if len(self._heard) > MOST_HEARD:
            self._heard, self.is_overrun = None, True

    def key_of(self, item: ItemShape | EventShape) -> Key | None:
        """What an item, or the item of an event, is called; None when it is none of this kind of object."""
        if isinstance(item, ItemShape):
            return item.index if self.kind is Kind.LIST else item.key
        return item.item_index if self.kind is Kind.LIST else item.item_key
