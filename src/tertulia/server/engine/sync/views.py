"""What every view is: numbers, snapshots, events, and replay from state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import UNSET

from tertulia.server.domain.conversations import Conversation
from tertulia.server.domain.errors import Row
from tertulia.server.domain.sync import ObjectKind, conversation_object_name, object_sid, user_object_name
from tertulia.server.domain.users import User
from tertulia.server.domain.values import millisecond
from tertulia.server.storage.database import Connection
from tertulia.server.storage.paging import Page
from tertulia.wire.sync import (
    LIST_EVENT,
    MAP_EVENT,
    DocumentData,
    Item,
    ItemData,
    ListItemChanged,
    ListItemRemoved,
    ListRemoved,
    MapItemChanged,
    MapItemRemoved,
    MapRemoved,
    ObjectEvent,
    ObjectLinks,
    ObjectRoot,
    revision,
)

K = TypeVar("K", str, int)


class Replay(msgspec.Struct, frozen=True):
    """What somebody missed of one object, oldest first.

    ``last`` is the number he then has. When it is not ``complete`` there is more after ``last``.
    """

    events: Sequence[ObjectEvent]
    last: int
    complete: bool = True


class View(ABC):
    """One Sync object of one owner, as it stands in the snapshot it was read from."""

    kind: ClassVar[ObjectKind]
    type: ClassVar[str]
    plural: ClassVar[str]
    missing: ClassVar[Row]
    """How its absence is told."""

    def __init__(
        self, owner: Conversation | User, last_event: int, base_url: str, *, updated_at: int | None = None
    ) -> None:
        self.owner = owner
        self.sid = object_sid(self.kind, owner.sid)
        self.last_event = last_event
        self.updated_at = owner.updated_at if updated_at is None else updated_at
        self.url = object_url(base_url, owner.service_sid, self.plural, self.sid)

    @property
    def name(self) -> str:
        """The unique name it is opened by."""
        owner = self.owner
        if isinstance(owner, User):
            return user_object_name(self.kind, owner.service_sid, owner.identity)
        return conversation_object_name(self.kind, owner.sid)

    def root(self, items: list[Item] | None = None) -> ObjectRoot:
        """The answer to opening the object."""
        data = self.data()
        return ObjectRoot(
            sid=self.sid,
            unique_name=self.name,
            account_sid=self.owner.account_sid,
            service_sid=self.owner.service_sid,
            created_by="system",
            url=self.url,
            links=ObjectLinks(f"{self.url}/Items") if data is None else UNSET,
            revision=revision(self.last_event),
            last_event_id=self.last_event,
            date_created=millisecond(self.owner.created_at),
            date_updated=millisecond(self.updated_at),
            data=UNSET if data is None else data,
            items=UNSET if items is None else items,
        )

    def data(self) -> DocumentData | None:
        """A document's content."""
        return None

    @abstractmethod
    async def replay(self, connection: Connection, after: int, limit: int) -> Replay:
        """Everything that happened after event ``after``, from state (realtime 9.7).

        An item that changed five times appears once, with its present data, and before that as added if it is new;
        what was removed while ``after`` was known appears while its tombstone lives. About ``limit`` events; the rest
        is for another call.
        """


class Collection(View, Generic[K]):
    """A map or a list: items under keys, in order of key."""

    @abstractmethod
    async def page(self, connection: Connection, wanted: Page) -> list[tuple[K, Item]]:
        """Items by key."""

    @abstractmethod
    async def item(self, connection: Connection, key: K) -> Item | None:
        """The entry under this key."""


class MapView(Collection[str]):
    type = "map"
    plural = "Maps"

    def entry(self, key: str, data: ItemData, number: int, created_at: int, updated_at: int) -> Item:
        return Item(
            key=key,
            map_sid=self.sid,
            data=data,
            revision=revision(number),
            last_event_id=number,
            date_created=millisecond(created_at),
            date_updated=millisecond(updated_at),
            url=_item_url(self.url, key),
        )

    def changed(self, key: str, data: ItemData, number: int, at: int, *, added: bool) -> ObjectEvent:
        return map_item_changed(self.sid, self.url, key, data, number, at, added=added)

    def removed(self, key: str, number: int, at: int) -> ObjectEvent:
        return map_item_removed(self.sid, key, number, at)

    def gone(self, at: int) -> ObjectEvent:
        """The object itself is no more."""
        event = MapRemoved(id=self.last_event + 1, date_created=millisecond(at), map_sid=self.sid)
        return ObjectEvent(self.sid, "map_removed", MAP_EVENT, event)


