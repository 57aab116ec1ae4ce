"""A server in this process, in a thread and an event loop of its own, so that any test can talk to it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from tertulia.server.first_start import Credentials
from tertulia.server.settings import Settings
from tertulia.server.sources import settings_of
from tertulia.wire import tokens

from .clock import ShiftedClock, in_a_coroutine
from .hosting import PATIENCE_S, Host, Work, hosted

if TYPE_CHECKING:
    import httpx

WITHIN_S: Final = 20.0
"""How long anything may take that a test waits for."""


class LocalServer:
    """A whole server on a free port of the loopback interface, with an account of its own.

    ``with`` and ``async with`` start and stop it. Its data is in memory, and gone when it stops, unless a file for its
    database is named. All of it may be used from any thread, and from coroutines: of what takes longer than a moment
    there is a form that they await.
    """

    def __init__(self, settings: Settings | None = None, database: Path | None = None) -> None:
        self.settings = settings or Settings()
        self.clock = ShiftedClock(self.settle, self.settle_async)
        self._database = database
        self._port = 0
        self._credentials: Credentials | None = None
        self._thread: threading.Thread | None = None
        self._life: _Life | None = None

    def __repr__(self) -> str:
        return f"<LocalServer {self.base_url if self.is_running else 'stopped'}>"

    # --- what a test needs to know

    @property
    def is_running(self) -> bool:
        return self._life is not None

    @property
    def base_url(self) -> str:
        """In place of ``https://conversations.twilio.com``; the same for all its life."""
        self._require_credentials()
        return f"http://127.0.0.1:{self._port}"

    @property
    def ws_url(self) -> str:
        """Where the official JavaScript SDK connects to."""
        return f"{self.base_url.replace('http', 'ws', 1)}/v3/wsconnect"

    @property
    def account_sid(self) -> str:
        return self._require_credentials().account_sid

    @property
    def auth_token(self) -> str:
        return self._require_credentials().auth_token

    @property
    def api_key(self) -> str:
        """SID of the API key that signs access tokens."""
        return self._require_credentials().api_key_sid

    @property
    def api_secret(self) -> str:
        return self._require_credentials().api_key_secret

    @property
    def service_sid(self) -> str:
        """The account's default service."""
        return self._require_credentials().service_sid

    def token(self, identity: str, *, ttl: int = 3600) -> str:
        """An access token for a user, good from now on by the server's clock for ``ttl`` seconds.

        The server takes none of less than three minutes, unless ``tokens.min_ttl_s`` says so.
        """
        return tokens.mint(
            account_sid=self.account_sid,
            key_sid=self.api_key,
            secret=self.api_secret,
            identity=identity,
            service_sid=self.service_sid,
            now_s=self.clock.time(),
            ttl_s=ttl,
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

    def rest(self) -> httpx.Client:
        """An HTTP client that is logged in as the account; whoever asks for it closes it."""
        import httpx

        credentials = (self.account_sid, self.auth_token)
        return httpx.Client(base_url=self.base_url, auth=credentials, trust_env=False, timeout=WITHIN_S)

    # --- what a test can do to it

    def settle(self) -> None:
        """Everything that is due by now is done when this returns: webhooks told, timers run out, tokens ended."""
        # Clients that live in this thread can answer no ping while it waits here.
        patience = 0 if in_a_coroutine() else PATIENCE_S
        self._do(lambda host: host.settle(patience), "what is due")

    async def settle_async(self) -> None:
        """``settle``, for coroutines: others go on meanwhile."""
        done = self._begin(lambda host: host.settle(PATIENCE_S))
        async with asyncio.timeout(WITHIN_S):
            await asyncio.wrap_future(done)

    def disconnect(self) -> None:
        """Cuts all connections, as a broken network does. Clients come back by themselves."""
        self._do(Host.cut, "cutting the connections")

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        """Nobody gets through while the block lasts: connections are cut, and new ones at once. Nothing is lost."""
        self._do(Host.shut, "cutting the connections")
        try:
            yield
        finally:
            if self.is_running:
                self._do(Host.let_in, "letting clients in")

    # --- its life

    def start(self) -> Self:
        """Returns when it can be reached; on the port it had before, if it ran before."""
        if self.is_running:
            raise RuntimeError("the server runs already")
        life = _Life(self.settings, self.clock, self._database, self._port)
        thread = threading.Thread(target=life.live, name="tertulia-server", daemon=True)
        thread.start()
        try:
            host = life.ready.result(WITHIN_S)
        except BaseException:
            life.end()
            thread.join(WITHIN_S)
            raise
        self._port, self._credentials = host.port, host.credentials
        self._thread, self._life = thread, life
        return self

    def stop(self) -> None:
        """Nothing of it is left: no thread, no socket. Does nothing to one that is stopped."""
        life, thread = self._life, self._thread
        self._life = self._thread = None
        if life is not None and thread is not None:
            life.end()
            thread.join(WITHIN_S)
            if thread.is_alive():
                raise TimeoutError(f"the server did not stop within {WITHIN_S:g} s")
            if life.failure is not None:
                raise life.failure

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    # --- inside

    def _require_credentials(self) -> Credentials:
        if self._credentials is None:
            raise RuntimeError("the server was not started")
        return self._credentials

    def _begin(self, work: Work) -> concurrent.futures.Future[None]:
        if self._life is None:
            raise RuntimeError("the server does not run")
        return self._life.begin(work)

    def _do(self, work: Work, what: str) -> None:
        done = self._begin(work)
        try:
            done.result(WITHIN_S)
        except TimeoutError:
            done.cancel()
            way_out = "; what it waits for may need this event loop: use advance_async" if in_a_coroutine() else ""
            raise TimeoutError(f"{what} took longer than {WITHIN_S:g} s{way_out}") from None


class _Life:
    """From one start to one stop: what runs in the thread."""

    def __init__(self, settings: Settings, clock: ShiftedClock, database: Path | None, port: int) -> None:
        self._hosted = hosted(settings, clock, database, port)
        self.ready: concurrent.futures.Future[Host] = concurrent.futures.Future()
        self.failure: BaseException | None = None
        """Why it did not end well."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = threading.Event()
        self._is_over: asyncio.Event | None = None

    def live(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:
            if self.ready.done():
                self.failure = error
            else:
                self.ready.set_exception(error)

    async def _run(self) -> None:
        self._loop, self._is_over = asyncio.get_running_loop(), asyncio.Event()
        async with self._hosted as host:
            self.ready.set_result(host)
            if not self._over.is_set():
                await self._is_over.wait()

    def begin(self, work: Work) -> concurrent.futures.Future[None]:
        """Has it done in the server's event loop."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(self._carry_out(work), self._loop)

    async def _carry_out(self, work: Work) -> None:
        await work(self.ready.result())

    def end(self) -> None:
        self._over.set()
        if self._loop is not None and self._is_over is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._is_over.set)


def running_server(
    settings: Settings | Mapping[str, object] | None = None, database: Path | None = None
) -> LocalServer:
    """A server for as long as a block lasts: ``with running_server() as server`` or ``async with``.

    ``settings`` may be given by name: ``{"tokens.min_ttl_s": 10}``. With ``database`` the data is in this file, and
    beside it, and still there at the next start. Raises ``SettingsError`` for settings that do not exist or fit.
    """
    if settings is not None and not isinstance(settings, Settings):
        settings = settings_of(settings, "settings of a test")
    return LocalServer(settings, database)
