"""Ends connections whose standing is gone: key revoked, account suspended, service deleted (semantics 3.1).

Every node asks the database itself, at intervals, because nothing else is sure to tell it: the change may come from
another process, and publications may be lost. One that arrives makes it ask at once.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Coroutine
from itertools import islice
from typing import Any, Final, Protocol

from tertulia.server import observe
from tertulia.server.bus.base import KeysChanged, Publication
from tertulia.server.storage.accounts import Accounts
from tertulia.server.storage.database import Database, StorageError

log = logging.getLogger(__name__)

ASKED_AT_ONCE: Final = 1000
"""Of so many keys and services one query asks."""


class Standing(Protocol):
    """A connection that is somebody's."""

    @property
    def key_sid(self) -> str:
        """The API key its token is signed with."""
        ...

    @property
    def service_sid(self) -> str: ...

    def revoke(self) -> None: ...


class Revocations:
    """Looks after the connections of one node."""

    def __init__(
        self,
        database: Database,
        connections: Collection[Standing],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        every_s: float,
    ) -> None:
        self._database = database
        self._connections = connections
        self._spawn = spawn
        self._every_s = every_s

    def receive(self, publication: Publication) -> None:
        """A hint that there is something to find."""
        if isinstance(publication, KeysChanged):
            self._spawn(self._try())

    async def sweep(self) -> int:
        """End the connections whose standing is gone; how many there were. One query, however many they are."""
        asked = {(connection.key_sid, connection.service_sid) for connection in self._connections}
        gone: set[str] = set()
        pairs = iter(asked)
        while some := list(islice(pairs, ASKED_AT_ONCE)):
            keys, services = {key for key, _ in some}, {service for _, service in some}
            async with self._database.snapshot() as connection:
                gone |= (keys | services) - await Accounts(connection).standing(keys, services)
        # As they are now: one may have got a token of another key while we asked.
        lost = [one for one in self._connections if one.key_sid in gone or one.service_sid in gone] if gone else []
        for one in lost:
            one.revoke()
        if lost:
            log.info("connections.revoked", extra=observe.fields(connections=len(lost)))
        return len(lost)

    async def run(self) -> None:
        """Sweep until cancelled, never less often than asked for; nodes do not all ask at the same time."""
        while True:
            await asyncio.sleep(self._every_s * random.uniform(0.8, 1.0))  # noqa: S311 (spreads load, guards nothing)
            await self._try()

    async def _try(self) -> None:
        try:
            await self.sweep()
        except StorageError as trouble:
            log.warning("revocations.failed", extra=observe.fields(why=str(trouble)))
