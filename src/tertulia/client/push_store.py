"""What a device remembers of its registrations for push."""

from __future__ import annotations

import os
from typing import Protocol

import msgspec

from .private_file import PrivateFile


class PushRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A registration as it was made. Printed, it does not show the device's token."""

    device_token: str
    registration_id: str
    message_types: tuple[str, ...]
    registered_at: float
    """Unix seconds."""
    cleaned_at: float = 0
    """When registrations were cleaned up last."""

    def __repr__(self) -> str:
        return f"<PushRecord {self.registration_id}>"


class PushStore(Protocol):
    """Keeps one record per name, which tells server, user and channel apart."""

    def load(self, name: str) -> PushRecord | None: ...
    def save(self, name: str, record: PushRecord) -> None: ...
    def clear(self, name: str) -> None: ...


class MemoryPushStore:
    """Remembers for as long as the process lives."""

    def __init__(self) -> None:
        self._records: dict[str, PushRecord] = {}

    def load(self, name: str) -> PushRecord | None:
        return self._records.get(name)

    def save(self, name: str, record: PushRecord) -> None:
        self._records[name] = record

    def clear(self, name: str) -> None:
        self._records.pop(name, None)


class FilePushStore:
    """Remembers in a small file that only its owner can read; it is replaced as a whole.

    What cannot be read counts as forgotten: the device is then registered once more, which does no harm.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = PrivateFile(path, dict[str, PushRecord])

    def __repr__(self) -> str:
        return f"<FilePushStore {self._file.path.name}>"

    def load(self, name: str) -> PushRecord | None:
        return self._file.load(name)

    def save(self, name: str, record: PushRecord) -> None:
        self._file.save(name, record)

    def clear(self, name: str) -> None:
        self._file.clear(name)
