"""The embedded driver: SQLite through apsw, durable at each commit.

**Writing** is by one connection, see ``group_commit.py``. **Reading**: a snapshot is a read transaction on a reader
from a small pool. When the pool is empty another reader is opened rather than waited for, so a snapshot inside a
snapshot cannot block itself.

The folder of the database belongs to one process; that is enforced elsewhere.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

import apsw

from .database import StatementFailed, StorageUnavailable
from .group_commit import Transaction, Writer
from .sqlite_statements import OVER, Counts, SqliteConnection, failure_of

_IDLE_READERS: Final = 4
_MOST_READERS: Final = 64
_CACHED_STATEMENTS: Final = 256
BUSY_MS: Final = 250
"""How long another process (a shell, a backup) may hold the write lock before we give up: the loop stands still."""
PATIENT_BUSY_MS: Final = 10_000
"""The same for a process that has nothing else to do: a command beside a server that writes all the time."""

_SETTINGS: Final = (
    "PRAGMA busy_timeout = {busy_ms}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = {synchronous}",
    "PRAGMA foreign_keys = OFF",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -16384",
    # A reader drops its page cache after each commit of the writer; mapped pages come back without a copy.
    "PRAGMA mmap_size = 268435456",
    "PRAGMA wal_autocheckpoint = 2000",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA trusted_schema = OFF",
)


class _Snapshot:
    __slots__ = ("_database", "_reader", "_view")

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def __aenter__(self) -> SqliteConnection:
        reader = self._reader = self._database._take_reader()
        self._view = SqliteConnection(reader.connection, reader.cursor, self._database._counts, None)
        try:
            reader.cursor.execute("BEGIN")
        except apsw.Error as error:
            self._database._drop_reader(reader)
            raise failure_of(error) from error
        return self._view

    async def __aexit__(self, *_: object) -> None:
        self._view.failure = OVER
        try:
            self._reader.cursor.execute("COMMIT")
        except apsw.Error:  # nothing was written, so nothing is lost but the reader
            self._database._drop_reader(self._reader)
        else:
            self._database._give_reader(self._reader)


class _Reader:
    __slots__ = ("connection", "cursor")

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self.cursor = connection.cursor()


def _sync_folder(folder: Path) -> None:
    """The folder's entry of a new file is on disk as well; SQLite sees to its log's, not to its own."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class SqliteDatabase:
    """One database file.

    With ``None`` one that exists only while it is open, for tests: the same driver on a file in memory.
    """

    dialect = "sqlite"

    def __init__(self, path: Path | None, *, busy_ms: int = BUSY_MS) -> None:
        self._path = path
        self._busy_ms = busy_ms
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._writer: Writer | None = None
        self._readers: list[_Reader] = []
        self._readers_open = 0
        self._counts = Counts()

    @property
    def statements(self) -> int:
        return self._counts.statements

    @property
    def commits(self) -> int:
        return self._counts.commits

    async def open(self) -> None:
        """Creates the file if it does not exist; its folder must."""
        if self._writer is not None:
            raise StatementFailed("the database is open already")
        if self._path is None:
            shared = Path("/dev/shm")  # noqa: S108 -- a folder of our own is made in it
            where = shared if os.access(shared, os.W_OK) else None
            self._folder = tempfile.TemporaryDirectory(prefix="tertulia-", dir=where)
        try:
            self._writer = Writer(self._connect(), self._counts)
            self._readers.append(self._open_reader())
            if self._path is not None:
                _sync_folder(self._path.parent)
        except BaseException as error:
            await self.close()
            if isinstance(error, apsw.Error):
                raise failure_of(error) from error
            raise

    async def close(self) -> None:
        writer, self._writer = self._writer, None
        while self._readers:
            self._drop_reader(self._readers.pop())
        try:
            if writer is not None:
                await writer.close()
        finally:
            if self._folder is not None:
                self._folder.cleanup()
                self._folder = None

    def transaction(self) -> Transaction:
        if self._writer is None:
            raise StorageUnavailable("the database is not open")
        return Transaction(self._writer)

    def snapshot(self) -> _Snapshot:
        return _Snapshot(self)

    @property
    def _file(self) -> Path:
        if self._path is not None:
            return self._path
        assert self._folder is not None
        return Path(self._folder.name, "database")

    def _connect(self) -> apsw.Connection:
        connection = apsw.Connection(os.fspath(self._file), statementcachesize=_CACHED_STATEMENTS)
        # A misspelt column in double quotes is an error, not a text.
        connection.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)
        connection.config(apsw.SQLITE_DBCONFIG_DQS_DDL, 0)
        # Plans do not depend on bound values. Else this SQLite (built with STAT4) prepares a join anew at each
        # execution: 80 us instead of 9 for one of ours.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        synchronous = "OFF" if self._path is None else "FULL"
        for setting in _SETTINGS:
            connection.execute(setting.format(busy_ms=self._busy_ms, synchronous=synchronous)).fetchall()
        if connection.pragma("journal_mode") != "wal":
            connection.close(True)
            raise StorageUnavailable("SQLite cannot keep a write-ahead log here: a network or read-only file system?")
        return connection

    # -- readers ------------------------------------------------------------------------------------------------------

    def _open_reader(self) -> _Reader:
        connection = self._connect()
        connection.execute("PRAGMA query_only = ON")
        self._readers_open += 1
        return _Reader(connection)

    def _take_reader(self) -> _Reader:
        if self._writer is None:
            raise StorageUnavailable("the database is not open")
        if self._readers:
            return self._readers.pop()
        if self._readers_open >= _MOST_READERS:
            raise StorageUnavailable(f"{_MOST_READERS} snapshots are open")
        try:
            return self._open_reader()
        except apsw.Error as error:
            raise failure_of(error) from error

    def _give_reader(self, reader: _Reader) -> None:
        if self._writer is None or len(self._readers) >= _IDLE_READERS:
            self._drop_reader(reader)
        else:
            self._readers.append(reader)

    def _drop_reader(self, reader: _Reader) -> None:
        self._readers_open -= 1
        reader.connection.close(True)
