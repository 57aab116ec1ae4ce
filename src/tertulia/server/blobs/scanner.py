"""Asks ClamAV's daemon whether a file is one of the known bad ones (its protocol: man clamd, INSTREAM).

::

    scanner = open_scanner(settings.scanner)          # None: there is none to ask
    async with blobs.read(key) as content:
        verdict = await scanner.scan(content)
    if scanner.refuses(verdict): ...

Our own sixty lines over asyncio's streams: the libraries for it read files, not streams, or know no socket of the
machine (docs/decisions/dependencies.md).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Final

import msgspec

from tertulia.server.settings import ScannerSettings

CHUNK: Final = 64 << 10
"""Bytes that are said to follow at a time."""
ANSWER: Final = 4096
"""Most bytes of an answer; it is a line."""
AT_ONCE: Final = 8
"""Scans at a time: the daemon's own default is ten threads, and others may ask it too."""
_DETAIL_CHARS: Final = 100


class Outcome(StrEnum):
    CLEAN = "clean"
    FOUND = "found"
    UNAVAILABLE = "unavailable"
    """No answer, or none that decides: the daemon is away, slow, or does not look at files of this size."""


class Verdict(msgspec.Struct, frozen=True):
    """What the scanner said about one file."""

    outcome: Outcome
    detail: str = ""
    """Found: the name of what it is. Unavailable: why. For the log; neither comes from the file."""


class Scanner:
    """One daemon, which several files are shown to at a time, each over a connection of its own."""

    def __init__(self, settings: ScannerSettings) -> None:
        self._settings = settings
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def scan(self, content: AsyncIterator[bytes]) -> Verdict:
        """What the daemon says about these bytes, within ``scanner.timeout_s`` and bounded memory.

        Never raises for trouble with the daemon; what ``content`` raises goes on to the caller.
        """
        limit = asyncio.timeout(self._settings.timeout_s)
        try:
            async with limit, self._turns:
                return await self._ask(content)
        except TimeoutError:
            if not limit.expired():
                raise
            return _unavailable(f"no answer within {self._settings.timeout_s:g} s")

    def refuses(self, verdict: Verdict) -> bool:
        """Whether nobody is to be given a file with this verdict: found, or unscanned where that is not accepted."""
        if verdict.outcome is Outcome.UNAVAILABLE:
            return self._settings.on_error == "refuse"
        return verdict.outcome is Outcome.FOUND

    async def _ask(self, content: AsyncIterator[bytes]) -> Verdict:
        try:
            reader, writer = await self._connect()
        except OSError as trouble:
            return _unavailable(f"cannot connect: {trouble.strerror or type(trouble).__name__}")
        # It may answer before it has everything, and close: files above its StreamMaxLength.
        answering = asyncio.create_task(_answer(reader))
        try:
            await _show(content, writer, answering)
            return _understood(await answering)
        finally:
            answering.cancel()
            writer.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        place = self._settings.clamd
        assert place is not None
        if place.startswith("/"):
            return await asyncio.open_unix_connection(place, limit=ANSWER)
        host, _, port = place.rpartition(":")
        return await asyncio.open_connection(host.strip("[]"), int(port), limit=ANSWER)


def open_scanner(settings: ScannerSettings) -> Scanner | None:
    """Whom to ask; None where none is set."""
    return Scanner(settings) if settings.clamd else None


async def _show(content: AsyncIterator[bytes], writer: asyncio.StreamWriter, answering: asyncio.Task[bytes]) -> None:
    """Send everything, in chunks with their length; no more of it once there is an answer or nobody there."""
    writer.write(b"zINSTREAM\0")
    async for piece in content:
        for at in range(0, len(piece), CHUNK):
            chunk = piece[at : at + CHUNK]
            writer.write(len(chunk).to_bytes(4, "big"))
            writer.write(chunk)
            try:
                await writer.drain()
            except OSError:
                return
            if answering.done():
                return
    writer.write(bytes(4))
    with contextlib.suppress(OSError):
        await writer.drain()


async def _answer(reader: asyncio.StreamReader) -> bytes:
    """The answer without its end; what there was of it where the daemon hung up."""
    try:
        return (await reader.readuntil(b"\0"))[:-1]
    except asyncio.IncompleteReadError as trouble:
        return trouble.partial
    except (asyncio.LimitOverrunError, OSError):
        return b""


def _understood(answer: bytes) -> Verdict:
    text = "".join(char for char in answer.decode("ascii", "replace").strip() if char.isprintable())[
        : _DETAIL_CHARS * 2
    ]
    said = text.removeprefix("stream: ")
    if said == "OK":
        return Verdict(Outcome.CLEAN)
    if said.endswith(" FOUND"):
        return Verdict(Outcome.FOUND, said.removesuffix(" FOUND")[:_DETAIL_CHARS])
    return _unavailable(f"it said {said.removesuffix(' ERROR')[:_DETAIL_CHARS]!r}" if said else "it hung up")


def _unavailable(why: str) -> Verdict:
    return Verdict(Outcome.UNAVAILABLE, why)
