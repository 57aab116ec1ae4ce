"""One socket: how it is opened, how it ends, and what kept it from opening."""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI, WebSocketException

from tertulia import __version__

from .patience import Patience

LARGEST_MESSAGE: Final = 32 * 1_048_576
GONE: Final = (OSError, WebSocketException, EOFError)
"""What using a socket raises when it has ended."""
WRITE_AHEAD: Final = 1_048_576
"""So many bytes may wait to be sent before whoever sends more must wait; acknowledgements nearly never do."""


class _Straight(connect):
    """Goes nowhere but where it was sent: whoever opens a socket says there who he is."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


class Sockets:
    """Opens sockets to one server."""

    def __init__(self, url: str, context: ssl.SSLContext | None, patience: Patience) -> None:
        self._url = url
        self._context = context
        self._patience = patience
        # The library logs what it carries, at DEBUG: tokens and messages. It may tell everything else.
        self._log = logging.Logger(f"{__name__}.websocket", logging.INFO)
        self._log.parent = logging.getLogger(__name__)

    async def open(self) -> ClientConnection:
        """A socket. Raises ``OSError``, ``WebSocketException``, ``TimeoutError``."""
        if self._context is None and self._url.startswith("wss:"):
            self._context = ssl.create_default_context()
        async with asyncio.timeout(self._patience.opening):
            return await _Straight(
                self._url,
                ssl=self._context if self._url.startswith("wss:") else None,
                compression=None,
                open_timeout=None,
                ping_interval=None,
                close_timeout=self._patience.closing,
                max_size=LARGEST_MESSAGE,
                write_limit=WRITE_AHEAD,
                logger=self._log,
                user_agent_header=f"tertulia/{__version__}",
                proxy=None,
            )

    async def close(self, socket: ClientConnection) -> None:
        """Ends it in peace, or after a while without."""
        try:
            async with asyncio.timeout(self._patience.closing):
                await socket.close()
        except (*GONE, TimeoutError):
            socket.transport.abort()

    async def is_alive(self, socket: ClientConnection) -> bool:
        """Whether the server answers."""
        try:
            async with asyncio.timeout(self._patience.probe):
                await (await socket.ping())
        except (*GONE, TimeoutError):
            return False
        return True


def what_failed(error: BaseException) -> str:
    """What kept a socket from opening, without URLs or headers."""
    match error:
        case TimeoutError():
            return "the server did not answer in time"
        case InvalidStatus():
            return f"the server refused the socket with HTTP {error.response.status_code}"
        case InvalidHandshake() | InvalidURI():
            return f"the server does not speak WebSocket there ({type(error).__name__})"
        case ssl.SSLCertVerificationError():
            return f"the server's certificate does not count: {error.verify_message}"
        case OSError():
            return error.strerror or "the server cannot be reached"
    return f"the connection failed ({type(error).__name__})"


def time_away(error: BaseException) -> float:
    """For how long the server, or a gateway before it, wants to be left alone; 0 if it does not say."""
    if not isinstance(error, InvalidStatus):
        return 0
    told = error.response.headers.get("Retry-After", "")
    return float(told) if told.isascii() and told.isdigit() else 0
