"""Reports of how far the user has read: many in a row become few requests (object-model D.7)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tertulia.client.errors import ClientShutDownError

from .answers import Unread

if TYPE_CHECKING:
    from tertulia.client.session import Session


class HorizonReports:
    """The writes of one conversation's read horizon.

    The first goes out at once; those that follow within the service's interval wait for its end and become one, with
    the latest value. Everybody gets the unread count of the write that carried his.
    """

    def __init__(self, session: Session, sid: str) -> None:
        self._session = session
        self._url = session.my_conversation_url(sid)
        self._next_at = 0.0
        self._reported_at = 0.0
        self._waiting: _Report | None = None

    @property
    def latest(self) -> tuple[int | None] | None:
        """What was asked for and is not sent yet, if anything is."""
        return None if self._waiting is None else (self._waiting.index,)

    @property
    def reported_s_ago(self) -> float:
        """How long ago the last report went out."""
        return asyncio.get_running_loop().time() - self._reported_at

    async def write(self, index: int | None, *, immediate: bool = False, wait: bool = True) -> int | None:
        """The number of unread messages afterwards; None when the horizon is not set, and at once without ``wait``.

        Raises ``ClientShutDownError`` when the client ends first.
        """
        if self._waiting is None:
            self._waiting = _Report(index)
            self._waiting.task = self._session.spawn(self._send(self._waiting))
        report = self._waiting
        report.index = index
        if immediate:
            report.now.set()
        assert report.task is not None
        if not wait:
            return None
        await asyncio.wait({report.task})
        if report.task.cancelled():
            raise ClientShutDownError
        return report.task.result()

    async def flush(self) -> None:
        """What was asked for is sent when this returns."""
        if self._waiting is not None and self._waiting.task is not None:
            self._waiting.now.set()
            await asyncio.wait({self._waiting.task})

    async def _send(self, report: _Report) -> int | None:
        loop = asyncio.get_running_loop()
        patience = self._next_at - loop.time()
        if patience > 0:
            try:
                async with asyncio.timeout(patience):
                    await report.now.wait()
            except TimeoutError:
                report.now.set()
        # From here on a newer value is another report.
        self._waiting = None
        self._next_at = loop.time() + self._session.configuration.report_s
        body: dict[str, object] = {"last_read_message_index": report.index}
        try:
            return (await self._session.calls.post(self._url, body, Unread)).unread_messages_count
        finally:
            self._reported_at = loop.time()


class _Report:
    def __init__(self, index: int | None) -> None:
        self.index = index
        self.now = asyncio.Event()
        self.task: asyncio.Task[int | None] | None = None
