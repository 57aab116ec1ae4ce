"""The real server in the test's process, with a clock that stands still, and clients of our own library."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvicorn

from tertulia.client import ClientConfig, Conversation, ConversationsClient
from tertulia.server.blobs.folder import FolderBlobs
from tertulia.server.composition import Server
from tertulia.server.settings import JobsSettings, Settings
from tertulia.wire import tokens
from tests.engine.world import World

from .proxy import Proxy

PATIENCE_S = 10.0
"""How long anything may take that is to happen."""


class Stage:
    """A server on a port of its own, and a proxy in front of it; clients come through the proxy."""

    def __init__(self, world: World, folder: Path, settings: Settings | None = None) -> None:
        self.world = world
        self.settings = settings or Settings(jobs=JobsSettings(poll_s=60))
        self._folder = folder
        self._blobs: FolderBlobs | None = None
        self._gateway: uvicorn.Server | None = None
        self._stack = AsyncExitStack()
        self.server: Server
        self.port = 0
        self.proxy: Proxy

    async def open(self) -> None:
        self._blobs = FolderBlobs(self._folder)
        await self._blobs.open()
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        self.proxy = Proxy(self.port)
        await self.proxy.open()
        await self._serve(listening)

    async def close(self) -> None:
        await self._stack.aclose()
        await self.proxy.close()
        await self.stop()
        if self._blobs is not None:
            await self._blobs.close()

    @property
    def url(self) -> str:
        """Where clients connect to: the proxy."""
        return self.proxy.url

    # --- the server

    async def stop(self) -> None:
        """The server is away, as if it had crashed: its sockets are cut."""
        gateway, self._gateway = self._gateway, None
        if gateway is None:
            return
        for listening in gateway.servers:
            listening.close()
        self.proxy.reset()
        async with asyncio.timeout(PATIENCE_S):
            while gateway.server_state.connections:  # noqa: ASYNC110 (what is waited for has no event)
                await asyncio.sleep(0.001)
        await self.server.stop()

    async def start_again(self) -> None:
        """The server is back, on the same port, with what it had committed."""
        await self._serve(socket.create_server(("127.0.0.1", self.port)))

    async def _serve(self, listening: socket.socket) -> None:
        world = self.world
        self.server = Server(
            self.settings,
            world.database,
            world.sealer,
            world.clock,
            world.new_sid,
            # Files are fetched through the proxy as well.
            self.proxy.url,
            bus=world.bus,
            blobs=self._blobs,
        )
        config = self.server.uvicorn_config()
        config.load()
        gateway = self._gateway = uvicorn.Server(config)
        gateway.lifespan = config.lifespan_class(config)
        await self.server.start()
        await gateway.startup(sockets=[listening])

    def pass_time(self, seconds: float) -> None:
        """The clock goes on, and whose time has come is looked at."""
        self.world.clock.advance(timedelta(seconds=seconds))
        self.server.node.deadlines.sweep()

    def now(self) -> float:
        """The stage's time, in unix seconds."""
        return self.world.clock.now() / 1_000_000

    # --- clients

    def token(self, identity: str, **claims: Any) -> str:
        """An access token as helper libraries mint it; ``claims`` are arguments of ``mint``."""
        known = self.world.credentials
        what: dict[str, Any] = {
            "account_sid": known.account_sid,
            "key_sid": known.api_key_sid,
            "secret": known.api_key_secret,
            "service_sid": self.world.service,
            "identity": identity,
            "now_s": self.now(),
        }
        return tokens.mint(**{**what, **claims})

    def config(self, identity: str, **options: Any) -> ClientConfig:
        """How this user comes in: patient with the server, quick to come back."""
        usual: dict[str, Any] = {
            "server_url": self.url,
            "clock": self.now,
            "reconnect_min": 0.05,
            "reconnect_max": 0.2,
            "start_timeout": PATIENCE_S,
        }
        if "token_provider" not in options and "token" not in options:
            usual["token"] = self.token(identity)
        return ClientConfig(**{**usual, **options})

    def client(self, identity: str, **options: Any) -> ConversationsClient:
        """A client that is not started; shut down at the end of the test."""
        client = ConversationsClient(self.config(identity, **options))
        self._stack.push_async_callback(client.shutdown)
        return client

    async def connect(self, identity: str, **options: Any) -> ConversationsClient:
        """A client that is started and knows all its conversations."""
        client = self.client(identity, **options)
        await client.start()
        await client.wait_synchronized(timeout=PATIENCE_S)
        return client

    async def room(self, *identities: str) -> str:
        """The SID of a conversation with these members, made by the account."""
        return (await self.world.conversation(*identities)).sid

    async def in_room(self, *identities: str, **options: Any) -> list[Conversation]:
        """A conversation as each of its members has it, all of them connected."""
        sid = await self.room(*identities)
        clients = [await self.connect(identity, **options) for identity in identities]
        return [await (await client.get_conversation(sid)).ready(timeout=PATIENCE_S) for client in clients]

    async def hosted(self, host: str, *others: str, **options: Any) -> list[Conversation]:
        """A conversation that the first of them has made, as each of them has it."""
        client = await self.connect(host, **options)
        room = await client.create_conversation(join=True)
        rooms = [await room.ready(timeout=PATIENCE_S)]
        for identity in others:
            await self.world.add(room.sid, identity)
            other = await self.connect(identity, **options)
            rooms.append(await (await other.get_conversation(room.sid)).ready(timeout=PATIENCE_S))
        await until(lambda: all(len(each.participants) == len(rooms) for each in rooms))
        return rooms


async def until(is_so: Callable[[], object]) -> None:
    """Returns when it is so; fails when that takes too long."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110 (what is waited for may have no event)
            await asyncio.sleep(0.005)
