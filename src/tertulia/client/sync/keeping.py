"""Tells a store, if there is one, what becomes of the copies: content and position together, or neither."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .copies import Copy, Key, Kind
from .kept import StoredItem, StoredObject, SyncStore
from .shapes import EventShape, ItemShape


class Keeper:
    """What a client keeps of what it follows. Without a store it keeps nothing.

    A map is kept when all of it was read: who begins from half of it would never learn of the other half.
    """

    __slots__ = ("_half_read", "store")

    def __init__(self, store: SyncStore | None) -> None:
        self.store = store
        self._half_read: dict[str, dict[Key, StoredItem]] = {}

    def load(self, name: str, kind: Kind) -> tuple[StoredObject, Sequence[StoredItem]] | None:
        """An object of this kind, if it is kept."""
        found = None if self.store is None else self.store.load(name)
        if found is None or found[0].kind is not kind:
            return None
        return found

    def opened(self, copy: Copy, data: msgspec.Raw, at: str) -> None:
        """It was read from the server."""
        if self.store is not None:
            # What is kept of it until now is not followed on from.
            self.store.forget(copy.name)
            if copy.kind is Kind.MAP:
                self._half_read[copy.name] = {}
            self._save(copy, data, at)

    def whole(self, copy: Copy) -> None:
        """All its items are known."""
        items = self._half_read.pop(copy.name, None)
        if self.store is not None and items is not None:
            self._save(copy)
            for item in items.values():
                self.store.save_item(copy.name, item)

    def read(self, copy: Copy, item: ItemShape) -> None:
        """An item was read."""
        key = item.index if copy.kind is Kind.LIST else item.key
        if self.store is not None and key is not None:
            stored = StoredItem(key=key, number=item.last_event_id, data=bytes(item.data), at=item.date_updated)
            self._save_item(copy, stored)

    def read_content(self, copy: Copy, data: msgspec.Raw, at: str) -> None:
        """A document's content was read."""
        if self.store is not None:
            self._save(copy, data, at)

    def happened(self, copy: Copy, kind: str, event: EventShape, *, was_news: bool, advanced: bool) -> None:
        """An event was applied."""
        if self.store is None:
            return
        if copy.kind is Kind.DOCUMENT:
            if was_news:
                self._save(copy, event.document_data, event.date_created)
            return
        key = event.item_index if copy.kind is Kind.LIST else event.item_key
        if was_news and key is not None:
            if kind.endswith("_removed"):
                self.remove_item(copy, key)
            elif copy.numbers.get(key, event.id) <= event.id:
                # Also what the follower does not hold: it may be kept from before, and would stay as it was then.
                stored = StoredItem(key=key, number=event.id, data=bytes(event.item_data), at=event.date_created)
                self._save_item(copy, stored)
        if advanced:
            self._save(copy)

    def went_live(self, copy: Copy) -> None:
        """Nothing of it was missed until now."""
        if self.store is None:
            return
        if copy.kind is Kind.DOCUMENT:
            self.store.seen(copy.name)  # its content and its position are kept together, and both stay
        else:
            self._save(copy)

    def remove_item(self, copy: Copy, key: str | int) -> None:
        """An item is no more, or not what anybody can read."""
        half = self._half_read.get(copy.name)
        if half is not None:
            half.pop(key, None)
        elif self.store is not None:
            self.store.remove_item(copy.name, key)

    def forget(self, copy: Copy) -> None:
        """It is not followed any more."""
        self._half_read.pop(copy.name, None)
        if self.store is not None:
            self.store.forget(copy.name)

    def _save_item(self, copy: Copy, item: StoredItem) -> None:
        assert self.store is not None
        half = self._half_read.get(copy.name)
        if half is not None:
            half[item.key] = item
        else:
            self.store.save_item(copy.name, item)

    def _save(self, copy: Copy, data: msgspec.Raw | None = None, at: str = "") -> None:
        assert self.store is not None
        if copy.name in self._half_read:
            return
        self.store.save(
            StoredObject(
                name=copy.name,
                kind=copy.kind,
                sid=copy.sid,
                items_url=copy.items_url,
                last_event_id=copy.last_event_id,
                data=bytes(data) if copy.kind is Kind.DOCUMENT and data is not None else None,
                at=at,
            )
        )
