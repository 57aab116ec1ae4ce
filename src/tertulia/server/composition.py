"""One running server: the parts, put together, with their order of starting and stopping."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import math
import os
import platform
import random
from collections.abc import Callable
from functools import cache
from typing import Any

import uvicorn

from tertulia.server.bus.base import NODES, Bus
from tertulia.server.bus.inprocess import InProcessBus
from tertulia.server.client_api import CLIENT_API
from tertulia.server.clock import Clock
from tertulia.server.domain.callers import Caller
from tertulia.server.domain.jobs import Job
from tertulia.server.domain.webhooks import CallWebhook, ReplayMessages
from tertulia.server.engine.engine import Engine
from tertulia.server.engine.identities import Identities
from tertulia.server.engine.lanes import Lanes
from tertulia.server.engine.queries import Queries
from tertulia.server.engine.rates import Rates
from tertulia.server.engine.typing import Typing
from tertulia.server.engine.unit import Policy
from tertulia.server.engine.webhook_calls import WebhookCalls
from tertulia.server.gateway import http_class
from tertulia.server.jobs.housekeeping import Housekeeping
from tertulia.server.jobs.lifecycle import lifecycle_performers
from tertulia.server.jobs.performing import Performer
from tertulia.server.jobs.presence import PresenceSweep
from tertulia.server.jobs.retention import RetentionTrimmer
from tertulia.server.jobs.unused_devices import UnusedDevices
from tertulia.server.jobs.webhooks import ReplayPerformer, WebhookPerformer
from tertulia.server.jobs.worker import Worker
from tertulia.server.outgoing import Outgoing
from tertulia.server.randomness import Randomness
from tertulia.server.realtime.allowance import Allowance
from tertulia.server.realtime.connection import Connection
from tertulia.server.realtime.deadlines import Deadlines
from tertulia.server.realtime.follow import Following
from tertulia.server.realtime.hub import Hub
from tertulia.server.realtime.node import Conditions, Envelopes, Node, Route, Tasks
from tertulia.server.realtime.presence import Presence
from tertulia.server.realtime.revocations import Revocations
from tertulia.server.realtime.socket import SocketLimits, socket_class
from tertulia.server.rest import ACCOUNT_API
from tertulia.server.sealing import Sealer
from tertulia.server.settings import Settings
from tertulia.server.storage.database import Database
from tertulia.server.web.admission import Admission
from tertulia.server.web.asgi import HttpApp
from tertulia.server.web.auth import AccessTokens
from tertulia.server.web.dispatch import Dispatcher
from tertulia.server.web.faces import ClientFace, RestFace
from tertulia.server.web.openapi import describe
from tertulia.server.web.operations import Services
from tertulia.server.web.page_tokens import PageTokens
from tertulia.server.web.turns import Turns
from tertulia.wire import frames
from tertulia.wire.frames import Backoff
from tertulia.wire.handshake import Terms
from tertulia.wire.requests import Reply, Request

log = logging.getLogger(__name__)

TURNS_PER_TICK = 8
"""How many logins, reads and replays one tick takes on; who writes waits for no more than these."""

HTTP_TURNS_PER_TICK = 32
"""How many HTTP requests one tick takes on; those of one account wait while others have their turn."""

KEEP_ALIVE_S = 75
"""How long a connection may idle between requests: longer than most proxies keep theirs (60 s)."""

WEBSOCKET_PATHS = frozenset({"/v3/wsconnect"})


class Server:
    """Everything that answers, on one opened installation."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        sealer: Sealer,
        clock: Clock,
        new_sid: Callable[[str], str],
        base_url: str,
        bus: Bus | None = None,
    ) -> None:
        self.settings = settings
        limits = settings.limits
        self.bus = bus or InProcessBus()
        identities = Identities(database, sealer, clock, settings.tokens.recheck_s)
        self.outgoing = Outgoing(settings)
        calls = WebhookCalls(self.outgoing, identities)
        self.engine = Engine(
            database,
            self.bus,
            clock,
            new_sid,
            Policy(
                base_url=base_url,
                group_text_participants=limits.group_text_participants,
                push_single_owner=settings.push.single_owner,
                rest_pre_action=settings.webhooks.rest_pre_action,
                flows=settings.webhooks.flow_urls(),
                keeps_done_jobs=settings.jobs.keep_done_days > 0,
            ),
            sealer,
            calls,
            rates=Rates(
                clock,
                per_conversation=limits.rate("conversation_actions_per_s"),
                per_service=limits.rate("service_actions_per_s"),
            ),
            lanes=Lanes(limits.writes_at_once, limits.writes_waiting),
        )
        self.queries = Queries(database)
        self._tasks = Tasks()
        self._loops: list[asyncio.Task[None]] = []
        tokens = AccessTokens(identities, self.engine, self.queries, clock, settings.tokens)
        services = Services(
            self.engine,
            self.queries,
            Typing(database, self.bus, settings.typing.timeout_s),
            settings,
            PageTokens(sealer),
        )
        turns = Turns(HTTP_TURNS_PER_TICK, limits.requests_waiting)
        rest_admission = Admission(turns, limits.rate("rest_requests_at_once"))
        rest = Dispatcher(RestFace(identities), [ACCOUNT_API], services, rest_admission)
        client = Dispatcher(ClientFace(tokens), [CLIENT_API], services, Admission(turns))
        self.application = HttpApp(
            rest,
            client,
            is_ready=self._is_ready,
            document=cache(lambda: describe([*rest.operations, *client.operations])),
            body_limit_bytes=settings.server.body_limit_bytes,
        )

        async def route(request: Request, caller: Caller, url: str) -> Reply:
            return await client.dispatch(request, caller=caller, base_url=url)

        self.node = self._make_node(database, sealer, clock, base_url, tokens, route)
        self.revocations = Revocations(database, self.node.connections, self._tasks.spawn, settings.tokens.recheck_s)
        # In this order: who is turned out and comes back at once must not be believed again.
        for receive in (identities.receive, tokens.receive, self.revocations.receive):
            self.bus.subscribe(NODES, receive)
        self.presence_sweep = PresenceSweep(database, self.engine, self.bus, clock)
        self._housekeeping = Housekeeping(
            database,
            clock,
            tombstone_days=settings.sync.tombstone_days,
            mutations_s=settings.mutations.keep_s,
            done_job_days=settings.jobs.keep_done_days,
            dead_job_days=settings.jobs.keep_dead_days,
            also=(
                UnusedDevices(database, self.engine, clock).forget,
                RetentionTrimmer(database, self.engine, clock, settings.retention).trim,
            ),
        )
        webhooks = WebhookPerformer(calls, post_retry=settings.webhooks.post_retry)
        performers: dict[type[Job], Performer[Any]] = {
            CallWebhook: webhooks,
            ReplayMessages: ReplayPerformer(self.queries.webhooks, settings.webhooks.flow_urls(), webhooks),
            **lifecycle_performers(self.engine),
        }
        self.worker = Worker(
            database,
            clock,
            performers,
            settings.jobs,
            name=f"{platform.node()}/{os.getpid()}",
            grace_s=settings.server.shutdown_grace_s,
        )
        self.engine.promised = self.worker.wake
        self._is_draining = False

    def _make_node(
        self,
        database: Database,
        sealer: Sealer,
        clock: Clock,
        base_url: str,
        tokens: AccessTokens,
        route: Route,
    ) -> Node:
        realtime, envelopes = self.settings.realtime, Envelopes()
        deadlines = Deadlines(clock)
        hub = Hub(self.bus, envelopes.seal, lambda sid, after: following.missed(sid, after), self._tasks.spawn)
        following = Following(database, hub, base_url, realtime.replays_at_once)
        limits = self.settings.limits
        allowance = Allowance(
            clock,
            connections=limits.rate("connections"),
            connections_per_s=limits.rate("connections_per_s"),
            requests_per_s_of_connection=limits.rate("connection_requests_per_s"),
            requests_per_s=limits.rate("account_requests_per_s"),
        )
        return Node(
            clock=clock,
            terms=Terms(
                sign=_signer(sealer.derive("continuation tokens")),
                on_expiry=self.settings.tokens.on_expiry,
                init_within_s=realtime.init_timeout_s,
                ping_after_s=realtime.ping_interval_s,
                silence_s=realtime.ping_timeout_s,
            ),
            conditions=Conditions(
                requests_in_flight=realtime.requests_in_flight,
                subscription_ttl_s=realtime.subscription_ttl_s,
                max_batch=realtime.max_batch,
                base_url=self.settings.server.public_url,
                frames=frames.Limits(max_payload_bytes=realtime.frame_limit_bytes),
            ),
            admit=tokens.admit,
            hub=hub,
            presence=Presence(database, self.engine, self.bus, clock, hub, deadlines, self._tasks.spawn),
            following=following,
            deadlines=deadlines,
            envelopes=envelopes,
            tasks=self._tasks,
            turns=Turns(TURNS_PER_TICK),
            allowance=allowance if allowance.is_limited else None,
            randomness=Randomness(),
            route=route,
            connections=set(),
        )

    def uvicorn_config(self) -> uvicorn.Config:
        """How uvicorn carries us: our application for HTTP, our sockets for WebSocket, on one port."""
        server, realtime = self.settings.server, self.settings.realtime
        limits = SocketLimits(message_bytes=realtime.frame_limit_bytes, queue_bytes=realtime.send_queue_bytes)
        return uvicorn.Config(
            self.application,
            http=http_class(head_timeout_s=server.head_timeout_s, body_timeout_s=server.body_timeout_s),
            ws=socket_class(lambda upgrade: Connection(self.node, upgrade), WEBSOCKET_PATHS, limits),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=math.ceil(server.shutdown_grace_s),
        )

    async def start(self) -> None:
        await self.bus.open()
        await self.node.presence.start()
        self.presence_sweep.start()
        for loop in (
            self.node.deadlines.run(),
            self.revocations.run(),
            self._housekeeping.run(),
            self.worker.run(),
            self.node.presence.run(),
            self.presence_sweep.run(),
        ):
            self._loops.append(asyncio.create_task(loop))

    async def drain(self) -> None:
        """Clients are asked to come back, spread over a few seconds: each when what it has asked for is answered."""
        self._is_draining = True
        now = asyncio.get_running_loop().time
        patience_ends = now() + self.settings.server.shutdown_grace_s
        while self.node.connections:
            for connection in tuple(self.node.connections):
                # Clients hear no answers after their close frame (realtime 7).
                if not connection.is_busy or now() >= patience_ends:
                    least = random.randint(1000, 4000)  # noqa: S311 (spreads load, guards nothing)
                    connection.offload(Backoff(least, least + 4000))
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        await self.worker.stop()
        for task in self._loops:
            task.cancel()
        for task in self._loops:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._tasks.cancel()
        await self.node.presence.stop()
        await self.outgoing.close()
        await self.bus.close()

    async def _is_ready(self) -> bool:
        """Work may be sent here: the database answers, and we are not about to stop."""
        return not self._is_draining and await self.queries.is_reachable()


def _signer(key: bytes) -> Callable[[bytes], bytes]:
    """Signs with a key of our own; short, for tokens that only we read."""

    def sign(data: bytes) -> bytes:
        return hmac.digest(key, data, "sha256")[:18]

    return sign
