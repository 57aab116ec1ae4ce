"""What the threads of the folder do: one file of it, written, read, looked for. Everything here waits for the disk.

A file that is being written is in ``incoming`` under a name of its own, locked by who writes it: so the next start can
tell what a killed process left there from what another one is still writing.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import heapq
import os
import secrets
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from .base import BlobInfo, BlobMissing, is_key

INCOMING: Final = "incoming"

_OURS_ALONE: Final = 0o700


def place_of(folder: Path, key: str) -> Path:
    """Where the file of this key is: 4096 folders, filled evenly whatever the keys have in common."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    return folder / digest[0] / digest[1:3] / key.replace("/", "_")


class Draft:
    """A file that is being written. Any thread may call it, one at a time gets in."""

    def __init__(self, folder: Path, kept: set[Path]) -> None:
        """``kept`` are the folders whose names are known to be on the disk."""
        self._folder = folder
        self._kept = kept
        self._entry = threading.Lock()
        self._file: int | None = None
        self._path: Path | None = None

    def begin(self) -> None:
        with self._entry:
            self._path, self._file = _new_file(self._folder / INCOMING)

    def write(self, data: bytearray) -> None:
        with self._entry:
            assert self._file is not None
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]

    def finish(self, place: Path) -> None:
        """It is whole, in its place, and there after a crash."""
        with self._entry:
            assert self._file is not None
            assert self._path is not None
            os.fsync(self._file)
            self._keep_folders(place)
            try:
                self._path.replace(place)
            except FileNotFoundError:
                # Somebody has removed the folders since; or ours with them, and then this fails as well.
                self._kept.difference_update((place.parent.parent, place.parent))
                self._keep_folders(place)
                self._path.replace(place)
            self._path = place
            _keep_names(place.parent)
            self._close()

    def discard(self) -> None:
        """It is gone, even from its place."""
        with self._entry:
            with contextlib.suppress(OSError):
                self._close()
            if self._path is not None:
                with contextlib.suppress(OSError):
                    self._path.unlink()
                self._path = None

    def _keep_folders(self, place: Path) -> None:
        for folder in (place.parent.parent, place.parent):
            # One that is there may have been made a moment ago, by one who is still waiting for the disk.
            if folder not in self._kept:
                folder.mkdir(_OURS_ALONE, exist_ok=True)
                _keep_names(folder.parent)
                self._kept.add(folder)

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            os.close(file)


class Reader:
    """A file that is being read, from ``start``. Any thread may call it, one at a time gets in."""

    def __init__(self, place: Path, start: int, length: int | None) -> None:
        self._place = place
        self._at = start
        self._left = length
        self._entry = threading.Lock()
        self._file: int | None = None

    def begin(self) -> None:
        """Raises ``BlobMissing``."""
        with self._entry:
            try:
                self._file = os.open(self._place, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                _require_store(self._place)
                raise BlobMissing("there are no such bytes") from None

    def next(self, most: int) -> bytes:
        """Some bytes; none at the end."""
        with self._entry:
            if self._file is None:
                return b""
            data = os.pread(self._file, most if self._left is None else min(most, self._left), self._at)
            self._at += len(data)
            if self._left is not None:
                self._left -= len(data)
            return data

    def end(self) -> None:
        with self._entry:
            if self._file is not None:
                file, self._file = self._file, None
                os.close(file)


def prepare(folder: Path) -> int:
    """The folder is there, can be written, and has nothing unfinished; how many files of that kind there were."""
    incoming = folder / INCOMING
    folder.mkdir(_OURS_ALONE, parents=True, exist_ok=True)
    incoming.mkdir(_OURS_ALONE, exist_ok=True)
    path, file = _new_file(incoming)
    os.close(file)
    path.unlink()
    return sum(_remove_if_left(Path(entry.path)) for entry in os.scandir(incoming))


def unlink(place: Path) -> None:
    """There is no such file, nor after a crash."""
    try:
        place.unlink()
        _keep_names(place.parent)
    except FileNotFoundError:
        _require_store(place)


def _require_store(place: Path) -> None:
    """Raises ``FileNotFoundError`` where all files are absent and not this one alone, as while no disk is mounted."""
    (place.parents[2] / INCOMING).stat()


def keys_after(folder: Path, prefix: str, after: str, most: int) -> Sequence[str]:
    """The first keys with this prefix that come after this one, in order."""
    return heapq.nsmallest(most, (key for key in _keys(folder) if key > after and key.startswith(prefix)))


def look_at(folder: Path, keys: Sequence[str]) -> Sequence[BlobInfo]:
    """What there is under these keys; nothing of those that are gone."""
    found = []
    for key in keys:
        with contextlib.suppress(FileNotFoundError):
            seen = place_of(folder, key).stat()
            found.append(BlobInfo(key, seen.st_size, seen.st_mtime_ns // 1000))
    return found


def _keys(folder: Path) -> Iterator[str]:
    for first in _entries(folder, 1):
        for second in _entries(first, 2):
            for file in _entries(second):
                key = file.name.replace("_", "/")
                if is_key(key):
                    yield key


def _entries(folder: Path | os.DirEntry[str], chars: int = 0) -> Iterator[os.DirEntry[str]]:
    """What is in a folder; with ``chars``, what has names of that length."""
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if not chars or len(entry.name) == chars)


def _new_file(incoming: Path) -> tuple[Path, int]:
    """A new file that is locked by us until it is closed."""
    while True:
        path = incoming / secrets.token_hex(16)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            # A start beside us may have taken it for an old one before we had the lock.
            if os.fstat(file).st_nlink:
                return path, file
        except OSError:
            os.close(file)
            with contextlib.suppress(OSError):
                path.unlink()
            raise
        os.close(file)


def _remove_if_left(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    except (BlockingIOError, FileNotFoundError):
        return False
    finally:
        os.close(file)
    return True


def _keep_names(folder: Path) -> None:
    """The names in this folder are there after a crash."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
