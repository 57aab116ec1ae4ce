"""A small file that only its owner can read, replaced as a whole."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class PrivateFile(Generic[T]):
    """Values by name. Whoever reads sees the old file or the new one.

    What cannot be read counts as absent, what cannot be written is not kept: what stands in such a file can be had
    again.
    """

    def __init__(self, path: str | os.PathLike[str], kind: type[dict[str, T]]) -> None:
        self.path = Path(path)
        self._kind = kind

    def load(self, name: str) -> T | None:
        return self._all().get(name)

    def save(self, name: str, value: T) -> None:
        self._write({**self._all(), name: value})

    def clear(self, name: str) -> None:
        kept = self._all()
        if kept.pop(name, None) is not None:
            self._write(kept)

    def _all(self) -> dict[str, T]:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=self._kind)
        except (OSError, ValueError):
            return {}

    def _write(self, kept: dict[str, T]) -> None:
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Made by mkstemp, a file is its owner's alone from the first byte.
            handle, draft = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(msgspec.json.encode(kept))
                os.replace(draft, self.path)
            except OSError:
                os.unlink(draft)
                raise
