"""``Outgoing``: calls other machines within limits of time, number, size and address."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from typing import TYPE_CHECKING

from tertulia.server import observe
from tertulia.server.outgoing.calls import (
    Answer,
    Call,
    CallFailed,
    ClientCertificate,
    FailureKind,
    NoAnswer,
    reason_of,
)
from tertulia.server.outgoing.multiplexed import Multiplexed
from tertulia.server.outgoing.resolving import Resolve, look_up
from tertulia.server.outgoing.slots import Slots
from tertulia.server.outgoing.targets import Target, target_of
from tertulia.server.settings import Settings

if TYPE_CHECKING:
    import ssl

    from tertulia.server.outgoing.pool import Pool
    from tertulia.server.outgoing.streams import Stream


class Outgoing:
    """The one HTTP client. Made once for a process; may be used by any number of tasks of one event loop.

    Connections are kept and reused. Redirects are not followed, cookies not kept, proxies of the environment not
    used; certificates are verified. Addresses of private networks are refused unless ``allows_private``, judged on
    what the name resolves to at the moment of connecting. Calls wait for one of a limited number of slots, in all and
    per host; no account has more of them than it leaves free.
    """

    def __init__(self, settings: Settings, *, resolve: Resolve = look_up) -> None:
        self._limits = settings.outgoing
        self._allow_private = allows_private(settings)
        self._resolve = resolve
        self._slots = Slots(self._limits.concurrency, self._limits.concurrency_per_host)
        self._pool: Pool | None = None
        self._opening = asyncio.Lock()
        self._multiplexed: set[Multiplexed] = set()
        self._is_closed = False

    async def call(self, request: Call) -> Answer:
        """The receiver's answer, whatever its status; raises ``CallFailed`` when there is none.

        Returns or raises within ``request.total_s``. The first call of a process also loads the HTTP library, which
        takes a tenth of a second and is not counted.
        """
        try:
            pool = await self._opened()
        except OSError as error:
            # There is no room for what is loaded; the next call may find some.
            raise CallFailed(FailureKind.CONNECT_FAILED, request.receiver, reason_of(error)) from None
        loop = asyncio.get_running_loop()
        started = loop.time()
        outcome = "abandoned"
        try:
            answer = await self._within_limits(request, pool)
            outcome = f"{answer.status // 100}xx"
            return answer
        except CallFailed as failure:
            outcome = failure.kind.value
            raise
        finally:
            observe.outgoing_call(outcome, loop.time() - started)

    def multiplexed(self, origin: str, certificate: ClientCertificate | None = None) -> Multiplexed:
        """Calls to one origin (``https://host`` or ``https://host:port``) that share connections of HTTP/2.

        For receivers that get many at a time. They take none of the slots; ``Multiplexed`` has a limit of its own.
        Whoever asks for it closes it. Raises ``RuntimeError`` after ``close``.
        """
        if self._is_closed:
            raise RuntimeError("no calls after close()")
        multiplexed = Multiplexed(
            origin,
            certificate,
            resolve=self._resolve,
            allow_private=self._allow_private,
            answer_limit_bytes=self._limits.answer_limit_bytes,
            forget=self._multiplexed.discard,
        )
        self._multiplexed.add(multiplexed)
        return multiplexed

    async def dial(self, host: str, port: int, *, tls: ssl.SSLContext | None, limit_s: float) -> Stream:
        """A connection to a machine that speaks something else than HTTP, within this time; raises ``CallFailed``.

        Addresses are judged as for any call; with ``tls`` (see ``trust``) the machine proves to be ``host``. Whoever
        asks for it closes it: it is neither kept nor counted here. Raises ``RuntimeError`` after ``close``.
        """
        from tertulia.server.outgoing.opening import Opener

        if self._is_closed:
            raise RuntimeError("no calls after close()")
        opener = Opener(self._resolve, tls, allow_private=self._allow_private)
        target = Target(scheme="https" if tls else "", host=host, port=port, path="", headers=[])
        try:
            return await opener.open(target, limit_s, None)
        except NoAnswer as failure:
            raise CallFailed(failure.kind, f"{host}:{port}", failure.detail) from None

    async def close(self) -> None:
        """Drop all connections; calls under way fail. A call after it raises ``RuntimeError``."""
        self._is_closed = True
        for multiplexed in list(self._multiplexed):
            await multiplexed.close()
        if self._pool is not None:
            self._pool.close()

    async def _within_limits(self, request: Call, pool: Pool) -> Answer:
        limit = self._limits.answer_limit_bytes if request.answer_limit_bytes is None else request.answer_limit_bytes
        has_slot = False
        status: int | None = None

        def on_head(received: int) -> None:
            nonlocal status
            status = received

        try:
            target = target_of(request)
            async with asyncio.timeout(request.total_s), self._slots.one_for(target.host, request.account_sid):
                has_slot = True
                return await pool.exchange(request, target, limit, on_head)
        except TimeoutError:
            kind = FailureKind.TOTAL_TIMEOUT if has_slot else FailureKind.BUSY
            detail = f"{'no whole answer' if has_slot else 'no free slot'} in {request.total_s:g} s"
        except NoAnswer as failure:
            kind, detail = failure.kind, failure.detail
        raise CallFailed(kind, request.receiver, detail, status)

    async def _opened(self) -> Pool:
        async with self._opening:
            if self._is_closed:
                raise RuntimeError("no calls after close()")
            if self._pool is None:
                self._pool = await asyncio.to_thread(self._new_pool)
        return self._pool

    def _new_pool(self) -> Pool:
        # Imported here: it costs a tenth of a second, which a server that calls nobody does not pay.
        from tertulia.server.outgoing.pool import Pool

        return Pool(self._resolve, allow_private=self._allow_private, kept=self._limits.concurrency)


def allows_private(settings: Settings) -> bool:
    """Whether receivers in private networks may be called.

    ``outgoing.allow_private`` says so; unset, they may while only this machine can reach the server: it listens on a
    loopback address, and no public URL tells of a proxy in front of that.
    """
    if settings.outgoing.allow_private is not None:
        return settings.outgoing.allow_private
    if settings.server.public_url is not None:
        return False
    host = settings.server.host
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
