"""Which HTTP requests of an account are worked on, and when: accounts take turns."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from tertulia.server import observe
from tertulia.server.domain.errors import TOO_MANY_REQUESTS, too_many
from tertulia.server.domain.places import Places

from .turns import Turns

R = TypeVar("R")


class Admission:
    """Round robin by account, and at most ``at_once`` requests of one account at a time; 0 is no limit (rest 1.7)."""

    def __init__(self, turns: Turns, at_once: int = 0) -> None:
        self._turns = turns
        self._at_once = at_once
        self._places = Places()

    async def through(self, account: str, work: Coroutine[Any, Any, R]) -> R:
        """The work's answer, when it was the account's turn. Raises 20429 when too many of the account are here."""
        if not self._at_once:
            return await self._in_turn(account, work)
        with self._places.one_for(account, self._at_once) as is_let_in:
            if not is_let_in:
                work.close()
                observe.refused_by("rest_requests")
                raise too_many(TOO_MANY_REQUESTS)
            return await self._in_turn(account, work)

    async def _in_turn(self, account: str, work: Coroutine[Any, Any, R]) -> R:
        try:
            await self._turns.take(account, account)
        except BaseException:
            work.close()
            raise
        return await work
