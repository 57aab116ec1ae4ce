"""The server of a test: made on a fresh database, reached over loopback, and left without a trace.

Everything here belongs to the server's own event loop; ``server`` is the way in from other threads.
"""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, cast

from tertulia.server.app import sid_maker
from tertulia.server.blobs.folder import FolderBlobs
from tertulia.server.bootstrap import Bootstrap
from tertulia.server.clock import Clock
from tertulia.server.composition import Server
from tertulia.server.first_start import Credentials, credentials_of, make_first_account
from tertulia.server.gateway import Gateway, Http
from tertulia.server.realtime.socket import Socket
from tertulia.server.sealing import KEY_BYTES, Sealer, key_in_file
from tertulia.server.settings import Settings
from tertulia.server.storage.migrate import migrate
from tertulia.server.storage.sqlite import SqliteDatabase

GRACE_S: Final = 0.25
"""How long peers may take to end their connections themselves; who is gone already takes no time."""
PATIENCE_S: Final = 1.0
"""How long live clients may take for a pong, and tasks of the server to end."""
LOOK_S: Final = 0.002

Work = Callable[["Host"], Awaitable[None]]
"""Something to be done in the server's event loop."""


class Host:
    """A server that can be reached, and its account."""

    def __init__(self, server: Server, gateway: Gateway, port: int, credentials: Credentials) -> None:
        self.server = server
        self.port = port
        self.credentials = credentials
        self._gateway = gateway
        self._is_shut = False

    async def settle(self, pong_within_s: float) -> None:
        """Does all that is due. Live clients that are pinged by it get ``pong_within_s`` to answer."""
        server, node = self.server, self.server.node
        node.deadlines.sweep()
        # A leap looks like a machine that was suspended: the node has to say that it lives before others bury it.
        await node.presence.beat()
        await node.tasks.settle(PATIENCE_S)
        await server.presence_sweep.sweep()
        await server.worker.run_due()
        told = 1
        while told:
            told = await server.switchboard.settle()
            await server.worker.run_due()
        if await server.housekeeping.trim():
            await server.worker.run_due()
        await node.tasks.settle(PATIENCE_S)
        await _until(lambda: not any(each.awaits_pong for each in node.connections), pong_within_s)

    async def cut(self) -> None:
        """Cuts all connections."""
        for connection in list(self._gateway.server_state.connections):
            _cut(connection)
        await _until(lambda: not self._gateway.server_state.connections, PATIENCE_S)

    async def shut(self) -> None:
        """Cuts all connections, and those that come, until ``let_in``."""
        self._is_shut = True
        await self.cut()

    async def let_in(self) -> None:
        self._is_shut = False

    async def close(self) -> None:
        """Nobody comes in any more; those who are here are told, and do not delay it for long."""
        for listening in self._gateway.servers:
            listening.close()
        for connection in list(self._gateway.server_state.connections):
            cast(Any, connection).shutdown()
        await _until(lambda: not self._gateway.server_state.connections, GRACE_S)
        await self.cut()

    def guarded(self, http: type[Http]) -> type[Http]:
        """The class of connections, for uvicorn's ``http=``; they end at once while the host is shut.

        The port is kept meanwhile: it is a free one, and another test might get it.
        """
        host = self

        class GuardedHttp(http):  # type: ignore[misc, valid-type]
            def connection_made(self, transport: asyncio.Transport) -> None:
                super().connection_made(transport)
                if host._is_shut:
                    transport.abort()

        return GuardedHttp

    async def listen(self, listening: socket.socket) -> None:
        config = self._gateway.config
        config.http = self.guarded(cast(type[Http], config.http))
        config.load()
        self._gateway.lifespan = config.lifespan_class(config)
        await self._gateway.startup(sockets=[listening])


@asynccontextmanager
async def hosted(settings: Settings, clock: Clock, database: Path | None, port: int) -> AsyncIterator[Host]:
    """A server with its first account, on this port of loopback (0: any free one), until the block ends.

    Its data is in memory, or in the file and beside it.
    """
    async with AsyncExitStack() as stack:
        # Bound before anything else, so that whoever asks for a port that is taken hears of it first.
        listening = stack.enter_context(socket.create_server(("127.0.0.1", port)))
        port = listening.getsockname()[1]
        sqlite = SqliteDatabase(database)
        await sqlite.open()
        stack.push_async_callback(sqlite.close)
        sealer, new_sid = Sealer(_key(database)), sid_maker(clock)
        await migrate(sqlite, clock=clock)
        await make_first_account(sqlite, sealer, Bootstrap(), clock, new_sid)
        blobs = FolderBlobs(_media_folder(database, stack))
        await blobs.open()
        stack.push_async_callback(blobs.close)
        server = Server(settings, sqlite, sealer, clock, new_sid, f"http://127.0.0.1:{port}", blobs=blobs)
        host = Host(server, Gateway(server.uvicorn_config()), port, await credentials_of(sqlite, sealer))
        await server.start()
        stack.push_async_callback(server.stop)
        await host.listen(listening)
        stack.push_async_callback(host.close)
        yield host


def _key(database: Path | None) -> bytes:
    """What protects stored secrets: made anew for a database in memory, kept beside one in a file."""
    return os.urandom(KEY_BYTES) if database is None else key_in_file(database.with_name(f"{database.name}.key"))


def _media_folder(database: Path | None, stack: AsyncExitStack) -> Path:
    if database is not None:
        return database.with_name(f"{database.name}.media")
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tertulia-")))


def _cut(connection: object) -> None:
    if isinstance(connection, Socket):
        connection.abort()
    elif isinstance(connection, Http):
        connection.transport.abort()


async def _until(is_so: Callable[[], object], within_s: float) -> None:
    """Returns when it is so, or the time is over."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while not is_so():  # noqa: ASYNC110 (what is waited for has no event)
                await asyncio.sleep(LOOK_S)
