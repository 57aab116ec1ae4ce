"""Arrivals of many requests in one transaction: what comes while others are being kept is kept together after them.

A provider brings each message by a request of its own, and many at a time. Alone, each would cost a command with all
its statements; together they cost little more than one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from tertulia.server.domain import callers
from tertulia.server.domain.arrivals import AcceptArrivals, Arriving
from tertulia.server.domain.errors import TertuliaError

from .engine import Engine

AT_ONCE: Final = 200
"""Arrivals that one transaction keeps."""
SERVER_ERROR: Final = 500

Accepted = tuple[str, ...] | Exception


class Source(NamedTuple):
    """Whose arrivals may be kept together."""

    account_sid: str
    gateway_sid: str
    heeded: frozenset[str]


class _Load:
    """What is kept next, by request."""

    __slots__ = ("count", "outcomes", "parts")

    def __init__(self) -> None:
        self.parts: list[tuple[Arriving, ...]] = []
        self.count = 0
        self.outcomes: asyncio.Task[list[Accepted]]

    def add(self, part: tuple[Arriving, ...]) -> int:
        self.parts.append(part)
        self.count += len(part)
        return len(self.parts) - 1


class Accepting:
    """One transaction at a time for each source; those who come meanwhile share the next."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._gathering: dict[Source, _Load] = {}
        self._before: dict[Source, asyncio.Task[list[Accepted]]] = {}

    async def accept(self, source: Source, arriving: Sequence[Arriving]) -> tuple[str, ...]:
        """The SIDs of those that were new; raises what ``AcceptArrivals`` does.

        It goes on when the caller is cancelled: others may be in it.
        """
        load = self._gathering.get(source)
        if load is None or load.count + len(arriving) > AT_ONCE:
            load = self._gathering[source] = _Load()
            keeping = self._keep(source, load, self._before.get(source))
            load.outcomes = self._before[source] = asyncio.get_running_loop().create_task(keeping)
        place = load.add(tuple(arriving))
        outcome = (await asyncio.shield(load.outcomes))[place]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def _keep(self, source: Source, load: _Load, before: asyncio.Task[list[Accepted]] | None) -> list[Accepted]:
        """An outcome for each part. Raises nothing."""
        if before is not None:
            await asyncio.wait([before])
        if self._gathering.get(source) is load:
            del self._gathering[source]
        try:
            together = await self._execute(source, [one for part in load.parts for one in part])
            if not isinstance(together, Exception):
                new = frozenset(together)
                return [tuple(one.sid for one in part if one.sid in new) for part in load.parts]
            if len(load.parts) == 1 or (isinstance(together, TertuliaError) and together.status >= SERVER_ERROR):
                return [together] * len(load.parts)
            # One of them is at fault; the others must not come again and again for that.
            return [await self._execute(source, part) for part in load.parts]
        finally:
            if self._before.get(source) is load.outcomes:
                del self._before[source]

    async def _execute(self, source: Source, arriving: Sequence[Arriving]) -> Accepted:
        command = AcceptArrivals(gateway=source.gateway_sid, arriving=tuple(arriving), heeded=source.heeded)
        try:
            return await self._engine.execute(callers.system(source.account_sid), command)
        except Exception as trouble:  # told to whom it concerns
            return trouble
