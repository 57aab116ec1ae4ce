"""A server in this process, in a thread and an event loop of its own, so that any test can talk to it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import socket
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import uvicorn

from tertulia.server.app import sid_maker
from tertulia.server.blobs.folder import FolderBlobs
from tertulia.server.bootstrap import Bootstrap
from tertulia.server.composition import Server
from tertulia.server.first_start import Credentials, first_credentials, make_first_account
from tertulia.server.sealing import Sealer
from tertulia.server.settings import JobsSettings, Settings
from tertulia.server.storage.migrate import migrate
from tertulia.server.storage.sqlite import SqliteDatabase
from tertulia.wire import tokens

from .clock import ShiftedClock

R = TypeVar("R")

WITHIN_S: Final = 20.0
"""How long anything may take that a test waits for."""
GRACE_S: Final = 2.0
"""How long connections may take to end by themselves."""


class LocalServer:
    """A whole server on a free port of the loopback interface, with an account of its own.

    Its database is in memory unless a file is named. All methods may be called from any thread.
    """

    def __init__(self, settings: Settings | None = None, database: Path | None = None) -> None:
        # What is promised in this process is known at once; nothing has to be looked for.
        self.settings = settings or Settings(jobs=JobsSettings(poll_s=1))
        self.clock = ShiftedClock()
        self._file = database
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._server: Server | None = None
        self._credentials: Credentials | None = None
        self._port = 0

    def __repr__(self) -> str:
        return f"<LocalServer on port {self._port}>"

    # --- what a test needs to know

    @property
    def base_url(self) -> str:
        """In place of ``https://conversations.twilio.com``."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def ws_url(self) -> str:
        """For the ``Twilsock`` option of the JavaScript SDK."""
        return f"ws://127.0.0.1:{self._port}/v3/wsconnect"

    @property
    def account_sid(self) -> str:
        return self._known.account_sid

    @property
    def auth_token(self) -> str:
        return self._known.auth_token

    @property
    def api_key(self) -> str:
        return self._known.api_key_sid

    @property
    def api_secret(self) -> str:
        return self._known.api_key_secret

    @property
    def service_sid(self) -> str:
        """The account's default service."""
        return self._known.service_sid

    def token(self, identity: str, *, ttl_s: int = 3600) -> str:
        """An access token for a user, good from now on by the server's clock."""
        return tokens.mint(
            account_sid=self.account_sid,
            key_sid=self.api_key,
            secret=self.api_secret,
            identity=identity,
            service_sid=self.service_sid,
            now_s=self.clock.time(),
            ttl_s=ttl_s,
        )

    def environment(self) -> dict[str, str]:
        """The variables that ``tertulia env`` prints, for programs that read them."""
        return {
            "ACCOUNT_SID": self.account_sid,
            "AUTH_TOKEN": self.auth_token,
            "API_KEY": self.api_key,
            "API_SECRET": self.api_secret,
            "SERVICE_SID": self.service_sid,
            "BASE_URL": self.base_url,
            "WS_URL": self.ws_url,
        }

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """Runs a coroutine in the server's event loop, and waits for its answer."""
        if self._loop is None:
            work.close()
            raise RuntimeError("the server does not run")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WITHIN_S)

    def settle(self) -> None:
        """Everything that is due by now is done when this returns: webhooks told, timers run out, tokens ended."""
        self.run(self._settle())

    # --- its life

    def start(self) -> None:
        """Returns when it can be reached."""
        ready: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._live, args=(ready,), name="tertulia-server", daemon=True)
        self._thread.start()
        try:
            ready.result(WITHIN_S)
        except BaseException:
            self._thread.join(WITHIN_S)
            raise
        self.clock.advanced = self.settle

    def stop(self) -> None:
        """Nothing of it is left: no thread, no socket. May be called again."""
        self.clock.advanced = None
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(WITHIN_S)
            self._thread = None

    @property
    def _known(self) -> Credentials:
        if self._credentials is None:
            raise RuntimeError("the server was not started")
        return self._credentials

    def _live(self, ready: concurrent.futures.Future[None]) -> None:
        try:
            asyncio.run(self._serve(ready))
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            else:
                raise

    async def _serve(self, ready: concurrent.futures.Future[None]) -> None:
        self._stop = asyncio.Event()
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tertulia-")))
            database = SqliteDatabase(self._file)
            await database.open()
            try:
                await self._serve_on(database, folder, ready)
            finally:
                await database.close()

    async def _serve_on(self, database: SqliteDatabase, folder: Path, ready: concurrent.futures.Future[None]) -> None:
        sealer, new_sid = Sealer(_key(self._file)), sid_maker(self.clock)
        await migrate(database, clock=self.clock)
        await make_first_account(database, sealer, Bootstrap(), self.clock, new_sid)
        self._credentials = await first_credentials(database, sealer)
        blobs = FolderBlobs(folder)
        await blobs.open()
        listening = socket.create_server(("127.0.0.1", self._port))
        self._port = listening.getsockname()[1]
        server = Server(self.settings, database, sealer, self.clock, new_sid, self.base_url, blobs=blobs)
        config = server.uvicorn_config()
        config.load()
        gateway = uvicorn.Server(config)
        gateway.lifespan = config.lifespan_class(config)
        await server.start()
        await gateway.startup(sockets=[listening])
        self._server, self._loop = server, asyncio.get_running_loop()
        ready.set_result(None)
        try:
            await self._stop.wait()
        finally:
            await _close(gateway)
            await server.stop()
            await blobs.close()
            self._server = None

    async def _settle(self) -> None:
        server = self._server
        assert server is not None
        server.node.deadlines.sweep()
        server.worker.wake()
        await server.worker.run_due()


def _key(file: Path | None) -> bytes:
    """A key for secrets: fresh for a database in memory, kept beside one in a file."""
    if file is None:
        return os.urandom(32)
    beside = file.with_name(f"{file.name}.key")
    if not beside.exists():
        beside.touch(mode=0o600)
        beside.write_bytes(os.urandom(32))
    return beside.read_bytes()


async def _close(gateway: uvicorn.Server) -> None:
    for listening in gateway.servers:
        listening.close()
    for connection in list(gateway.server_state.connections):
        connection.shutdown()
    try:
        async with asyncio.timeout(GRACE_S):
            while gateway.server_state.connections:  # noqa: ASYNC110 (what is waited for has no event)
                await asyncio.sleep(0.002)
    except TimeoutError:
        for connection in list(gateway.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        await asyncio.sleep(0.01)


@contextlib.contextmanager
def running_server(settings: Settings | None = None, database: Path | None = None) -> Iterator[LocalServer]:
    """A server for as long as the block lasts."""
    server = LocalServer(settings, database)
    server.start()
    try:
        yield server
    finally:
        server.stop()
