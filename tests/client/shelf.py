"""A server's map, list or document, played: what it holds and tells, and how it catches somebody up (realtime 9)."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from tertulia.client.sync.copies import Copy, How, Key, Kind
from tertulia.client.sync.shapes import EventShape, ItemShape

SID = "MP1"


class Told(NamedTuple):
    """An event, with its type."""

    type: str
    event: EventShape


class Held(NamedTuple):
    created: int
    number: int


class Shelf:
    """An object. The content of everything is the number of the event that made it so."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.last = -1
        self.items: dict[Key, Held] = {}
        self.log: list[Told] = []
        self._graves: list[tuple[int, Told]] = []
        self._next_index = 0

    def put(self, key: str) -> Told:
        """A new item, or a change of it; lists go on with a new index."""
        if self.kind is Kind.LIST:
            key_now: Key = self._next_index
            self._next_index += 1
            return self._changed(key_now, is_new=True)
        return self._changed(key, is_new=key not in self.items)

    def change(self, key: Key) -> Told:
        if self.kind is Kind.DOCUMENT:
            self.last += 1
            return self._log(Told("document_updated", self._event(self.last)))
        return self._changed(key, is_new=False)

    def remove(self, key: Key) -> Told:
        held = self.items.pop(key)
        self.last += 1
        told = Told(f"{self.kind}_item_removed", self._event(self.last, key))
        self._graves.append((held.created, told))
        return self._log(told)

    def item(self, key: Key) -> ItemShape:
        number = self.items[key].number
        index, name = (key, None) if isinstance(key, int) else (None, key)
        return ItemShape(_data(number), number, "then", name, index)

    def page(self, after: Key | None, limit: int) -> list[ItemShape]:
        keys = sorted(self.items, key=lambda key: (str(type(key)), key))
        return [self.item(key) for key in keys if after is None or key > after][:limit]  # type: ignore[operator]

    def replay(self, after: int, *, from_state: bool) -> list[Told]:
        """What happened after an event: each of it, or only what came of it (realtime 9.7)."""
        if not from_state:
            return [told for told in self.log if told.event.id > after]
        if self.kind is Kind.DOCUMENT:
            return self.log[-1:] if self.last > after else []
        events = [
            self._about(key, held.number, is_new=held.created > after)
            for key, held in self.items.items()
            if held.number > after
        ]
        events += [told for created, told in self._graves if created <= after < told.event.id]
        return sorted(events, key=lambda told: told.event.id)

    def forget_after(self, number: int) -> None:
        """The server is set back to what it was then."""
        log, self.log = self.log, []
        self.items, self._graves, self.last = {}, [], -1
        for told in log:
            if told.event.id > number:
                break
            key = told.event.item_index if self.kind is Kind.LIST else told.event.item_key
            if self.kind is Kind.DOCUMENT:
                self.change("")
            elif told.type.endswith("_removed"):
                assert key is not None
                self.remove(key)
            else:
                assert key is not None
                self._changed(key, is_new=told.type.endswith("_added"))

    def _changed(self, key: Key, *, is_new: bool) -> Told:
        self.last += 1
        created = self.last if is_new else self.items[key].created
        self.items[key] = Held(created, self.last)
        return self._log(self._about(key, self.last, is_new=is_new))

    def _about(self, key: Key, number: int, *, is_new: bool) -> Told:
        event = self._event(number, key)
        event.item_data = _data(number)
        return Told(f"{self.kind}_item_{'added' if is_new else 'updated'}", event)

    def _event(self, number: int, key: Key | None = None) -> EventShape:
        index, name = (key, None) if isinstance(key, int) else (None, key)
        return EventShape(number, "then", item_key=name, item_index=index, document_data=_data(number))

    def _log(self, told: Told) -> Told:
        self.log.append(told)
        return told


class Notes:
    """A follower that writes down what it is told, and finds fault with whatever is older than what it knew.

    One that ``forgets`` holds only what it was given as new, or has asked for, as the messages of a conversation.
    """

    def __init__(self, *, forgets: bool = False) -> None:
        self.items: dict[Key, int] = {}
        self.content: int | None = None
        self.is_gone = False
        self.told: list[tuple[How | None, Key, int]] = []
        self._forgets = forgets
        self._newest: dict[Key, int] = {}
        self.copy: Copy

    def item_changed(self, key: Key, data: msgspec.Raw, at: str, how: How) -> None:
        number = msgspec.json.decode(data, type=int)
        newest = self._newest.get(key, -1)
        again = how is How.ADDED or self._forgets
        assert number > newest or (again and number == newest), f"{key}: {how} {number} after {newest}"
        self._newest[key] = number
        self.told.append((how, key, number))
        if self._forgets and how is How.UPDATED and key not in self.items:
            self.copy.forget(key)
        else:
            self.items[key] = number

    def item_removed(self, key: Key) -> None:
        self.items.pop(key, None)
        self.told.append((None, key, -1))

    def document_changed(self, data: msgspec.Raw, at: str) -> None:
        number = msgspec.json.decode(data, type=int)
        assert self.content is None or number > self.content
        self.content = number

    def object_removed(self) -> None:
        self.is_gone = True

    def let_go(self, key: Key) -> None:
        """As a cache does that is full."""
        if self.items.pop(key, None) is not None:
            self.copy.forget(key)

    def announced(self, key: Key) -> int:
        """How often it was told as new since it was last told to be gone."""
        told = [how for how, other, _ in self.told if other == key]
        gone = max((place for place, how in enumerate(told) if how is None), default=-1)
        return told[gone + 1 :].count(How.ADDED)


def open_copy(shelf: Shelf, notes: Notes) -> Copy:
    """The object as somebody opens it, without its items."""
    copy = Copy("named", shelf.kind, SID, shelf.last, None, notes)
    notes.copy = copy
    if shelf.kind is Kind.DOCUMENT:
        copy.load_document(_data(shelf.last), shelf.last, "then")
    return copy


def _data(number: int) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(number))
