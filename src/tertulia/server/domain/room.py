"""Memory that many take together, within a bound. Pure, as ``places``: nobody waits here."""

from __future__ import annotations


class Room:
    """So many bytes; of each share the first ``free`` are not counted: what is small always has its place."""

    def __init__(self, most: int, free: int) -> None:
        self._left = most
        self.free = free

    def share(self) -> Share:
        return Share(self)

    def take(self, count: int) -> bool:
        if count > self._left:
            return False
        self._left -= count
        return True

    def give(self, count: int) -> None:
        self._left += count


class Share:
    """What one of them takes; given back at the end of the block."""

    __slots__ = ("_room", "_taken")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._taken = 0

    def __enter__(self) -> Share:
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()

    def holds(self, size: int) -> bool:
        """Whether it may be as large as this; it never shrinks by that."""
        more = size - self._room.free - self._taken
        if more > 0:
            if not self._room.take(more):
                return False
            self._taken += more
        return True

    def let_go(self) -> None:
        self._room.give(self._taken)
        self._taken = 0
