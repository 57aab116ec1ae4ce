"""Our own mail server: it takes mail for our addresses, and for nobody else's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from tertulia.server import observe
from tertulia.server.channels.base import Inbox
from tertulia.server.domain.places import Places
from tertulia.server.domain.room import Room
from tertulia.server.outgoing.calls import ClientCertificate, NoAnswer
from tertulia.server.outgoing.streams import Stream
from tertulia.server.outgoing.trust import serving

from .lines import Broken, Lines
from .reading import Delivered, Ignored, Ours
from .receiving import COMMAND_BYTES, TLS_S, Unwanted, Visit
from .settings import EmailSettings
from .watching import events_of, wait_s

log = logging.getLogger(__name__)

VISITS: Final = 100
"""Connections at a time."""
VISIT_S: Final = 900.0
"""So long one may last."""
MAILS_AT_ONCE: Final = 4
"""Mails that are read and kept at a time."""
MAILS_IN_MEMORY: Final = 4
"""Of the largest ones so many have room, besides small ones."""
SMALL: Final = 64 << 10
READ_AHEAD: Final = 16 << 10
GO_AHEAD: Final = b"220 2.0.0 go ahead\r\n"


class _Caller(Stream):
    """A connection that somebody else has made."""

    def __init__(self, came: Callable[[_Caller], None]) -> None:
        super().__init__()
        self._came = came

    @property
    def host(self) -> str:
        """Where it comes from; of IPv6 the network, of which anybody has addresses without end."""
        peer = self._transport.get_extra_info("peername")
        address = ip_address(peer[0].partition("%")[0]) if peer else None
        if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
            return str(ip_network((address, 64), strict=False))
        return str(address)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._came(self)

    def end(self) -> None:
        """Nothing more is said; what has been said is on its way still."""
        self._is_ended = True
        self._transport.close()

    async def secure(self, certificate: ClientCertificate) -> None:
        """Says that TLS may begin, and goes on over it, as the server. Raises ``Broken``."""
        context = await asyncio.to_thread(serving, certificate)
        if not self.is_quiet:
            raise Broken("something was said before TLS began")
        plain = self._transport
        # Who is told to go ahead does so at once: nobody but TLS may read what he says.
        plain.pause_reading()
        plain.write(GO_AHEAD)
        try:
            async with asyncio.timeout(TLS_S):
                secured = await asyncio.get_running_loop().start_tls(plain, self, context, server_side=True)
            if secured is None:
                raise ConnectionResetError
        except (OSError, TimeoutError):
            plain.abort()
            raise Broken("the TLS handshake failed") from None
        self._transport = secured


class Listener:
    """Listens while ``run`` runs; a port that is taken is tried again."""

    def __init__(self, settings: EmailSettings, gateway_sid: str, ours: Callable[[], Awaitable[Ours]]) -> None:
        self._settings = settings
        self._gateway_sid = gateway_sid
        self._ours = ours
        self._at_once = asyncio.Semaphore(MAILS_AT_ONCE)
        self._room = Room(MAILS_IN_MEMORY * settings.received_bytes, SMALL)
        self._hosts = Places()
        self._visits: set[asyncio.Task[None]] = set()
        self.is_listening = False

    async def run(self, inbox: Inbox) -> None:
        """Until cancelled; then the visits end as well."""
        settings = self._settings
        failures = 0
        while True:
            try:
                server = await asyncio.get_running_loop().create_server(
                    lambda: _Caller(lambda caller: self._receive(caller, inbox)),
                    settings.listen_host,
                    settings.listen_port,
                )
            except OSError as error:
                failures += 1
                pause_s = wait_s(failures, 0.0)
                log.error(
                    "email.not_listening",
                    extra=observe.fields(gateway=self._gateway_sid, error=type(error).__name__, next_s=pause_s),
                )
                await asyncio.sleep(pause_s)
                continue
            try:
                self.is_listening = True
                log.info("email.listening", extra=observe.fields(gateway=self._gateway_sid))
                await asyncio.Event().wait()
            finally:
                self.is_listening = False
                server.close()
                for visit in self._visits:
                    visit.cancel()
                if self._visits:
                    await asyncio.wait(set(self._visits))

    def _receive(self, caller: _Caller, inbox: Inbox) -> None:
        if len(self._visits) >= VISITS:
            caller.put(b"421 4.3.2 too many at once\r\n")
            caller.end()
            return
        visit = asyncio.get_running_loop().create_task(self._welcome(caller, inbox))
        self._visits.add(visit)
        visit.add_done_callback(self._visits.discard)

    async def _welcome(self, caller: _Caller, inbox: Inbox) -> None:
        with self._hosts.one_for(caller.host, self._settings.visits_per_host) as is_free:
            if is_free:
                await self._visit(caller, inbox)
            else:
                caller.put(b"421 4.7.0 too many from your host\r\n")
                caller.end()

    async def _visit(self, caller: _Caller, inbox: Inbox) -> None:
        settings = self._settings
        certificate = settings.certificate

        async def keep(mail: Delivered) -> None:
            events = await events_of(mail, await self._ours(), self._gateway_sid)
            if isinstance(events, Ignored):
                if events.is_refused:
                    raise Unwanted(events.why)
            else:
                await inbox.put(*events)

        async def secure() -> None:
            assert certificate is not None, "it is offered only then"
            if not lines.is_fresh:
                raise Broken("something was said before TLS began")
            await caller.secure(certificate)

        lines = Lines(caller, "", max(COMMAND_BYTES, READ_AHEAD))
        try:
            async with asyncio.timeout(VISIT_S):
                await Visit(
                    lines,
                    settings.listen_protocol,
                    settings.received_bytes,
                    self._at_once,
                    self._room,
                    self._ours,
                    keep,
                    secure if certificate is not None else None,
                ).serve()
        except TimeoutError:
            log.info("email.visit_broken", extra=observe.fields(gateway=self._gateway_sid, why="it lasts too long"))
            caller.put(b"421 4.4.2 it lasts too long\r\n")
        except (Broken, NoAnswer, ValueError) as trouble:
            log.info("email.visit_broken", extra=observe.fields(gateway=self._gateway_sid, why=str(trouble)))
        except Exception as error:  # a mistake of ours costs one connection; whoever brought the mail tries again
            log.error("email.visit_failed", extra=observe.fields(gateway=self._gateway_sid, error=type(error).__name__))
        finally:
            caller.end()
