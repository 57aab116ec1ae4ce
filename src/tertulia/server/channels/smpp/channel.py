"""The channel: sends through a bound connection, keeps one up, and looks whether the SMSC will have us."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import Final

import msgspec

from tertulia.server.channels.base import (
    Accepted,
    Adapter,
    Capabilities,
    Channel,
    ChannelMessage,
    Finding,
    Inbox,
    NotNow,
    Refused,
    Surroundings,
    Unsure,
)
from tertulia.server.domain.addresses import SMS
from tertulia.server.outgoing import CallFailed, FailureKind

from . import pdus
from .begun import Beginnings, Begun, digest_of
from .doubts import Doubts
from .ids import MessageIds
from .links import Link, dialled, trouble_of
from .pdus import GENERIC_NACK, bind_body, message_id
from .session import BindRefused, NotSent, Session, Unanswered
from .settings import Bind, SmppSettings
from .statuses import UNKNOWN_ERROR, refusal_code
from .submitting import submission

SEND_S: Final = 28.0
"""All that an attempt may take; what is over then has not been sent, or nobody knows."""
CONNECTION_S: Final = 5.0
"""How long the first connection is waited for."""
AGAIN_S: Final = (1.0, 2.0, 4.0)
"""Waits before a part is submitted again that the SMSC has no room for, when it has taken others."""

_BINDS: Final = {
    Bind.TRANSCEIVER: (pdus.BIND_TRANSCEIVER,),
    Bind.SEPARATE: (pdus.BIND_TRANSMITTER, pdus.BIND_RECEIVER),
    Bind.TRANSMITTER: (pdus.BIND_TRANSMITTER,),
}
_NAMES: Final = {
    pdus.BIND_TRANSCEIVER: "transceiver",
    pdus.BIND_TRANSMITTER: "transmitter",
    pdus.BIND_RECEIVER: "receiver",
}


class SmppChannel(Channel):
    """One account with one SMSC. Nothing is sent while ``run`` does not run."""

    again_s: Sequence[float] = AGAIN_S

    def __init__(self, settings: SmppSettings, surroundings: Surroundings) -> None:
        self._settings = settings
        self._outgoing = surroundings.outgoing
        self._clock = surroundings.clock
        self._ids = MessageIds(settings.receipt_ids)
        self._beginnings = Beginnings(surroundings.clock.now)
        doubts = Doubts(surroundings.clock.now, lambda: uuid.uuid4().hex)
        self._links = {
            bind: Link(bind, settings, surroundings.outgoing, surroundings.gateway_sid, doubts, self._ids)
            for bind in _BINDS[settings.bind]
        }
        self._sender = self._links[_BINDS[settings.bind][0]]
        self._statuses = settings.coded_statuses
        self._running: set[asyncio.Task[None]] = set()
        self.capabilities = Capabilities(has_opt_out=settings.heeds_keywords, counts_segments=True)

    async def send(self, message: ChannelMessage) -> Accepted:
        """Submit it, in as many parts as it takes; returns when the SMSC has taken all of them.

        The first part goes alone: what the SMSC says of it, it would say of all. Where it has room for some parts only,
        the next attempt submits the others. Where it refuses one, or does not answer, after others have left, the
        message is lost with those.
        """
        until = asyncio.get_running_loop().time() + SEND_S
        submitted = submission(message, self._settings, self._clock.now())
        begun = self._beginnings.take(message, len(submitted.bodies), submitted.segments)
        if begun.digest != digest_of(message):
            return begun.accepted(UNKNOWN_ERROR)  # the rest of other words would make no sense
        try:
            session = await self._sender.session(CONNECTION_S)
        except NotNow:
            self._beginnings.keep(message.sid, begun)
            raise
        if begun.is_untouched:
            first = await self._submit(session, submitted.bodies[0], until, waits=())
            begun = msgspec.structs.replace(begun, handles=(first, *begun.handles[1:]))
        return await self._submit_rest(message.sid, session, begun, submitted.bodies, until)

    def begun(self, sid: str) -> Accepted | None:
        begun = self._beginnings.of(sid)
        return None if begun is None else begun.accepted()

    async def run(self, inbox: Inbox) -> None:
        async with asyncio.TaskGroup() as links:
            for bind, link in self._links.items():
                hears = bind != pdus.BIND_TRANSMITTER
                task = links.create_task(link.run(inbox if hears else None))
                self._running.add(task)
                task.add_done_callback(self._running.discard)

    async def check(self) -> Sequence[Finding]:
        """Binds and unbinds; a connection that is up already speaks for itself."""
        return [
            Finding(is_good=True, what=f"bound as {_NAMES[bind]}") if link.is_bound else await self._try(bind)
            for bind, link in self._links.items()
        ]

    async def close(self) -> None:
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(set(self._running))

    async def _submit_rest(
        self, sid: str, session: Session, begun: Begun, bodies: Sequence[bytes], until: float
    ) -> Accepted:
        """All parts that are not taken, side by side."""
        handles = list(begun.handles)
        outcomes = await asyncio.gather(
            *(self._submit(session, bodies[number], until, waits=self.again_s) for number in begun.missing),
            return_exceptions=True,
        )
        for number, outcome in zip(begun.missing, outcomes, strict=True):
            if isinstance(outcome, str):
                handles[number] = outcome
            elif not isinstance(outcome, Unsure | Refused | NotNow):
                raise outcome
        begun = msgspec.structs.replace(begun, handles=tuple(handles))
        refusal = next((one for one in outcomes if isinstance(one, Refused)), None)
        if refusal is not None:
            return begun.accepted(refusal.code)
        if any(isinstance(one, Unsure) for one in outcomes):
            return begun.accepted(UNKNOWN_ERROR)
        later = next((one for one in outcomes if isinstance(one, NotNow)), None)
        if later is not None:
            self._beginnings.keep(sid, begun)
            raise later
        return begun.accepted()

    async def _submit(self, session: Session, body: bytes, until: float, waits: Sequence[float]) -> str:
        """The handle of one part. Raises ``Refused``, ``NotNow``, ``Unsure``."""
        loop = asyncio.get_running_loop()
        again = iter(waits)
        while True:
            try:
                # An answer has to come before the time is over.
                answer = await session.submit(body, max(until - loop.time() - self._settings.answer_s, 0.0))
            except NotSent as why:
                raise NotNow(str(why)) from None
            except Unanswered as why:
                raise Unsure(str(why)) from None
            if not answer.status and answer.command != GENERIC_NACK:
                return self._ids.given(message_id(answer.body))
            said = f"the SMSC says status 0x{answer.status:08x}"
            if answer.status not in self._settings.retry_statuses:
                raise Refused(refusal_code(answer.status, self._statuses), said)
            pause_s = next(again, None)
            if pause_s is None or loop.time() + pause_s + self._settings.answer_s > until:
                raise NotNow(said)
            await asyncio.sleep(pause_s)

    async def _try(self, bind: int) -> Finding:
        settings, name = self._settings, _NAMES[bind]
        place = f"{settings.host}:{settings.port}"
        reading: asyncio.Task[None] | None = None
        session: Session | None = None
        try:
            session = await dialled(settings, self._outgoing, listens=False)
            reading = asyncio.get_running_loop().create_task(session.read())
            body = bind_body(settings.system_id, settings.password, settings.system_type, settings.address_range)
            await session.bind(bind, body)
            await session.leave()
            return Finding(is_good=True, what=f"{place} takes us as {name}")
        except (CallFailed, BindRefused, Unanswered, NotSent, ValueError) as error:
            return Finding(
                is_good=False, what=f"{place} as {name}: {trouble_of(error).why}", remedy=_remedy(error, settings)
            )
        finally:
            if session is not None:
                session.end("it was only looked at")
            if reading is not None:
                await asyncio.wait([reading])


def _remedy(error: Exception, settings: SmppSettings) -> str:
    if isinstance(error, BindRefused):
        if error.status == 0x05:
            return "another process holds the connection: allow more binds at the provider, or stop that one"
        return (
            "compare system_id, password, system_type and bind with the provider's page; ask whether our IP is allowed"
        )
    if isinstance(error, ValueError):
        return "authorities are certificates in PEM"
    if isinstance(error, CallFailed):
        if error.kind is FailureKind.TLS:
            return "set tls as the provider's port expects it; authorities if its authority is not a public one"
        if error.kind is FailureKind.REFUSED_ADDRESS:
            return "outgoing.allow_private lets the server reach private networks"
        return "compare host and port; a firewall, or a VPN of the provider's, may be in between"
    return "it is there and does not speak SMPP" + ("" if settings.tls else "; perhaps it wants tls")


ADAPTER: Final = Adapter(name="smpp", kinds=frozenset({SMS}), settings=SmppSettings, open=SmppChannel, is_called=False)
