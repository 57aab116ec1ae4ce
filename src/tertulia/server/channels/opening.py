"""The channels of a node: opened when first used, kept, and opened anew when their gateway has changed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, Protocol

import msgspec

from tertulia.server import observe
from tertulia.server.clock import Clock
from tertulia.server.outgoing import Outgoing

from .base import Channel, Inbox, NotNow, Refused, Surroundings
from .loading import Loader
from .making import OpenGateway as OpenGateway
from .making import made

log = logging.getLogger(__name__)

NO_GATEWAY: Final = 30008
READS_AT_ONCE: Final = 32
"""Gateways that are looked up at a time."""
_OLD: Final = -1


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long channels wait, and for what."""

    look_every_s: float = 5.0
    """A gateway is believed unchanged for so long where the news of a change is lost."""
    restart_s: tuple[float, ...] = (1.0, 5.0, 30.0)
    """Waits before a channel whose connection broke by a mistake of ours is run again."""
    drain_s: float = 40.0
    """A channel that is replaced stays open for those who use it: longer than an attempt may take."""
    open_s: float = 10.0
    """One has so long to be looked up and opened, others before it in that included."""
    end_s: float = 10.0
    """Its connections have so long to end, and then the channel."""


class Directory(Protocol):
    """Where gateways are looked up."""

    async def gateway(self, sid: str) -> OpenGateway | None:
        """Raises ``NotNow`` for one that must not be opened now, or whose settings cannot be read."""
        ...

    async def versions(self) -> Mapping[str, str]:
        """Of all that may be opened, by SID."""
        ...

    async def senders(self, sid: str) -> Sequence[str]:
        """The addresses that this gateway serves."""
        ...


class _Held:
    """One channel, who uses it, and the task that holds its connection."""

    __slots__ = ("_users", "channel", "gateway", "looked_at", "may_end", "running")

    def __init__(self, gateway: OpenGateway, channel: Channel, running: asyncio.Task[None], looked_at: int) -> None:
        self.gateway = gateway
        self.channel = channel
        self.running = running
        self.looked_at = looked_at
        self.may_end = asyncio.Event()
        self.may_end.set()
        self._users = 0

    @contextlib.contextmanager
    def in_use(self) -> Iterator[Channel]:
        self._users += 1
        self.may_end.clear()
        try:
            yield self.channel
        finally:
            self._users -= 1
            if not self._users:
                self.may_end.set()


