"""A connection of bytes on asyncio's transports: bounded reads and writes, TLS, and an end that waits for nobody."""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

from tertulia.server.outgoing.calls import FailureKind, NoAnswer

READ_AHEAD_BYTES = 64 << 10
"""What may wait to be read before the receiver has to wait."""

_PIECE_BYTES = 64 << 10


class Stream(asyncio.Protocol):
    """One connection. Whoever holds it closes it, however its use ends."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._received = bytearray()
        self._is_ended = False
        self._is_paused = False
        self._error: Exception | None = None
        self._may_read = asyncio.Event()
        self._may_write = asyncio.Event()
        self._may_write.set()

    @property
    def is_quiet(self) -> bool:
        """Whether it could still be used: nothing has come that nobody asked for, not even the end."""
        return not self._may_read.is_set()

    @property
    def is_over(self) -> bool:
        """Whether either side has ended it."""
        return self._is_ended

    @property
    def is_clogged(self) -> bool:
        """Whether the other side takes what is written more slowly than it is written."""
        return not self._may_write.is_set()

    @property
    def agreed_protocol(self) -> str | None:
        """What both sides agreed to speak in the TLS handshake (ALPN); None without TLS, or without agreement."""
        tls = self._transport.get_extra_info("ssl_object")
        agreed = tls and tls.selected_alpn_protocol()
        return str(agreed) if agreed else None

    async def read(self, silence_s: float) -> bytes:
        """What has come, as soon as something has; nothing at the end. Raises ``NoAnswer``."""
        await _within(silence_s, self._may_read)
        if self._error is not None and not self._received:
            raise broken()
        taken = bytes(self._received)
        self._received.clear()
        if not self._is_ended:
            self._may_read.clear()
            if self._is_paused and not self._transport.is_closing():
                self._is_paused = False
                self._transport.resume_reading()
        return taken

    async def write(self, data: bytes, silence_s: float) -> None:
        """Returns when the data is on its way; raises ``NoAnswer``, except where the other side has hung up.

        What it had to say before that can be read then.
        """
        for start in range(0, len(data), _PIECE_BYTES):
            if self._is_ended or self._transport.is_closing():
                return
            self._transport.write(data[start : start + _PIECE_BYTES])
            await _within(silence_s, self._may_write)

    def put(self, data: bytes) -> None:
        """Puts data on its way without waiting; whoever may put much waits for ``drained`` in between."""
        if data and not (self._is_ended or self._transport.is_closing()):
            self._transport.write(data)

    async def drained(self, silence_s: float) -> None:
        """Returns when the other side keeps up, or has hung up; raises ``NoAnswer``."""
        await _within(silence_s, self._may_write)

    async def start_tls(self, context: ssl.SSLContext, name: str) -> None:
        """Go on over TLS with whoever proves to have this name; raises ``NoAnswer``. The caller limits the time."""
        loop = asyncio.get_running_loop()
        plain = self._transport
        try:
            transport = await loop.start_tls(plain, self, context, server_hostname=name)
            if transport is None:
                raise ConnectionResetError
        except BaseException as error:
            plain.abort()
            if isinstance(error, OSError | ValueError):  # the latter: the host is no name that a certificate can have
                raise NoAnswer(FailureKind.TLS, _reason(error)) from None
            raise
        self._transport = transport

    def close(self) -> None:
        """Drop the connection at once: nothing more is said, so nothing has to be waited for."""
        self._is_ended = True
        self._transport.abort()

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._may_read.set()
        if len(self._received) > READ_AHEAD_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        self._is_ended = True
        self._may_read.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_ended = True
        self._error = exc
        self._may_read.set()
        self._may_write.set()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()


def broken() -> NoAnswer:
    """The connection or the answer broke off; why is not said, because it may quote what was received."""
    return NoAnswer(FailureKind.BROKEN, "the connection ended before the answer did, or the answer is not HTTP")


async def connect(address: str, port: int) -> Stream:
    """A connection to this very address; raises ``OSError``. The caller limits the time."""
    _, stream = await asyncio.get_running_loop().create_connection(Stream, address, port)
    return stream


async def _within(silence_s: float, event: asyncio.Event) -> None:
    if event.is_set():
        return
    try:
        async with asyncio.timeout(silence_s):
            await event.wait()
    except TimeoutError:
        raise NoAnswer(FailureKind.READ_TIMEOUT, f"silence of {silence_s:g} s") from None


def _reason(error: OSError | ValueError) -> str:
    """What went wrong in a handshake, in words that hold nothing of the other side's."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate does not verify ({error.reason}, {error.verify_code})"
    if isinstance(error, ssl.SSLError):
        return f"the TLS handshake failed ({error.reason})"
    return "the TLS handshake was broken off"
