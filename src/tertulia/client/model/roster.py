"""The participants of one conversation, kept by the events of its roster."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from tertulia.client.events import ParticipantJoined, ParticipantLeft
from tertulia.client.sync import Copy, How, ItemFollower

from .participant import Participant, participant_snapshot
from .payloads import participant_data

if TYPE_CHECKING:
    from .conversation import Conversation


class Roster(ItemFollower):
    """Who takes part, by SID."""

    __slots__ = ("_conversation", "by_sid", "copy")

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self.copy: Copy | None = None
        self.by_sid: dict[str, Participant] = {}

    @property
    def view(self) -> Mapping[str, Participant]:
        return MappingProxyType(self.by_sid)

    def of_identity(self, identity: str | None) -> Participant | None:
        if identity is None:
            return None
        return next((known for known in self.by_sid.values() if known.identity == identity), None)

    def item_changed(self, key: str | int, data: msgspec.Raw, at: str, how: How) -> None:
        sid, told = str(key), participant_data(data)
        known = self.by_sid.get(sid)
        if known is not None:
            known._become(told)
        else:
            known = self.by_sid[sid] = Participant(self._conversation, participant_snapshot(sid, told))
            if how is not How.LOADED:
                self._conversation._emit(ParticipantJoined(known))
        self._conversation._watch.changed()

    def item_removed(self, key: str | int) -> None:
        known = self.by_sid.pop(str(key), None)
        if known is None:
            return
        known._stops_typing()
        self._conversation._emit(ParticipantLeft(known))
        self._conversation._watch.changed()
        known._end()

    def object_removed(self) -> None:
        # That the conversation has gone is told by its document, or by the user's conversations.
        self.copy = None

    def close(self) -> None:
        """Follow it no more; nobody is known any more."""
        if self.copy is not None:
            self._conversation._session.following.close(self.copy)
            self.copy = None
        for known in self.by_sid.values():
            known._end()
        self.by_sid.clear()
