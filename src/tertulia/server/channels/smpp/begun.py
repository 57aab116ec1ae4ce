"""Messages of which an SMSC has taken some parts, and had no room for others: the next attempt submits these alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import msgspec

from tertulia.server.channels.base import Accepted, ChannelMessage

MOST: Final = 10_000
"""Of more the oldest are forgotten: what became of them is then not known."""
AFTERWARDS_US: Final = 3600 * 1_000_000
"""Remembered until its message's time is over, and so much longer: then somebody asks what has become of it."""


class Begun(msgspec.Struct, frozen=True):
    """What is taken of a message. Printed without its handles."""

    handles: tuple[str | None, ...]
    """For each part what the SMSC calls it; empty where it has no name for it, None while it has not taken it."""
    segments: int
    digest: int
    """Of what is said, and to whom: other words have other parts."""
    until: int

    @property
    def missing(self) -> list[int]:
        """Parts to submit, from 0."""
        return [number for number, handle in enumerate(self.handles) if handle is None]

    @property
    def is_untouched(self) -> bool:
        """Nothing of it was taken."""
        return all(handle is None for handle in self.handles)

    def accepted(self, lost: int = 0) -> Accepted:
        """What is taken of it, as an outcome."""
        return Accepted(handles=tuple(handle for handle in self.handles if handle), segments=self.segments, lost=lost)

    def __repr__(self) -> str:
        return f"Begun({len(self.handles)} parts, {len(self.missing)} missing)"


class Beginnings:
    """Those of one connection, in memory: a server that starts anew remembers none."""

    def __init__(self, now: Callable[[], int], most: int = MOST) -> None:
        self._now = now
        self._most = most
        self._of: OrderedDict[str, Begun] = OrderedDict()

    def of(self, sid: str) -> Begun | None:
        """What is taken of this message, if it is known."""
        one = self._of.get(sid)
        return one if one is not None and one.until > self._now() else None

    def take(self, message: ChannelMessage, parts: int, segments: int) -> Begun:
        """What is taken of it, and no longer remembered: its next attempt is under way, and may die."""
        one = self.of(message.sid)
        self._of.pop(message.sid, None)
        return one or Begun((None,) * parts, segments, digest_of(message), message.valid_until + AFTERWARDS_US)

    def keep(self, sid: str, one: Begun) -> None:
        """To go on with. What nothing was taken of is not remembered."""
        if one.is_untouched:
            return
        self._of[sid] = one
        now = self._now()
        while self._of and (len(self._of) > self._most or next(iter(self._of.values())).until <= now):
            self._of.popitem(last=False)


def digest_of(message: ChannelMessage) -> int:
    """The same for the same words from the same number to the same person, in this process."""
    return hash((message.text, message.sender, message.recipients))
