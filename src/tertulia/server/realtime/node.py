"""What all connections of a node share."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec

from tertulia.server.clock import Clock
from tertulia.server.domain.callers import Caller
from tertulia.server.engine.engine import Engine
from tertulia.server.engine.identities import Identities, SigningKey
from tertulia.server.engine.queries import Queries
from tertulia.wire import frames, tokens, websocket
from tertulia.wire.handshake import Terms
from tertulia.wire.requests import Reply, Request
from tertulia.wire.tokens import Claims, TokenRules

from .deadlines import Deadlines
from .follow import Following
from .hub import Hub

log = logging.getLogger(__name__)

Route = Callable[[Request, Caller, Claims], Awaitable[Reply]]
"""Answers a request of the client API in the name of a caller."""


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator allows a connection."""

    requests_in_flight: int
    subscription_ttl_s: int
    max_batch: int
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

    async def finish(self, within_s: float) -> None:
        """Wait for what is running, then cancel what still is."""
        if self._running:
            await asyncio.wait(self._running, timeout=within_s)
        for task in tuple(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=1)


class Node:
    """The realtime side of one server process."""

    def __init__(
        self,
        *,
        clock: Clock,
        terms: Terms,
        rules: TokenRules,
        conditions: Conditions,
        identities: Identities,
        engine: Engine,
        queries: Queries,
        hub: Hub,
        following: Following,
        deadlines: Deadlines,
        tasks: Tasks,
        route: Route,
    ) -> None:
        self.clock = clock
        self.terms = terms
        self.conditions = conditions
        self.engine = engine
        self.queries = queries
        self.hub = hub
        self.following = following
        self.deadlines = deadlines
        self.tasks = tasks
        self.route = route
        self._rules = rules
        self._identities = identities
        self._frame_prefix = f"TM{secrets.token_hex(10)}"
        self._frame_number = 0

    def new_seed(self) -> bytes:
        """Randomness of one connection."""
        return os.urandom(16)

    def encode(self, message_type: str, body: bytes) -> bytes:
        """A notification as one WebSocket frame, with an id no other frame of this node has."""
        self._frame_number += 1
        frame_id = f"{self._frame_prefix}{self._frame_number:012x}"
        return websocket.binary(frames.notification(frame_id, message_type, body))

    async def verify(self, token: str) -> Claims:
        """What a token says; raises ``TokenRefused`` (semantics 3.1)."""
        sid = tokens.key_named_by(token)
        key: SigningKey | None = None
        if sid is not None and sid.startswith("SK"):
            key = await self._identities.key(sid)

        def keys(issuer: str) -> tuple[str, str] | None:
            return (key.account_sid, key.secret) if key is not None and issuer == sid else None

        claims = tokens.verify(token, keys, self.clock.now() / 1_000_000, self._rules)
        if not await self._identities.has_service(claims.account_sid, claims.service_sid):
            raise tokens.TokenRefused(403, 20403, "The service of the token is not one of the account's")
        return claims
