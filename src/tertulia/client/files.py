"""Files on their way out: what may be sent, and how it is read, a piece at a time."""

from __future__ import annotations

import contextlib
import io
import mimetypes
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import msgspec

from . import arguments
from .aside import aside
from .errors import InvalidArgumentError, MediaTooLargeError, MediaUploadError
from .paths import shown, why

T = TypeVar("T")

Progress = Callable[[int, int | None], None]
"""Told how many bytes have gone out, of how many (None when that is not known)."""


CHUNK: Final = 65_536


class FileToSend(msgspec.Struct, frozen=True):
    """A file for a message. Printed, it shows neither its name nor what is in it.

    Bytes and paths can be sent again and again, and wait in an outbox. A file object (opened in binary mode) is read
    from where it stands, and stands there again afterwards if it can seek. A stream of bytes can be sent once. Disks
    are read in a thread, a piece at a time, so that nothing else waits for them.
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

    async def size(self) -> int | None:
        """In bytes; None where only the end tells. Raises ``InvalidArgumentError`` for what cannot be read."""
        arguments.words(self.content_type, "content_type")
        arguments.words(self.filename, "filename")
        content = self.content
        if isinstance(content, bytes):
            return len(content)
        if isinstance(content, Path):
            return await aside(partial(_size_at, content))
        if isinstance(content, AsyncIterable):
            return None
        if not callable(getattr(content, "read", None)):
            raise InvalidArgumentError(_CONTENTS)
        try:
            return await _done(content, partial(_rest, content))
        except (OSError, ValueError) as error:
            raise _unreadable(content, error) from None


OneFile = FileToSend | bytes | Path | IO[bytes] | AsyncIterable[bytes] | tuple[bytes | Path, str]
"""A file, or what one is made of; a pair is content and its type."""
Files = OneFile | Sequence[OneFile]
"""What ``media`` takes: one file, or several in order."""

_CONTENTS: Final = 'a file is bytes, a Path (as Path("a.png")), a file opened in binary mode, or a stream of bytes'


def files_of(given: Files | None) -> tuple[FileToSend, ...]:
    """The files, however they were given. Raises ``InvalidArgumentError`` for what is none."""
    if given is None:
        return ()
    if isinstance(given, list) or (isinstance(given, tuple) and not _is_pair(given)):
        return tuple(map(_file_of, given))
    return (_file_of(given),)


def _file_of(given: Any) -> FileToSend:
    if isinstance(given, FileToSend):
        return given
    if _is_pair(given):
        return FileToSend(given[0], content_type=given[1])
    if isinstance(given, bytes | Path | AsyncIterable) or callable(getattr(given, "read", None)):
        return FileToSend(given)
    if isinstance(given, os.PathLike):
        return FileToSend(arguments.path(given, "a file"))
    raise InvalidArgumentError(_CONTENTS)


def _is_pair(given: object) -> bool:
    return isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], str)


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
    async with _opened(content) as source:
        while size is None or sent < size:
            wanted = CHUNK if size is None else min(CHUNK, size - sent)
            try:
                piece = await _done(source, partial(source.read, wanted))
            except (OSError, ValueError) as error:
                raise _unreadable(content, error) from None
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


@contextlib.asynccontextmanager
async def _opened(content: bytes | Path | IO[bytes]) -> AsyncIterator[IO[bytes]]:
    """Something to read from. What was open before is left where it was, if it can be."""
    if isinstance(content, bytes):
        yield io.BytesIO(content)
    elif isinstance(content, Path):
        try:
            source = await aside(lambda: content.open("rb"), lambda source: source.close())
        except (OSError, ValueError) as error:
            raise _unreadable(content, error) from None
        try:
            yield source
        finally:
            await aside(source.close)
    elif not _seeks(content):
        yield content
    else:
        here = await _done(content, content.tell)
        try:
            yield content
        finally:
            # Somebody may have closed it meanwhile.
            with contextlib.suppress(OSError, ValueError):
                await _done(content, partial(content.seek, here))


async def _done(source: object, work: Callable[[], T]) -> T:
    """Work with a file: in a thread where it is one of the system's. Others may not like that, and need no disk."""
    if isinstance(source, io.BufferedReader | io.BufferedRandom | io.FileIO):
        return await aside(work)
    return work()


def _size_at(path: Path) -> int | None:
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    if stat.S_ISDIR(found.st_mode):
        raise InvalidArgumentError(f"{shown(path)} cannot be sent: it is a directory")
    # How much comes out of a pipe, only its end tells.
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _rest(content: IO[bytes]) -> int | None:
    if not _seeks(content):
        return None
    here = content.tell()
    size = content.seek(0, os.SEEK_END) - here
    content.seek(here)
    return max(0, size)


def _seeks(content: Any) -> bool:
    seekable = getattr(content, "seekable", None)
    return callable(seekable) and bool(seekable())


def _unreadable(content: object, error: Exception) -> InvalidArgumentError:
    """Which file, as it was given, and why; of what has no name, why."""
    what = shown(content) if isinstance(content, Path) else "the file"
    return InvalidArgumentError(f"{what} cannot be read: {why(error)}")
