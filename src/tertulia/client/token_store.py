"""Where a token waits for the next start."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from functools import partial
from typing import Final, Protocol

from .aside import aside
from .paths import why
from .private_file import PrivateFile

log = logging.getLogger(__name__)

PATIENCE_S: Final = 5.0
"""For a disk, at the end."""


class TokenStore(Protocol):
    """Keeps the last token of a user of a server. ``name`` tells users of servers apart; tokens are secrets.

    Each is called in a thread, and may wait for a disk; of one client, one at a time. What is raised is logged by its
    kind, and counts as no token.
    """

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


class Keeping:
    """The place of one user's token in a store. What is put there is written in the background, the latest of it."""

    def __init__(self, store: TokenStore | None, name: str) -> None:
        self._store = store
        self._name = name
        self._wanted: tuple[str | None] | None = None
        self._writing: asyncio.Task[None] | None = None

    async def load(self) -> str | None:
        """The token that waits, if one does."""
        if self._store is None:
            return None
        try:
            return await aside(partial(self._store.load, self._name))
        except Exception as error:  # a store of the application's
            log.warning("client.token_not_loaded: %s", why(error), extra={"why": why(error)})
            return None

    def put(self, token: str | None) -> None:
        """This one waits from now on; None is nothing."""
        if self._store is None:
            return
        self._wanted = (token,)
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write(self._store))

    async def settle(self) -> None:
        """What was put there is written when this returns, unless a disk takes too long."""
        if self._writing is not None:
            await asyncio.wait({self._writing}, timeout=PATIENCE_S)

    async def close(self) -> None:
        """Likewise; and nothing runs any more."""
        await self.settle()
        task, self._writing = self._writing, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _write(self, store: TokenStore) -> None:
        try:
            while self._wanted is not None:
                [token], self._wanted = self._wanted, None
                work = partial(store.clear, self._name) if token is None else partial(store.save, self._name, token)
                try:
                    await aside(work)
                except Exception as error:  # a store of the application's
                    log.warning("client.token_not_kept: %s", why(error), extra={"why": why(error)})
        finally:
            self._writing = None


def _key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]
