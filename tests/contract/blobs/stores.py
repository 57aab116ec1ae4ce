"""A store of blobs under test, and what the tests do with it whatever its driver."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

from tertulia.server.blobs.base import BlobInfo, Blobs
from tertulia.server.blobs.files import INCOMING
from tertulia.server.settings import BlobsSettings

PATIENCE_S = 30.0


class Place(Protocol):
    """Where a driver keeps its bytes."""

    @property
    def settings(self) -> BlobsSettings: ...

    def unfinished(self) -> list[str]:
        """What was begun there, and neither finished nor taken back."""
        ...

    async def come(self) -> None:
        """It is there."""
        ...

    async def leave(self) -> None:
        """It is away until it comes again."""
        ...

    async def close(self) -> None:
        """The test is over."""
        ...


class FolderPlace:
    """A folder; one that is away is a file, as where its disk is not mounted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "blobs"
        self._aside = folder / "aside"

    @property
    def settings(self) -> BlobsSettings:
        return BlobsSettings(folder=str(self._folder))

    def unfinished(self) -> list[str]:
        return [path.name for path in (self._folder / INCOMING).iterdir()]

    async def come(self) -> None:
        if self._aside.exists():
            self._folder.unlink()
            self._aside.rename(self._folder)

    async def leave(self) -> None:
        self._folder.rename(self._aside)
        self._folder.touch()

    async def close(self) -> None:
        """Nothing is left but files."""


def some_bytes(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


async def pieces_of(data: bytes, size: int = 64 << 10) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def whole(blobs: Blobs, key: str, start: int = 0, length: int | None = None) -> bytes:
    async with blobs.read(key, start, length) as pieces:
        return b"".join([piece async for piece in pieces])


async def listed(blobs: Blobs, prefix: str = "") -> list[BlobInfo]:
    return [info async for info in blobs.list(prefix)]


async def keys(blobs: Blobs, prefix: str = "") -> list[str]:
    return [info.key for info in await listed(blobs, prefix)]


async def some_unfinished(place: Place) -> None:
    """Returns once something has been begun."""
    async with asyncio.timeout(PATIENCE_S):
        while not place.unfinished():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.01)


async def none_unfinished(place: Place) -> None:
    """Returns once there is nothing, and fails when there stays something."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            # The service takes back what we aborted after it has answered.
            while place.unfinished():  # noqa: ASYNC110 (what is waited for has no event)
                await asyncio.sleep(0.01)
    assert place.unfinished() == []
