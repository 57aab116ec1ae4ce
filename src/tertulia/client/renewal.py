"""Getting another token when one is needed, for as long as that takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from .errors import ClientShutDownError, ConversationsError, TokenError
from .states import TokenReason

QUICK_S: Final = 10.0
"""Who needs a token so soon after the last has not got what he wanted."""


class Renewal:
    """Asks for tokens until the server takes one: twice at once, then less and less often; one task at a time.

    ``goes_on`` hears why an attempt failed, and which it was, and says whether there is to be another. A server that
    takes each token and at once wants the next is given it less and less often.
    """

    def __init__(
        self,
        token: Callable[[TokenReason], Awaitable[str]],
        update: Callable[[str], Awaitable[None]],
        renewed: Callable[[], None],
        goes_on: Callable[[ConversationsError, int], bool],
        *,
        pause_min: float,
        pause_max: float,
    ) -> None:
        self._token = token
        self._update = update
        self._renewed = renewed
        self._goes_on = goes_on
        self._pause_min = pause_min
        self._pause_max = pause_max
        self._task: asyncio.Task[None] | None = None
        self._reason = TokenReason.ABOUT_TO_EXPIRE
        self._hurry = asyncio.Event()
        self._renewed_at = -QUICK_S
        self._in_a_row = 0
        """How often one was needed again soon after the last."""

    def need(self, reason: TokenReason) -> None:
        """There must be another one; who is asking already is told to hurry."""
        self._reason = reason
        self._hurry.set()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._renew())

    async def close(self) -> None:
        """Nobody asks any more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _renew(self) -> None:
        await self._pace()
        attempt = 0
        while True:
            try:
                await self._update(await self._token(self._reason))
            except ClientShutDownError:
                return
            except ConversationsError as error:
                attempt += 1
                if not self._goes_on(error, attempt):
                    return
                if isinstance(error, TokenError):
                    self._reason = TokenReason.REJECTED
                # What was needed before this attempt ended, it has not brought.
                self._hurry.clear()
                if attempt > 1:
                    await self._pause(min(self._pause_min * 2.0 ** min(attempt, 30), self._pause_max))
            else:
                self._renewed_at = asyncio.get_running_loop().time()
                self._renewed()
                return

    async def _pace(self) -> None:
        if asyncio.get_running_loop().time() - self._renewed_at >= QUICK_S:
            self._in_a_row = 0
            return
        self._in_a_row += 1
        if self._in_a_row > 1:
            await asyncio.sleep(min(self._pause_min * 2.0 ** min(self._in_a_row - 2, 30), self._pause_max))

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        except TimeoutError:
            return
