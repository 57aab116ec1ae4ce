"""A connection read line by line, within bounds: what servers of SMTP and IMAP say to us."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final

import msgspec

from tertulia.server.outgoing import CallFailed, FailureKind, Outgoing
from tertulia.server.outgoing.calls import NoAnswer
from tertulia.server.outgoing.streams import Stream
from tertulia.server.outgoing.trust import trusting_only

LINE_BYTES: Final = 64 << 10
DIAL_S: Final = 10.0


class Broken(Exception):
    """The connection ended, was silent too long, or says what cannot be read. The text holds nothing of it."""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How fast something long has to come."""

    silence_s: float
    grace_s: float
    """So long it may be slower than that."""
    least_rate: float
    """Bytes in a second, on the whole."""


class Lines:
    """One connection. Whoever holds it closes it."""

    def __init__(self, stream: Stream, host: str, line_bytes: int = LINE_BYTES) -> None:
        self._stream = stream
        self._host = host
        self._line_bytes = line_bytes
        self._buffer = bytearray()

    @property
    def is_fresh(self) -> bool:
        """It can still be used: nothing has come that was not asked for, not even the end."""
        return not self._buffer and self._stream.is_quiet and not self._stream.is_over

    async def line(self, silence_s: float) -> bytes:
        """The next one, without its end. Raises ``Broken``."""
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            if len(self._buffer) > self._line_bytes:
                raise Broken("a line of the server's is too long")
            searched = len(self._buffer)
            await self._more(silence_s)
        line = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        return line

    async def exactly(self, count: int, silence_s: float) -> bytes:
        """So many bytes. Raises ``Broken``."""
        while len(self._buffer) < count:
            await self._more(silence_s)
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    async def until_dot(self, most: int, pace: Pace, fits: Callable[[int], bool]) -> bytes | int:
        """A mail until the line that is a dot. The number of its bytes where it is not kept: it has more than ``most``,
        or does not fit when it has so many.

        Lines end in carriage return and line feed, and in nothing else: whoever reads another end out of a mail lets
        strangers put a second one into it. Raises ``Broken``, also when it comes too slowly.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        mail, size, is_dropped = bytearray(), -2, False
        # What has not been looked through: all that is new, and what before it a dot may belong to.
        fresh = bytearray(b"\r\n")
        while True:
            fresh += self._buffer
            self._buffer.clear()
            end = fresh.find(b"\r\n.\r\n")
            if end >= 0:
                self._buffer += fresh[end + 5 :]
                del fresh[end + 2 :]
            cut = fresh.rfind(b"\r", max(len(fresh) - 4, 0)) if end < 0 else -1
            piece = bytes(fresh if cut < 0 else fresh[:cut])
            del fresh[: len(piece)]
            size += len(piece)
            is_dropped = is_dropped or size > most or not fits(size)
            if is_dropped:
                mail.clear()
            else:
                mail += piece.replace(b"\r\n..", b"\r\n.")
            if end >= 0:
                break
            left_s = began + pace.grace_s + size / pace.least_rate - loop.time()
            if left_s <= 0:
                raise Broken("it comes too slowly")
            await self._more(min(pace.silence_s, left_s))
        if is_dropped:
            return size
        del mail[:2]
        return bytes(mail)

    async def write(self, data: bytes, silence_s: float) -> None:
        """Returns when it is on its way. Raises ``Broken``."""
        try:
            await self._stream.write(data, silence_s)
        except NoAnswer as silence:
            raise Broken(silence.detail) from None

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Goes on over TLS; what came before it is believed by nobody. Raises ``Broken`` and ``CallFailed``."""
        if self._buffer or not self._stream.is_quiet:
            raise Broken("the server has said something before TLS began")
        try:
            async with asyncio.timeout(DIAL_S):
                await self._stream.start_tls(context, self._host)
        except TimeoutError:
            raise CallFailed(FailureKind.TLS, self._host, "no TLS in time") from None
        except NoAnswer as failure:
            raise CallFailed(failure.kind, self._host, failure.detail) from None

    def close(self) -> None:
        self._stream.close()

    async def _more(self, silence_s: float) -> None:
        try:
            data = await self._stream.read(silence_s)
        except NoAnswer as failure:
            if failure.kind is FailureKind.READ_TIMEOUT:
                raise Silent(failure.detail) from None
            raise Broken("the connection broke") from None
        if not data:
            raise Broken("the server has ended the connection")
        self._buffer += data


class Silent(Broken):
    """Nothing has come in time; the connection is as it was."""


async def dialled(
    outgoing: Outgoing, host: str, port: int, *, tls: bool, authorities: str, line_bytes: int = LINE_BYTES
) -> Lines:
    """A connection. Raises ``CallFailed``, and ``ValueError`` for bad ``authorities``."""
    context = await asyncio.to_thread(trusting_only, authorities) if tls else None
    return Lines(await outgoing.dial(host, port, tls=context, limit_s=DIAL_S), host, line_bytes)
