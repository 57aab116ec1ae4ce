"""Where a token waits for the next start."""

from __future__ import annotations

import hashlib
import os
from typing import Protocol

from .private_file import PrivateFile


class TokenStore(Protocol):
    """Keeps the last token of a user of a server. ``name`` tells users of servers apart; tokens are secrets."""

    def load(self, name: str) -> str | None: ...
    def save(self, name: str, token: str) -> None: ...
    def clear(self, name: str) -> None: ...


class FileTokenStore:
    """Keeps tokens in one small file that only its owner can read.

    It is replaced as a whole, so whoever reads sees the old one or the new one. What cannot be read counts as absent,
    and what cannot be written is not kept: a start then asks for a token.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = PrivateFile(path, dict[str, str])

    def __repr__(self) -> str:
        return f"<FileTokenStore {self._file.path.name}>"

    def load(self, name: str) -> str | None:
        return self._file.load(_key(name))

    def save(self, name: str, token: str) -> None:
        self._file.save(_key(name), token)

    def clear(self, name: str) -> None:
        self._file.clear(_key(name))


def _key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]
