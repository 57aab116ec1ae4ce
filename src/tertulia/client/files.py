"""Files on their way out: what may be sent, and how it is read, a piece at a time."""

from __future__ import annotations

import contextlib
import io
import mimetypes
import os
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from .errors import InvalidArgumentError, MediaTooLargeError, MediaUploadError

Progress = Callable[[int, int | None], None]
"""Told how many bytes have gone out, of how many (None when that is not known)."""


CHUNK: Final = 65_536


class FileToSend(msgspec.Struct, frozen=True):
    """A file for a message. Printed, it shows neither its name nor what is in it.

    Bytes and paths can be sent again and again, and wait in an outbox. A file object (opened in binary mode) is read
    from where it stands, and stands there again afterwards if it can seek. A stream of bytes can be sent once.
    """

    content: bytes | Path | IO[bytes] | AsyncIterable[bytes]
    content_type: str | None = None
    """Told by the name when not given; else ``application/octet-stream``."""
    filename: str | None = None
    """The path's when not given."""
    progress: Progress | None = None

    def __repr__(self) -> str:
        return f"<FileToSend {self.type}>"

    @property
    def name(self) -> str | None:
        """What the file is called. Where a name is no text, as that of a file may be, a sign stands in."""
        name = self.filename
        if name is None and isinstance(self.content, Path):
            name = self.content.name
        return None if name is None else name.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    @property
    def type(self) -> str:
        """What it is."""
        if self.content_type is not None:
            return self.content_type
        return mimetypes.guess_type(self.name or "")[0] or "application/octet-stream"

    @property
    def can_wait(self) -> bool:
        """Whether it can be sent later, and again."""
        return isinstance(self.content, bytes | Path)

    def size(self) -> int | None:
        """In bytes; None where only the end tells. Raises ``InvalidArgumentError`` for what cannot be read."""
        content = self.content
        if isinstance(content, bytes):
            return len(content)
        try:
            if isinstance(content, Path):
                return content.stat().st_size
            if isinstance(content, AsyncIterable) or (callable(getattr(content, "read", None)) and not _seeks(content)):
                return None
            if callable(getattr(content, "read", None)):
                here = content.tell()
                size = content.seek(0, os.SEEK_END) - here
                content.seek(here)
                return max(0, size)
        except (OSError, ValueError) as error:
            raise InvalidArgumentError(f"the file cannot be read: {_why(error)}") from None
        raise InvalidArgumentError("a file is bytes, a Path, a file opened in binary mode, or a stream of bytes")


async def pieces(file: FileToSend, size: int | None, largest: int) -> AsyncGenerator[bytes, None]:
    """What goes out. It ends where the file ended when it was asked how large it is."""
    sent = 0
    content = file.content
    if isinstance(content, AsyncIterable):
        async for piece in content:
            for part in _parts(piece):
                sent += len(part)
                if sent > largest:
                    raise MediaTooLargeError(f"more than {largest} bytes, which are allowed")
                yield part
                if file.progress is not None:
                    file.progress(sent, None)
        return
    with _opened(content) as source:
        while size is None or sent < size:
            try:
                piece = source.read(CHUNK if size is None else min(CHUNK, size - sent))
            except (OSError, ValueError) as error:
                raise InvalidArgumentError(f"the file cannot be read: {_why(error)}") from None
            if not isinstance(piece, bytes):
                raise InvalidArgumentError("open the file in binary mode")
            if not piece:
                if size is None:
                    return
                raise MediaUploadError("the file became shorter while it was sent")
            sent += len(piece)
            if sent > largest:
                raise MediaTooLargeError(f"more than {largest} bytes, which are allowed")
            yield piece
            if file.progress is not None:
                file.progress(sent, size)


def _parts(piece: bytes) -> Iterator[bytes]:
    if not isinstance(piece, bytes):
        raise InvalidArgumentError("a stream gives bytes")
    for start in range(0, len(piece), CHUNK):
        yield piece[start : start + CHUNK]


@contextlib.contextmanager
def _opened(content: bytes | Path | IO[bytes]) -> Iterator[IO[bytes]]:
    """Something to read from. What was open before is left where it was, if it can be."""
    if isinstance(content, bytes):
        yield io.BytesIO(content)
    elif isinstance(content, Path):
        try:
            source = content.open("rb")
        except OSError as error:
            raise InvalidArgumentError(f"the file cannot be read: {_why(error)}") from None
        with source:
            yield source
    elif not _seeks(content):
        yield content
    else:
        here = content.tell()
        try:
            yield content
        finally:
            # Somebody may have closed it meanwhile.
            with contextlib.suppress(OSError, ValueError):
                content.seek(here)


def _seeks(content: Any) -> bool:
    seekable = getattr(content, "seekable", None)
    return callable(seekable) and bool(seekable())


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
