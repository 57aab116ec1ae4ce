"""Keeping a client's state in a local SQLite file, so that a restart shows it at once and catches up.

One connection, used by one thread of its own, which lives while the store is open. What the client
learns is collected in memory and written some times a second, a batch in one transaction; what waits in the outbox is
written at once and flushed to the disk. A batch is only handed over between two callbacks of the event loop, so that an
item and the position that says it is there are never separated by a crash.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from . import sqlite_rows
from .errors import StoreError, StoreInUseError
from .sqlite_thread import Statement, StoreThread
from .store import OutboxRow
from .sync import StoredItem, StoredObject

log = logging.getLogger(__name__)

T = TypeVar("T")

WRITE_AFTER_S: Final = 0.2
BATCH: Final = 500
"""Statements after which a batch is not waited for any longer."""
TRUSTED_S: Final = 7 * 86_400 - 3_600
"""For how long removals can be caught up on (realtime 9.7), less an hour for clocks that differ."""


class SqliteStore:
    """A file that keeps what a client knows, and what it has yet to send (``ClientConfig.store``).

    The file is readable by its owner only and belongs to one process at a time; it is open while a client uses it. It
    may hold several users, one of whom is open at a time. Of each conversation the ``max_messages`` newest messages are
    kept. A file that cannot be used is renamed, with a warning in the log, and a new one begun.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, max_messages: int = 1000, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = Path(path)
        self._max_messages = max(1, max_messages)
        self._clock = clock
        self._file: StoreThread | None = None
        self._owner: object = None
        self._is_owned = False
        self._scope: int | None = None
        self._whose: tuple[str, str] | None = None
        self._statements: list[Statement] = []
        self._told: set[str] = set()
        """The objects and facts that the disk does not have yet as they are."""
        self._lists: set[str] = set()
        """Those that got messages, and may have too many by now."""
        self._timer: asyncio.Handle | None = None

    def __repr__(self) -> str:
        return f"<SqliteStore {self._path.name}>"

    # --- whose it is

    async def open(self, server_url: str, identity: str | None = None, *, owner: object = None) -> str | None:
        """What follows is about this user; without an identity, about the one who was here last. Returns whose it is.

        None means that nobody was. Raises ``StoreInUseError`` while somebody else has the file, or another ``owner``
        this very store, ``StoreError``.
        """
        if self._is_owned and self._owner is not owner:
            raise StoreInUseError(f"the store {self._path.name!r} is in use by another client")
        self._owner, self._is_owned = owner, True
        server_url = server_url.rstrip("/")
        if identity is not None and self._whose == (server_url, identity):
            return identity
        self._hand_over()
        self._stop()
        try:
            scope = await self._enter(server_url, identity)
        except StoreError:
            if self._file is None or not self._file.is_damaged:
                raise
            # Only now it has turned out what the file is like: it is set aside, and a new one begun.
            await self.close()
            self._owner, self._is_owned = owner, True
            scope = await self._enter(server_url, identity)
        if scope is None:
            return None
        self._scope, name = scope
        self._whose = (server_url, name)
        return name

    async def _enter(self, server_url: str, identity: str | None) -> tuple[int, str] | None:
        if self._file is None:
            file = StoreThread(self._path)
            try:
                await file.begin()
            except BaseException:
                self._owner, self._is_owned = None, False
                raise
            self._file = file
        return await self._file.answer(lambda connection: sqlite_rows.enter(connection, server_url, identity))

    async def erase(self) -> None:
        """Nothing is kept of the user who is open, and nothing further will be. Raises ``StoreError``."""
        scope = self._scope
        self._stop()
        if scope is not None and self._file is not None:
            await self._file.answer(lambda connection: sqlite_rows.erase(connection, scope))

    async def close(self, *, owner: object = None) -> None:
        """Everything told is on the disk, the file is free, and the thread has ended. May be called again.

        With an ``owner`` nothing happens while it is another who has it open. A disk that does not answer is waited
        for no longer than a while: it gets what was told when it does.
        """
        if owner is not None and self._owner is not owner:
            return
        self._hand_over()
        self._stop()
        file, self._file = self._file, None
        try:
            if file is not None:
                await file.end()
        finally:
            self._owner, self._is_owned = None, False

    # --- copies of objects, and facts

    def load(self, name: str) -> tuple[StoredObject, list[StoredItem]] | None:
        """An object and its items; None of one that is not kept, or is too old to catch up from."""
        found = self._read(name, sqlite_rows.load)
        if found is None:
            return None
        stored, items, seen_at = found
        # A clock that was set back makes the age unknown.
        if not -3600 < self._clock() - seen_at < TRUSTED_S:
            self.forget(name)
            return None
        return stored, items

    def save(self, stored: StoredObject) -> None:
        self._do(stored.name, sqlite_rows.DROP_STRANGERS, self._scope, stored.name, stored.sid)
        self._do(
            stored.name,
            sqlite_rows.SAVE_OBJECT,
            self._scope,
            stored.name,
            str(stored.kind),
            stored.sid,
            stored.items_url,
            stored.last_event_id,
            stored.data,
            stored.at,
            self._clock(),
        )

    def seen(self, name: str) -> None:
        self._do(name, sqlite_rows.SEE_OBJECT, self._clock(), self._scope, name)

    def save_item(self, name: str, item: StoredItem) -> None:
        self._do(name, sqlite_rows.SAVE_ITEM, item.key, item.number, item.data, item.at, self._scope, name)
        if isinstance(item.key, int):
            self._lists.add(name)

    def remove_item(self, name: str, key: str | int) -> None:
        self._do(name, sqlite_rows.REMOVE_ITEM, self._scope, name, key)

    def forget(self, name: str) -> None:
        self._do(name, sqlite_rows.FORGET_ITEMS, self._scope, name)
        self._do(name, sqlite_rows.FORGET_OBJECT, self._scope, name)

    def recall(self, name: str) -> bytes | None:
        """What was remembered under this name."""
        return self._read(name, sqlite_rows.fact)

    def remember(self, name: str, value: bytes) -> None:
        """Keep a fact, in place of the one of before."""
        self._do(name, sqlite_rows.SAVE_FACT, self._scope, name, sqlite_rows.sealed(value))

    # --- messages that wait

    def rows(self) -> list[OutboxRow]:
        """All messages that wait, in order. Raises ``StoreError``."""
        file, scope = self._opened()
        return file.ask(lambda connection: sqlite_rows.rows(connection, scope))

    async def add(self, row: OutboxRow, files: Sequence[bytes] = ()) -> None:
        """Keep a new message that waits, with its files: on the disk when this returns.

        Raises ``StoreError``, and then it is not kept, nor will be.
        """
        await self._durably(
            *((sqlite_rows.ADD_FILE, (self._scope, row.id, number, data)) for number, data in enumerate(files)),
            self._put(row),
            otherwise=self._drop(row.id),
        )

    async def change(self, row: OutboxRow) -> None:
        """Keep it as it is now: on the disk when this returns. Raises ``StoreError``."""
        await self._durably(self._put(row))

    async def remove(self, id: str, fact: tuple[str, bytes] | None = None) -> None:
        """Keep it no longer, and remember a fact: so on the disk when this returns. Raises ``StoreError``."""
        await self._durably(
            *self._drop(id),
            *(() if fact is None else ((sqlite_rows.SAVE_FACT, (self._scope, fact[0], sqlite_rows.sealed(fact[1]))),)),
        )

    async def file(self, id: str, number: int) -> bytes:
        """A file that a waiting message brought. Raises ``StoreError`` when it is not there."""
        file, scope = self._opened()
        data = await file.answer(lambda connection: sqlite_rows.outbox_file(connection, scope, id, number))
        if data is None:
            raise StoreError("a file of a waiting message is not in the store")
        return data

    def _put(self, row: OutboxRow) -> Statement:
        return sqlite_rows.PUT_ROW, (self._scope, row.id, row.place, row.content)

    def _drop(self, id: str) -> tuple[Statement, Statement]:
        return (sqlite_rows.REMOVE_FILES, (self._scope, id)), (sqlite_rows.REMOVE_ROW, (self._scope, id))

    async def _durably(self, *statements: Statement, otherwise: Sequence[Statement] = ()) -> None:
        file, _ = self._opened()
        await file.durably(statements, otherwise)

    def _opened(self) -> tuple[StoreThread, int]:
        if self._file is None or self._scope is None:
            raise StoreError("the store is not open")
        return self._file, self._scope

    # --- batches

    def _read(self, name: str, work: Callable[[sqlite3.Connection, int, str], T | None]) -> T | None:
        """Behind what was told about it; None also when it cannot be read."""
        if name in self._told:
            self._hand_over()
        file, scope = self._file, self._scope
        if file is None or scope is None:
            return None
        try:
            return file.ask(lambda connection: work(connection, scope, name))
        except StoreError as error:
            log.warning("store.not_read: %s", error, extra={"why": str(error)})
            return None

    def _do(self, name: str, sql: str, *values: Any) -> None:
        if self._scope is None or self._file is None or self._file.is_given_up:
            return
        self._told.add(name)
        self._statements.append((sql, values))
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # whoever has no loop has no rush either: it is written at the end
        if len(self._statements) == BATCH and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            # Never from within this call: what belongs together may not all be there yet.
            full = len(self._statements) >= BATCH
            self._timer = loop.call_soon(self._hand_over) if full else loop.call_later(WRITE_AFTER_S, self._hand_over)

    def _hand_over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._statements or self._file is None:
            return
        statements, self._statements = self._statements, []
        # The OFFSET counts from 0: the one behind the last that stays, and all below, go.
        scope, most = self._scope, self._max_messages
        statements += [(sqlite_rows.TRIM, (scope, name, scope, name, most)) for name in self._lists]
        self._lists.clear()
        self._told.clear()
        self._file.write(statements)

    def _stop(self) -> None:
        """Take nothing more; what was not handed over yet is dropped."""
        self._scope = self._whose = None
        self._statements.clear()
        self._told.clear()
        self._lists.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
