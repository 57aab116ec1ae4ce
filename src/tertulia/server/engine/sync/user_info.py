"""The map of a user's profile (realtime 11.5)."""

from __future__ import annotations

from tertulia.server.domain.errors import MAP_NOT_FOUND
from tertulia.server.domain.sync import ObjectKind
from tertulia.server.domain.users import ATTRIBUTES_ITEM, FRIENDLY_NAME_ITEM, INFO_CREATED, REACHABILITY_ITEM, User
from tertulia.server.storage.database import Connection
from tertulia.server.storage.paging import Page
from tertulia.wire.sync import Item, ItemData, ObjectEvent, ReachabilityData, ValueData

from .views import MapView, Replay, joined

_KEYS = (ATTRIBUTES_ITEM, FRIENDLY_NAME_ITEM)
"""The items every user has, in order of key. Clients fail to start without them (realtime 10.3)."""


class UserInfoView(MapView):
    kind = ObjectKind.USER_INFO
    missing = MAP_NOT_FOUND

    def __init__(self, user: User, base_url: str) -> None:
        super().__init__(user, user.info_event, base_url)
        self._user = user

    @property
    def _keys(self) -> tuple[str, ...]:
        """In order of key."""
        return _KEYS if self._user.reachability_created is None else (*_KEYS, REACHABILITY_ITEM)

    def told(self, key: str) -> ObjectEvent:
        """The last change of an item, as an event."""
        return self._added(key) if self._created(key) == self._item(key)[1] else self._updated(key)

    def _added(self, key: str) -> ObjectEvent:
        return self.changed(key, self._item(key)[0], self._created(key), self._user.updated_at, added=True)

    def _updated(self, key: str) -> ObjectEvent:
        data, number = self._item(key)
        return self.changed(key, data, number, self._user.updated_at, added=False)

    def _item(self, key: str) -> tuple[ItemData, int]:
        user = self._user
        if key == FRIENDLY_NAME_ITEM:
            return ValueData(user.friendly_name), user.friendly_name_event
        if key == ATTRIBUTES_ITEM:
            return ValueData(user.attributes), user.attributes_event
        return ReachabilityData(user.is_online, user.is_notifiable), user.reachability_event

    def _created(self, key: str) -> int:
        # An item that is not there is asked for by nobody.
        return (self._user.reachability_created or 0) if key == REACHABILITY_ITEM else INFO_CREATED[key]

    def everything(self) -> list[Item]:
        return [self._entry(key) for key in self._keys]

    def _entry(self, key: str) -> Item:
        data, number = self._item(key)
        return self.entry(key, data, number, self._user.created_at, self._user.updated_at)

    async def page(self, connection: Connection, wanted: Page) -> list[tuple[str, Item]]:
        down = wanted.descending != wanted.backward
        keys = sorted(self._keys, reverse=down)
        if isinstance(wanted.after, str):
            start = wanted.after
            keys = [k for k in keys if (k < start if down else k > start) or (wanted.inclusive and k == start)]
        keys = keys[: wanted.limit]
        return [(key, self._entry(key)) for key in (reversed(keys) if wanted.backward else keys)]

    async def item(self, connection: Connection, key: str) -> Item | None:
        return self._entry(key) if key in self._keys else None

    async def replay(self, connection: Connection, after: int, limit: int) -> Replay:
        new = [self._added(key) for key in self._keys if self._created(key) > after]
        changed = [self._updated(key) for key in self._keys if self._item(key)[1] > max(after, self._created(key))]
        # Three items: told at once, whatever the limit.
        return joined((new, changed), limit=2 * len(self._keys) + 1, last=self.last_event)
