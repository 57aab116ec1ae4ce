"""Pushes that a batch is still waiting for when it has given up its place among the jobs."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine
from typing import Any, Final

from tertulia.server import observe

from .attempts import where

log = logging.getLogger(__name__)

MOST: Final = 400
"""Batches."""
MOST_OF_ACCOUNT: Final = 200


class Stragglers:
    """Owns what waits for them; ends it when the server stops."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Task[None], str] = {}
        self._by_account: Counter[str] = Counter()
        self._is_stopping = False

    def has_room(self, account_sid: str) -> bool:
        """Without it a batch keeps its place."""
        return not self._is_stopping and len(self._waiting) < MOST and self._by_account[account_sid] < MOST_OF_ACCOUNT

    def add(self, account_sid: str, waiting: Coroutine[Any, Any, None]) -> None:
        """Wait for these; it ends by itself, in half a minute."""
        task = asyncio.create_task(waiting)
        self._waiting[task] = account_sid
        self._by_account[account_sid] += 1
        task.add_done_callback(self._ended)

    async def end(self) -> None:
        """Returns when nothing is waited for any more."""
        while self._waiting:
            await asyncio.wait(self._waiting)

    async def stop(self) -> None:
        """All end now, and keep what they know."""
        self._is_stopping = True
        for task in self._waiting:
            task.cancel()
        await self.end()

    def _ended(self, task: asyncio.Task[None]) -> None:
        account_sid = self._waiting.pop(task)
        self._by_account[account_sid] -= 1
        if not self._by_account[account_sid]:
            del self._by_account[account_sid]
        # What it did not record is tried again.
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("push.unrecorded", extra=observe.fields(**where(error)))
