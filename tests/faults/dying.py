"""``tertulia`` on a database that kills the process (SIGKILL) at one commit: the moment a crash table speaks of.

``DIE=before:TEXT`` or ``DIE=after:TEXT``: when a transaction that has sent a statement with this text is about to
commit, or has just been committed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tertulia.cli.main import main as tertulia
from tertulia.server import app
from tertulia.server.storage.sqlite import SqliteDatabase


class Listening:
    """A connection that notes whether the statement was sent."""

    def __init__(self, connection: Any, text: str) -> None:
        self._connection = connection
        self._text = text
        self.was_sent = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._connection, name)

        async def called(sql: str, *parameters: Any) -> Any:
            self.was_sent = self.was_sent or self._text in " ".join(sql.split())
            return await method(sql, *parameters)

        return called


class DyingDatabase(SqliteDatabase):
    """The real one, up to the commit."""

    def __init__(self, path: Path | None, **options: Any) -> None:
        super().__init__(path, **options)
        self._when, _, self._text = os.environ["DIE"].partition(":")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:  # type: ignore[override]
        async with super().transaction() as connection:
            listening = Listening(connection, self._text)
            yield listening
            if listening.was_sent and self._when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
        if listening.was_sent and self._when == "after":
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    vars(app)["SqliteDatabase"] = DyingDatabase
    return tertulia()
