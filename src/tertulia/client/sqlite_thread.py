"""The one thread that uses the SQLite store's file, and its rules: in order, bounded, and honest about failures."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from .errors import StoreError
from .sqlite_file import is_damage, open_file, set_aside

log = logging.getLogger(__name__)

T = TypeVar("T")
Statement = tuple[str, tuple[Any, ...]]

BEHIND: Final = 50_000
"""Statements that may wait; a disk that is slower than that is not written to any more."""
PATIENCE_S: Final = 30.0
"""For an answer of the disk."""


class StoreThread:
    """The connection, and the thread that uses it. ``begin`` it, and ``end`` it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tertulia-store")
        self._lock = threading.Lock()
        self._waiting = 0
        self.is_damaged = False
        """The file itself turned out to be broken; it is set aside at the end."""
        self.is_given_up = False
        """The disk cannot, or cannot follow: what is on it stays as it is, a true state of some time ago."""
        self._connection: sqlite3.Connection | None = None

    async def begin(self) -> None:
        """Opens the file. Raises ``StoreError``, and then the thread has ended."""
        opening = self._thread.submit(open_file, self._path)
        try:
            self._connection = await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(opening)), PATIENCE_S)
        except BaseException as error:
            # Whoever stopped waiting leaves no file open behind.
            opening.add_done_callback(_close_unwanted)
            self._thread.shutdown(wait=False)
            if isinstance(error, TimeoutError):
                raise self._failure(error) from error
            raise

    def ask(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What the work finds, behind everything handed over before. Raises ``StoreError``."""
        try:
            return self._submit(work).result(PATIENCE_S)
        except StoreError:
            raise
        except Exception as error:  # the thread's edge: also what makes no sense in the file
            raise self._failure(error) from error

    async def answer(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The same without holding up the event loop. The work is done also for a caller who is cancelled."""
        future = asyncio.wrap_future(self._submit(work))
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            return await asyncio.wait_for(asyncio.shield(future), PATIENCE_S)
        except Exception as error:  # likewise
            raise self._failure(error) from error

    async def durably(self, statements: Sequence[Statement], otherwise: Sequence[Statement] = ()) -> None:
        """All of them or none, on the disk when this returns; done also for a caller who is cancelled.

        Raises ``StoreError``. A disk that takes too long does not do them later, when nobody reckons with it any more:
        what it was just about to finish is undone by ``otherwise``.
        """
        is_late = threading.Event()

        def work(connection: sqlite3.Connection) -> None:
            transact(connection, statements, durable=True, is_wanted=lambda: not is_late.is_set())

        try:
            await self.answer(work)
        except StoreError as error:
            is_late.set()
            if otherwise and isinstance(error.__cause__, TimeoutError):
                undone = self._submit(lambda connection: transact(connection, otherwise, durable=True))
                undone.add_done_callback(self._note)
            raise

    def write(self, statements: list[Statement]) -> None:
        """Write a batch, soon. What cannot be written is not: everything later is left out as well."""
        with self._lock:
            if self._waiting + len(statements) > BEHIND:
                self._give_up("the disk is too slow")
            if self.is_given_up:
                return
            self._waiting += len(statements)
        self._submit(lambda connection: self._write(connection, statements))

    async def end(self) -> None:
        """Everything handed over is written, the file is closed, the thread has ended.

        A disk that does not answer is left to the thread, which ends when it does.
        """
        is_closed = threading.Event()

        def close(connection: sqlite3.Connection) -> None:
            try:
                connection.close()
            finally:
                is_closed.set()

        try:
            with contextlib.suppress(StoreError):
                await self.answer(close)
        finally:
            # Not waited for while it is busy: that would hold up the event loop.
            self._thread.shutdown(wait=is_closed.is_set())
        if not is_closed.is_set():
            log.warning("store.not_closed: no answer in time", extra={"why": "no answer in time"})
        elif self.is_damaged:
            set_aside(self._path)

    def _submit(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        connection = self._connection
        if connection is None:
            raise StoreError("the store is not open")
        try:
            return self._thread.submit(work, connection)
        except RuntimeError as error:
            raise StoreError("the store is closed") from error

    def _write(self, connection: sqlite3.Connection, statements: list[Statement]) -> None:
        try:
            if not self.is_given_up:
                transact(connection, statements)
        except Exception as error:  # the thread's edge: what is left out of a batch must not be missing in later ones
            self._failure(error)
            self._give_up(_why(error))
        finally:
            with self._lock:
                self._waiting -= len(statements)

    def _note(self, done: Future[None]) -> None:
        error = done.exception()
        if isinstance(error, sqlite3.Error):
            self._failure(error)
            log.warning("store.not_undone: %s", error, extra={"why": str(error)})

    def _give_up(self, why: str) -> None:
        if not self.is_given_up:
            self.is_given_up = True
            log.warning("store.not_written: %s", why, extra={"why": why})

    def _failure(self, error: Exception) -> StoreError:
        if is_damage(error):
            self.is_damaged = True
        return StoreError(f"the store {self._path.name!r} cannot be used: {_why(error)}")


def _why(error: Exception) -> str:
    """Without what is in the file."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) if isinstance(error, sqlite3.Error | msgspec.MsgspecError) else type(error).__name__


def _close_unwanted(opening: Future[sqlite3.Connection]) -> None:
    if opening.exception() is None:
        opening.result().close()


def transact(
    connection: sqlite3.Connection,
    statements: Sequence[Statement],
    *,
    durable: bool = False,
    is_wanted: Callable[[], bool] | None = None,
) -> None:
    """All of them or none; ``durable`` ones survive a power failure, the others a crash of the process.

    None when they are not wanted any more at the end.
    """
    if is_wanted is not None and not is_wanted():
        return
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        for sql, values in statements:
            connection.execute(sql, values)
        connection.execute("COMMIT" if is_wanted is None or is_wanted() else "ROLLBACK")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
