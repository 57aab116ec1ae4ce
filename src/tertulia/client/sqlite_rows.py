"""The statements of the SQLite store, and what is read with them.

A column of SQLite's holds whatever was written into it, and a bad disk writes what it likes: what is read is looked at.
"""

from __future__ import annotations

import logging
import sqlite3
import zlib
from typing import Final

import msgspec

from .sqlite_file import Contradiction
from .sqlite_thread import Statement, transact
from .store import OutboxRow
from .sync import Kind, StoredItem, StoredObject

log = logging.getLogger(__name__)

_SUM_BYTES: Final = 4
_NATIVE: Final = (bytes,)
"""A text is not taken for bytes in disguise."""
_OBJECT: Final = "(SELECT id FROM objects WHERE scope = ? AND name = ?)"
SAVE_FACT: Final = "INSERT OR REPLACE INTO facts (scope, name, value) VALUES (?, ?, ?)"
# The items of an object that was made anew under its old name are another object's.
DROP_STRANGERS: Final = (
    "DELETE FROM items WHERE object = (SELECT id FROM objects WHERE scope = ? AND name = ? AND sid <> ?)"
)
SAVE_OBJECT: Final = (
    "INSERT INTO objects (scope, name, kind, sid, items_url, last_event_id, data, at, seen_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (scope, name) DO UPDATE SET kind = excluded.kind,"
    " sid = excluded.sid, items_url = excluded.items_url, last_event_id = excluded.last_event_id,"
    " data = excluded.data, at = excluded.at, seen_at = excluded.seen_at"
)
SEE_OBJECT: Final = "UPDATE objects SET seen_at = ? WHERE scope = ? AND name = ?"
SAVE_ITEM: Final = (
    "INSERT OR REPLACE INTO items (object, key, number, data, at)"
    " SELECT id, ?, ?, ?, ? FROM objects WHERE scope = ? AND name = ?"
)
REMOVE_ITEM: Final = f"DELETE FROM items WHERE object = {_OBJECT} AND key = ?"  # noqa: S608 (a constant)
FORGET_ITEMS: Final = f"DELETE FROM items WHERE object = {_OBJECT}"  # noqa: S608 (a constant)
FORGET_OBJECT: Final = "DELETE FROM objects WHERE scope = ? AND name = ?"
TRIM: Final = (
    f"DELETE FROM items WHERE object = {_OBJECT} AND key <="  # noqa: S608 (a constant)
    f" (SELECT key FROM items WHERE object = {_OBJECT} ORDER BY key DESC LIMIT 1 OFFSET ?)"
)
PUT_ROW: Final = "INSERT OR REPLACE INTO outbox (scope, id, place, content) VALUES (?, ?, ?, ?)"
REMOVE_ROW: Final = "DELETE FROM outbox WHERE scope = ? AND id = ?"
REMOVE_FILES: Final = "DELETE FROM outbox_files WHERE scope = ? AND message = ?"
ADD_FILE: Final = "INSERT OR REPLACE INTO outbox_files (scope, message, number, data) VALUES (?, ?, ?, ?)"


def enter(connection: sqlite3.Connection, server_url: str, identity: str | None) -> tuple[int, str] | None:
    """The scope's number and identity; the login is noted as the last one."""
    if identity is None:
        last = connection.execute(
            "SELECT id, CAST(identity AS BLOB) FROM scopes WHERE server_url = ? ORDER BY place DESC LIMIT 1",
            (server_url,),
        ).fetchone()
        name = None if last is None else _text(last[1])
        return None if name is None else (last[0], name)
    login = (
        "INSERT INTO scopes (server_url, identity, place)"
        " VALUES (?, ?, (SELECT coalesce(max(place), 0) + 1 FROM scopes))"
        " ON CONFLICT (server_url, identity) DO UPDATE SET place = excluded.place"
    )
    transact(connection, [(login, (server_url, identity))])
    scope = find(connection, server_url, identity)
    if scope is None:
        raise Contradiction("a row that was written is not there")
    # What nobody else has is looked at while another file can still be begun.
    rows(connection, scope)
    return scope, identity


