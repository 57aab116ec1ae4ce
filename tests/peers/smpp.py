"""An SMSC, as a program in Node (``smpp.mjs``, on npm's smpp): takes messages, brings some, and misbehaves if told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import pytest

from tests.peers.authority import Issued

SCRIPT: Final = Path(__file__).with_suffix(".mjs")
PACKAGE: Final = Path(__file__).parents[1] / "sdks/node_modules/smpp/package.json"
WITHIN_S: Final = 20.0
PIPE_BYTES: Final = 16 << 20

SYSTEM_ID: Final = "tertulia"
PASSWORD: Final = "no-one"


class SmppPeer:
    """``async with SmppPeer() as peer``: listens on ``peer.port`` of 127.0.0.1, over TLS with a certificate.

    It knows ``SYSTEM_ID`` and ``PASSWORD``. The test is skipped, visibly, where there is no Node or no package.
    """

    host = "127.0.0.1"

    def __init__(self, certificate: Issued | None = None, *, quiet: bool = False) -> None:
        self.port = 0
        self.submitted: list[dict[str, Any]] = []
        """Each ``submit_sm`` as npm's smpp reads it, and the ``id`` (a number) that it got; none when quiet."""
        self.bound: list[dict[str, Any]] = []
        """Each bind that was tried: ``mode``, ``status``, ``session`` and what it said."""
        self.closed: list[int] = []
        self.unbound: list[int] = []
        """Connections that said so before they ended."""
        self.enquired: list[int] = []
        self.answered: dict[int, int | None] = {}
        """How our side answered what was brought, by number; None: there was nobody to bring it to."""
        self._known = {
            "system_id": SYSTEM_ID,
            "password": PASSWORD,
            "certificate": certificate and certificate.certificate,
            "private_key": certificate and certificate.private_key,
            "quiet": quiet,
        }
        self._told = 0
        self._acknowledged = 0
        self._brought = 0
        self._came = asyncio.Condition()
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> SmppPeer:
        node = shutil.which("node")
        if node is None or not PACKAGE.exists():
            pytest.skip("Node or smpp is missing; `make sdk-parts` brings them where it can")
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

    async def answer_with(self, *answers: dict[str, Any], destination: str = "*") -> None:
        """What messages to a number (without ``+``) are answered with, one after the other, the last one from then on.

        ``status``; ``form`` of the id (``decimal``, ``hex``, ``HEX``); ``nack`` (a status); ``delay_ms``; ``stall``
        (never); ``drop`` (the connection); ``receipt``: ``stat``, ``err``, ``form``, ``tlvs``, and ``before`` the
        answer.
        """
        await self._tell(destination=destination, answers=answers)

    async def refuse_binds(self, status: int) -> None:
        """0: no more."""
        await self._tell(bind_status=status)

    async def be_deaf(self, *, deaf: bool = True) -> None:
        """Answers no ``enquire_link``."""
        await self._tell(deaf=deaf)

    async def cut(self) -> None:
        """All connections break."""
        await self._tell(cut=True)

    async def unbind(self) -> None:
        await self._tell(unbind=True)

    async def say(self, raw: bytes) -> None:
        """These bytes, to everybody who is bound."""
        await self._tell(raw=raw.hex())

    async def bring(self, *messages: dict[str, Any]) -> list[int]:
        """A ``deliver_sm`` each, all at once; their numbers, for ``answered``.

        Fields as npm's smpp names them; ``octets`` and ``udh`` (hexadecimal) are a text as bytes.
        """
        numbers = []
        for _ in messages:
            self._brought += 1
            numbers.append(self._brought)
        await self._tell(
            deliver=[{"number": number, "fields": one} for number, one in zip(numbers, messages, strict=True)]
        )
        return numbers

    async def until(self, holds: Callable[[], bool]) -> None:
        """Until this is so; looked at whenever something has come."""
        async with asyncio.timeout(WITHIN_S), self._came:
            await self._came.wait_for(holds)

    async def answers_to(self, numbers: list[int]) -> list[int | None]:
        """How our side answered them, once it has."""
        await self.until(lambda: all(number in self.answered for number in numbers))
        return [self.answered[number] for number in numbers]

    async def _tell(self, **told: Any) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._told = number = self._told + 1
        self._process.stdin.write(json.dumps({"number": number, **told}).encode() + b"\n")
        await self.until(lambda: self._acknowledged >= number)

    async def _read(self, lines: asyncio.StreamReader) -> None:
        while line := await lines.readline():
            said = json.loads(line)
            async with self._came:
                if "told" in said:
                    self._acknowledged = said["told"]
                elif "delivered" in said:
                    self.answered[said["delivered"]] = said["status"]
                elif "submitted" in said:
                    self.submitted.append(said["submitted"])
                else:
                    ((what, value),) = said.items()
                    getattr(self, what).append(value)
                self._came.notify_all()
