"""The seam to the bytes: put once, read in ranges, removed; nothing in between ever shows.

::

    BlobError
    |-- BlobsUnavailable   the disk or the service is in the way; safe to repeat
    `-- BlobMissing        there are no bytes under this key
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import msgspec


class BlobError(Exception):
    """Whatever goes wrong between us and the bytes."""


class BlobsUnavailable(BlobError):
    """It cannot be done now. Nothing half done is left to be seen."""


class BlobMissing(BlobError):
    """No bytes under this key."""


KEY_CHARS: Final = 200
"""Length of the longest key."""

# Letters and digits come after "/" in every order there is: services that keep objects in folders list "a/b" before
# "a-b", others after it.
_KEY = re.compile(r"[A-Za-z0-9]+(?:/[A-Za-z0-9]+)*")


def is_key(text: str) -> bool:
    """Whether this can be the key of a blob: parts of letters and digits, with ``/`` between them."""
    return len(text) <= KEY_CHARS and _KEY.fullmatch(text) is not None


def require_key(key: str) -> str:
    """The key. Raises ``ValueError``: a key is never made of what a user wrote, so this is a mistake of ours."""
    if not is_key(key):
        raise ValueError(f"not the key of a blob: {key[:KEY_CHARS]!r}")
    return key


class BlobInfo(msgspec.Struct, frozen=True):
    """A blob as a listing has it."""

    key: str
    size: int
    stored_at: int
    """UTC microseconds."""


class Blobs(Protocol):
    """Bytes by key. Keys are ours, as ``is_key`` says; never made of what a user wrote."""

    async def open(self) -> None:
        """Ready for use. Raises ``BlobsUnavailable`` with what to do."""
        ...

    async def close(self) -> None: ...

    async def put(self, key: str, content: AsyncIterator[bytes]) -> None:
        """Keep the bytes under a new key; whole and durable when it returns, else nothing of them.

        Memory is bounded whatever their number. What ``content`` raises goes on to the caller, and nothing remains;
        so does a cancellation.
        """
        ...

    def read(
        self, key: str, start: int = 0, length: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The bytes from ``start``, in pieces of bounded size; none from beyond the end. Raises ``BlobMissing``."""
        ...

    async def remove(self, key: str) -> None:
        """There are no bytes under this key; not an error where there were none."""
        ...

    def list(self, prefix: str = "") -> AsyncIterator[BlobInfo]:
        """What there is, in order of key."""
        ...
