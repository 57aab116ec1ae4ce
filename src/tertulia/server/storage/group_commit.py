"""Group commit: many transactions, one ``fsync``.

There is one writer connection. Statements take microseconds and run on the event loop's thread; only ``COMMIT``, which
waits for the disk, runs in a thread of its own. Transactions that arrive while no commit is under way join the open
``BEGIN IMMEDIATE``, one at a time, the first plainly and each other as a savepoint. The commit starts when the loop has
run what was ready, so everything of one tick is made durable at once. Who arrives during a commit waits in order of
arrival; together they are the next batch.

Invariants:

* At most one transaction is *inside*, and none while a commit is under way: the worker thread then owns the connection.
* A batch is committed only with nobody inside, and never before somebody has left it normally.
* A transaction that fails takes nothing else with it. When SQLite gives up the whole batch by itself, or ``COMMIT``
  fails, every member gets ``StorageUnavailable``; none of them has been acknowledged before.
* Whenever nobody is inside and no commit is under way, the head of those who wait has been woken.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import queue
import threading
import time
from collections import deque
from types import TracebackType
from typing import Final

import apsw

from tertulia.server import observe

from .database import StatementFailed, StorageUnavailable
from .sqlite_statements import OVER, Counts, SqliteConnection, failure_of

_BATCH: Final = 256
"""Transactions that share one commit at most."""
_MOST_WAITING: Final = 10_000
_CLOSE_S: Final = 10.0


class _Batch:
    """Transactions that one commit will make durable: for each that has left, whom to tell."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left: list[asyncio.Future[None]] = []

    def settle(self, failure: str | None) -> None:
        for member in self.left:
            if member.done():  # cancelled while it waited
                continue
            if failure is None:
                member.set_result(None)
            else:
                member.set_exception(StorageUnavailable(failure))


class _Place:
    """A place in the queue of those who wait for their turn."""

    __slots__ = ("awake",)

    def __init__(self) -> None:
        self.awake: asyncio.Future[None]


