"""Blobs in a folder of this machine, the default: a file for each."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from tertulia.server.observe import fields

from . import files
from .base import BlobInfo, BlobsUnavailable, require_key

P = ParamSpec("P")
R = TypeVar("R")
log = logging.getLogger(__name__)

PIECE: Final = 256 << 10
"""Bytes that go to a thread, or come from one, at a time. Measured: of 64 KiB the way costs more than the disk."""
THREADS: Final = 8
"""Of our own: a slow disk must not hold up what else the loop's threads do, such as looking up names."""
LISTED: Final = 50_000
"""Keys that a listing holds; a longer one goes through the folder again for the next ones."""
LOOKED_AT: Final = 500
"""Files whose size and time are asked for in one go."""

_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class FolderBlobs:
    """One folder. A blob that is on its way takes ``PIECE`` bytes of memory, whatever its size."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: set[Path] = set()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="blobs")

    async def open(self) -> None:
        try:
            removed = await self._run(files.prepare, self._folder)
        except BlobsUnavailable as trouble:
            self._threads.shutdown(wait=False)
            raise BlobsUnavailable(
                f"the folder {self._folder} for the bytes of media cannot be used ({trouble}); make room for it, or"
                " choose another with blobs.folder"
            ) from None
        if removed:
            log.info("blobs.unfinished_removed", extra=fields(count=removed))

    async def close(self) -> None:
        """Waits for what the disk is at."""
        await asyncio.to_thread(self._threads.shutdown)

    async def put(self, key: str, content: AsyncIterator[bytes]) -> None:
        place = files.place_of(self._folder, require_key(key))
        draft = files.Draft(self._folder, self._kept)
        try:
            await self._run(draft.begin)
            waiting = bytearray()
            async for piece in content:
                waiting += piece
                if len(waiting) >= PIECE:
                    await self._run(draft.write, waiting)
                    waiting = bytearray()
            await self._run(draft.write, waiting)
            await self._run(draft.finish, place)
        except BaseException:
            # A thread has begun with it before anybody could cancel us once more.
            await self._run(draft.discard)
            raise

    @contextlib.asynccontextmanager
    async def read(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[AsyncIterator[bytes]]:
        reader = files.Reader(files.place_of(self._folder, require_key(key)), start, length)
        try:
            await self._run(reader.begin)
            async with contextlib.aclosing(_until_empty(lambda: self._run(reader.next, PIECE))) as pieces:
                yield pieces
        finally:
            await self._run(reader.end)

    async def remove(self, key: str) -> None:
        await self._run(files.unlink, files.place_of(self._folder, require_key(key)))

    async def list(self, prefix: str = "") -> AsyncIterator[BlobInfo]:
        after = ""
        while keys := await self._run(files.keys_after, self._folder, prefix, after, LISTED):
            for at in range(0, len(keys), LOOKED_AT):
                for info in await self._run(files.look_at, self._folder, keys[at : at + LOOKED_AT]):
                    yield info
            if len(keys) < LISTED:
                return
            after = keys[-1]

    async def _run(self, work: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
        """What ``work`` returns, done in a thread; whoever is cancelled waits for its end."""
        doing = asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(*arguments, **named))
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            await asyncio.wait({doing})
            raise
        except OSError as trouble:
            said = "the disk is full" if trouble.errno in _FULL else trouble.strerror or type(trouble).__name__
            raise BlobsUnavailable(said) from None


async def _until_empty(read: Callable[[], Coroutine[object, object, bytes]]) -> AsyncGenerator[bytes, None]:
    while piece := await read():
        yield piece