def map_item_changed(sid: str, url: str, key: str, data: ItemData, number: int, at: int, *, added: bool) -> ObjectEvent:
    """An item came or changed, in the map of this SID and URL."""
    event = MapItemChanged(
        id=number,
        date_created=millisecond(at),
        map_sid=sid,
        map_revision=revision(number),
        item_key=key,
        item_revision=revision(number),
        item_url=_item_url(url, key),
        item_data=data,
    )
    return ObjectEvent(sid, "map_item_added" if added else "map_item_updated", MAP_EVENT, event)


def map_item_removed(sid: str, key: str, number: int, at: int) -> ObjectEvent:
    """An item went from the map of this SID."""
    event = MapItemRemoved(
        id=number,
        date_created=millisecond(at),
        map_sid=sid,
        map_revision=revision(number),
        item_key=key,
        item_revision=revision(number),
    )
    return ObjectEvent(sid, "map_item_removed", MAP_EVENT, event)


def _item_url(url: str, key: str) -> str:
    # Nearly every key is a SID; quoting it would take a third of an item's time.
    return f"{url}/Items/{key if key.isascii() and key.isalnum() else quote(key, safe='')}"


def object_url(base_url: str, service_sid: str, plural: str, sid: str) -> str:
    return f"{base_url}/v3/Services/{service_sid}/{plural}/{sid}"


class ListView(Collection[int]):
    type = "list"
    plural = "Lists"

    def entry(self, index: int, data: ItemData, number: int, created_at: int, updated_at: int) -> Item:
        return Item(
            index=index,
            list_sid=self.sid,
            data=data,
            revision=revision(number),
            last_event_id=number,
            date_created=millisecond(created_at),
            date_updated=millisecond(updated_at),
            url=f"{self.url}/Items/{index}",
        )

    def changed(self, index: int, data: ItemData, number: int, at: int, *, added: bool) -> ObjectEvent:
        mark = revision(number)
        event = ListItemChanged(
            id=number,
            date_created=millisecond(at),
            list_sid=self.sid,
            list_revision=mark,
            item_index=index,
            item_revision=mark,
            item_url=f"{self.url}/Items/{index}",
            item_data=data,
        )
        return ObjectEvent(self.sid, "list_item_added" if added else "list_item_updated", LIST_EVENT, event)

    def removed(self, index: int, number: int, at: int) -> ObjectEvent:
        event = ListItemRemoved(
            id=number,
            date_created=millisecond(at),
            list_sid=self.sid,
            list_revision=revision(number),
            item_index=index,
            item_revision=revision(number),
        )
        return ObjectEvent(self.sid, "list_item_removed", LIST_EVENT, event)

    def gone(self, at: int) -> ObjectEvent:
        """The object itself is no more."""
        event = ListRemoved(id=self.last_event + 1, date_created=millisecond(at), list_sid=self.sid)
        return ObjectEvent(self.sid, "list_removed", LIST_EVENT, event)


def joined(parts: Sequence[Sequence[ObjectEvent]], limit: int, last: int) -> Replay:
    """One replay from parts of at most ``limit`` each, in order of number.

    A part that is full may have more behind it, so nothing beyond its last number is certain. An item that came and
    changed since is in two parts: told as added under the number of its addition, and as changed under that of its
    change, both with what it holds now. Told once, under the later number, it would be an update of something unknown
    to whoever is cut off between the two.
    """
    bound = min((part[-1].number for part in parts if len(part) >= limit), default=last)
    events = sorted((event for part in parts for event in part if event.number <= bound), key=_number)
    return Replay(events, bound, complete=bound >= last)


def _number(event: ObjectEvent) -> int:
    return event.number
