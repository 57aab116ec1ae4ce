"""One connection to an SMSC: questions and their answers, in a window; what it asks of us; and its end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from tertulia.server.outgoing.calls import NoAnswer
from tertulia.server.outgoing.streams import Stream

from . import pdus
from .doubts import Unproven
from .pdus import Malformed, Pdu, pdu
from .statuses import QUEUE_FULL, UNKNOWN_COMMAND

MOST_WAITING: Final = 500
"""Messages of the SMSC that wait to be kept; it is told to bring more of them later."""
WRONG_BIND: Final = 0x04
LEAVING_S: Final = 5.0
"""How long a connection that is given up waits for answers, and for what came to be kept."""
UNBIND_S: Final = 1.0
ALARMS: Final = 2
"""Questions without an answer after which nobody is there."""
UNBOUND_S: Final = 0.5
"""How long an SMSC that has unbound us may take to hang up: what we have said has to leave first."""
UNBOUND: Final = "the SMSC has unbound us"
_LAST_SEQUENCE: Final = 0x7FFF_FFFF
_SILENCE_S: Final = 86400.0
"""Reading has no limit of its own: ``watch`` finds out whether anybody is there."""


class NotSent(Exception):
    """The SMSC has certainly seen nothing of it."""


class Unanswered(Exception):
    """It may have seen it, and has not answered."""


class BindRefused(Exception):
    """It does not want us."""

    def __init__(self, status: int) -> None:
        super().__init__(f"0x{status:08x}")
        self.status = status


class Session:
    """One connection; ``read`` has to run as long as it is used, ``watch`` while it is bound.

    At most ``window`` messages wait for an answer at a time; others wait for them in the order of asking.
    """

    def __init__(self, stream: Stream, *, window: int, answer_s: float, enquire_link_s: float, listens: bool) -> None:
        self._stream = stream
        self._answer_s = answer_s
        self._enquire_link_s = enquire_link_s
        self._listens = listens
        self._slots = asyncio.Semaphore(window)
        self._pending: dict[int, asyncio.Future[Pdu]] = {}
        self._sequence = 0
        self._heard_at = 0.0
        self._over = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._is_leaving = False
        self._unbound: asyncio.TimerHandle | None = None
        self._why = "the connection has ended"
        self.heard: asyncio.Queue[Pdu] = asyncio.Queue(MOST_WAITING)
        """Messages of the SMSC, to be answered with ``answer``."""
        self.unproven = Unproven()

    @property
    def is_usable(self) -> bool:
        return not (self._is_leaving or self._over.is_set())

    @property
    def why(self) -> str:
        """Why it has ended."""
        return self._why

    # --- what we ask

    async def bind(self, what: int, body: bytes) -> None:
        """Raises ``BindRefused``, ``Unanswered``, ``NotSent``."""
        answer = await self._ask(what, body, self._answer_s)
        if answer.status or answer.command != what | pdus.RESPONSE:
            raise BindRefused(answer.status)

    async def submit(self, body: bytes, wait_s: float) -> Pdu:
        """The answer to a ``submit_sm``, which waits so long for room in the window at most.

        Raises ``NotSent`` and ``Unanswered``.
        """
        if self._slots.locked():
            try:
                async with asyncio.timeout(wait_s):
                    await self._slots.acquire()
            except TimeoutError:
                raise NotSent("its window is full") from None
        else:
            await self._slots.acquire()
        try:
            return await self._ask(pdus.SUBMIT_SM, body, self._answer_s)
        finally:
            self._slots.release()

    async def watch(self) -> None:
        """Ask whether anybody is there whenever it has been silent; returns when the connection has ended."""
        loop = asyncio.get_running_loop()
        unanswered = 0
        while not self._over.is_set():
            wait_s = self._heard_at + self._enquire_link_s - loop.time() if not unanswered else 0.0
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(wait_s, 0.0)):
                    await self._over.wait()
            if not unanswered and loop.time() < self._heard_at + self._enquire_link_s:
                continue
            try:
                await self._ask(pdus.ENQUIRE_LINK, b"", min(self._enquire_link_s, self._answer_s))
                unanswered = 0
            except Unanswered:
                unanswered += 1
                if unanswered == ALARMS:
                    self.end("the SMSC does not answer")
            except NotSent:
                if self._is_leaving:
                    await self._over.wait()
                self.end("the SMSC takes nothing any more")

    async def leave(self) -> None:
        """End it politely, within some seconds: nothing new is asked, what is under way may come to its end."""
        self._is_leaving = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVING_S):
                await self._settled.wait()
                await self.heard.join()
        if not self._over.is_set():
            with contextlib.suppress(Unanswered, NotSent):
                await self._ask(pdus.UNBIND, b"", UNBIND_S, is_last=True)
        self.end("it was given up")

    def end(self, why: str) -> None:
        """Drop the connection; whoever waits for an answer gets none. The first reason is the one that counts."""
        if self._over.is_set():
            return
        self._why = why if self._unbound is None else UNBOUND
        if self._unbound is not None:
            self._unbound.cancel()
        self._over.set()
        self._stream.close()
        for waiting in self._pending.values():
            if not waiting.done():
                waiting.set_exception(Unanswered(why))

    async def _ask(self, what: int, body: bytes, limit_s: float, *, is_last: bool = False) -> Pdu:
        if self._stream.is_clogged:
            try:
                await self._stream.drained(limit_s)
            except NoAnswer:
                raise NotSent("the SMSC is too slow") from None
        if self._over.is_set() or (self._is_leaving and not is_last):
            raise NotSent(self._why)
        self._sequence = sequence = self._sequence % _LAST_SEQUENCE + 1
        answer: asyncio.Future[Pdu] = asyncio.get_running_loop().create_future()
        self._pending[sequence] = answer
        self._settled.clear()
        self._stream.put(pdu(what, sequence, body))
        try:
            async with asyncio.timeout(limit_s):
                return await answer
        except TimeoutError:
            raise Unanswered(f"no answer in {limit_s:g} s") from None
        finally:
            del self._pending[sequence]
            if not self._pending:
                self._settled.set()

    # --- what is asked of us

    async def read(self) -> None:
        """Take what comes, until the connection ends."""
        buffer = bytearray()
        loop = asyncio.get_running_loop()
        try:
            while not self._over.is_set():
                data = await self._stream.read(_SILENCE_S)
                if not data:
                    break
                self._heard_at = loop.time()
                buffer += data
                for one in pdus.taken(buffer):
                    self._take(one)
                if self._stream.is_clogged:
                    await self._stream.drained(self._answer_s)
        except Malformed:
            self.end("what the SMSC says is not SMPP")
        except NoAnswer:
            pass  # broken, or silent for a day
        finally:
            self.end("the connection broke")

    def answer(self, asked: Pdu, status: int, digest: str | None = None, name: str | None = None) -> None:
        """Tell the SMSC what became of its message; one that is kept has a digest and a name."""
        if digest is not None and name is not None:
            self.unproven.answered(self._sequence, digest, name)
        self._say(asked.command | pdus.RESPONSE, asked.sequence, b"\0", status)

    def _take(self, one: Pdu) -> None:
        if one.is_response:
            self.unproven.proven(one.sequence)
            waiting = self._pending.get(one.sequence)
            if waiting is not None and not waiting.done():
                waiting.set_result(one)
        elif one.command in (pdus.DELIVER_SM, pdus.DATA_SM):
            self._hear(one)
        elif one.command == pdus.ENQUIRE_LINK:
            self._say(pdus.ENQUIRE_LINK | pdus.RESPONSE, one.sequence)
        elif one.command == pdus.UNBIND:
            self._say(pdus.UNBIND | pdus.RESPONSE, one.sequence)
            self._is_leaving = True
            self._unbound = asyncio.get_running_loop().call_later(UNBOUND_S, self.end, UNBOUND)
        elif one.command not in (pdus.OUTBIND, pdus.ALERT):  # those have no answers
            self._say(pdus.GENERIC_NACK, one.sequence, status=UNKNOWN_COMMAND)

    def _hear(self, one: Pdu) -> None:
        if not self._listens:
            self.answer(one, WRONG_BIND)
        elif not self._is_leaving:  # what is not answered comes again
            try:
                self.heard.put_nowait(one)
            except asyncio.QueueFull:
                self.answer(one, QUEUE_FULL)

    def _say(self, what: int, sequence: int, body: bytes = b"", status: int = 0) -> None:
        if not self._over.is_set():
            self._stream.put(pdu(what, sequence, body, status))
