"""Builds everything from the settings, once; the only place that knows everyone (architecture 2).

``open_installation`` is a data folder with its database, its key and its first account; ``Server`` is what runs on
one; ``serve`` runs it until it is told to stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import gc
import logging
import os
import platform
import signal
import socket
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TextIO, TypeVar

from tertulia import __version__
from tertulia.server import observe, tracing
from tertulia.server.blobs.base import Blobs, BlobsUnavailable
from tertulia.server.blobs.opening import open_blobs
from tertulia.server.bootstrap import Bootstrap
from tertulia.server.bus.inprocess import InProcessBus
from tertulia.server.clock import Clock, SystemClock
from tertulia.server.domain import callers
from tertulia.server.domain.accounts import Account, ApiKey
from tertulia.server.domain.base import Command
from tertulia.server.domain.media import ForgetOrphans
from tertulia.server.engine.credentials import opened
from tertulia.server.engine.engine import Engine
from tertulia.server.engine.identities import Identities
from tertulia.server.engine.media_queries import MediaQueries
from tertulia.server.engine.unit import Policy
from tertulia.server.engine.webhook_calls import WebhookCalls
from tertulia.server.outgoing import Outgoing
from tertulia.server.push.service import OpenCredential
from tertulia.server.randomness import Randomness
from tertulia.server.sealing import KEY_BYTES, BadKey, Sealer, SealingError, key_in_file
from tertulia.server.settings import Settings, TracesSettings
from tertulia.server.storage import migrate as migrations
from tertulia.server.storage.accounts import Accounts
from tertulia.server.storage.credentials import Credentials as PushCredentials
from tertulia.server.storage.database import DatabaseTooNew, StorageError
from tertulia.server.storage.services import Services
from tertulia.server.storage.sqlite import BUSY_MS, PATIENT_BUSY_MS, SqliteDatabase
from tertulia.wire.sids import SidSource

from .composition import Server
from .first_start import Credentials, NoCredentials, credentials_of, make_first_account, open_first_account
from .gateway import Gateway

R = TypeVar("R")
log = logging.getLogger(__name__)

__all__ = [
    "Credentials",
    "Installation",
    "StartupFailure",
    "is_served",
    "open_installation",
    "opened_blobs",
    "serve",
    "served_url",
]

OTHERS = 0o077
"""What a file mode grants to anybody but the owner."""


class StartupFailure(Exception):
    """The server cannot start. The text is one line that says why and what to do."""


class Installation:
    """A data folder, opened."""

    def __init__(
        self,
        settings: Settings,
        database: SqliteDatabase,
        sealer: Sealer,
        clock: Clock,
        new_sid: Callable[[str], str],
        first_account: str | None,
        waiting: list[str],
        *,
        is_new: bool,
    ) -> None:
        self.settings = settings
        self.database = database
        self.sealer = sealer
        self.clock = clock
        self.new_sid = new_sid
        self._first_account = first_account
        self._waiting = waiting
        self._is_new = is_new

    def first_account(self) -> str:
        """SID of the account made at the first start. Raises ``StartupFailure`` when it cannot be told."""
        if self._waiting and not self._is_new:
            raise StartupFailure("the database is out of date; `tertulia migrate` brings it up to date")
        if self._first_account is None:
            raise StartupFailure("the data folder holds no account yet; `tertulia serve` makes one at its first start")
        return self._first_account

    async def credentials(self, account_sid: str | None = None, key_sid: str | None = None) -> Credentials:
        """Those that are named; else of the first account, with its oldest live key. Raises ``StartupFailure``."""
        self.first_account()
        try:
            return await credentials_of(self.database, self.sealer, account_sid, key_sid)
        except NoCredentials as trouble:
            raise StartupFailure(str(trouble)) from None

    async def execute(self, command: Command[R], account_sid: str = "") -> R:
        """Do what the command says, in the name of who runs the installation; in one account, where it is named."""
        outgoing = Outgoing(self.settings)
        calls = WebhookCalls(outgoing, Identities(self.database, self.sealer, self.clock))
        engine = Engine(
            self.database, InProcessBus(), self.clock, self.new_sid, Policy(base_url=""), self.sealer, calls
        )
        try:
            return await engine.execute(callers.system(account_sid), command)
        finally:
            await outgoing.close()

    async def forget_orphans(self, before: int, quarantined_before: int) -> int:
        """Remove the records of uploads that were not attached in time; how many went. Their bytes are then owed."""
        total, queries = 0, MediaQueries(self.database)
        while (account_sid := await queries.account_with_orphans(before, quarantined_before)) is not None:
            wish = ForgetOrphans(before=before, quarantined_before=quarantined_before, most=100)
            total += await self.execute(wish, account_sid)
        return total

    async def accounts(self) -> list[Account]:
        """Every account, oldest first. Their secrets are sealed."""
        async with self.database.snapshot() as connection:
            return await Accounts(connection).all()

    async def keys(self, account_sid: str) -> list[ApiKey]:
        """Every API key of an account, revoked ones too, oldest first. Raises ``StartupFailure``."""
        async with self.database.snapshot() as connection:
            accounts = Accounts(connection)
            if await accounts.get(account_sid) is None:
                raise StartupFailure(f"there is no account {account_sid}")
            return await accounts.keys(account_sid)

    async def push_credentials(self) -> list[OpenCredential]:
        """The credentials of push services of every account, oldest first, opened. Raises ``SealingError``."""
        async with self.database.snapshot() as connection:
            found = await PushCredentials(connection).all()
        return [
            OpenCredential(
                sid=credential.sid,
                account_sid=credential.account_sid,
                kind=credential.kind,
                sandbox=credential.sandbox,
                secrets=opened(self.sealer, credential),
                updated_at=credential.updated_at,
                friendly_name=credential.friendly_name,
            )
            for credential in found
        ]

    async def has_service(self, account_sid: str, sid: str) -> bool:
        """Whether the account has this chat service."""
        async with self.database.snapshot() as connection:
            return await Services(connection).find(account_sid, sid) is not None

    def plan(self) -> list[str]:
        """The migrations that the next start will run."""
        return self._waiting


def sid_maker(clock: Clock) -> Callable[[str], str]:
    """Makes SIDs in order of time."""
    source, randomness = SidSource(), Randomness()

    def new_sid(prefix: str) -> str:
        return source.new(prefix, clock.now(), randomness.draw(10))

    return new_sid


@contextlib.asynccontextmanager
async def open_installation(
    settings: Settings,
    bootstrap: Bootstrap,
    *,
    migrate: bool,
    writes: bool = False,
    clock: Clock | None = None,
) -> AsyncIterator[Installation]:
    """The data folder of the settings, ready for use.

    With ``migrate`` it is made if need be, locked, brought up to date, and has its first account; files made while it
    is open are their owner's alone. Without, it is only looked at, also while a server runs on it; with ``writes``
    some commands are executed on it beside that server, so its database has to be there and up to date. Raises
    ``StartupFailure``.
    """
    clock = clock or SystemClock()
    folder = Path(settings.server.data)
    lock = _take_folder(folder) if migrate else None
    # Not even in a folder that was there before, and may be open to others.
    umask_before = os.umask(OTHERS) if migrate or writes else None
    file = folder / "tertulia.db"
    exists = file.exists()
    # Looking at a folder without a database makes none: what is looked at then is an empty one in memory.
    database = SqliteDatabase(file if migrate or exists else None, busy_ms=PATIENT_BUSY_MS if writes else BUSY_MS)
    try:
        sealer = _sealer(settings, folder, is_new=not exists, keep=migrate)
        await database.open()
        waiting = [str(migration) for migration in await migrations.plan(database)]
        if migrate:
            for done in await migrations.migrate(database, clock=clock):
                log.info("migration.applied", extra=observe.fields(migration=str(done)))
            waiting = []
        new_sid = sid_maker(clock)
        first_account = None
        if not waiting:
            if migrate:
                await make_first_account(database, sealer, bootstrap, clock, new_sid)
            first_account = await open_first_account(database, sealer)
        if writes and not exists:
            raise StartupFailure(f"no database in {folder} yet; `tertulia serve` makes one at its first start")
        if writes and waiting:
            raise StartupFailure(f"the database in {folder} is out of date; `tertulia migrate` brings it up to date")
        yield Installation(settings, database, sealer, clock, new_sid, first_account, waiting, is_new=not exists)
    except (DatabaseTooNew, migrations.MigrationsDisagree) as trouble:
        raise StartupFailure(f"{folder}: {trouble}") from None
    except StorageError as trouble:
        raise StartupFailure(f"the database in {folder} cannot be opened: {trouble}") from None
    except SealingError as trouble:
        raise StartupFailure(
            f"the secrets in {folder} cannot be opened: {trouble}; put back the key of this database"
        ) from None
    finally:
        await database.close()
        if umask_before is not None:
            os.umask(umask_before)
        if lock is not None:
            lock.close()


def _sealer(settings: Settings, folder: Path, *, is_new: bool, keep: bool) -> Sealer:
    """The installation's key: from the settings, else from its file, which is made for a new database alone."""
    key, file = settings.seal.key_bytes(), folder / "seal.key"
    if key is not None:
        return Sealer(key)
    if not file.exists():
        if not is_new:
            raise BadKey(f"{file} is missing")
        if not keep:
            return Sealer(os.urandom(KEY_BYTES))
    try:
        return Sealer(key_in_file(file))
    except OSError as trouble:
        raise BadKey(f"{file}: {trouble.strerror}") from None


