"""What of Sync objects outlives the process, as a seam."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from .copies import Key, Kind
from .shapes import Number


class StoredObject(msgspec.Struct, frozen=True):
    """An object without its items."""

    name: str
    kind: Kind
    sid: str
    items_url: str | None
    last_event_id: Number
    data: bytes | None
    """Of a document."""
    at: str

    def __repr__(self) -> str:
        return f"<StoredObject {self.kind} {self.sid} at {self.last_event_id}>"


class StoredItem(msgspec.Struct, frozen=True, array_like=True):
    """An item, as of the event of this number."""

    key: Key
    number: Number
    data: bytes
    at: str

    def __repr__(self) -> str:
        return f"<StoredItem {self.key} at {self.number}>"


class SyncStore(Protocol):
    """Keeps copies of objects. What is told in one go is kept together or not at all, soon, in order."""

    def load(self, name: str) -> tuple[StoredObject, Sequence[StoredItem]] | None:
        """An object with its items; None when it is not kept, or too old to be caught up with."""
        ...

    def save(self, stored: StoredObject) -> None: ...
    def seen(self, name: str) -> None:
        """As it is kept, it is up to date: its age counts from now on."""
        ...

    def save_item(self, name: str, item: StoredItem) -> None: ...
    def remove_item(self, name: str, key: Key) -> None: ...
    def forget(self, name: str) -> None: ...
