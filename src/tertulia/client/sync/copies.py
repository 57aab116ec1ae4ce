"""Local copies of documents, maps and lists: which items are known, as of which event (realtime 9.6).

A copy holds numbers only; what the items say is kept by its follower. Whatever is repeated, replayed, or read while it
changes, the follower is told each state at most once, and in order.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec

from .shapes import EventShape, ItemShape

Key = str | int


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


class Copy:
    """One object that is followed."""

    __slots__ = (
        "_ahead",
        "_removed",
        "follower",
        "is_established",
        "items_url",
        "kind",
        "last_event_id",
        "name",
        "numbers",
        "reading",
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
        self.reading = 0
        """How many reads are under way."""
        self._removed: dict[Key, int] | None = None
        self._ahead: dict[Key, int] | None = None

    def __repr__(self) -> str:
        return f"<Copy {self.kind} {self.sid} at {self.last_event_id}>"

    def load(self, item: ItemShape) -> bool:
        """An item was read; whether it was news. What a read brings late does not undo what events have told."""
        key = self._key(item.key, item.index)
        if key is None:
            return False
        number, known = item.last_event_id, self.numbers.get(key)
        if known is not None and known >= number:
            return False
        if self._removed is not None and self._removed.get(key, -1) > number:
            return False
        self.numbers[key] = number
        if number > self.last_event_id:
            # Its event is still on the way, and will say whether it is new.
            if self._ahead is None:
                self._ahead = {}
            self._ahead[key] = number
        self.follower.item_changed(key, item.data, item.date_updated, How.LOADED)
        return True

    def began_reading(self) -> None:
        self.reading += 1

    def ended_reading(self) -> None:
        self.reading -= 1
        if not self.reading:
            self._removed = None

    def apply(self, event_type: str, event: EventShape, *, replayed: bool) -> bool:
        """An event came; whether it changed anything. Replayed ones count before all is established (realtime 9.6)."""
        number = event.id
        # A document's content is replaced whole, so what is not newer says nothing.
        is_news = number > self.last_event_id
        if replayed or self.is_established:
            self.last_event_id = max(self.last_event_id, number)
        match event_type:
            case "document_updated":
                if is_news:
                    self.follower.document_changed(event.document_data, event.date_created)
                return is_news
            case "map_item_added" | "list_item_added":
                return self._changed(event, How.ADDED)
            case "map_item_updated" | "list_item_updated":
                return self._changed(event, How.UPDATED)
            case "map_item_removed" | "list_item_removed":
                return self._was_removed(event)
        return False

    def _changed(self, event: EventShape, how: How) -> bool:
        key = self._key(event.item_key, event.item_index)
        if key is None:
            return False
        number, known = event.id, self.numbers.get(key)
        ahead = self._ahead.pop(key, None) if self._ahead else None
        if known is not None and known >= number:
            if ahead is None or how is not How.ADDED:
                return False
        elif known is not None and ahead is None:
            how = How.UPDATED  # an addition of what is known
        self.numbers[key] = max(number, known if known is not None else number)
        if known is not None and known > number:
            # Read in a later state than this event's: it is new, but not as this event has it.
            self._ahead = {**(self._ahead or {}), key: known}
            return False
        self.follower.item_changed(key, event.item_data, event.date_created, how)
        return True

    def _was_removed(self, event: EventShape) -> bool:
        key = self._key(event.item_key, event.item_index)
        if key is None:
            return False
        known = self.numbers.get(key)
        if known is not None and known > event.id:
            return False  # it has come again since
        self.numbers.pop(key, None)
        if self._ahead is not None:
            self._ahead.pop(key, None)
        if self.reading:
            if self._removed is None:
                self._removed = {}
            self._removed[key] = event.id
        self.follower.item_removed(key)
        return True

    def _key(self, key: str | None, index: int | None) -> Key | None:
        return index if self.kind is Kind.LIST else key
