"""Reading Sync objects: opening one, and its items by pages, each answer from one snapshot (realtime 9.1, 9.2)."""

from __future__ import annotations

import msgspec

from tertulia.server.domain.callers import Caller
from tertulia.server.domain.sync import parse_object_name
from tertulia.server.engine.windows import Cut, Window, window
from tertulia.server.storage.database import Connection, Database
from tertulia.server.storage.paging import Page
from tertulia.wire.sync import Item, ObjectRoot

from .catalogue import MISSING, Catalogue
from .user_info import UserInfoView
from .views import ListView, MapView, View

Key = str | int


class ObjectAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Which object is asked for, and by what URLs it is to speak of itself."""

    type: str
    """``document``, ``list`` or ``map``: an object of another type is absent under this one."""
    name: str
    """SID or unique name."""
    base_url: str


class ItemsWanted(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a collection: what lies after a cut, in the order named, or with ``backward`` before it.

    The cut's key is a text in a map and an integer in a list; the edge sees to it.
    """

    limit: int
    descending: bool = False
    start: Cut[Key] | None = None
    backward: bool = False


class SyncReads:
    """What is not there and what the caller may not see are the same ``NotFound``, with the code of the type."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def root(self, caller: Caller, address: ObjectAddress, *, with_items: bool) -> ObjectRoot:
        """The object itself. Items come with it only where they are few by nature: those of a user's profile."""
        async with self._database.snapshot() as connection:
            view = await _open(connection, caller, address)
        return view.root(view.everything() if with_items and isinstance(view, UserInfoView) else None)

    async def items(self, caller: Caller, address: ObjectAddress, wanted: ItemsWanted) -> Window[Key, Item]:
        """A page of items. Four statements at most."""
        async with self._database.snapshot() as connection:
            view = await _collection(connection, caller, address)

            async def fetch(page: Page) -> list[tuple[Key, Item]]:
                return [*await view.page(connection, page)]

            return await window(
                fetch, wanted.limit, wanted.start, descending=wanted.descending, backward=wanted.backward
            )

    async def item(self, caller: Caller, address: ObjectAddress, key: Key) -> Item | None:
        """The entry under a key of a map or an index of a list."""
        async with self._database.snapshot() as connection:
            view = await _collection(connection, caller, address)
            if isinstance(view, MapView):
                return await view.item(connection, key) if isinstance(key, str) else None
            return await view.item(connection, key) if isinstance(key, int) else None


async def _open(connection: Connection, caller: Caller, address: ObjectAddress) -> View:
    name = parse_object_name(address.name)
    view = await Catalogue(connection, caller, address.base_url).open(name) if name is not None else None
    if view is None or view.type != address.type:
        raise MISSING[address.type]()
    return view


async def _collection(connection: Connection, caller: Caller, address: ObjectAddress) -> MapView | ListView:
    view = await _open(connection, caller, address)
    if not isinstance(view, MapView | ListView):
        raise MISSING[address.type]()
    return view
