"""A client's copy of one Sync object, kept as the official SDKs keep theirs (realtime 9.6)."""

from __future__ import annotations

from typing import Any

import msgspec

from tertulia.server.engine.sync.views import Collection, View
from tertulia.server.storage.database import Connection
from tertulia.server.storage.paging import Page
from tertulia.wire.sync import DOCUMENT_EVENT, LIST_EVENT, MAP_EVENT

Key = str | int

_FAMILY = {DOCUMENT_EVENT: "document", LIST_EVENT: "list", MAP_EVENT: "map"}


class WireEvent(msgspec.Struct):
    id: int
    date_created: str
    document_sid: str | None = None
    list_sid: str | None = None
    map_sid: str | None = None
    item_key: str | None = None
    item_index: int | None = None
    item_data: Any = None
    document_data: Any = None


class WireBody(msgspec.Struct):
    event_type: str
    event_protocol_version: int
    event: WireEvent


_decode = msgspec.json.Decoder(WireBody).decode


class Copied(msgspec.Struct, frozen=True):
    """An item, or a document's content, with the number of the event that last changed it."""

    number: int
    data: Any


class Mirror(msgspec.Struct):
    """What a client holds of an object. ``items`` has a document's content under the key ``""``."""

    sid: str
    type: str
    last: int
    items: dict[Key, Copied]
    is_gone: bool = False

    def copy(self) -> Mirror:
        return Mirror(self.sid, self.type, self.last, dict(self.items), self.is_gone)

    def apply_live(self, message_type: str, body: bytes) -> None:
        """One event as it is pushed. None may be missing before it, and none may come after the last."""
        decoded = self._checked(message_type, body)
        assert decoded.event.id == self.last + 1, f"{self.sid}: event {decoded.event.id} follows {self.last}"
        self._apply(decoded)

    def apply_replayed(self, message_type: str, body: bytes) -> None:
        """One event of a replay: numbers rise, gaps are what happened to be needless."""
        decoded = self._checked(message_type, body)
        assert decoded.event.id > self.last, f"{self.sid}: event {decoded.event.id} follows {self.last}"
        self._apply(decoded)

    def _checked(self, message_type: str, body: bytes) -> WireBody:
        assert not self.is_gone, f"{self.sid}: an event after its end"
        decoded = _decode(body)
        event = decoded.event
        assert _FAMILY[message_type] == self.type == decoded.event_type.partition("_")[0]
        assert {"document": event.document_sid, "list": event.list_sid, "map": event.map_sid}[self.type] == self.sid
        return decoded

    def _apply(self, decoded: WireBody) -> None:
        event, kind = decoded.event, decoded.event_type.partition("_")[2]
        self.last = event.id
        if kind == "removed":
            self.is_gone = True
            self.items.clear()
            return
        if self.type == "document":
            self.items[""] = Copied(event.id, event.document_data)
            return
        key = event.item_index if self.type == "list" else event.item_key
        assert key is not None
        known = self.items.get(key)
        if kind == "item_removed":
            assert event.item_data is None, "what was removed is told to nobody"
            self.items.pop(key, None)  # an unknown key is ignored by clients
            return
        # An update of what a client does not have is not announced as new, so he would never show it.
        assert kind == "item_added" or known is not None, f"{self.sid}: {key} is updated before it was added"
        if known is None or known.number < event.id:
            self.items[key] = Copied(event.id, event.item_data)


async def read_mirror(connection: Connection, view: View) -> Mirror:
    """The copy that a client has right after opening the object and reading all its items."""
    items: dict[Key, Copied] = {}
    data = view.data()
    if data is not None:
        items[""] = Copied(view.last_event, _plain(data))
    elif isinstance(view, Collection):
        for key, item in await view.page(connection, Page(10_000)):
            items[key] = Copied(item.last_event_id, _plain(item.data))
    return Mirror(view.sid, view.type, view.last_event, items)


def _plain(data: msgspec.Struct) -> Any:
    return msgspec.json.decode(msgspec.json.encode(data))
