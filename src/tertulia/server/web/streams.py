"""Bodies that are too large to be in memory: a request's as it comes, an answer's as it goes (client-commands 4.10)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, Final

import msgspec

from tertulia.server import observe
from tertulia.server.domain.errors import UPLOAD_TOO_SLOW
from tertulia.wire.requests import Reply

log = logging.getLogger(__name__)

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

LINGER_S: Final = 5.0
LINGER_SILENCE_S: Final = 1.0
"""How long what still comes of a refused body is thrown away, so that its sender reads why; in all, and of silence."""


class CallerGone(Exception):
    """The caller hung up before the request was whole; there is nobody to answer."""


class Incoming:
    """The body of a request, piece by piece. What is not asked for stays with the sender."""

    def __init__(self, receive: Receive, length: bytes, *, idle_s: float, total_s: float) -> None:
        self._receive = receive
        self._idle_s = idle_s
        self._total_s = total_s
        self.length = int(length[:20]) if length.isdigit() else None
        """As its sender says; None when he does not."""
        self.is_whole = self.length == 0
        """Nothing more will come."""
        self.waited_s = 0.0
        """How long it was not us who took the time."""

    async def pieces(self) -> AsyncIterator[bytes]:
        """Everything, once. Raises 20408 when its sender takes too long, ``CallerGone`` when he gives up."""
        ends_at = time.monotonic() + self._total_s
        while not self.is_whole:
            before = time.monotonic()
            try:
                async with asyncio.timeout(min(self._idle_s, max(ends_at - before, 0))):
                    event = await self._receive()
            except TimeoutError:
                raise UPLOAD_TOO_SLOW() from None
            finally:
                self.waited_s += time.monotonic() - before
            if event["type"] == "http.disconnect":
                raise CallerGone
            self.is_whole = not event.get("more_body")
            piece: bytes = event.get("body", b"")
            if piece:
                yield piece

    async def throw_away(self) -> None:
        """What still comes, for a while."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while not self.is_whole:
                    async with asyncio.timeout(LINGER_SILENCE_S):
                        event = await self._receive()
                    self.is_whole = event["type"] == "http.disconnect" or not event.get("more_body")


class Outgoing(Reply, frozen=True, kw_only=True):
    """A reply whose body is pieces that are opened already. It has ``length`` bytes, and is sent once."""

    length: int
    pieces: AsyncIterator[bytes]
    close: Callable[[], Awaitable[None]]
    """Called when it has been sent, or will not be."""


async def send_pieces(send: Send, receive: Receive, reply: Outgoing, headers: list[tuple[bytes, bytes]]) -> None:
    """Send it no faster than it is taken, and stop when its receiver is gone. Its bytes are counted.

    A body that cannot be read to its end is cut off: its length tells the receiver.
    """
    gone = asyncio.ensure_future(_until_gone(receive))
    try:
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        left = reply.length
        async for piece in reply.pieces:
            if gone.done():
                return
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
            observe.MEDIA_BYTES_SERVED.count += len(piece)
            if left <= 0:
                return
            await asyncio.sleep(0)  # the gateway writes once a tick, and tells us then to wait
        log.error("response.cut", extra=observe.fields(missing=left))
    except Exception as trouble:
        # The edge: the answer has begun, so that it ends is all that can be said.
        log.error("response.cut", exc_info=trouble)
    finally:
        gone.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await gone


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def with_headers(reply: Reply, headers: tuple[tuple[str, str], ...]) -> Reply:
    """The same reply with these instead of its own."""
    if type(reply) is Reply:
        return Reply(reply.status, reply.body, headers)
    changed: Reply = msgspec.structs.replace(reply, headers=headers)
    return changed
