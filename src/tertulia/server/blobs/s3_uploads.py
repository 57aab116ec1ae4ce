"""One blob on its way to an S3-compatible service: whole in the end, or taken back."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

PART: Final = 5 << 20
"""Bytes of a part, the smallest that S3 takes. Two to three times that is the memory for a blob on its way there."""
UNDO_S: Final = 10.0
"""How long taking back may hold up who is told that there is nothing."""


class Upload:
    """Sends what it is given under one key."""

    def __init__(self, store: S3Store, key: str) -> None:
        self._store = store
        self._key = key
        self._feed: _Feed | None = None
        self._sending: asyncio.Task[object] | None = None

    async def take(self, content: AsyncIterator[bytes]) -> None:
        """All of it. Raises what ``content`` raises; ``BaseError`` and ``FileNotFoundError`` as the library does."""
        first, size = deque[bytes](), 0
        async for piece in content:
            if self._feed is not None:
                if not await self._feed.give(piece):
                    break
                continue
            first.append(piece)
            size += len(piece)
            if size > PART:
                # What is in parts costs two requests more, so only what has to be is.
                self._feed = _Feed(first)
                self._send(self._feed)
        if self._feed is None:
            self._send(b"".join(first))
        else:
            self._feed.end()
        assert self._sending is not None
        await asyncio.shield(self._sending)

    @property
    def failure(self) -> BaseException | None:
        """What the service did to it, if that is what went wrong."""
        if self._sending is None or not self._sending.done() or self._sending.cancelled():
            return None
        return self._sending.exception()

    async def undo(self) -> None:
        """There is nothing of it, as far as the service can be reached."""
        if self._sending is None:
            return
        if self._feed is not None:
            self._feed.cut()
        await asyncio.wait({self._sending}, timeout=UNDO_S)
        if not self._sending.done():
            self._sending.cancel()
        elif isinstance(self.failure, _Cut):
            return  # aborted
        # What was sent whole may have arrived, whatever we heard of it.
        with contextlib.suppress(BaseError, FileNotFoundError, TimeoutError):
            async with asyncio.timeout(UNDO_S):
                await obstore.delete_async(self._store, self._key)

    def _send(self, content: bytes | _Feed) -> None:
        self._sending = asyncio.ensure_future(
            obstore.put_async(
                self._store,
                self._key,
                content,
                use_multipart=isinstance(content, _Feed),
                chunk_size=PART,
                max_concurrency=1,
            )
        )
        if isinstance(content, _Feed):
            self._sending.add_done_callback(lambda _: content.stop())


class _Cut(Exception):
    """Said to the library, which aborts a multipart upload when its source fails, and not when it is cancelled."""


class _Feed:
    """What the library takes the pieces from, in a task of its own; those of the first part, and then one ahead."""

    def __init__(self, first: deque[bytes]) -> None:
        self._pieces = first
        self._is_ended = self._is_cut = self._is_stopped = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    async def give(self, piece: bytes) -> bool:
        """Hand over, when there is room for it; False where nobody takes any more."""
        while self._pieces and not self._is_stopped:
            self._room.clear()
            await self._room.wait()
        self._pieces.append(piece)
        self._news.set()
        return not self._is_stopped

    def end(self) -> None:
        """That was all."""
        self._is_ended = True
        self._news.set()

    def cut(self) -> None:
        """Fail, instead of an end."""
        self._is_cut = True
        self._news.set()

    def stop(self) -> None:
        """Nobody takes any more."""
        self._is_stopped = True
        self._room.set()

    def __aiter__(self) -> _Feed:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces and not self._is_ended and not self._is_cut:
            self._news.clear()
            await self._news.wait()
        if self._is_cut:
            raise _Cut
        if not self._pieces:
            raise StopAsyncIteration
        piece = self._pieces.popleft()
        if not self._pieces:
            self._room.set()
        return piece
