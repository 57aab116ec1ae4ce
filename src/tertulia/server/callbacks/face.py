"""Requests of providers: whose they are, what their channel reads in them, what they are answered.

The answer goes out when all that a request says is kept: until then its provider has to keep it, and comes again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import msgspec

from tertulia.server import observe
from tertulia.server.channels.base import Channel, Forged, Heard, NotNow, Refused, Unreadable
from tertulia.server.channels.opening import OpenGateway
from tertulia.server.domain.errors import TertuliaError
from tertulia.server.domain.room import Room
from tertulia.server.engine.arrival_store import ArrivalStore
from tertulia.server.storage.database import StorageError
from tertulia.server.web.streams import CallerGone
from tertulia.wire.requests import Reply, Request
from tertulia.wire.sids import GATEWAY, is_sid

from .keywords import heeded_in
from .queues import Queues

log = logging.getLogger(__name__)

PREFIX: Final = "/callbacks/"
AT_ONCE: Final = 64
"""Requests of one gateway that may be read and kept at a time."""
LIMIT_BYTES: Final = 4 << 20
BODIES_AT_ONCE: Final = 256
"""Bodies of one gateway that may be on their way; those who wait for a place have arrived."""
LARGE_AT_ONCE: Final = 4
"""Of these such that are not small."""
SMALL_BYTES: Final = 16 << 10
BODIES_BYTES: Final = 64 << 20
"""All bodies together, besides small ones."""
RETRY_S: Final = 5
"""When a provider whose request cannot be kept is asked to come again."""

FORGED: Final = Reply(403)
UNREADABLE: Final = Reply(400)
UNKNOWN: Final = Reply(404)
TOO_SLOW: Final = Reply(408, b"", (("Connection", "close"),))
TOO_LARGE: Final = Reply(413)
BROKEN: Final = Reply(500)
NOT_NOW: Final = Reply(503, b"", (("Retry-After", str(RETRY_S)),))


class Waits(msgspec.Struct, frozen=True, kw_only=True):
    """How long requests are waited for, and how long they wait."""

    body_s: float = 5.0
    """A body comes within this time, whoever sends it: nothing of it has been proved yet."""
    place_s: float = 15.0
    """So long a request waits for those of its gateway before it; providers wait about as long."""
    waiting: int = 4096
    """Requests of all gateways that do."""


class OpenChannels(Protocol):
    """The channels of a node."""

    def use(self, gateway_sid: str, /) -> AbstractAsyncContextManager[Channel]:
        """Raises ``Refused`` for a gateway that is gone, ``NotNow`` for one that cannot be opened."""
        ...

    async def gateway(self, gateway_sid: str, /) -> OpenGateway | None: ...


class Callbacks:
    """Answers the providers of all gateways.

    ``public_url`` is what they know us by, where that is another host than the one they are seen to ask: it is theirs
    that is signed.
    """

    def __init__(
        self,
        channels: OpenChannels,
        store: ArrivalStore,
        public_url: str | None = None,
        *,
        limit_bytes: int = LIMIT_BYTES,
        at_once: int = AT_ONCE,
        waits: Waits | None = None,
    ) -> None:
        self._channels = channels
        self._store = store
        self._public_url = public_url.rstrip("/") if public_url is not None else None
        self._waits = waits = waits or Waits()
        self._places = Queues(at_once, waits.waiting, waits.place_s)
        self._bodies = Queues(BODIES_AT_ONCE, waits.waiting, waits.place_s)
        self._large = Queues(LARGE_AT_ONCE, waits.waiting, waits.place_s)
        self._room = Room(max(BODIES_BYTES, limit_bytes), SMALL_BYTES)
        self.limit_bytes = limit_bytes

    async def answer(self, request: Request, url: str, body: Callable[[], Awaitable[bytes]]) -> Reply:
        """What its channel says to it, once all of it is kept; nothing but a status where it is not.

        Its body is read first, within seconds, and only then it takes a place of its gateway: no stranger who sends
        slowly keeps the provider out.

        403: it does not prove where it comes from. 400: nobody can read it. 404: there is no such gateway. 408: its
        body comes too slowly. 413: its body is too large. 503: it cannot be kept now. Raises ``CallerGone``.
        """
        started = time.perf_counter()
        sid = request.path.removeprefix(PREFIX).partition("/")[0]
        adapter = "unknown"
        reply = BROKEN
        try:
            gateway = await self._channels.gateway(sid) if is_sid(sid, GATEWAY) else None
            if gateway is None:
                reply = UNKNOWN
                return reply
            adapter = gateway.adapter
            reply = await self._read(gateway, request, url, body)
        except CallerGone:
            raise
        except Exception as error:
            # The edge: whatever a stranger's request did to a parser, he gets an answer, and his words no line.
            reply = self._failure(sid, error)
        finally:
            observe.request_meter("callbacks", adapter).done(reply.status, time.perf_counter() - started)
        return reply

    async def _read(
        self, gateway: OpenGateway, request: Request, url: str, body: Callable[[], Awaitable[bytes]]
    ) -> Reply:
        size = min(_size_of(request, self.limit_bytes), self.limit_bytes)
        with self._room.share() as share:
            async with (self._large if size > SMALL_BYTES else self._bodies).place_for(gateway.sid) as is_free:
                if not is_free or not share.holds(size):
                    return NOT_NOW
                try:
                    async with asyncio.timeout(self._waits.body_s):
                        whole = await body()
                except TimeoutError:
                    return TOO_SLOW
            share.let_go()
            if not share.holds(len(whole)):
                return NOT_NOW
            async with self._places.place_for(gateway.sid) as is_free:
                return await self._heard(gateway, request, url, whole) if is_free else NOT_NOW

    async def _heard(self, gateway: OpenGateway, request: Request, url: str, body: bytes) -> Reply:
        async with self._channels.use(gateway.sid) as channel:
            whole = msgspec.structs.replace(request, path=request.path.removeprefix(PREFIX + gateway.sid), body=body)
            if self._public_url is not None:
                url = self._public_url + url[url.index(PREFIX) :]
            heard: Heard = channel.hear(whole, url)
            if heard.events:
                heeded = heeded_in(heard.events, channel)
                await self._store.keep(gateway.account_sid, gateway.sid, heard.events, heeded=heeded)
        return heard.reply

    def _failure(self, sid: str, error: Exception) -> Reply:
        """What a request is answered that came to nothing; a line says so, without a word of it."""
        facts = {"gateway": sid}
        if isinstance(error, Forged):
            log.warning("channel.forged", extra=observe.fields(**facts, why=error.why))
            return FORGED
        if isinstance(error, Unreadable):
            log.warning("channel.unreadable", extra=observe.fields(**facts, why=error.why))
            return UNREADABLE
        if isinstance(error, Refused):
            return UNKNOWN
        if isinstance(error, TertuliaError) and error.status == TOO_LARGE.status:
            return TOO_LARGE
        if isinstance(error, NotNow | StorageError | TertuliaError):
            why = error.why if isinstance(error, NotNow) else type(error).__name__
            log.warning("channel.not_kept", extra=observe.fields(**facts, why=why))
            return NOT_NOW
        log.error("channel.broken", extra=observe.fields(**facts, error=type(error).__name__))
        return BROKEN


def _size_of(request: Request, unsaid: int) -> int:
    """What the request says of its body's size; ``unsaid`` where it has one and does not say it."""
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdecimal():
        return int(length[:16])
    return unsaid if "transfer-encoding" in request.headers else 0