class Channels:
    """Opens channels, keeps them open, runs those that hold a connection. One per process.

    ``inbox`` gives the box for what a gateway's connection brings, ``base_url`` is where providers reach this server,
    ``may_listen`` whether gateways may open ports.
    """

    def __init__(
        self,
        directory: Directory,
        outgoing: Outgoing,
        clock: Clock,
        new_sid: Callable[[str], str],
        base_url: str,
        inbox: Callable[[OpenGateway], Inbox],
        patience: Patience | None = None,
        *,
        may_listen: bool = False,
    ) -> None:
        self._directory = directory
        self._outgoing = outgoing
        self._clock = clock
        self._new_sid = new_sid
        self._base_url = base_url.rstrip("/")
        self._inbox = inbox
        self._patience = patience or Patience()
        self._may_listen = may_listen
        self._open: dict[str, _Held] = {}
        self._turns: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        """One for each gateway that somebody is opening: no other waits for it."""
        self._loader = Loader()
        self._reads = asyncio.Semaphore(READS_AT_ONCE)
        self._reopening: dict[str, asyncio.Task[None]] = {}
        self._leaving: dict[asyncio.Task[None], _Held] = {}
        self._complaints: dict[str, str] = {}
        self._news = 0
        self._is_news = asyncio.Event()
        self._is_closed = False

    def callback_url(self, gateway_sid: str) -> str:
        """Where the provider of this gateway reaches us."""
        return f"{self._base_url}/callbacks/{gateway_sid}"

    def surroundings(self, gateway: OpenGateway) -> Surroundings:
        """What the channel of this gateway gets from the server."""
        return Surroundings(
            gateway_sid=gateway.sid,
            account_sid=gateway.account_sid,
            callback_url=self.callback_url(gateway.sid),
            outgoing=self._outgoing,
            clock=self._clock,
            new_sid=self._new_sid,
            senders=partial(self._directory.senders, gateway.sid),
            may_listen=self._may_listen,
        )

    def news(self) -> None:
        """A gateway may have changed: look before believing."""
        self._news += 1
        for one in self._open.values():
            one.looked_at = _OLD
        self._is_news.set()

    @contextlib.asynccontextmanager
    async def use(self, gateway_sid: str) -> AsyncIterator[Channel]:
        """The gateway's channel, which stays open while it is used, also when its gateway changes meanwhile.

        Raises ``Refused`` when there is no such gateway, ``NotNow`` when it cannot be opened: then somebody has to
        mend its settings.
        """
        one = await self._opened(gateway_sid)
        with one.in_use() as channel:
            yield channel

    async def gateway(self, gateway_sid: str) -> OpenGateway | None:
        """The gateway of an open channel as it was opened, else as it is. Raises ``NotNow`` as ``use``."""
        one = self._open.get(gateway_sid)
        return one.gateway if one is not None else await self._directory.gateway(gateway_sid)

    def opened(self) -> list[Channel]:
        """Those that are open now."""
        return [one.channel for one in self._open.values()]

    async def run(self) -> None:
        """Have every gateway's connection held, until cancelled; what comes, goes or changes is noticed."""
        while not self._is_closed:
            self._is_news.clear()
            try:
                await self._look()
            except Exception as error:  # a database that is away is asked again
                log.warning("channels.unavailable", extra=observe.fields(why=type(error).__name__))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_news.wait(), self._patience.look_every_s)

    async def close(self) -> None:
        """All connections end, also of those that are used."""
        self._is_closed = True
        self._is_news.set()
        self._loader.close()
        reopening = list(self._reopening.values())
        for task in reopening:
            task.cancel()
        if reopening:
            await asyncio.wait(reopening)
        for sid in list(self._open):
            self._retire(sid)
        for one in self._leaving.values():
            one.may_end.set()
        while self._leaving:
            await asyncio.wait(set(self._leaving))

    async def _look(self) -> None:
        """One statement where nothing has changed."""
        news, now = self._news, self._clock.now()
        versions = await self._directory.versions()
        for sid, version in versions.items():
            one = self._open.get(sid)
            if one is not None and one.gateway.version == version:
                one.looked_at = now if news == self._news else _OLD
            else:
                self._reopen(sid)
        for sid in [sid for sid, one in self._open.items() if one.gateway.version and sid not in versions]:
            self._reopen(sid)

    def _reopen(self, sid: str) -> None:
        """Nobody waits for it: one that hangs must not keep the others closed."""
        if sid not in self._reopening and not self._is_closed:
            task = asyncio.get_running_loop().create_task(self._reopened(sid))
            self._reopening[sid] = task
            task.add_done_callback(lambda _: self._reopening.pop(sid))

    async def _reopened(self, sid: str) -> None:
        """The others' connections are held whatever becomes of this one."""
        if sid in self._open:
            self._open[sid].looked_at = _OLD
        try:
            await self._opened(sid)
        except (Refused, NotNow):
            return  # said already
        except Exception as error:  # whatever an adapter of others does
            self._complain(sid, type(error).__name__)

    def _believed(self, sid: str, now: int) -> _Held | None:
        one = self._open.get(sid)
        believed_us = self._patience.look_every_s * 1_000_000
        return one if one is not None and 0 <= now - one.looked_at < believed_us else None

    async def _opened(self, sid: str) -> _Held:
        one = self._believed(sid, self._clock.now())
        if one is not None:
            return one
        try:
            async with asyncio.timeout(self._patience.open_s):
                return await self._in_turn(sid)
        except TimeoutError:
            self._complain(sid, "it is not opened in time")
            raise NotNow("the gateway is not opened in time", is_alarming=True) from None

    async def _in_turn(self, sid: str) -> _Held:
        turn = self._turns.setdefault(sid, asyncio.Lock())
        async with turn:
            news, now = self._news, self._clock.now()
            one = self._believed(sid, now)
            if one is not None:
                return one
            gateway = await self._looked_up(sid)
            looked_at = now if news == self._news else _OLD
            one = self._open.get(sid)
            if one is not None and one.gateway.version == gateway.version:
                one.looked_at = looked_at
                return one
            self._retire(sid)
            channel = await self._made(gateway)
            running = asyncio.get_running_loop().create_task(self._hold(gateway, channel))
            one = self._open[sid] = _Held(gateway, channel, running, looked_at)
            return one

    async def _looked_up(self, sid: str) -> OpenGateway:
        """Raises ``Refused`` and ``NotNow``; then its channel is open no more."""
        try:
            async with self._reads:
                gateway = await self._directory.gateway(sid)
        except NotNow as problem:
            self._retire(sid)
            self._complain(sid, problem.why)
            raise
        if gateway is None:
            self._retire(sid)
            self._complaints.pop(sid, None)
            raise Refused(NO_GATEWAY, "its gateway was removed")
        self._require_serving()
        return gateway

    async def _made(self, gateway: OpenGateway) -> Channel:
        try:
            channel = await made(gateway, self.surroundings(gateway), self._loader)
        except NotNow as problem:
            self._complain(gateway.sid, problem.why)
            raise
        try:
            self._require_serving()
        except NotNow:
            await channel.close()
            raise
        self._complaints.pop(gateway.sid, None)
        return channel

    def _require_serving(self) -> None:
        if self._is_closed:
            raise NotNow("the server is stopping")

    def _complain(self, sid: str, why: str) -> None:
        """Once, however often it is tried."""
        if self._complaints.get(sid) != why:
            self._complaints[sid] = why
            log.error("channel.unusable", extra=observe.fields(gateway=sid, why=why))

    async def _hold(self, gateway: OpenGateway, channel: Channel) -> None:
        """Run the channel until it says that there is nothing to hold; a mistake of its does not end it for good.

        Not beside the one it replaces: some providers have room for one connection, a port for one listener.
        """
        loop, restart_s = asyncio.get_running_loop(), self._patience.restart_s
        before = [one.running for one in self._leaving.values() if one.gateway.sid == gateway.sid]
        if before:
            await asyncio.wait(before, timeout=self._patience.drain_s + self._patience.end_s)
        failures = 0
        while True:
            began = loop.time()
            try:
                await channel.run(self._inbox(gateway))
            except Exception as error:  # whatever it is, its messages must not stay away for ever
                if loop.time() - began > restart_s[-1]:
                    failures = 0
                wait_s = restart_s[min(failures, len(restart_s) - 1)]
                failures += 1
                log.error(
                    "channel.broken",
                    extra=observe.fields(gateway=gateway.sid, error=type(error).__name__, next_s=wait_s),
                )
                await asyncio.sleep(wait_s)
            else:
                return

    def _retire(self, sid: str) -> None:
        """Nobody gets it any more; its end comes when nobody uses it."""
        one = self._open.pop(sid, None)
        if one is not None:
            task = asyncio.get_running_loop().create_task(self._leave(one))
            self._leaving[task] = one
            task.add_done_callback(self._leaving.pop)

    async def _leave(self, one: _Held) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(one.may_end.wait(), self._patience.drain_s)
        one.running.cancel()
        await asyncio.wait([one.running], timeout=self._patience.end_s)
        try:
            await asyncio.wait_for(one.channel.close(), self._patience.end_s)
        except Exception as error:  # it is gone for us, whatever becomes of its connections
            log.warning("channel.not_closed", extra=observe.fields(gateway=one.gateway.sid, error=type(error).__name__))
