"""Apple's push service, as a program in Node (``apns.mjs``) that checks what it gets and answers what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.peers.authority import Authority, Issued, key_pem, public_pem

SCRIPT = Path(__file__).with_suffix(".mjs")
NAME = "localhost"
WITHIN_S = 20.0
PIPE_BYTES = 16 << 20

TOPIC = "com.example.chat"
KEY_ID = "ABC123DEFG"
TEAM_ID = "TEAM123456"


class ApnsPeer:
    """``async with ApnsPeer(folder) as peer``; ``peer.ca_file`` has to be trusted (``SSL_CERT_FILE``) to reach it.

    It knows one key (``p8``, ``KEY_ID``, ``TEAM_ID``) and one application (``TOPIC``), and with ``asks_certificate``
    trusts the certificates of ``client_certificate``. Its time is this machine's, unless ``set_clock`` says another.
    """

    def __init__(
        self, folder: Path, *, max_streams: int = 1000, asks_certificate: bool = False, quiet: bool = False
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self._authority = Authority(folder)
        served = self._authority.issue(NAME)
        self.p8 = key_pem(key)
        self.ca_file = self._authority.file
        self.url = ""
        self.received: list[dict[str, Any]] = []
        """Each push: ``token``, ``path``, ``headers``, ``payload``, ``bytes``, ``answer``, which ``connection``, and
        how many were ``under_way`` with it."""
        self.withdrawn: list[str] = []
        """Tokens of pushes that the sender took back before they were answered."""
        self.connections = 0
        """As of the last ``sync``."""
        self._known = {
            "certificate": served.certificate,
            "private_key": served.private_key,
            "client_authority": self._authority.file.read_text() if asks_certificate else None,
            "keys": {KEY_ID: {"team": TEAM_ID, "public_key": public_pem(key)}},
            "topics": [TOPIC],
            "max_streams": max_streams,
            "quiet": quiet,
        }
        self._told = 0
        self._came = asyncio.Condition()
        self._acknowledged = 0
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    def client_certificate(self, uid: str | None = TOPIC) -> Issued:
        """What an application's server proves itself with."""
        return self._authority.issue(uid=uid)

    async def __aenter__(self) -> ApnsPeer:
        node = shutil.which("node")
        if node is None:
            pytest.skip("Node is missing; `make sdk-parts` brings it where it can")
        self._process = await asyncio.create_subprocess_exec(
            node,
            str(SCRIPT),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=PIPE_BYTES,
            env={"PEER": json.dumps(self._known)},
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(WITHIN_S):
            self.url = f"https://{NAME}:{json.loads(await self._process.stdout.readline())['port']}"
        self._reading = asyncio.create_task(self._read(self._process.stdout))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._reading is not None
        self._process.stdin.close()
        with contextlib.suppress(ConnectionError):
            await self._process.stdin.wait_closed()
        try:
            async with asyncio.timeout(WITHIN_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise
        await self._reading

    async def answer_with(self, token: str, *answers: dict[str, Any]) -> None:
        """What pushes to a device are answered with, one after the other, the last one from then on; ``*``: to all.

        ``status``, ``reason``, ``timestamp`` (ms), ``retry_after``, ``raw`` (a body), ``delay_ms``; or ``stall``,
        ``reset``, ``destroy`` (the connection). ``goaway``: says that this is the last push on the connection, too.
        """
        await self._tell(token=token, answers=answers)

    async def set_clock(self, now_s: float) -> None:
        await self._tell(now_s=now_s)

    async def sync(self) -> None:
        """Until all that it has seen so far is here."""
        await self._tell()

    async def seen(self, number: int) -> list[dict[str, Any]]:
        """Until so many pushes have come."""
        async with asyncio.timeout(WITHIN_S), self._came:
            await self._came.wait_for(lambda: len(self.received) >= number)
        return self.received

    async def _tell(self, **told: Any) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._told = number = self._told + 1
        self._process.stdin.write(json.dumps({"number": number, **told}).encode() + b"\n")
        async with asyncio.timeout(WITHIN_S), self._came:
            await self._came.wait_for(lambda: self._acknowledged >= number)

    async def _read(self, lines: asyncio.StreamReader) -> None:
        while line := await lines.readline():
            said = json.loads(line)
            async with self._came:
                if "told" in said:
                    self._acknowledged, self.connections = said["told"], said["connections"]
                elif "withdrawn" in said:
                    self.withdrawn.append(said["withdrawn"])
                else:
                    self.received.append(said)
                self._came.notify_all()
