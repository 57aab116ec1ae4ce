"""Waiting until a change is visible: a command's success and its event are two things (object-model D.5)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from tertulia.client.errors import ClientShutDownError, UpdateTimeoutError
from tertulia.client.moments import moment

from .answers import Stamped

R = TypeVar("R")


class Watch:
    """Who waits for one object to change. Connections may come and go meanwhile."""

    __slots__ = ("_waiting", "changes")

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] | None = None
        self.changes = 0
        """How often it has changed."""

    async def until(self, is_so: Callable[[], bool], timeout: float | None) -> None:
        """Returns when it is so. Raises ``TimeoutError``, or ``ClientShutDownError`` when the client ends."""
        if is_so():
            return
        future = asyncio.get_running_loop().create_future()
        if self._waiting is None:
            self._waiting = []
        entry = (is_so, future)
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(timeout):
                await future
        finally:
            self._forget(entry)

    def _forget(self, entry: tuple[Callable[[], bool], asyncio.Future[None]]) -> None:
        if self._waiting is not None and entry in self._waiting:
            self._waiting.remove(entry)

    async def visible(
        self, command: Awaitable[R], is_so: Callable[[R], bool], timeout: float, *, wait: bool = True
    ) -> R:
        """The command's answer, when what it did can be seen here; at once without ``wait``.

        Raises ``UpdateTimeoutError`` if it cannot be seen in time.
        """
        answer = await command
        if not wait:
            return answer
        try:
            await self.until(lambda: is_so(answer), timeout)
        except TimeoutError:
            raise UpdateTimeoutError(
                f"the command has succeeded, but its event did not come within {timeout:g} s"
            ) from None
        return answer

    async def updated(
        self,
        command: Awaitable[Stamped],
        date_updated: Callable[[], datetime | None],
        has_values: Callable[[], bool],
        timeout: float,
        *,
        wait: bool = True,
    ) -> None:
        """Like ``visible``, for an update whose answer says when it was.

        Done when the values are those asked for, or when something not older has replaced them meanwhile.
        """
        before = self.changes

        def is_so(answer: Stamped) -> bool:
            if has_values():
                return True
            told, known = moment(answer.date_updated), date_updated()
            if told is None or known is None:
                return False
            # Of the same millisecond may also be what was there before.
            return known > told or (known == told and self.changes > before)

        await self.visible(command, is_so, timeout, wait=wait)

    def changed(self) -> None:
        """Something is different: look again."""
        self.changes += 1
        for is_so, future in tuple(self._waiting or ()):
            if not future.done() and is_so():
                future.set_result(None)

    def end(self) -> None:
        for _, future in self._waiting or ():
            if not future.done():
                future.set_exception(ClientShutDownError())
        self._waiting = None
