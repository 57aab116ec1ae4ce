"""A small file that only its owner can read, replaced as a whole."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import threading
from typing import Final, Generic, TypeVar

import msgspec

from . import arguments
from .paths import why

log = logging.getLogger(__name__)

T = TypeVar("T")

_turn: Final = threading.Lock()
"""One change at a time in this process: of two at once, each would lose what the other has written."""


class PrivateFile(Generic[T]):
    """Values by name. Whoever reads sees the old file or the new one. May be used by any thread; waits for the disk.

    What cannot be read counts as absent, what cannot be written is not kept: what stands in such a file can be had
    again.
    """

    def __init__(self, path: str | os.PathLike[str], kind: type[dict[str, T]]) -> None:
        self.path = arguments.path(path, "the path of a store")
        self._kind = kind

    def load(self, name: str) -> T | None:
        return self._all().get(name)

    def save(self, name: str, value: T) -> None:
        with _turn:
            self._write({**self._all(), name: value})

    def clear(self, name: str) -> None:
        with _turn:
            kept = self._all()
            if kept.pop(name, None) is not None:
                self._write(kept)

    def _all(self) -> dict[str, T]:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=self._kind)
        except FileNotFoundError:
            return {}
        except OSError as error:
            self._warn("read", why(error))
        except ValueError:
            self._warn("read", "what is in it is something else")
        return {}

    def _write(self, kept: dict[str, T]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Made by mkstemp, a file is its owner's alone from the first byte.
            handle, draft = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(msgspec.json.encode(kept))
                os.replace(draft, self.path)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(draft)
                raise
        except (OSError, ValueError) as error:
            self._warn("written", why(error))

    def _warn(self, what: str, reason: str) -> None:
        log.warning("client.file_not_%s: %s", what, reason, extra={"file": self.path.name, "why": reason})
