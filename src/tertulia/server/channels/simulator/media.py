"""Files on phones, and those that phones are about to send: kept as long as there is room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from tertulia.wire.sids import MEDIA

FILE_BYTES: Final = 16 << 20
"""Of a larger file a phone keeps no bytes."""
ALL_BYTES: Final = 64 << 20
"""What all files of a network take; the oldest lose their bytes first."""
FILES: Final = 2000


class PhoneMedia(msgspec.Struct, frozen=True, kw_only=True):
    """A file on a phone. Printed without its name."""

    sid: str
    content_type: str
    filename: str | None
    size: int

    def __repr__(self) -> str:
        return f"PhoneMedia({self.sid}, {self.content_type}, {self.size} bytes)"


class Shelf:
    """The files of a network, with their bytes."""

    def __init__(self, new_sid: Callable[[str], str], most_bytes: int = ALL_BYTES) -> None:
        self._new_sid = new_sid
        self._most_bytes = most_bytes
        self._bytes = 0
        self._files: dict[str, tuple[PhoneMedia, bytes]] = {}

    def keep(self, content: bytes | None, size: int, content_type: str, filename: str | None) -> PhoneMedia:
        """A file, known by a new SID. None for what is too large to be kept: only what it was is known."""
        media = PhoneMedia(sid=self._new_sid(MEDIA), content_type=content_type, filename=filename, size=size)
        if content is not None:
            self._files[media.sid] = (media, content)
            self._bytes += len(content)
            while self._bytes > self._most_bytes or len(self._files) > FILES:
                _, (_, oldest) = self._first()
                self._bytes -= len(oldest)
        return media

    def find(self, sid: str) -> tuple[PhoneMedia, bytes] | None:
        """None when it never was, or had to go."""
        return self._files.get(sid)

    def _first(self) -> tuple[str, tuple[PhoneMedia, bytes]]:
        sid = next(iter(self._files))
        return sid, self._files.pop(sid)
