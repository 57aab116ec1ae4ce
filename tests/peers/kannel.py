"""Kannel of Debian: its bearerbox and its smsbox as processes of a test, with an SMSC behind them that the test plays.

That SMSC is Kannel's ``fake`` one: a line of words for each message, ``from to kind text``.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple
from urllib.parse import quote_plus, unquote_plus

import pytest

WITHIN_S: Final = 20.0
USERNAME: Final = "tertulia"
PASSWORD: Final = "no one's & nothing"
"""With characters that a URL wants encoded."""

CONFIGURATION: Final = """
group = core
admin-port = {admin}
admin-password = unused
smsbox-port = {boxes}
dlr-storage = internal
box-deny-ip = "*.*.*.*"
box-allow-ip = "127.0.0.1"

group = smsc
smsc = fake
smsc-id = played
port = {smsc}
connect-allow-ip = 127.0.0.1

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {boxes}
sendsms-port = {sendsms}

group = sendsms-user
username = {username}
password = "{password}"
max-messages = 10
concatenation = true

group = sms-service
keyword = default
catch-all = true
max-messages = 0
get-url = "{inbound}"
"""


class Carried(NamedTuple):
    """What the SMSC was given."""

    sender: str
    recipient: str
    kind: str
    text: str


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


class KannelPeer:
    """``async with KannelPeer(folder, inbound) as peer``: takes messages at ``peer.url``, brings others to ``inbound``.

    The test is skipped, visibly, where Kannel is not installed.
    """

    def __init__(self, folder: Path, inbound: str) -> None:
        self.url = ""
        self.carried: list[Carried] = []
        self._folder = folder
        self._inbound = inbound
        self._came = asyncio.Condition()
        self._processes: list[asyncio.subprocess.Process] = []
        self._reading: asyncio.Task[None] | None = None
        self._smsc: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> KannelPeer:
        programs = [shutil.which(name, path="/usr/sbin:/usr/local/sbin") for name in ("bearerbox", "smsbox")]
        if programs[0] is None or programs[1] is None:
            pytest.skip("Kannel is missing; `make channel-parts` brings it where it can")
        admin, boxes, smsc, sendsms = (_free_port() for _ in range(4))
        configuration = self._folder / "kannel.conf"
        configuration.write_text(
            CONFIGURATION.format(
                admin=admin,
                boxes=boxes,
                smsc=smsc,
                sendsms=sendsms,
                username=USERNAME,
                password=PASSWORD,
                inbound=self._inbound,
            )
        )
        try:
            await self._start(programs[0], configuration)
            reader, self._smsc = await _connected(smsc)
            self._reading = asyncio.create_task(self._read(reader))
            (await _connected(boxes))[1].close()
            await self._start(programs[1], configuration)
            (await _connected(sendsms))[1].close()
        except BaseException:
            await self._end()
            raise
        self.url = f"http://127.0.0.1:{sendsms}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def bring(self, sender: str, recipient: str, text: str) -> None:
        """Somebody writes: in seven bits where they are enough, else in UCS-2."""
        assert self._smsc is not None
        kind, said = ("text", text) if text.isascii() else ("ucs2", quote_plus(text.encode("utf-16-be")))
        self._smsc.write(f"{sender} {recipient} {kind} {said}\n".encode())
        await self._smsc.drain()

    async def has_carried(self, times: int) -> list[Carried]:
        """What the SMSC was given, once it was given so many."""
        async with asyncio.timeout(WITHIN_S), self._came:
            await self._came.wait_for(lambda: len(self.carried) >= times)
        return self.carried

    async def _start(self, program: str, configuration: Path) -> None:
        self._processes.append(
            await asyncio.create_subprocess_exec(
                program,
                "-v",
                "4",
                str(configuration),
                cwd=self._folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
        )

    async def _read(self, lines: asyncio.StreamReader) -> None:
        while line := await lines.readline():
            sender, recipient, kind, *text = line.decode().rstrip("\n").split(" ", 3)
            said = text[0] if text else ""
            if kind == "ucs-2":
                said = unquote_plus(said, "utf-16-be")
            elif kind == "udh":  # a header, then what it is before
                said = said.split(" ", 2)[2]
            async with self._came:
                self.carried.append(Carried(sender, recipient, kind, said))
                self._came.notify_all()

    async def _end(self) -> None:
        for process in reversed(self._processes):
            # Asked to stop it may wait ten seconds for reports that nobody wants any more.
            if process.returncode is None:
                process.kill()
            await process.wait()
        if self._smsc is not None:
            self._smsc.close()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])


async def _connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to what is about to listen."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", port)
            await asyncio.sleep(0.02)
