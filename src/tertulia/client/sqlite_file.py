"""The file of the SQLite store: opened for one process alone, with our tables in it, or set aside.

A file that cannot be ours (another program's, a newer version's, a damaged one) is renamed and a new one begun: what is
kept here can be had again from the server, and an application must start in any case. Only what waits in the outbox is
worth a look by hand, which is why nothing is deleted.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from pathlib import Path
from typing import Final

from .errors import StoreError, StoreInUseError

log = logging.getLogger(__name__)

APPLICATION_ID: Final = 0x54525443
VERSION: Final = 1
BUSY_S: Final = 0.5
"""For another process that is just ending."""

_TABLES: Final = (
    # `place` counts up with each login: the highest is the last.
    "CREATE TABLE scopes (id INTEGER PRIMARY KEY, server_url TEXT NOT NULL, identity TEXT NOT NULL,"
    " place INTEGER NOT NULL, UNIQUE (server_url, identity))",
    "CREATE TABLE facts (scope INTEGER NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (scope, name))"
    " WITHOUT ROWID",
    "CREATE TABLE objects (id INTEGER PRIMARY KEY, scope INTEGER NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,"
    " sid TEXT NOT NULL, items_url TEXT, last_event_id INTEGER, data BLOB, at TEXT NOT NULL, seen_at REAL NOT NULL,"
    " UNIQUE (scope, name))",
    # A key has no declared type, so that a list's numbers stay numbers and sort as such.
    "CREATE TABLE items (object INTEGER NOT NULL, key NOT NULL, number INTEGER NOT NULL, data BLOB NOT NULL,"
    " at TEXT NOT NULL, PRIMARY KEY (object, key)) WITHOUT ROWID",
    "CREATE TABLE outbox (scope INTEGER NOT NULL, id TEXT NOT NULL, place INTEGER NOT NULL, content BLOB NOT NULL,"
    " PRIMARY KEY (scope, id)) WITHOUT ROWID",
    "CREATE TABLE outbox_files (scope INTEGER NOT NULL, message TEXT NOT NULL, number INTEGER NOT NULL,"
    " data BLOB NOT NULL, PRIMARY KEY (scope, message, number))",
)

_COLUMNS: Final = (
    "SELECT id, server_url, identity, place FROM scopes",
    "SELECT scope, name, value FROM facts",
    "SELECT id, scope, name, kind, sid, items_url, last_event_id, data, at, seen_at FROM objects",
    "SELECT object, key, number, data, at FROM items",
    "SELECT scope, id, place, content FROM outbox",
    "SELECT scope, message, number, data FROM outbox_files",
)

_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_NOT_OURS: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class Contradiction(Exception):
    """What is in the file cannot all be true."""


class _Unusable(Exception):
    """The file is not one of ours, or not any more."""


def open_file(path: Path) -> sqlite3.Connection:
    """A connection to our file, readable by its owner only, locked against other processes until it is closed.

    Raises ``StoreInUseError`` when somebody else has it open, ``StoreError`` when it cannot be had at all. A file that
    is of no use is set aside, with a warning in the log.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_private(path)
        try:
            return _opened(path)
        except _Unusable as why:
            aside = _set_aside(path)
            log.warning("store.set_aside: %s", why, extra={"why": str(why), "file": aside.name})
            _make_private(path)
            return _opened(path)
    except (OSError, sqlite3.Error, _Unusable) as error:
        raise StoreError(f"the store {path.name!r} cannot be opened: {error}") from error


def is_damage(error: Exception) -> bool:
    """Whether the file itself is broken, as opposed to a full disk and the like."""
    if isinstance(error, sqlite3.Error):
        return _code(error) in _NOT_OURS
    # What SQLite says of a broken file may be no text.
    return isinstance(error, Contradiction | UnicodeDecodeError)


def set_aside(path: Path) -> None:
    """Rename a closed file that was found to be damaged, so that the next start begins a new one."""
    with contextlib.suppress(OSError):
        log.warning("store.set_aside: it is damaged", extra={"why": "damaged", "file": _set_aside(path).name})


def _opened(path: Path) -> sqlite3.Connection:
    # One thread at a time uses it: its opener first, then the worker.
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        # Before anything is read, and for as long as it is open: a second process must not find it half-ours.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        _look(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("BEGIN IMMEDIATE")
        if _is_empty(connection):
            for table in _TABLES:
                connection.execute(table)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
        for columns in _COLUMNS:
            # Counted, not read: a row that makes no sense is no reason to begin anew.
            connection.execute(f"SELECT count(*) FROM ({columns} LIMIT 1)").fetchall()  # noqa: S608 (a constant)
    except BaseException as error:
        connection.close()
        if isinstance(error, UnicodeDecodeError):
            raise _Unusable("what SQLite says of it is no text") from error
        if not isinstance(error, sqlite3.Error):
            raise
        if _code(error) in _BUSY:
            raise StoreInUseError(f"the store {path.name!r} is in use by another process") from error
        if _code(error) in _NOT_OURS or _code(error) == sqlite3.SQLITE_ERROR:
            raise _Unusable(str(error)) from error
        raise
    return connection


def _look(connection: sqlite3.Connection) -> None:
    """Raises ``_Unusable`` for another program's file and for a newer one; nothing is written to either."""
    if _is_empty(connection):
        return
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise _Unusable("it belongs to another program")
    if version != VERSION:
        raise _Unusable(f"it is of version {version}, this library knows {VERSION}")


def _is_empty(connection: sqlite3.Connection) -> bool:
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return not tables


def _make_private(path: Path) -> None:
    # SQLite gives its log the mode of the file, so that this one call covers both.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    os.chmod(path, 0o600)


def _set_aside(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.aside-{number}")).exists():
        number += 1
    path.rename(aside)
    for tail in ("-wal", "-journal"):
        # What is in the log belongs to that file, and must not be taken for the new one's.
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + tail).rename(aside.with_name(aside.name + tail))
    return aside


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
