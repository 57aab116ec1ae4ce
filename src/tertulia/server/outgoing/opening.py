"""Connections that lead where we checked: a name is resolved, judged, and the very address is connected to.

A name that changes its mind between the check and the connection gains nothing, for nobody asks again.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

from tertulia.server.outgoing.addresses import callable_among
from tertulia.server.outgoing.calls import FailureKind, NoAnswer, reason_of
from tertulia.server.outgoing.resolving import LookUps, Resolve
from tertulia.server.outgoing.streams import Stream, connect
from tertulia.server.outgoing.targets import Target

ADDRESSES_TRIED = 6

HEAD_START_S = 0.25
"""How long an address is tried alone before the next one joins in (RFC 8305)."""


class Opener:
    """Makes connections to receivers, as far as they may be called; without ``tls`` only plain ones."""

    def __init__(self, resolve: Resolve, tls: ssl.SSLContext | None, *, allow_private: bool) -> None:
        self._look_ups = LookUps(resolve)
        self._tls = tls
        self._allow_private = allow_private

    async def open(self, target: Target, limit_s: float, account: str | None) -> Stream:
        """A connection, TLS included, within this time; raises ``NoAnswer``."""
        try:
            async with asyncio.timeout(limit_s):
                addresses = await self._addresses(target.host, target.port, account)
                stream = await first_of(addresses, lambda address: connect(address, target.port))
                if target.scheme == "https":
                    assert self._tls is not None
                    await stream.start_tls(self._tls, target.host)
                return stream
        except TimeoutError:
            raise NoAnswer(FailureKind.CONNECT_TIMEOUT, f"no connection in {limit_s:g} s") from None
        except OSError as error:
            raise NoAnswer(FailureKind.CONNECT_FAILED, reason_of(error)) from None

    async def _addresses(self, host: str, port: int, account: str | None) -> list[str]:
        try:
            found = await self._look_ups.addresses(host, port, account)
            allowed = callable_among(found, allow_private=self._allow_private)
        except (OSError, ValueError):
            found = allowed = []
        if not found:
            raise NoAnswer(FailureKind.UNRESOLVABLE, "the host has no address")
        if not allowed:
            raise NoAnswer(FailureKind.REFUSED_ADDRESS, "the host has only addresses that may not be called")
        return allowed[:ADDRESSES_TRIED]


async def first_of(addresses: list[str], connect_to: Callable[[str], Awaitable[Stream]]) -> Stream:
    """A connection to the first address that gives one; each next joins in when those before fail or are slow.

    Raises the last failure. Whatever connects too late is closed.
    """
    if len(addresses) == 1:
        return await connect_to(addresses[0])
    waiting = list(addresses)
    trying: set[asyncio.Future[Stream]] = set()
    ended: list[asyncio.Future[Stream]] = []
    winner: Stream | None = None
    try:
        while winner is None and (waiting or trying):
            if waiting:
                trying.add(asyncio.ensure_future(connect_to(waiting.pop(0))))
            await asyncio.wait(trying, timeout=HEAD_START_S if waiting else None, return_when=asyncio.FIRST_COMPLETED)
            ended = [attempt for attempt in trying if attempt.done()]
            won = [attempt for attempt in ended if attempt.exception() is None]
            trying.difference_update(won[:1] or ended)
            winner = won[0].result() if won else None
    finally:
        for late in trying:
            late.add_done_callback(_close_late)
            late.cancel()
    return winner or ended[-1].result()


def _close_late(attempt: asyncio.Future[Stream]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
