"""A file on its way to the disk: under its name it stands only when it is whole."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import IO, Final

from .aside import aside
from .errors import InvalidArgumentError, MediaError
from .paths import shown, why

_NEW: Final = 0o666
"""As everybody makes files: the umask takes away what it should."""


@contextlib.asynccontextmanager
async def arriving(path: Path) -> AsyncIterator[Callable[[bytes], Awaitable[object]]]:
    """What writes a piece. At the end of the block the file is at the path; if that is left by an error, nothing is.

    Disks are waited for in a thread. Raises ``InvalidArgumentError`` for a path that cannot be written to, and
    ``MediaError`` when something goes wrong later.
    """
    draft = path.parent / f".download-{secrets.token_hex(8)}"
    try:
        file = await aside(partial(_opened, path, draft), partial(_dropped, draft))
    except (OSError, ValueError) as error:
        raise InvalidArgumentError(f"{shown(path)} cannot be written: {why(error)}") from None

    async def write(piece: bytes) -> None:
        try:
            await aside(partial(file.write, piece))
        except OSError as error:
            raise _failed(path, error) from None

    is_whole = False
    try:
        yield write
        try:
            await aside(partial(_finished, file, draft, path))
        except OSError as error:
            raise _failed(path, error) from None
        is_whole = True
    finally:
        if not is_whole:
            await aside(partial(_dropped, draft, file))


def _opened(path: Path, draft: Path) -> IO[bytes]:
    try:
        found = path.stat()
    except FileNotFoundError:
        mode = None
    else:
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(None, "it is a directory")
        # What only its owner could read before, only he can afterwards.
        mode = stat.S_IMODE(found.st_mode) & _NEW if stat.S_ISREG(found.st_mode) else None
    file = open(  # noqa: SIM115 (it outlives this)
        draft, "xb", opener=lambda name, flags: os.open(name, flags, _NEW if mode is None else mode)
    )
    if mode is not None:
        try:
            os.chmod(draft, mode)
        except OSError:
            _dropped(draft, file)
            raise
    return file


def _finished(file: IO[bytes], draft: Path, path: Path) -> None:
    file.close()
    os.replace(draft, path)


def _dropped(draft: Path, file: IO[bytes]) -> None:
    with contextlib.suppress(OSError):
        file.close()
    with contextlib.suppress(OSError):
        draft.unlink()


def _failed(path: Path, error: OSError) -> MediaError:
    return MediaError(f"{shown(path)} cannot be written: {why(error)}")
