"""The seam to the database: what a driver gives, and how it may fail.

::

    StorageError
    |-- StorageUnavailable   the disk, the server or a lock is in the way; nothing is half written; safe to repeat
    |-- Retryable            a deadlock or a serialization failure: run the whole transaction again
    |-- UniqueViolation      another row has this key already; says which columns
    |-- StatementFailed      our fault: wrong SQL, another constraint, a transaction used after its end
    `-- DatabaseTooNew       a newer release has changed the schema; see ``migrate.py``

**One subset of SQL for every driver.** Parameters are ``$1``, ``$2``, ...; ``FOR UPDATE`` and ``SKIP LOCKED`` may be
written and mean nothing where a transaction is alone; JSON is text; times are UTC microseconds. A statement that
failed ends its transaction: what follows in it is refused, on every driver, because PostgreSQL refuses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

Row = tuple[Any, ...]


class StorageError(Exception):
    """Whatever goes wrong between us and the database."""


class StorageUnavailable(StorageError):
    """The database cannot do it now: disk full, I/O error, locked, closing. The transaction left nothing behind."""


class Retryable(StorageError):
    """The database chose this transaction to give way to another. The same transaction may succeed when run again."""


class UniqueViolation(StorageError):
    """A row with the same unique columns exists.

    ``table`` and ``columns`` are known for a constraint over plain columns, ``constraint`` (the index's name) for one
    over an expression. Never the values: they may be personal data.
    """

    def __init__(self, table: str, columns: tuple[str, ...], constraint: str | None = None) -> None:
        super().__init__(constraint or f"{table}({', '.join(columns)})")
        self.table = table
        self.columns = columns
        self.constraint = constraint


class StatementFailed(StorageError):
    """A statement the database refuses, or will not take at this moment. A mistake in our code."""


class DatabaseTooNew(StorageError):
    """The schema is of a newer release than this one. Start that release, or restore an older copy."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(f"the database has schema {found}, this release knows {known}: run a newer release")
        self.found = found
        self.known = known


class Connection(Protocol):
    """Statements inside one transaction, or reads inside one snapshot. Of no use once that is left."""

    async def execute(self, sql: str, *parameters: Any) -> int:
        """The number of rows an ``INSERT``, ``UPDATE`` or ``DELETE`` changed."""
        ...

    async def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """The same statement for each row of parameters, at the cost of one statement to the caller."""
        ...

    async def script(self, text: str) -> None:
        """Several statements without parameters, as in a migration."""
        ...

    async def rows(self, sql: str, *parameters: Any) -> list[Row]:
        """Every row of the answer; also of ``RETURNING``."""
        ...

    async def row(self, sql: str, *parameters: Any) -> Row | None:
        """The first row of the answer. The statement bounds what is read, not this method: say ``LIMIT 1``."""
        ...

    async def value(self, sql: str, *parameters: Any) -> Any:
        """The first column of the first row; ``None`` when there is no row."""
        ...


class Database(Protocol):
    """A database of ours, for one event loop."""

    @property
    def dialect(self) -> str:
        """``"sqlite"`` or ``"postgres"``: which variant of a migration or named query applies."""
        ...

    @property
    def statements(self) -> int:
        """How many statements callers have sent since the start. Tests assert differences of it."""
        ...

    @property
    def commits(self) -> int:
        """How many commits have reached the disk since the start; under group commit fewer than transactions."""
        ...

    async def open(self) -> None:
        """Ready for work. Raises ``StorageUnavailable``."""
        ...

    async def close(self) -> None:
        """What was acknowledged is on disk, every file is closed. Who waits for a turn gets ``StorageUnavailable``."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """Read and write, all or nothing.

        Leaving it normally returns once the commit is on disk, or raises ``StorageUnavailable`` or ``Retryable`` and
        nothing of it remains. An exception inside undoes this transaction alone and goes on to the caller. Who is
        cancelled while the commit is under way does not learn its outcome.
        """
        ...

    def snapshot(self) -> AbstractAsyncContextManager[Connection]:
        """Reads that all see the same committed state, whatever is written meanwhile. Never waits for a writer."""
        ...
