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

from tertulia.server.blobs.base import Blobs
from tertulia.server.blobs.scanner import open_scanner
from tertulia.server.bus.base import NODES, Bus
from tertulia.server.bus.inprocess import InProcessBus
from tertulia.server.client_api import CLIENT_API
from tertulia.server.clock import Clock
from tertulia.server.domain.callers import Caller
from tertulia.server.domain.jobs import Job
from tertulia.server.domain.media import RemoveBlob
from tertulia.server.domain.webhooks import CallWebhook, ReplayMessages
from tertulia.server.engine.engine import Engine
from tertulia.server.engine.identities import Identities
from tertulia.server.engine.lanes import Lanes
from tertulia.server.engine.media_links import MediaLinks
from tertulia.server.engine.media_store import MediaStore
from tertulia.server.engine.push_explaining import PushExplaining
from tertulia.server.engine.push_queries import PushQueries
from tertulia.server.engine.queries import Queries
from tertulia.server.engine.rates import Rates
from tertulia.server.engine.typing import Typing
from tertulia.server.engine.unit import Policy
from tertulia.server.engine.webhook_calls import WebhookCalls
from tertulia.server.gateway import http_class
from tertulia.server.jobs.housekeeping import Housekeeping
from tertulia.server.jobs.lifecycle import lifecycle_performers
from tertulia.server.jobs.media import BlobRemover, BlobSweep, MediaCount, OrphanRemover
from tertulia.server.jobs.performing import Performer
from tertulia.server.jobs.presence import PresenceSweep
from tertulia.server.jobs.push import push_performers
from tertulia.server.jobs.push_log import PushLog
from tertulia.server.jobs.retention import RetentionTrimmer
from tertulia.server.jobs.stragglers import Stragglers
from tertulia.server.jobs.unused_devices import UnusedDevices
from tertulia.server.jobs.webhooks import ReplayPerformer, WebhookPerformer
from tertulia.server.jobs.worker import Worker
from tertulia.server.media_api import MEDIA_API
from tertulia.server.media_api.face import MediaFace
from tertulia.server.outgoing import Outgoing
from tertulia.server.push.services import PushServices
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
from tertulia.server.rest import ACCOUNT_API, ADDITIONS
from tertulia.server.sealing import Sealer
from tertulia.server.settings import Settings
from tertulia.server.storage.database import Database
from tertulia.server.switchboard import Switchboard, keywords_of
from tertulia.server.web.admission import Admission
from tertulia.server.web.asgi import HttpApp, UploadLimits, is_upload
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
    """Everything that answers, on one opened installation.

    ``blobs`` are opened, and closed by whoever has opened them. Without them there are no files: uploads get 503.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        sealer: Sealer,
        clock: Clock,
        new_sid: Callable[[str], str],
        base_url: str,
        bus: Bus | None = None,
        blobs: Blobs | None = None,
    ) -> None:
        self.settings = settings
        self.bus = bus or InProcessBus()
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._blobs = blobs
        self._is_draining = False
        self._tasks = Tasks()
        self._loops: list[asyncio.Task[None]] = []
        identities = Identities(database, sealer, clock, settings.tokens.recheck_s)
        self.outgoing = Outgoing(settings)
        self._stragglers = Stragglers()
        self.push_services = PushServices(self.outgoing, clock, settings.push)
        calls = WebhookCalls(self.outgoing, identities)
        self.engine = self._make_engine(new_sid, base_url, calls)
        self.queries = Queries(database)
        tokens = AccessTokens(identities, self.engine, self.queries, clock, settings.tokens)
        links = MediaLinks(sealer, clock)
        self.media = MediaStore(
            self.engine,
            self.queries.media,
            links,
            blobs,
            open_scanner(settings.scanner),
            new_sid,
            settings.media,
            sealer.key_id,
        )
        self.switchboard = Switchboard(
            settings, database, sealer, clock, new_sid, base_url, self.outgoing, self.engine, self.media, blobs
        )
        rest, client, media = self._make_dispatchers(identities, tokens, links)
        self.application = HttpApp(
            rest,
            client,
            media,
            callbacks=self.switchboard.callbacks,
            is_ready=self._is_ready,
            document=cache(lambda: describe([*rest.operations, *client.operations, *media.operations])),
            body_limit_bytes=settings.server.body_limit_bytes,
            upload_limits=UploadLimits(settings.media.idle_timeout_s, settings.media.upload_timeout_s),
        )

        async def route(request: Request, caller: Caller, url: str) -> Reply:
            return await client.dispatch(request, caller=caller, base_url=url)

        self.node = self._make_node(base_url, tokens, route)
        self.revocations = Revocations(database, self.node.connections, self._tasks.spawn, settings.tokens.recheck_s)
        # In this order: who is turned out and comes back at once must not be believed again.
        for receive in (identities.receive, tokens.receive, self.revocations.receive, self.switchboard.receive):
            self.bus.subscribe(NODES, receive)
        self.presence_sweep = PresenceSweep(database, self.engine, self.bus, clock)
        self.housekeeping = self._make_housekeeping()
        self.worker = self._make_worker(calls)
        self.engine.promised = self.worker.wake

    def _make_engine(self, new_sid: Callable[[str], str], base_url: str, calls: WebhookCalls) -> Engine:
        settings, limits = self.settings, self.settings.limits
        return Engine(
            self._database,
            self.bus,
            self._clock,
            new_sid,
            Policy(
                base_url=base_url,
                group_text_participants=limits.group_text_participants,
                push_single_owner=settings.push.single_owner,
                push_only_offline=settings.push.only_offline,
                rest_pre_action=settings.webhooks.rest_pre_action,
                flows=settings.webhooks.flow_urls(),
                media_quota_bytes=settings.media.service_quota_bytes,
                keywords=keywords_of(settings.channels),
                channel_validity_s=settings.channels.validity_s,
                gateways_per_account=settings.channels.gateways_per_account,
                senders_per_account=settings.channels.senders_per_account,
                may_listen=settings.channels.may_listen,
                keeps_done_jobs=settings.jobs.keep_done_days > 0,
            ),
            self._sealer,
            calls,
            rates=Rates(
                self._clock,
                per_conversation=limits.rate("conversation_actions_per_s"),
                per_service=limits.rate("service_actions_per_s"),
            ),
            lanes=Lanes(limits.writes_at_once, limits.writes_waiting),
        )

    def _make_dispatchers(
        self, identities: Identities, tokens: AccessTokens, links: MediaLinks
    ) -> tuple[Dispatcher, Dispatcher, Dispatcher]:
        """For account holders, for clients, for files."""
        limits = self.settings.limits
        services = Services(
            self.engine,
            self.queries,
            Typing(self._database, self.bus, self.settings.typing.timeout_s),
            self.settings,
            PageTokens(self._sealer),
            self.media,
            PushExplaining(self._database, self._clock, self.settings.push.log_days),
            self.switchboard.channels,
            self.switchboard.gateways,
        )
        turns = Turns(HTTP_TURNS_PER_TICK, limits.requests_waiting)
        rest_admission = Admission(turns, limits.rate("rest_requests_at_once"))
        return (
            Dispatcher(RestFace(identities), [ACCOUNT_API, ADDITIONS], services, rest_admission),
            Dispatcher(ClientFace(tokens), [CLIENT_API], services, Admission(turns)),
            Dispatcher(MediaFace(identities, tokens, links), [MEDIA_API], services, Admission(turns)),
        )

    def _make_housekeeping(self) -> Housekeeping:
        settings, clock = self.settings, self._clock
        also = [
            UnusedDevices(self._database, self.engine, clock).forget,
            PushLog(self._database, clock, settings.push.log_days).trim,
            RetentionTrimmer(self._database, self.engine, clock, settings.retention).trim,
            OrphanRemover(self.queries.media, self.engine, clock, settings.media).forget,
            MediaCount(self.queries.media).look,
            *self.switchboard.trimming(),
        ]
        if self._blobs is not None:
            also.append(BlobSweep(self._blobs, self._sealer.key_id, self.queries.media, clock).sweep)
        return Housekeeping(
            self._database,
            clock,
            tombstone_days=settings.sync.tombstone_days,
            mutations_s=settings.mutations.keep_s,
            done_job_days=settings.jobs.keep_done_days,
            dead_job_days=settings.jobs.keep_dead_days,
            also=tuple(also),
        )

    def _make_worker(self, calls: WebhookCalls) -> Worker:
        settings = self.settings
        webhooks = WebhookPerformer(calls, post_retry=settings.webhooks.post_retry)
        performers: dict[type[Job], Performer[Any]] = {
            CallWebhook: webhooks,
            ReplayMessages: ReplayPerformer(self.queries.webhooks, settings.webhooks.flow_urls(), webhooks),
            **lifecycle_performers(self.engine),
            **self.switchboard.performers(),
            **push_performers(
                self.engine,
                PushQueries(self._database, self._sealer),
                self.push_services,
                self._clock,
                settings.push,
                self._stragglers,
                settings.jobs.lease_s,
            ),
        }
        if self._blobs is not None:
            performers[RemoveBlob] = BlobRemover(self._blobs)
        return Worker(
            self._database,
            self._clock,
            performers,
            settings.jobs,
            name=f"{platform.node()}/{os.getpid()}",
            grace_s=settings.server.shutdown_grace_s,
        )

    def _make_node(self, base_url: str, tokens: AccessTokens, route: Route) -> Node:
        database, clock = self._database, self._clock
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
                sign=_signer(self._sealer.derive("continuation tokens")),
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
            http=http_class(
                head_timeout_s=server.head_timeout_s,
                body_timeout_s=server.body_timeout_s,
                write_timeout_s=self.settings.media.idle_timeout_s,
                times_itself=is_upload,
            ),
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
            self.housekeeping.run(),
            self.worker.run(),
            self.node.presence.run(),
            self.presence_sweep.run(),
        ):
            self._loops.append(asyncio.create_task(loop))
        self.switchboard.start()

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
        await self._stragglers.stop()
        for task in self._loops:
            task.cancel()
        for task in self._loops:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.switchboard.stop()
        await self._tasks.cancel()
        await self.node.presence.stop()
        await self.push_services.close()
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
