"""What all connections of a node share."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

import msgspec

from tertulia.server.clock import Clock
from tertulia.server.domain.callers import Caller
from tertulia.server.randomness import Randomness
from tertulia.server.web.turns import Turns
from tertulia.wire import frames, websocket
from tertulia.wire.handshake import Terms
from tertulia.wire.requests import Reply, Request
from tertulia.wire.tokens import Claims

from .allowance import Allowance
from .deadlines import Deadlines
from .follow import Following
from .hub import Hub
from .presence import Presence
from .revocations import Standing

log = logging.getLogger(__name__)

Route = Callable[[Request, Caller, str], Awaitable[Reply]]
"""Answers a request of the client API in the name of a caller, with URLs that begin as given."""

Admit = Callable[[str, Callable[[Claims], None]], Awaitable[Claims]]
"""What a good token says, of a user who exists; raises ``TokenRefused`` (semantics 3.1).

The second is told as soon as the token is known to be good, before anything is written, and may raise."""


class Leaving(Standing, Protocol):
    """A connection that can be asked to come back later, or ended."""

    @property
    def is_busy(self) -> bool:
        """It waits for answers."""
        ...

    @property
    def awaits_pong(self) -> bool:
        """It was pinged, and has given no sign of life since."""
        ...

    def offload(self, backoff: frames.Backoff) -> None: ...


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator allows a connection."""

    requests_in_flight: int
    subscription_ttl_s: int
    max_batch: int
    base_url: str | None
    """What URLs begin with; None: the host the client has connected to."""
    frames: frames.Limits


class Tasks:
    """Tasks that answer for themselves: one that fails is logged, and harms no other."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task.failed", exc_info=error)

    async def settle(self, within_s: float) -> None:
        """Wait until what is running now is done, but not for ever."""
        if self._running:
            await asyncio.wait(tuple(self._running), timeout=within_s)

    async def cancel(self) -> None:
        """End what still runs."""
        for task in tuple(self._running):
            task.cancel()
        await self.settle(1)


class Envelopes:
    """Makes notifications: whole WebSocket frames, each with an id that no other frame of this node has."""

    def __init__(self) -> None:
        self._prefix = f"TM{secrets.token_hex(10)}"
        self._number = 0

    def seal(self, message_type: str, body: bytes) -> bytes:
        self._number += 1
        return websocket.binary(frames.notification(f"{self._prefix}{self._number:012x}", message_type, body))


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """The realtime side of one server process."""

    clock: Clock
    terms: Terms
    conditions: Conditions
    admit: Admit
    hub: Hub
    presence: Presence
    following: Following
    deadlines: Deadlines
    envelopes: Envelopes
    tasks: Tasks
    turns: Turns
    """Clients that all come at once are let in, read to and answered a few per tick."""
    allowance: Allowance | None
    """What an account may use of the socket; None: as much as it likes."""
    randomness: Randomness
    route: Route
    connections: set[Leaving]
    """Those that are somebody's, to be told when the node stops."""