def find(connection: sqlite3.Connection, server_url: str, identity: str) -> int | None:
    row = connection.execute(
        "SELECT id FROM scopes WHERE server_url = ? AND identity = ?", (server_url, identity)
    ).fetchone()
    return row[0] if row else None


def erase(connection: sqlite3.Connection, scope: int) -> None:
    # Overwritten, not only unlinked: the words of somebody who logged out are not to be found in the file.
    connection.execute("PRAGMA secure_delete = ON")
    statements: list[Statement] = [
        (f"DELETE FROM {table} WHERE scope = ?", (scope,))  # noqa: S608 (our own names)
        for table in ("facts", "outbox", "outbox_files")
    ]
    statements += [
        ("DELETE FROM items WHERE object IN (SELECT id FROM objects WHERE scope = ?)", (scope,)),
        ("DELETE FROM objects WHERE scope = ?", (scope,)),
        ("DELETE FROM scopes WHERE id = ?", (scope,)),
    ]
    try:
        transact(connection, statements, durable=True)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.execute("PRAGMA secure_delete = OFF")


def load(connection: sqlite3.Connection, scope: int, name: str) -> tuple[StoredObject, list[StoredItem], float] | None:
    row = connection.execute(
        "SELECT id, kind, sid, items_url, last_event_id, data, at, seen_at FROM objects WHERE scope = ? AND name = ?",
        (scope, name),
    ).fetchone()
    if row is None:
        return None
    number, *told, seen_at = row
    stored = msgspec.convert(
        dict(zip(StoredObject.__struct_fields__, (name, *told), strict=True)), StoredObject, builtin_types=_NATIVE
    )
    found = connection.execute("SELECT key, number, data, at FROM items WHERE object = ? ORDER BY key", (number,))
    items = msgspec.convert(found.fetchall(), list[StoredItem], builtin_types=_NATIVE)
    key = int if stored.kind is Kind.LIST else str
    if not all(isinstance(item.key, key) for item in items):
        raise msgspec.ValidationError(f"an item of a {stored.kind} has a key of another kind")
    return stored, items, msgspec.convert(seen_at, float)


def fact(connection: sqlite3.Connection, scope: int, name: str) -> bytes | None:
    row = connection.execute("SELECT value FROM facts WHERE scope = ? AND name = ?", (scope, name)).fetchone()
    told = _bytes(row) or b""
    value = told[:-_SUM_BYTES]
    return value if told and told == sealed(value) else None


def sealed(value: bytes) -> bytes:
    """A fact as it is kept: nobody else would notice that a letter of it is another."""
    return value + zlib.crc32(value).to_bytes(_SUM_BYTES, "big")


def rows(connection: sqlite3.Connection, scope: int) -> list[OutboxRow]:
    """What waits. A row that makes no sense stays where it is, and must not hide the others."""
    found: list[OutboxRow] = []
    rows = connection.execute(
        "SELECT CAST(id AS BLOB), place, content FROM outbox WHERE scope = ? ORDER BY place, id", (scope,)
    )
    for id, place, content in rows:
        name = _text(id)
        if name is not None and isinstance(place, int) and isinstance(content, bytes):
            found.append(OutboxRow(name, place, content))
        else:
            why = "its columns are of other types"
            log.warning("store.row_not_readable: %s", why, extra={"why": why})
    return found


def outbox_file(connection: sqlite3.Connection, scope: int, id: str, number: int) -> bytes | None:
    row = connection.execute(
        "SELECT data FROM outbox_files WHERE scope = ? AND message = ? AND number = ?", (scope, id, number)
    ).fetchone()
    return _bytes(row)


def _bytes(row: tuple[object] | None) -> bytes | None:
    return row[0] if row is not None and isinstance(row[0], bytes) else None


def _text(value: object) -> str | None:
    try:
        return value.decode() if isinstance(value, bytes) else None
    except UnicodeDecodeError:
        return None
