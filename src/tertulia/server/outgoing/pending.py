"""A call that shares a connection with others: from being asked to being answered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from tertulia.server.outgoing.calls import Answer, FailureKind, NoAnswer

if TYPE_CHECKING:
    from tertulia.server.outgoing.multiplexing import Session

MOST_CRUMBS: Final = 1_000
"""Pieces of a body that are smaller than ``CRUMB_BYTES``: each costs as much work as a whole packet."""
CRUMB_BYTES: Final = 256


class Pending:
    """Waits for a connection, is carried by one, perhaps moved to another; ends when ``answer`` is settled.

    One timer watches it the whole time: for the total, and once it is sent for silence.
    """

    __slots__ = (
        "_body_limit",
        "_deadline",
        "_head",
        "_loop",
        "_pieces",
        "_read_s",
        "_received",
        "_timer",
        "_total_s",
        "answer",
        "body",
        "head",
        "informational",
        "moved_at",
        "moves",
        "sent",
        "session",
        "status",
        "stream_id",
    )

    def __init__(
        self, head: list[tuple[bytes, bytes]], body: bytes, *, limit: int, read_s: float, total_s: float, started: float
    ) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self.head = head
        self.body = body
        self.answer: asyncio.Future[Answer] = loop.create_future()
        self.session: Session | None = None
        self.stream_id = 0
        self.sent = 0
        """How much of the body."""
        self.moved_at = started
        """When something of it was last sent or received."""
        self.moves = 0
        """How often it was taken back from a connection."""
        self.status: int | None = None
        self.informational = 0
        self._head: tuple[tuple[str, str], ...] = ()
        self._received = bytearray()
        self._pieces = 0
        self._body_limit = limit
        self._read_s = read_s
        self._total_s = total_s
        self._deadline = started + total_s
        self._timer = loop.call_at(min(self._deadline, started + read_s), self._look)

    def is_sent_on(self, session: Session, stream_id: int) -> None:
        self.session = session
        self.stream_id = stream_id
        self.sent = 0
        self.moved_at = self._loop.time()

    def is_back(self) -> None:
        """Nothing of it was looked at."""
        self.session = None
        self.moves += 1

    def head_arrived(self, status: int, head: tuple[tuple[str, str], ...]) -> None:
        self.status = status
        self._head = head
        self.moved_at = self._loop.time()

    def body_arrived(self, piece: bytes) -> bool:
        """Whether more of it is wanted: not beyond the limit, nor in ever more crumbs."""
        self._received += piece
        self._pieces += 1
        self.moved_at = self._loop.time()
        size = len(self._received)
        return size <= self._body_limit and self._pieces <= MOST_CRUMBS + size // CRUMB_BYTES

    def complete(self, *, is_whole: bool) -> None:
        """The answer is there, as far as it is read."""
        self.session = None
        if self.status is None:
            self.fail(FailureKind.BROKEN, "the answer ended before it began")
        elif not self.answer.done():
            self.answer.set_result(
                Answer(
                    status=self.status,
                    headers=self._head,
                    body=bytes(self._received[: self._body_limit]),
                    is_truncated=not is_whole,
                )
            )

    def fail(self, kind: FailureKind, detail: str) -> None:
        """There will be no answer."""
        if not self.answer.done():
            self.answer.set_exception(NoAnswer(kind, detail))

    def end(self) -> None:
        """Nobody waits for it any more."""
        self._timer.cancel()
        if self.answer.done() and not self.answer.cancelled():
            self.answer.exception()  # seen, though nobody may have been waiting

    def _look(self) -> None:
        is_sent = self.session is not None
        due = min(self._deadline, self.moved_at + self._read_s) if is_sent else self._deadline
        if self._loop.time() < due:
            self._timer = self._loop.call_at(due, self._look)
        elif due < self._deadline:
            self.fail(FailureKind.READ_TIMEOUT, f"silence of {self._read_s:g} s")
        elif is_sent:
            self.fail(FailureKind.TOTAL_TIMEOUT, f"no whole answer in {self._total_s:g} s")
        else:
            self.fail(FailureKind.BUSY, f"no free stream in {self._total_s:g} s")
