"""The server in a process, to be killed, starved or asked to stop; and clients that return with what they have."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tertulia.wire import tokens
from tests.api.realtime.client import Event, Peer, wish

ACCOUNT, KEY, SERVICE = "AC" + "1" * 32, "SK" + "2" * 32, "IS" + "3" * 32
AUTH_TOKEN, SECRET = "4" * 32, "5" * 32
PATIENCE_S = 20.0

_SERVE = "import sys; from tertulia.cli.main import main; sys.exit(main())"
_SERVE_AND_DIE = "import sys; from tests.faults.dying import main; sys.exit(main())"


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.005)


class ServerProcess:
    """One data folder, and the process that serves it now."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.data = folder / "data"
        self.log = folder / "server.log"
        self.port = 0
        self.die: str | None = None
        """Where the process ends by itself, once it is started again; see ``dying.py``."""
        self._settings = {f"TERTULIA_{name.upper()}": str(value) for name, value in settings.items()}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Until it is ready; on the same port as before."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TERTULIA_")}
        environment |= {
            "TERTULIA_ACCOUNT_SID": ACCOUNT,
            "TERTULIA_AUTH_TOKEN": AUTH_TOKEN,
            "TERTULIA_API_KEY_SID": KEY,
            "TERTULIA_API_KEY_SECRET": SECRET,
            "TERTULIA_SERVICE_SID": SERVICE,
            "TERTULIA_LOG_LEVEL": "warning",
            **self._settings,
        }
        program = _SERVE
        if self.die is not None:
            program = _SERVE_AND_DIE
            environment |= {"DIE": self.die, "PYTHONPATH": os.getcwd()}
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", program, "serve", "--port", str(self.port), "--data", str(self.data)),
                env=environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            async for line in self._process.stdout:
                if b"REST" in line:
                    self.port = int(line.rsplit(b":", 1)[1])
                if b"Credentials" in line:
                    return
        raise AssertionError(self.log.read_text())

    async def kill(self) -> None:
        """As a power cut does it, as far as a process can see."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    def ask_to_stop(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    async def death(self) -> None:
        """Until the process has ended itself."""
        assert await self.exit_code() == -signal.SIGKILL, self.log.read_text()

    async def exit_code(self) -> int:
        assert self._process is not None
        async with asyncio.timeout(PATIENCE_S):
            return await self._process.wait()

    async def end(self) -> None:
        """Whatever state it is in."""
        if self._process is not None and self._process.returncode is None:
            await self.kill()

    def limit_files(self, size: int | None) -> None:
        """As if the disk were full for files beyond this size; None: there is room again."""
        limit = resource.RLIM_INFINITY if size is None else size
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    def log_of_writes(self) -> int:
        """The size of the file that grows with each commit."""
        return (self.data / "tertulia.db-wal").stat().st_size

    def memory(self) -> int:
        """Bytes of its own, without the mapped pages of files."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no RssAnon")

    # --- talking to it

    @asynccontextmanager
    async def rest(self) -> AsyncIterator[httpx.AsyncClient]:
        limits = httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(
            base_url=f"{self.url}/v1", auth=(ACCOUNT, AUTH_TOKEN), limits=limits, timeout=PATIENCE_S
        ) as client:
            yield client

    async def room(self, *identities: str) -> str:
        """A conversation with these members."""
        async with self.rest() as rest:
            made = await rest.post("/Conversations", data={"FriendlyName": "room"})
            assert made.status_code == 201, made.text
            sid: str = made.json()["sid"]
            for identity in identities:
                added = await rest.post(f"/Conversations/{sid}/Participants", data={"Identity": identity})
                assert added.status_code == 201, added.text
        return sid

    async def messages(self, room: str) -> list[tuple[int, str]]:
        """Index and body of every message there is, by REST, page by page."""
        found: list[tuple[int, str]] = []
        async with self.rest() as rest:
            url: str | None = f"{self.url}/v1/Conversations/{room}/Messages?PageSize=100"
            while url:
                page = (await rest.get(url)).json()
                found += [(message["index"], message["body"]) for message in page["messages"]]
                url = page["meta"]["next_page_url"]
        return found

    async def peer(self, identity: str, **options: Any) -> Peer:
        token = tokens.mint(
            account_sid=ACCOUNT, key_sid=KEY, secret=SECRET, identity=identity, service_sid=SERVICE, now_s=time.time()
        )
        peer = await Peer.open(f"ws://127.0.0.1:{self.port}/v3/wsconnect", **options)
        try:
            answer = await peer.init(token)
            assert answer.status == 200, answer
        except BaseException:
            peer.cut()
            raise
        return peer


class Device:
    """A client that follows some objects for good: it returns with the numbers it has seen."""

    def __init__(self, server: ServerProcess, identity: str, *sids: str) -> None:
        self.server = server
        self.identity = identity
        self.last = dict.fromkeys(sids, -1)
        self.messages: dict[str, list[tuple[int, str]]] = {sid: [] for sid in sids}
        self.peer: Peer | None = None

    async def connect(self) -> None:
        """Until it is connected and has caught up; as often as it takes."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    self.peer = await self.server.peer(self.identity)
                    await self.peer.establish(*(wish(sid, last) for sid, last in self.last.items()))
                except (OSError, AssertionError, ConnectionError):
                    self.forget_peer()
                    await asyncio.sleep(0.05)
                else:
                    return

    def forget_peer(self) -> None:
        """Keep what was heard on the connection."""
        peer, self.peer = self.peer, None
        if peer is not None:
            peer.cut()
            for event in peer.events:
                self._take(event)

    def _take(self, event: Event) -> None:
        assert event.number > self.last[event.sid], f"{event.sid}: {event.number} after {self.last[event.sid]}"
        self.last[event.sid] = event.number
        if event.type == "list_item_added":
            self.messages[event.sid].append((event.body["item_index"], event.body["item_data"]["text"]))

    async def heard(self, sid: str, number: int) -> None:
        """Until this event has come."""
        peer = self.peer
        assert peer is not None
        await peer.until(lambda: self.last[sid] >= number or peer.numbers(sid)[-1:] >= [number])
        self.forget_peer()


@asynccontextmanager
async def served(folder: Path, **settings: object) -> AsyncIterator[ServerProcess]:
    server = ServerProcess(folder, **settings)
    await server.start()
    try:
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            await server.end()
