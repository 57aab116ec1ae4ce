"""The messages of one conversation that are known here: those fetched, and those that came (object-model B.3)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from tertulia.client.events import MessageAdded, MessageRemoved
from tertulia.client.sync import Copy, How, ItemFollower

from .message import Message, message_snapshot
from .payloads import message_data

if TYPE_CHECKING:
    from .conversation import Conversation


class History(ItemFollower):
    """Messages by index. At most ``max_cached_messages`` are remembered: those told longest ago are let go first."""

    __slots__ = ("_conversation", "_held", "by_index", "copy")

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self.copy: Copy | None = None
        self.by_index: dict[int, Message] = {}
        self._held = 0

    @property
    def view(self) -> Mapping[int, Message]:
        return MappingProxyType(self.by_index)

    def item_changed(self, key: str | int, data: msgspec.Raw, at: str, how: How) -> None:
        index = int(key)
        known = self.by_index.get(index)
        if known is not None:
            known._become(message_data(data))
            if how is How.ADDED:
                # It was read before its event came.
                self._announce(known)
            self._conversation._watch.changed()
            return
        if how is How.UPDATED:
            # Not fetched, so nobody has seen it as it was (object-model B.2).
            self._forget(index)
            return
        message = self.by_index[index] = Message(self._conversation, message_snapshot(index, message_data(data)))
        if not self._held:
            self._make_room()
        if how is How.ADDED:
            self._announce(message)
        self._conversation._watch.changed()

    def _announce(self, message: Message) -> None:
        author = self._conversation._roster.of_identity(message.author)
        if author is not None:
            author._stops_typing()
        self._conversation._emit(MessageAdded(message))

    def item_removed(self, key: str | int) -> None:
        known = self.by_index.pop(int(key), None)
        if known is not None:
            self._conversation._emit(MessageRemoved(known))
            self._conversation._watch.changed()
            known._end()

    def object_removed(self) -> None:
        self.copy = None

    def close(self) -> None:
        """Follow them no more. What was fetched can still be looked at."""
        if self.copy is not None:
            self._conversation._session.following.close(self.copy)
            self.copy = None

    def end(self) -> None:
        for known in self.by_index.values():
            known._end()
        self.by_index.clear()

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Nothing is let go inside, so that what is read can be given out whole."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            self._make_room()

    def _make_room(self) -> None:
        while len(self.by_index) > max(1, self._conversation._session.config.max_cached_messages):
            oldest = next(iter(self.by_index))
            self.by_index.pop(oldest)._end()
            self._forget(oldest)

    def _forget(self, index: int) -> None:
        if self.copy is not None:
            self.copy.numbers.pop(index, None)
