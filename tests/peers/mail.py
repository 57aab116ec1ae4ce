"""Mail servers, as programs in Node: one that takes mail (``smtp.mjs``), one with a mailbox (``imap.mjs``)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pytest

from tests.peers.authority import Issued

PACKAGES: Final = Path(__file__).parents[1] / "sdks/node_modules"
WITHIN_S: Final = 20.0
PIPE_BYTES: Final = 64 << 20
USERNAME: Final = "tertulia"
PASSWORD: Final = "no-one's"


class NodePeer:
    """A program that says its port, and then a line of JSON for what happens. Skips visibly where it cannot run."""

    script: Path
    package: str

    def __init__(self, **known: Any) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self.said: list[dict[str, Any]] = []
        """What it told, oldest first."""
        self._known = known
        self._came = asyncio.Condition()
        self._answers: asyncio.Queue[Any] = asyncio.Queue()
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        node = shutil.which("node")
        if node is None or not (PACKAGES / self.package / "package.json").exists():
            pytest.skip(f"Node or {self.package} is missing; `make sdk-parts` brings them where it can")
        self._process = await asyncio.create_subprocess_exec(
            node,
            str(self.script),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=PIPE_BYTES,
            env={"PEER": json.dumps(self._known)},
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(WITHIN_S):
            self.port = json.loads(await self._process.stdout.readline())["port"]
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

    async def until(self, holds: Callable[[], bool]) -> None:
        """Until this is so; looked at whenever something has come."""
        async with asyncio.timeout(WITHIN_S), self._came:
            await self._came.wait_for(holds)

    async def cut(self) -> None:
        """All connections break."""
        await self._tell(cut=True)

    async def begin(self) -> Self:
        """As if it had just been started: for the next of the tests that share it."""
        await self._tell(reset=True)
        self.said.clear()
        return self

    async def flush(self) -> None:
        """All that it has told until now is known."""
        await self._tell()

    def told(self, name: str) -> list[Any]:
        return [one[name] for one in self.said if name in one]

    async def _tell(self, **told: Any) -> Any:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(told).encode() + b"\n")
        await self._process.stdin.drain()
        async with asyncio.timeout(WITHIN_S):
            return await self._answers.get()

    async def _read(self, stdout: asyncio.StreamReader) -> None:
        while line := await stdout.readline():
            one = json.loads(line)
            if "done" in one:
                self._answers.put_nowait(one["done"])
                continue
            async with self._came:
                self.said.append(one)
                self._came.notify_all()


def says(code: int, text: str = "no") -> dict[str, Any]:
    return {"code": code, "text": text}


class SmtpPeer(NodePeer):
    """Takes mail: with ``security`` ``starttls`` or ``tls``, after a login of ``USERNAME`` if it is to ask for it."""

    script = Path(__file__).with_name("smtp.mjs")
    package = "smtp-server"

    def __init__(
        self,
        security: str = "none",
        certificate: Issued | None = None,
        *,
        asks_login: bool = False,
        methods: Sequence[str] = ("PLAIN", "LOGIN"),
        size: int | None = None,
    ) -> None:
        super().__init__(
            security=security,
            certificate=certificate and certificate.certificate,
            private_key=certificate and certificate.private_key,
            username=USERNAME if asks_login else "",
            password=PASSWORD,
            methods=methods,
            size=size,
        )

    @property
    def mails(self) -> list[dict[str, Any]]:
        """What was taken: ``mail`` (bytes), ``from``, ``to``, ``options``, ``hello``, ``secure``, ``connection``."""
        return [{**one, "mail": base64.b64decode(one["mail"])} for one in self.said if "mail" in one]

    async def taken(self, count: int) -> list[dict[str, Any]]:
        """The same, once so many have come; and all that came until now."""
        await self.until(lambda: len(self.mails) >= count)
        await self.flush()
        return self.mails

    async def answer_with(self, at: str, *answers: dict[str, Any] | None) -> None:
        """At ``connect``, ``mail``, ``data`` or for a recipient: ``says``, ``{"stall": True}``, ``{"drop": True}``.

        None: as if nothing had been told. The last one is said from then on.
        """
        await self._tell(at=at, answers=answers)


class ImapPeer(NodePeer):
    """A mailbox of ``USERNAME``, with the folders ``INBOX`` and ``Tickets``."""

    script = Path(__file__).with_name("imap.mjs")
    package = "hoodiecrow-imap"

    def __init__(
        self,
        security: str = "none",
        certificate: Issued | None = None,
        *,
        plugins: Sequence[str] = ("IDLE", "AUTH-PLAIN", "UIDPLUS", "ID"),
        keeps_keywords: bool = True,
    ) -> None:
        super().__init__(
            security=security,
            certificate=certificate and certificate.certificate,
            private_key=certificate and certificate.private_key,
            username=USERNAME,
            password=PASSWORD,
            plugins=plugins,
            keeps_keywords=keeps_keywords,
        )

    async def bring(self, *mails: bytes, folder: str = "INBOX", date: str, flags: Sequence[str] = ()) -> None:
        """Mail comes; ``date`` as IMAP spells it: ``14-Jan-2027 08:00:00 +0000``."""
        for mail in mails:
            encoded = base64.b64encode(mail).decode()
            await self._tell(append=encoded, folder=folder, date=date, flags=list(flags))

    async def flags(self, folder: str = "INBOX") -> list[set[str]]:
        """Those of each mail, in its order."""
        return [set(one["flags"]) for one in await self._tell(folder=folder)]

    async def begin_anew(self, validity: int, first: int) -> None:
        """The UIDs of ``INBOX`` are others from now on, the first one this."""
        await self._tell(validity=validity, first=first)