_ANOTHER_FOLDER = "choose another with --data, or DATA= with make"


def _take_folder(folder: Path) -> TextIO:
    """The folder's lock, held while the file is open."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = open(folder / "lock", "a", opener=lambda path, flags: os.open(path, flags, 0o600))  # noqa: SIM115
    except (FileExistsError, NotADirectoryError):
        raise StartupFailure(f"there is a file where the data folder {folder} should be") from None
    except OSError as trouble:
        raise StartupFailure(
            f"the data folder {folder} cannot be written ({trouble.strerror}); {_ANOTHER_FOLDER}"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise StartupFailure(
            f"the data folder {folder} is held by another server; stop it, or {_ANOTHER_FOLDER}"
        ) from None
    return lock


def is_served(folder: Path) -> bool:
    """Whether a server runs on this data folder."""
    try:
        with open(folder / "lock") as lock:
            # Shared, and let go at once: another who looks is not in the way.
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def serve(settings: Settings, bootstrap: Bootstrap, announce: Callable[[str], None]) -> int:
    """Serve until SIGINT or SIGTERM; calls ``announce`` with the base URL once ready. Raises ``StartupFailure``."""
    # The log has events of ours; of uvicorn only what went wrong.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    _begin_traces(settings.traces)
    try:
        listening = _listen(settings.server.host, settings.server.port)
        try:
            import uvloop
        except ImportError:
            return asyncio.run(_serve(settings, bootstrap, listening, announce))
        return uvloop.run(_serve(settings, bootstrap, listening, announce))
    finally:
        tracing.stop()


def _begin_traces(traces: TracesSettings) -> None:
    if traces.endpoint is None:
        return
    try:
        tracing.start(traces.endpoint, ratio=traces.ratio, version=__version__, node=f"{platform.node()}/{os.getpid()}")
    except tracing.PackagesMissing as missing:
        raise StartupFailure(str(missing)) from None


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(2048)
    except OSError as trouble:
        listening.close()
        if trouble.errno == errno.EADDRINUSE:
            raise StartupFailure(
                f"port {port} on {host} is in use; stop the other program, or choose another with --port, "
                "or PORT= with make"
            ) from None
        raise StartupFailure(f"cannot listen on {host} port {port}: {trouble.strerror}") from None
    listening.setblocking(False)
    return listening


async def _serve(
    settings: Settings, bootstrap: Bootstrap, listening: socket.socket, announce: Callable[[str], None]
) -> int:
    host, port = listening.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    base_url = settings.server.public_url or f"http://{shown}:{port}"
    folder = Path(settings.server.data)

    def ready() -> None:
        _leave_url(folder, base_url)
        announce(base_url)

    async with open_installation(settings, bootstrap, migrate=True) as installation:
        _warn_if_open(folder)
        async with opened_blobs(settings) as blobs:
            server = Server(
                settings,
                installation.database,
                installation.sealer,
                installation.clock,
                installation.new_sid,
                base_url,
                blobs=blobs,
            )
            await server.start()
            try:
                await _run(server, listening, ready)
            finally:
                with contextlib.suppress(OSError):
                    _url_file(folder).unlink()
                await server.stop()
    log.info("server.stopped")
    return 0


@contextlib.asynccontextmanager
async def opened_blobs(settings: Settings) -> AsyncIterator[Blobs]:
    """The store of blobs of the settings. Raises ``StartupFailure``."""
    try:
        blobs = await open_blobs(settings.blobs, Path(settings.server.data))
    except BlobsUnavailable as trouble:
        raise StartupFailure(str(trouble)) from None
    try:
        yield blobs
    finally:
        await blobs.close()


def _warn_if_open(folder: Path) -> None:
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & OTHERS:
        log.warning("data.open_to_others", extra=observe.fields(folder=str(folder), mode=f"{mode:o}"))


def served_url(folder: Path) -> str | None:
    """Where the server on this data folder said that it can be reached; None when none runs.

    One that was killed leaves what it said.
    """
    try:
        return _url_file(folder).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _leave_url(folder: Path, base_url: str) -> None:
    """Tell other commands where we are. Whoever reads sees all of it or nothing."""
    draft = folder / ".url"
    try:
        draft.write_text(f"{base_url}\n", encoding="utf-8")
        draft.replace(_url_file(folder))
    except OSError as trouble:
        # Clients do not need it: nothing to refuse them for.
        log.warning("data.url_not_written", extra=observe.fields(folder=str(folder), error=trouble.strerror))


def _url_file(folder: Path) -> Path:
    return folder / "url"


async def _run(server: Server, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until a signal comes, then drain."""
    gateway = Gateway(server.uvicorn_config())
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    running = asyncio.create_task(gateway.serve(sockets=[listening]))
    stopping = asyncio.create_task(stop.wait())
    listening_now = asyncio.create_task(gateway.listens.wait())
    await asyncio.wait({listening_now, running}, return_when=asyncio.FIRST_COMPLETED)
    listening_now.cancel()
    if running.done():
        stopping.cancel()
        return await running  # it says why it could not start
    # What was made until now stays; the collector need not look at it again (performance 2).
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    log.info("server.ready", extra=observe.fields(port=listening.getsockname()[1]))
    ready()
    await asyncio.wait({stopping, running}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    log.info("server.stopping")
    await server.drain()
    gateway.should_exit = True
    await running
