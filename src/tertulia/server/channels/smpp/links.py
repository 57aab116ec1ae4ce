"""A connection that is kept up: dialled, bound, listened to, and made anew when it ends."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Final

import msgspec

from tertulia.server import observe
from tertulia.server.channels.base import Inbox, InboxClosed, NotNow
from tertulia.server.domain.channels import Incoming, Report
from tertulia.server.outgoing import CallFailed, FailureKind, Outgoing
from tertulia.server.outgoing.trust import trusting_only

from .doubts import Doubts
from .hearing import Ignored, heard
from .ids import MessageIds
from .pdus import Malformed, Pdu, bind_body, sms_of
from .session import BindRefused, NotSent, Session, Unanswered
from .settings import SmppSettings
from .statuses import OK, PERMANENT, TEMPORARY, bind_refusal

log = logging.getLogger(__name__)

DIAL_S: Final = 10.0
FIRST_WAIT_S: Final = 1.0
LAST_WAIT_S: Final = 60.0
REFUSED_FIRST_S: Final = 30.0
"""After a bind that was refused; doubled each time (gateways 8.1: at least that)."""
REFUSED_LAST_S: Final = 300.0
STEADY_S: Final = 10.0
"""A connection that has lived so long ended for a reason of its own: waits begin anew."""
AT_ONCE: Final = 100
"""Messages of the SMSC that are kept together."""


class Trouble(msgspec.Struct, frozen=True):
    """Why there is no connection."""

    why: str
    is_refused: bool = False
    """Nothing will help but somebody who mends it."""
    is_alarming: bool = False


def wait_s(failures: int, *, is_refused: bool, chance: float) -> float:
    """How long after so many failures, the last one included, nothing is tried; ``chance`` is from 0 to 1.

    The jitter only ever lengthens it, by a fifth at most.
    """
    first, last = (REFUSED_FIRST_S, REFUSED_LAST_S) if is_refused else (FIRST_WAIT_S, LAST_WAIT_S)
    return min(first * 2.0 ** min(failures - 1, 16), last) * (1 + 0.2 * chance)


async def dialled(settings: SmppSettings, outgoing: Outgoing, *, listens: bool) -> Session:
    """A connection that is not bound yet. Raises ``CallFailed`` and, for bad ``authorities``, ``ValueError``."""
    tls = await asyncio.to_thread(trusting_only, settings.authorities) if settings.tls else None
    stream = await outgoing.dial(settings.host, settings.port, tls=tls, limit_s=DIAL_S)
    return Session(
        stream,
        window=settings.window,
        answer_s=settings.answer_s,
        enquire_link_s=settings.enquire_link_s,
        listens=listens,
    )


def trouble_of(error: Exception) -> Trouble:
    """Why there is no connection, in words without secrets."""
    if isinstance(error, BindRefused):
        return Trouble(f"the SMSC refuses us: {bind_refusal(error.status)}", is_refused=True, is_alarming=True)
    if isinstance(error, CallFailed):
        needs_mending = error.kind in (FailureKind.TLS, FailureKind.REFUSED_ADDRESS)
        return Trouble(f"no connection: {error.detail}", is_alarming=needs_mending)
    if isinstance(error, ValueError):
        return Trouble(str(error), is_alarming=True)
    return Trouble(f"the bind got no answer: {error}")


class Link:
    """Keeps one connection up while ``run`` runs. ``bind`` is the command that it is bound with."""

    def __init__(
        self,
        bind: int,
        settings: SmppSettings,
        outgoing: Outgoing,
        gateway_sid: str,
        doubts: Doubts,
        ids: MessageIds,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._bind = bind
        self._settings = settings
        self._outgoing = outgoing
        self._gateway_sid = gateway_sid
        self._doubts = doubts
        self._ids = ids
        self._chance = chance
        self._session: Session | None = None
        self._trouble: Trouble | None = None
        self._next_at = 0.0
        self._changed = asyncio.Event()

    @property
    def is_bound(self) -> bool:
        return self._session is not None and self._session.is_usable

    async def session(self, limit_s: float) -> Session:
        """The bound connection; while the first one is being made it is waited for. Raises ``NotNow``."""
        if self._session is None and self._trouble is None:
            try:
                async with asyncio.timeout(limit_s):
                    await self._changed.wait()
            except TimeoutError:
                raise NotNow("there is no connection yet") from None
        if self._session is not None and self._session.is_usable:
            return self._session
        trouble = self._trouble or Trouble("the connection has ended")
        after_s = max(self._next_at - asyncio.get_running_loop().time(), FIRST_WAIT_S)
        raise NotNow(trouble.why, after_s, is_alarming=trouble.is_alarming)

    async def run(self, inbox: Inbox | None) -> None:
        """Until cancelled; then it unbinds. Without an inbox nothing is heard."""
        loop = asyncio.get_running_loop()
        failures = refusals = 0
        while True:
            bound_at: float | None = None
            try:
                session = await dialled(self._settings, self._outgoing, listens=inbox is not None)
                bound_at = await self._hold(session, inbox)
                trouble = Trouble(session.why)
            except (CallFailed, BindRefused, Unanswered, NotSent, ValueError) as error:
                trouble = trouble_of(error)
            if bound_at is not None and loop.time() - bound_at >= STEADY_S:
                failures = 0
            failures += 1
            refusals = refusals + 1 if trouble.is_refused else 0
            pause_s = wait_s(refusals or failures, is_refused=trouble.is_refused, chance=self._chance())
            self._trouble, self._next_at = trouble, loop.time() + pause_s
            self._changed.set()
            say = log.error if trouble.is_alarming else log.warning
            say("smpp.unbound", extra=observe.fields(gateway=self._gateway_sid, why=trouble.why, next_s=pause_s))
            await asyncio.sleep(pause_s)

    async def _hold(self, session: Session, inbox: Inbox | None) -> float:
        """Use a connection until it ends; when it was bound. Raises what ``Session.bind`` does."""
        loop = asyncio.get_running_loop()
        reading = loop.create_task(session.read())
        listening: asyncio.Task[None] | None = None
        settings = self._settings
        try:
            await session.bind(
                self._bind,
                bind_body(settings.system_id, settings.password, settings.system_type, settings.address_range),
            )
            bound_at = loop.time()
            if inbox is not None:
                listening = loop.create_task(self._listen(session, inbox))
                # What nobody listens to must not be taken: it goes on with a new one.
                listening.add_done_callback(lambda _: session.end("nobody listens any more"))
            self._session, self._trouble = session, None
            self._changed.set()
            log.info("smpp.bound", extra=observe.fields(gateway=self._gateway_sid))
            await session.watch()
            return bound_at
        except asyncio.CancelledError:
            await session.leave()
            raise
        finally:
            self._session = None
            session.end("it was given up")
            tasks = [task for task in (reading, listening) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self._doubts.add(session.unproven.left())
            for task in tasks:
                if not task.cancelled() and (mistake := task.exception()) is not None:
                    raise mistake

    async def _listen(self, session: Session, inbox: Inbox) -> None:
        """Keep what the SMSC brings, and answer it only then."""
        while True:
            batch = [await session.heard.get()]
            while len(batch) < AT_ONCE and not session.heard.empty():
                batch.append(session.heard.get_nowait())
            try:
                await self._keep(session, inbox, batch)
            finally:
                for _ in batch:
                    session.heard.task_done()

    async def _keep(self, session: Session, inbox: Inbox, batch: list[Pdu]) -> None:
        named: list[tuple[str, str]] = []
        answers: list[tuple[Pdu, int, str | None, str | None]] = []
        events: list[Incoming | Report] = []
        for asked in batch:
            event, status, digest = self._read(asked, named)
            answers.append((asked, status, digest, named[-1][1] if digest is not None else None))
            if event is not None:
                events.append(event)
        if events:
            is_kept = False
            try:
                await inbox.put(*events)
                is_kept = True
            except InboxClosed:
                # A receipt or a message that is kept now and comes again is known by its name.
                answers = [
                    (asked, TEMPORARY if status == OK else status, None, None) for asked, status, _, _ in answers
                ]
            finally:
                if not is_kept:
                    self._doubts.add(named)
        for asked, status, digest, name in answers:
            session.answer(asked, status, digest, name)

    def _read(self, asked: Pdu, named: list[tuple[str, str]]) -> tuple[Incoming | Report | None, int, str | None]:
        """What it says, what it is answered once that is kept, and its digest if it got a name, then in ``named``."""
        count = len(named)

        def name_of(digest: str) -> str:
            name = self._doubts.name_of(digest)
            named.append((digest, name))
            return name

        try:
            event = heard(sms_of(asked), self._settings, self._ids, name_of)
        except Malformed as error:
            log.warning("smpp.unreadable", extra=observe.fields(gateway=self._gateway_sid, why=str(error)))
            return None, PERMANENT, None
        if isinstance(event, Ignored):
            if event.is_strange:
                log.warning("smpp.ignored", extra=observe.fields(gateway=self._gateway_sid, why=event.why))
            return None, OK, None
        return event, OK, named[-1][0] if len(named) > count else None
