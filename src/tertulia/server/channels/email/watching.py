"""A mailbox read as mail comes: what is kept is marked there, and nothing is marked before it is kept."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from tertulia.server import observe
from tertulia.server.channels.base import Inbox, InboxClosed
from tertulia.server.clock import Clock
from tertulia.server.domain.channels import Incoming, Report
from tertulia.server.outgoing import CallFailed, FailureKind, Outgoing

from .dialogue import Unwelcome
from .imap import Folder, Imap, Refusal, opened
from .lines import Broken
from .parsing import parsed
from .reading import Delivered, Ignored, Ours
from .settings import EmailSettings, Mark

log = logging.getLogger(__name__)

ANSWER_S: Final = 30.0
IDLE_S: Final = 300.0
"""So long a server's silence is believed; then the mailbox is looked into."""
FIRST_WAIT_S: Final = 1.0
LAST_WAIT_S: Final = 300.0
STEADY_S: Final = 60.0
"""A connection that has lived so long ended for a reason of its own: waits begin anew."""
DAY_US: Final = 24 * 3600 * 1_000_000

EMPTY_S: Final = 0.1
"""Between two looks that found nothing, whatever the server says in between."""

Events = tuple[Incoming | Report, ...]


def wait_s(failures: int, chance: float) -> float:
    """How long after so many failures nothing is tried; ``chance`` is from 0 to 1."""
    return min(FIRST_WAIT_S * 2.0 ** min(failures - 1, 16), LAST_WAIT_S) * (1 + 0.2 * chance)


async def events_of(mail: Delivered, ours: Ours, gateway_sid: str) -> Events | Ignored:
    """What a mail comes to; a line in the log, where that is nothing."""
    found = await parsed(mail, ours)
    if isinstance(found, Ignored):
        log.info("email.ignored", extra=observe.fields(gateway=gateway_sid, why=found.why))
    return found


class Watch:
    """One mailbox, while ``run`` runs."""

    def __init__(
        self,
        settings: EmailSettings,
        outgoing: Outgoing,
        clock: Clock,
        gateway_sid: str,
        ours: Callable[[], Awaitable[Ours]],
    ) -> None:
        self._settings = settings
        self._outgoing = outgoing
        self._clock = clock
        self._gateway_sid = gateway_sid
        self._ours = ours
        self._validity = 0
        self._done: set[int] = set()
        """UIDs of mail that has been taken, and that a search may find still."""
        self._refused: Counter[int] = Counter()
        """UIDs of mail that could not be kept: the others first, the next time."""

    async def run(self, inbox: Inbox) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            began = loop.time()
            try:
                imap = await opened(self._settings, self._outgoing, ANSWER_S)
                try:
                    await self._hold(imap, inbox)
                except asyncio.CancelledError:
                    await imap.leave()
                    raise
                finally:
                    imap.close()
            except (Unwelcome, Broken, Refusal, CallFailed, InboxClosed, ValueError) as error:
                why, is_alarming = trouble_of(error)
            if loop.time() - began >= STEADY_S:
                failures = 0
            failures += 1
            pause_s = wait_s(failures, random.random())  # noqa: S311 - no secret
            say = log.error if is_alarming else log.warning
            say("email.mailbox_lost", extra=observe.fields(gateway=self._gateway_sid, why=why, next_s=pause_s))
            await asyncio.sleep(pause_s)

    async def _hold(self, imap: Imap, inbox: Inbox) -> NoReturn:
        settings = self._settings
        folder = await imap.select(settings.imap_folder)
        self._knows(folder)
        log.info("email.mailbox_open", extra=observe.fields(gateway=self._gateway_sid))
        while True:
            since = self._clock.now() - settings.imap_days * DAY_US
            found = await imap.waiting(settings.imap_mark, since)
            self._done.intersection_update(found)
            for uid in sorted(self._refused.keys() - set(found)):
                del self._refused[uid]
            fresh = sorted(set(found) - self._done, key=lambda uid: (self._refused[uid], uid))
            for uid in fresh:
                await self._take(imap, uid, inbox)
            if not fresh:
                await asyncio.sleep(EMPTY_S)
            if "IDLE" in imap.can:
                await imap.idle(IDLE_S)
            else:
                await asyncio.sleep(settings.poll_s)
                await imap.look()

    def _knows(self, folder: Folder) -> None:
        if folder.validity != self._validity:
            self._validity = folder.validity
            self._done.clear()
            self._refused.clear()
        if self._settings.imap_mark is Mark.KEYWORD and not folder.keeps_keywords:
            log.warning("email.no_keywords", extra=observe.fields(gateway=self._gateway_sid))

    async def _take(self, imap: Imap, uid: int, inbox: Inbox) -> None:
        fetched = await imap.fetch(uid, self._settings.received_bytes)
        if fetched is None:
            return
        mail = Delivered(data=fetched.data, is_cut=fetched.size > len(fetched.data))
        events = await events_of(mail, await self._ours(), self._gateway_sid)
        if not isinstance(events, Ignored):
            try:
                await inbox.put(*events)
            except InboxClosed:
                self._refused[uid] += 1
                raise
        self._done.add(uid)
        await imap.mark(uid, self._settings.imap_mark)


def trouble_of(error: Exception) -> tuple[str, bool]:
    """Why the mailbox cannot be read, in words without secrets, and whether somebody has to mend it."""
    if isinstance(error, Unwelcome):
        return str(error), error.is_alarming
    if isinstance(error, CallFailed):
        return f"no connection: {error.detail}", error.kind in (FailureKind.TLS, FailureKind.REFUSED_ADDRESS)
    if isinstance(error, InboxClosed):
        return "what came cannot be kept now", False
    return str(error), isinstance(error, ValueError | Refusal)
