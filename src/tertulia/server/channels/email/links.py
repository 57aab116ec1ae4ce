"""Connections to the server that sends: few at a time, kept for a while, and given up when they have gone stale."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from tertulia.server.channels.base import NotNow, Refused, Unsure
from tertulia.server.outgoing import CallFailed, FailureKind, Outgoing

from .composing import Composed
from .dialogue import Dialogue, Phase, Unwelcome, opened
from .lines import Broken
from .settings import EmailSettings
from .signing import Signer
from .submitting import Split, Taken, submitted

SEND_S: Final = 28.0
"""All that an attempt may take."""
IDLE_S: Final = 60.0
ANSWER_S: Final = 15.0
MAILS: Final = 100
"""After so many a connection is made anew: servers have limits, and tell nobody."""


class Links:
    """The connections of one channel. Whoever makes it closes it."""

    def __init__(self, settings: EmailSettings, outgoing: Outgoing, signer: Signer | None) -> None:
        self._settings = settings
        self._outgoing = outgoing
        self._signer = signer
        self._slots = asyncio.Semaphore(settings.connections)
        self._idle: dict[Dialogue, asyncio.TimerHandle] = {}
        self._used: set[Dialogue] = set()
        self._is_closed = False

    async def submit(self, mail: Composed, now: int, *, in_part: bool) -> Taken:
        """Within ``SEND_S``. Raises ``Refused``, ``NotNow``, ``Unsure``, ``Split``."""
        phase = Phase.BETWEEN
        try:
            async with asyncio.timeout(SEND_S), self._slots:
                for is_last in (False, True):
                    dialogue, is_kept = await self._dialogue(mail, is_new=is_last)
                    try:
                        async with self._borrowed(dialogue):
                            return await submitted(mail, dialogue, self._settings, self._signer, now, in_part=in_part)
                    except Broken as why:
                        if not is_kept:
                            raise NotNow(str(why)) from None
                    finally:
                        phase = dialogue.phase
                raise AssertionError("the second connection is new")
        except TimeoutError:
            if phase is Phase.COMMITTING:
                raise Unsure("the server did not say in time whether it has it") from None
            raise NotNow(f"it could not be handed over in {SEND_S:g} s") from None

    def close(self) -> None:
        """All connections end; what is under way fails."""
        self._is_closed = True
        for timer in self._idle.values():
            timer.cancel()
        for dialogue in (*self._idle, *self._used):
            dialogue.close()
        self._idle.clear()

    async def _dialogue(self, mail: Composed, *, is_new: bool) -> tuple[Dialogue, bool]:
        """A connection, and whether it was kept from before. Raises ``NotNow``."""
        if self._is_closed:
            raise NotNow("the channel was closed")
        while self._idle and not is_new:
            dialogue, timer = self._idle.popitem()
            timer.cancel()
            if dialogue.is_fresh:
                return dialogue, True
            dialogue.close()
        hello = self._settings.hello or mail.return_path.rpartition("@")[2]
        try:
            return await opened(self._settings, self._outgoing, hello, ANSWER_S), False
        except (Unwelcome, Broken, CallFailed, ValueError) as trouble:
            raise trouble_of(trouble) from None

    @contextlib.asynccontextmanager
    async def _borrowed(self, dialogue: Dialogue) -> AsyncIterator[None]:
        """It is kept where the mail came to an end by the rules; else nobody knows what the server waits for."""
        self._used.add(dialogue)
        keep = False
        try:
            yield
            keep = True
        except (Refused, Split):
            keep = dialogue.phase is Phase.BETWEEN and await _is_reset(dialogue)
            raise
        finally:
            self._used.discard(dialogue)
            if keep and not self._is_closed and dialogue.sent < MAILS:
                loop = asyncio.get_running_loop()
                self._idle[dialogue] = loop.call_later(IDLE_S, self._drop, dialogue)
            else:
                dialogue.close()

    def _drop(self, dialogue: Dialogue) -> None:
        del self._idle[dialogue]
        dialogue.close()


async def _is_reset(dialogue: Dialogue) -> bool:
    try:
        return (await dialogue.ask("RSET", 2.0)).is_good
    except Broken:
        return False


def trouble_of(error: Exception) -> NotNow:
    """Why there is no connection, in words without secrets."""
    if isinstance(error, Unwelcome):
        return NotNow(str(error), is_alarming=error.is_alarming)
    if isinstance(error, CallFailed):
        needs_mending = error.kind in (FailureKind.TLS, FailureKind.REFUSED_ADDRESS)
        return NotNow(f"no connection: {error.detail}", is_alarming=needs_mending)
    return NotNow(str(error), is_alarming=isinstance(error, ValueError))
