"""The map of a user's profile (realtime 11.5)."""

from __future__ import annotations

from tertulia.server.domain.errors import MAP_NOT_FOUND
from tertulia.server.domain.sync import ObjectKind
from tertulia.server.domain.users import ATTRIBUTES_ITEM, FRIENDLY_NAME_ITEM, INFO_CREATED, User
from tertulia.server.storage.database import Connection
from tertulia.server.storage.paging import Page
from tertulia.wire.sync import Item, ObjectEvent, ValueData

from .views import MapView, Replay

_KEYS = (ATTRIBUTES_ITEM, FRIENDLY_NAME_ITEM)
"""The items every user has, in order of key. Clients fail to start without them (realtime 10.3)."""


class UserInfoView(MapView):
    kind = ObjectKind.USER_INFO
    missing = MAP_NOT_FOUND

    def __init__(self, user: User, base_url: str) -> None:
        super().__init__(user, user.info_event, base_url)
        self._user = user

    def updated(self, key: str) -> ObjectEvent:
        return self._event(key, added=False)

    def _event(self, key: str, *, added: bool) -> ObjectEvent:
        data, number = self._item(key)
        return self.changed(key, data, number, self._user.updated_at, added=added)

    def _item(self, key: str) -> tuple[ValueData, int]:
        if key == FRIENDLY_NAME_ITEM:
            return ValueData(self._user.friendly_name), self._user.friendly_name_event
        return ValueData(self._user.attributes), self._user.attributes_event

    def everything(self) -> list[Item]:
        return [self._entry(key) for key in _KEYS]

    def _entry(self, key: str) -> Item:
        data, number = self._item(key)
        return self.entry(key, data, number, self._user.created_at, self._user.updated_at)

    async def page(self, connection: Connection, wanted: Page) -> list[tuple[str, Item]]:
        down = wanted.descending != wanted.backward
        keys = sorted(_KEYS, reverse=down)
        if isinstance(wanted.after, str):
            start = wanted.after
            keys = [k for k in keys if (k < start if down else k > start) or (wanted.inclusive and k == start)]
        keys = keys[: wanted.limit]
        return [(key, self._entry(key)) for key in (reversed(keys) if wanted.backward else keys)]

    async def item(self, connection: Connection, key: str) -> Item | None:
        return self._entry(key) if key in _KEYS else None

    async def replay(self, connection: Connection, after: int, limit: int) -> Replay:
        changed = sorted((self._item(key)[1], key) for key in _KEYS if self._item(key)[1] > after)
        events = [self._event(key, added=INFO_CREATED[key] > after) for _, key in changed]
        return Replay(events, self.last_event)
