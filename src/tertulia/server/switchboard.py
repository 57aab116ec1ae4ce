"""Channels, put together: who sends through them, who hears what they say, what is trimmed of both."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from tertulia.server.blobs.base import Blobs
from tertulia.server.bus.base import GatewaysChanged, KeysChanged, Publication
from tertulia.server.callbacks.face import Callbacks
from tertulia.server.callbacks.inbox import GatewayInbox
from tertulia.server.channels.opening import Channels
from tertulia.server.channels.simulator.channel import SimulatorChannel
from tertulia.server.clock import Clock
from tertulia.server.domain.jobs import Job
from tertulia.server.domain.opt_out import Keywords
from tertulia.server.engine.arrival_store import ArrivalStore
from tertulia.server.engine.channel_queries import ChannelQueries
from tertulia.server.engine.engine import Engine
from tertulia.server.engine.gateway_directory import GatewayDirectory
from tertulia.server.engine.inbound_queries import InboundQueries
from tertulia.server.engine.media_store import MediaStore
from tertulia.server.jobs.arrivals import arrival_performers
from tertulia.server.jobs.channel_log import ChannelLog
from tertulia.server.jobs.channels import channel_performers
from tertulia.server.jobs.forgotten_arrivals import ArrivalTrim, SpoolSweep
from tertulia.server.jobs.performing import Performer
from tertulia.server.outgoing import Outgoing
from tertulia.server.sealing import Sealer
from tertulia.server.settings import ChannelsSettings, Settings
from tertulia.server.settings.channels import words
from tertulia.server.storage.database import Database


def keywords_of(settings: ChannelsSettings) -> Keywords:
    """What people say to hear no more from us, and what they are answered."""
    return Keywords(
        stop=words(settings.stop_words),
        start=words(settings.start_words),
        help=words(settings.help_words),
        stop_reply=settings.stop_reply,
        start_reply=settings.start_reply,
        help_reply=settings.help_reply,
    )


class Switchboard:
    """The channels of one node."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        sealer: Sealer,
        clock: Clock,
        new_sid: Callable[[str], str],
        base_url: str,
        outgoing: Outgoing,
        engine: Engine,
        media: MediaStore,
        blobs: Blobs | None,
    ) -> None:
        self._settings = settings
        self._outgoing = outgoing
        self._database = database
        self._clock = clock
        self._engine = engine
        self._media = media
        self._blobs = blobs
        self._base_url = settings.server.public_url or base_url
        self._folder = sealer.key_id
        self._inbound = InboundQueries(database)
        self._running: asyncio.Task[None] | None = None
        store = ArrivalStore(engine, self._inbound, blobs, new_sid, self._folder)
        self.gateways = GatewayDirectory(database, sealer)
        self.channels = Channels(
            self.gateways,
            outgoing,
            clock,
            new_sid,
            self._base_url,
            inbox=lambda gateway: GatewayInbox(self.channels, store, gateway),
            may_listen=settings.channels.may_listen,
        )
        self.callbacks = Callbacks(
            self.channels,
            store,
            settings.server.public_url,
            limit_bytes=settings.channels.callback_bytes,
            at_once=settings.channels.callbacks_at_once,
        )

    def receive(self, publication: Publication) -> None:
        """A hint that gateways have changed, or that their accounts are no longer served, or again."""
        if isinstance(publication, GatewaysChanged | KeysChanged):
            self.channels.news()

    def performers(self) -> dict[type[Job], Performer[Any]]:
        """Who does the jobs of channels, by their kind."""
        settings = self._settings
        return {
            **channel_performers(
                self._engine,
                ChannelQueries(self._database),
                self.channels,
                self._media,
                self._clock,
                settings.channels,
                self._base_url,
                self._outgoing,
            ),
            **arrival_performers(
                self._engine,
                self._inbound,
                self.channels,
                self._media,
                self._blobs,
                extended_source=settings.webhooks.extended_source,
                fetch_attempts=settings.channels.fetch_attempts,
                fetch_s=settings.jobs.lease_s * 0.5,
            ),
        }

    def trimming(self) -> list[Callable[[], Awaitable[int]]]:
        """What housekeeping does for channels."""
        trims: list[Callable[[], Awaitable[int]]] = [
            ArrivalTrim(self._database, self._clock).trim,
            ChannelLog(self._database, self._clock, self._settings.channels.log_days).trim,
        ]
        if self._blobs is not None:
            trims.append(SpoolSweep(self._blobs, self._folder, self._inbound, self._clock).sweep)
        return trims

    async def settle(self) -> int:
        """What is due on simulated networks by now has happened; how much of it there was."""
        simulators = [channel for channel in self.channels.opened() if isinstance(channel, SimulatorChannel)]
        return sum([await simulator.happen() for simulator in simulators])

    def start(self) -> None:
        """Connections that messages come by are held from now on."""
        self._running = asyncio.create_task(self.channels.run())

    async def stop(self) -> None:
        """They end."""
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running
        await self.channels.close()
