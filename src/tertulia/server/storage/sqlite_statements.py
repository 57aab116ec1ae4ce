"""Statements on SQLite: our subset of SQL as SQLite spells it, its failures as we name them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import apsw

from tertulia.server import observe

from .database import Row, StatementFailed, StorageError, StorageUnavailable, UniqueViolation

_SUBSET = re.compile(
    r"""
    (?P<kept>'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/)
    | \$(?P<number>\d+)
    | \s+FOR\s+UPDATE\b(?:\s+OF\s+\w+)?(?:\s+SKIP\s+LOCKED\b)?
    """,
    re.DOTALL | re.IGNORECASE | re.VERBOSE,
)
_UNIQUE = {apsw.SQLITE_CONSTRAINT_UNIQUE, apsw.SQLITE_CONSTRAINT_PRIMARYKEY, apsw.SQLITE_CONSTRAINT_ROWID}
_TROUBLE: Final = (
    apsw.FullError,
    apsw.IOError,
    apsw.NoMemError,
    apsw.BusyError,
    apsw.LockedError,
    apsw.CantOpenError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.ProtocolError,
    apsw.PermissionsError,
    apsw.ReadOnlyError,
)

# What apsw raises, and what it lets through for a parameter that no column can hold.
_REFUSALS: Final = (apsw.Error, TypeError, ValueError, OverflowError)

OVER: Final = StatementFailed("the transaction is over")

_translations: dict[str, str] = {}


def _translated(sql: str) -> str:
    """``$n`` as SQLite's ``?n``, and without row locks: whoever writes is alone."""
    if len(_translations) >= 4096:  # statements are constants; a text built from data must not fill the memory
        _translations.clear()

    def one(match: re.Match[str]) -> str:
        return f"?{match['number']}" if match["number"] else match["kept"] or ""

    text = _translations[sql] = _SUBSET.sub(one, sql)
    return text


def failure_of(error: Exception) -> StorageError:
    """What goes wrong in SQLite, in the words of ``database.py``."""
    if isinstance(error, apsw.ConstraintError) and error.extendedresult in _UNIQUE:  # type: ignore[attr-defined]
        # "UNIQUE constraint failed: users.service_sid, users.identity", or "... failed: index 'name'"
        subject = str(error).partition(": ")[2]
        if subject.startswith("index "):
            return UniqueViolation("", (), subject.removeprefix("index ").strip("'"))
        names = [name.partition(".") for name in subject.split(", ")]
        return UniqueViolation(names[0][0], tuple(column for _, _, column in names))
    if isinstance(error, _TROUBLE):
        return StorageUnavailable(f"{type(error).__name__}: {error}")
    return StatementFailed(f"{type(error).__name__}: {error}")


class Counts:
    """What has been done since the start; see ``Database``."""

    __slots__ = ("commits", "statements")

    def __init__(self) -> None:
        self.statements = 0
        self.commits = 0


class SqliteConnection:
    """One transaction or snapshot; its statements run at once, on the thread of the loop."""

    __slots__ = ("_connection", "_counts", "_cursor", "_lost", "failure", "savepoint", "task")

    def __init__(
        self,
        connection: apsw.Connection,
        cursor: apsw.Cursor,
        counts: Counts,
        lost: Callable[[Exception], StorageError] | None,
    ) -> None:
        self._connection = connection
        self._cursor = cursor
        self._counts = counts
        self._lost = lost
        """Called when a failure took the whole transaction with it; ``None`` for a snapshot."""
        self.failure: StorageError | None = None
        """Why no further statement is taken."""
        self.savepoint = False
        """It is a part of a greater transaction."""
        self.task: asyncio.Task[Any] | None = None

    async def execute(self, sql: str, *parameters: Any) -> int:
        self._run(sql, parameters)
        return self._connection.changes()

    async def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._begin_statement()
        try:
            self._cursor.executemany(_translations.get(sql) or _translated(sql), rows).fetchall()
        except _REFUSALS as error:
            raise self.failed(error) from error

    async def script(self, text: str) -> None:
        self._begin_statement()
        try:
            self._cursor.execute(text, can_cache=False).fetchall()
        except _REFUSALS as error:
            raise self.failed(error) from error

    async def rows(self, sql: str, *parameters: Any) -> list[Row]:
        return self._run(sql, parameters)

    async def row(self, sql: str, *parameters: Any) -> Row | None:
        rows = self._run(sql, parameters)
        return rows[0] if rows else None

    async def value(self, sql: str, *parameters: Any) -> Any:
        rows = self._run(sql, parameters)
        return rows[0][0] if rows else None

    def _run(self, sql: str, parameters: tuple[Any, ...]) -> list[Row]:
        self._begin_statement()
        try:
            # Read to the end: a statement left half way would keep its read lock past the transaction.
            return self._cursor.execute(_translations.get(sql) or _translated(sql), parameters).fetchall()
        except _REFUSALS as error:
            raise self.failed(error) from error

    def _begin_statement(self) -> None:
        if self.failure is not None:
            kind = StorageUnavailable if isinstance(self.failure, StorageUnavailable) else StatementFailed
            raise kind(f"no statement is taken any more: {self.failure}")
        self._counts.statements += 1
        observe.STATEMENTS.count += 1

    def failed(self, error: Exception) -> StorageError:
        """What the failure of a statement means to the caller; it is the last statement here."""
        failure = failure_of(error)
        if self._lost is None:
            if isinstance(error, apsw.ReadOnlyError):
                failure = StatementFailed("a snapshot does not write")
        elif not self._connection.in_transaction:
            failure = self._lost(error)
        self.failure = failure
        return failure
