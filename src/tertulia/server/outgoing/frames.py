"""HTTP/2 frames, as far as they have to be seen before the library sees them (RFC 9113 section 4.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from tertulia.server.outgoing.streams import broken

HEAD_BYTES: Final = 9
MOST_BYTES: Final = 16_384
"""The largest frame that a receiver may send as long as we allow no larger one."""
LAST_STREAM: Final = 2**31 - 1

_DATA, _HEADERS, _GO_AWAY, _CONTINUATION = 0, 1, 7, 9


class GoAway(Struct, frozen=True):
    """The receiver takes no more streams on this connection."""

    last_stream: int
    """Streams after this one were not looked at."""


class Cutter:
    """Cuts what is received at the ``GOAWAY`` frames, and counts the frames that say nothing of an answer.

    The library takes a ``GOAWAY`` for the end of everything, while the streams that it leaves go on to their end.
    ``is_awaited`` tells of a stream whether anybody waits for what comes on it.
    """

    def __init__(self, is_awaited: Callable[[int], bool]) -> None:
        self.idle = 0
        """Frames since the owner set it to nothing that were neither a head nor a part of a body."""
        self.stray = 0
        """Frames that were, but of an answer that nobody waits for."""
        self._is_awaited = is_awaited
        self._partial = b""
        self._left = 0

    def cut(self, data: bytes) -> list[bytes | GoAway]:
        """What came, in its order. The beginning of a frame's head, or of a ``GOAWAY``, waits for the rest.

        Raises ``NoAnswer`` for a frame that is too large, which what is not HTTP/2 looks like: the library would wait
        for all of it.
        """
        if self._partial:
            data = self._partial + data
        parts: list[bytes | GoAway] = []
        start = 0
        at = min(self._left, len(data))
        self._left -= at
        while at + HEAD_BYTES <= len(data):
            length = int.from_bytes(data[at : at + 3], "big")
            kind = data[at + 3]
            end = at + HEAD_BYTES + length
            if length > MOST_BYTES:
                raise broken()
            if kind == _GO_AWAY and length >= 8:
                if end > len(data):
                    break
                if at > start:
                    parts.append(data[start:at])
                parts.append(GoAway(int.from_bytes(data[at + 9 : at + 13], "big") & LAST_STREAM))
                start = end
            elif not (kind in (_HEADERS, _CONTINUATION) or (kind == _DATA and length)):
                self.idle += 1
            elif not self._is_awaited(int.from_bytes(data[at + 5 : at + 9], "big") & LAST_STREAM):
                self.stray += 1
            at = min(end, len(data))
            self._left = end - at
        self._partial = data[at:]
        if at > start:
            parts.append(data[start:at])
        return parts
