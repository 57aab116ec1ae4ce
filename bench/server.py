"""The server that is measured: the real one, a process of its own, on a data folder that is thrown away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import msgspec

ACCOUNT_SID = "AC" + "0" * 31 + "1"
AUTH_TOKEN = "00112233445566778899aabbccddeeff"
API_KEY_SID = "SK" + "0" * 31 + "1"
API_KEY_SECRET = "benchmarks0keep0no0secrets"
SERVICE_SID = "IS" + "0" * 31 + "1"

_CREDENTIALS = {
    "TERTULIA_ACCOUNT_SID": ACCOUNT_SID,
    "TERTULIA_AUTH_TOKEN": AUTH_TOKEN,
    "TERTULIA_API_KEY_SID": API_KEY_SID,
    "TERTULIA_API_KEY_SECRET": API_KEY_SECRET,
    "TERTULIA_SERVICE_SID": SERVICE_SID,
}
_START_S = 20.0
_STOP_S = 15.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Options(msgspec.Struct, frozen=True):
    """How to start a server."""

    source: Path | None = None
    """The ``src`` of another checkout, to be measured instead of this one."""
    folder: Path | None = None
    """Where data folders are made; must be a real disk for commits to cost what they cost."""
    python: tuple[str, ...] = (sys.executable,)
    """What runs Python, with flags; a profiler may stand before it."""
    settings: tuple[tuple[str, str], ...] = ()
    """Environment variables that differ from the defaults."""


class ServerDied(Exception):
    """The server ended, or did not say in time that it is ready."""


class Server:
    """A running server. Its log goes to a file in its data folder, as it would in production."""

    def __init__(self, process: asyncio.subprocess.Process, data: Path, url: str, ready_s: float) -> None:
        self.process = process
        self.data = data
        self.url = url
        self.ready_s = ready_s
        """From exec to the printed line that says it is ready."""

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)

    @property
    def pid(self) -> int:
        return self.process.pid

    def cpu_s(self) -> float:
        """Its processor time until now."""
        return cpu_s(self.pid)

    def rss_kib(self) -> int:
        """Its resident memory."""
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise ServerDied("the server has no memory any more")

    async def settled_rss_kib(self, within_s: float = 6.0) -> int:
        """Its resident memory when it has stopped changing."""
        last = self.rss_kib()
        for _ in range(int(within_s)):
            await asyncio.sleep(1)
            now = self.rss_kib()
            if abs(now - last) <= 64:
                return now
            last = now
        return last

    async def stop(self) -> None:
        """Tell it to stop, and see to it that it does."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self.process.wait(), _STOP_S)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()


def cpu_s(pid: int) -> float:
    """User and system time of all threads of a process until now, as the operating system counts it."""
    # The name in brackets may hold blanks.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def raise_file_limit() -> None:
    """As many open files as the operator of this machine allows; inherited by the server."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def start(options: Options, data: Path, settings: Mapping[str, str] | None = None, *, port: int = 0) -> Server:
    """A server on this data folder, ready. Raises ``ServerDied``."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TERTULIA_")}
    environment |= _CREDENTIALS | dict(settings or {}) | dict(options.settings)
    if options.source is not None:
        environment["PYTHONPATH"] = str(options.source)
    command = [*options.python, "-m", "tertulia.cli.main", "serve", "--port", str(port), "--data", str(data)]
    with (data.parent / f"{data.name}.log").open("ab") as log:
        before = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=log
        )
    try:
        async with asyncio.timeout(_START_S):
            url = await _read_url(process)
    except BaseException as trouble:
        if process.returncode is None:
            process.kill()
        await process.wait()
        tail = (data.parent / f"{data.name}.log").read_text(encoding="utf-8", errors="replace")[-2000:]
        raise ServerDied(f"the server did not start: {trouble!r}\n{tail}") from None
    return Server(process, data, url, time.perf_counter() - before)


async def _read_url(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    while line := (await process.stdout.readline()).decode():
        name, _, value = line.strip().partition(" ")
        if name == "REST":
            return value.strip()
    raise ServerDied("it ended before it was ready")


@contextlib.contextmanager
def fresh_folder(options: Options) -> Iterator[Path]:
    """A place for a data folder, which is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tertulia-bench-", dir=options.folder))
    try:
        yield folder / "data"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def running(options: Options, settings: Mapping[str, str] | None = None) -> AsyncIterator[Server]:
    """A server on a fresh data folder, which is gone afterwards."""
    with fresh_folder(options) as data:
        server = await start(options, data, settings)
        try:
            yield server
        finally:
            await server.stop()
