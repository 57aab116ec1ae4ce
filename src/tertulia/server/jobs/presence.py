"""Departs users whose node is no more, and brings those of a service in line with its choice of reachability.

In bounded steps, each a command of the system. Several nodes may do it at once; what one has done is not there for the
next.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from tertulia.server import observe
from tertulia.server.bus.base import NODES, Bus, Publication, ReachabilityTurned
from tertulia.server.clock import Clock
from tertulia.server.domain import callers
from tertulia.server.domain.errors import TertuliaError
from tertulia.server.domain.presence import DepartNode, SettleReachability, Turn, UsersOfNode
from tertulia.server.engine.engine import Engine
from tertulia.server.storage.database import Database, StorageError
from tertulia.server.storage.presence import Nodes, Presences, Turns

log = logging.getLogger(__name__)

EVERY_S = 20.0


class PresenceSweep:
    """Everything about presence that no connection brings about."""

    def __init__(self, database: Database, engine: Engine, bus: Bus, clock: Clock) -> None:
        self._database = database
        self._engine = engine
        self._bus = bus
        self._clock = clock
        self._is_wanted = asyncio.Event()

    async def sweep(self) -> int:
        """Everything that is due now; how many steps it took."""
        steps = 0
        while (due := await self._next()) is not None:
            caller = callers.system(due.account_sid)
            if isinstance(due, UsersOfNode):
                await self._engine.execute(caller, DepartNode(service=due.service_sid, node=due.node))
            else:
                await self._engine.execute(caller, SettleReachability(service=due.service_sid))
            steps += 1
            await asyncio.sleep(0)
        return steps

    async def _next(self) -> UsersOfNode | Turn | None:
        now = self._clock.now()
        async with self._database.snapshot() as connection:
            due = await Turns(connection).next() or await Presences(connection).of_a_dead_node(now)
            has_dead = due is None and await Nodes(connection).has_dead(now)
        if has_dead:
            async with self._database.transaction() as connection:
                await Nodes(connection).trim(now)
        return due

    def start(self) -> None:
        self._bus.subscribe(NODES, self._receive)

    async def run(self) -> None:
        """Sweep now, then every now and then and when there is something to do, until cancelled."""
        while True:
            self._is_wanted.clear()
            try:
                steps = await self.sweep()
            except (StorageError, TertuliaError) as trouble:
                log.warning("presence.sweep_failed", extra=observe.fields(why=str(trouble)))
            else:
                if steps:
                    log.info("presence.swept", extra=observe.fields(steps=steps))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_wanted.wait(), EVERY_S)

    def _receive(self, publication: Publication) -> None:
        if isinstance(publication, ReachabilityTurned):
            self._is_wanted.set()
