"""The whole server in this process, on a free port, with a clock that stands still."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import pytest
import uvicorn

from tertulia.server.blobs.base import Blobs
from tertulia.server.composition import Server
from tertulia.server.domain.sync import ObjectKind, object_sid
from tertulia.server.settings import JobsSettings, RealtimeSettings, Settings, TokensSettings
from tertulia.wire import tokens
from tests.engine.world import BASE_URL, World, new_world

from .client import Heard, Peer


class Here:
    """A running server, the world behind it, and its connections."""

    def __init__(self, world: World, server: Server, port: int, stack: AsyncExitStack, gateway: uvicorn.Server) -> None:
        self.world = world
        self.server = server
        self.port = port
        self.url = f"ws://127.0.0.1:{port}/v3/wsconnect"
        self._stack = stack
        self._gateway = gateway

    def connections(self) -> int:
        """How many the gateway has open, those of HTTP that idle among them."""
        return len(self._gateway.server_state.connections)

    def token(self, identity: str = "ana", **claims: Any) -> str:
        """An access token as helper libraries mint it; ``claims`` are arguments of ``mint``."""
        known = self.world.credentials
        what: dict[str, Any] = {
            "account_sid": known.account_sid,
            "key_sid": known.api_key_sid,
            "secret": known.api_key_secret,
            "service_sid": self.world.service,
            "identity": identity,
            "now_s": self.world.clock.now() / 1_000_000,
        }
        return tokens.mint(**{**what, **claims})

    async def open(self, **options: Any) -> Peer:
        """A connection that has said nothing yet; closed at the end of the test."""
        peer = await Peer.open(self.url, **options)
        self._stack.push_async_callback(peer.close)
        return peer

    async def peer(self, identity: str = "ana", **fields: Any) -> Peer:
        """A connection of this identity."""
        peer = await self.open()
        answer: Heard = await peer.init(self.token(identity), **fields)
        assert answer.status == 200, answer
        return peer

    def pass_time(self, seconds: float) -> None:
        """The clock goes on, and whose time has come is looked at."""
        self.world.clock.advance(timedelta(seconds=seconds))
        self.server.node.deadlines.sweep()

    async def map_of(self, identity: str) -> str:
        """The SID of a user's conversations map."""
        return object_sid(ObjectKind.CONVERSATIONS, (await self.world.queries.user(self.world.service, identity)).sid)


Start = Callable[..., Any]


@asynccontextmanager
async def running(world: World, settings: Settings, blobs: Blobs | None = None) -> AsyncIterator[Here]:
    """The server of these settings, until the connections are closed and everything has stopped."""
    server = Server(
        settings, world.database, world.sealer, world.clock, world.new_sid, BASE_URL, bus=world.bus, blobs=blobs
    )
    listener = socket.create_server(("127.0.0.1", 0))
    config = server.uvicorn_config()
    config.load()
    gateway = uvicorn.Server(config)
    gateway.lifespan = config.lifespan_class(config)
    await server.start()
    await gateway.startup(sockets=[listener])
    try:
        async with AsyncExitStack() as stack:
            yield Here(world, server, listener.getsockname()[1], stack, gateway)
    finally:
        # As uvicorn does it, which would look at its connections every tenth of a second only.
        for listening in gateway.servers:
            listening.close()
        async with asyncio.timeout(10):
            while gateway.server_state.connections:  # noqa: ASYNC110 (what is waited for has no event)
                await asyncio.sleep(0.001)
        await server.stop()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with new_world() as world:
        yield world


@pytest.fixture
async def start(world: World) -> AsyncIterator[Start]:
    """Starts a server with settings of the test's own."""
    async with AsyncExitStack() as stack:

        async def start(tokens: TokensSettings | None = None, **realtime: Any) -> Here:
            # What looks for work by itself every second would be counted among what requests cost.
            jobs = JobsSettings(poll_s=60)
            settings = Settings(tokens=tokens or TokensSettings(), realtime=RealtimeSettings(**realtime), jobs=jobs)
            return cast(Here, await stack.enter_async_context(running(world, settings)))

        yield start


@pytest.fixture
async def here(start: Start) -> Here:
    return cast(Here, await start())