class Writer:
    """The one connection that writes, and who may use it when."""

    def __init__(self, connection: apsw.Connection, counts: Counts) -> None:
        self._counts = counts
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._cursor = connection.cursor()
        self._inside: SqliteConnection | None = None
        self._batch: _Batch | None = None
        self._due = False
        self._committing = False
        self._waiting: deque[_Place] = deque()
        self._closing = False
        self._idle: asyncio.Future[None] | None = None
        self._work: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    # -- entering -----------------------------------------------------------------------------------------------------

    async def enter(self) -> SqliteConnection:
        if self._inside is not None or self._committing or self._waiting or self._closing:
            await self._turn()
        # From here to the return nothing suspends: the turn is ours.
        mine = SqliteConnection(self._connection, self._cursor, self._counts, self.lost)
        try:
            if self._batch is None:
                self._cursor.execute("BEGIN IMMEDIATE")
                self._batch = _Batch()
            else:
                self._cursor.execute("SAVEPOINT mine")
                mine.savepoint = True
        except apsw.Error as error:
            failure = failure_of(error) if self._connection.in_transaction else self.lost(error)
            self._next()
            raise failure from error
        mine.task = asyncio.current_task()
        self._inside = mine
        return mine

    async def _turn(self) -> None:
        if self._closing or len(self._waiting) >= _MOST_WAITING:
            raise StorageUnavailable("the database is closing" if self._closing else "too many transactions wait")
        if self._inside is not None and self._inside.task is asyncio.current_task():
            raise StatementFailed("this task is inside a transaction already, and would wait for itself")
        place = _Place()
        self._waiting.append(place)
        try:
            while True:
                place.awake = self._loop.create_future()
                await place.awake
                if self._closing:
                    raise StorageUnavailable("the database is closing")
                if self._inside is None and not self._committing and self._waiting[0] is place:
                    self._waiting.popleft()
                    return
        except BaseException:
            self._waiting.remove(place)
            self._next()
            raise

    def _next(self) -> None:
        """Nobody is inside (any more): wake who is first in the queue, or note that all is quiet."""
        if self._inside is not None or self._committing:
            return
        if self._waiting:
            awake = self._waiting[0].awake
            if not awake.done():
                awake.set_result(None)
        elif self._batch is None and self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    # -- leaving ------------------------------------------------------------------------------------------------------

    async def leave(self, mine: SqliteConnection) -> None:
        """Wait until it is on disk."""
        if mine.failure is not None:  # the failed statement's exception was swallowed inside
            failure = mine.failure
            self.undo(mine)
            raise failure
        if mine.savepoint:
            try:
                self._cursor.execute("RELEASE mine")
            except apsw.Error as error:
                failure = mine.failed(error)
                self.undo(mine)
                raise failure from error
        mine.failure = OVER
        batch = self._batch
        assert batch is not None
        member = self._loop.create_future()
        batch.left.append(member)
        self._inside = None
        if self._due or len(batch.left) >= _BATCH or self._closing:
            self._commit()
        else:
            self._next()
            if len(batch.left) == 1:
                # Not now: whatever is ready in this tick may still join.
                self._loop.call_soon(self._call_due, batch)
        await member

    def undo(self, mine: SqliteConnection) -> None:
        """As if it had not been; the rest of the batch stays."""
        mine.failure = mine.failure or OVER
        if self._inside is not mine:
            return
        self._inside = None
        if self._batch is not None:
            try:
                if mine.savepoint:
                    self._cursor.execute("ROLLBACK TO mine")
                    self._cursor.execute("RELEASE mine")
                else:
                    self._batch = None  # it was the first and is alone
                    self._cursor.execute("ROLLBACK")
            except apsw.Error as error:
                self.lost(error)
        if self._batch is not None and self._batch.left and (self._due or self._closing):
            self._commit()
        else:
            self._next()

    def lost(self, error: Exception) -> StorageUnavailable:
        """The whole batch is gone, or has to go: tell everyone in it."""
        observe.STORAGE_FAILURES.inc()
        failure = f"the transaction was lost: {type(error).__name__}: {error}"
        if self._connection.in_transaction:
            with contextlib.suppress(apsw.Error):  # SQLite leaves the transaction even when it reports an error
                self._connection.execute("ROLLBACK")
        batch, self._batch, self._due = self._batch, None, False
        if batch is not None:
            batch.settle(failure)
        return StorageUnavailable(failure)

    # -- committing ---------------------------------------------------------------------------------------------------

    def _call_due(self, batch: _Batch) -> None:
        if batch is not self._batch:
            return
        if self._inside is None:
            self._commit()
        else:
            self._due = True

    def _commit(self) -> None:
        batch = self._batch
        assert batch is not None
        self._batch, self._due, self._committing = None, False, True
        if self._thread is None:
            self._thread = threading.Thread(target=self._committer, name="tertulia-commit", daemon=True)
            self._thread.start()
        self._work.put(batch)

    def _committer(self) -> None:
        execute = self._connection.execute
        while (batch := self._work.get()) is not None:
            failure: Exception | None = None
            started = time.perf_counter()
            try:
                execute("COMMIT")
            except Exception as error:  # whatever it is, those who wait must hear of it, and the next batch be taken
                failure = error
            took_s = time.perf_counter() - started
            with contextlib.suppress(RuntimeError):  # the loop was closed before the database
                self._loop.call_soon_threadsafe(self._committed, batch, failure, took_s)

    def _committed(self, batch: _Batch, error: Exception | None, took_s: float) -> None:
        self._committing = False
        observe.COMMIT_SECONDS.observe(took_s)
        observe.COMMIT_BATCH.observe(len(batch.left))
        if error is None:
            self._counts.commits += 1
            batch.settle(None)
        else:
            batch.settle(str(self.lost(error)))
        for place in itertools.islice(self._waiting, _BATCH):
            if not place.awake.done():
                place.awake.set_result(None)
        self._next()

    # -- closing ------------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        self._closing = True
        for place in self._waiting:
            if not place.awake.done():
                place.awake.set_result(None)
        try:
            await self._quiet()
        finally:
            if self._inside is not None:  # it has had its time
                self._inside.failure = self.lost(InterruptedError("the database is closing"))
                self._inside = None
            self._work.put(None)
            if self._committing:
                raise StorageUnavailable("the disk does not answer: whether the last commit reached it is unknown")
            if self._thread is not None:
                self._thread.join()
            self._connection.close(True)

    async def _quiet(self) -> None:
        """Nobody inside, nothing to commit; or the time is up."""
        if self._inside is None and not self._committing and self._batch is not None:
            self._commit()
        if self._inside is not None or self._committing or self._waiting:
            self._idle = self._loop.create_future()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle, _CLOSE_S)


class Transaction:
    """One turn at the writer, as a context."""

    __slots__ = ("_inside", "_writer")

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def __aenter__(self) -> SqliteConnection:
        self._inside = await self._writer.enter()
        return self._inside

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self._writer.leave(self._inside)
        else:
            self._writer.undo(self._inside)
