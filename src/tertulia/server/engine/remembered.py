"""What is asked for with nearly every command and seldom changes, remembered so that it costs no statement."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from tertulia.server.bus.base import NODES, Bus, HooksChanged, NotificationsChanged, Publication
from tertulia.server.clock import Clock

V = TypeVar("V")

REMEMBERED_US: Final = 5_000_000
"""How long a value is believed where the news of a change is lost. On the node that changed it, news come at once."""
MOST: Final = 10_000


class Known(Generic[V]):
    """A value that was read not long ago; it may be None."""

    __slots__ = ("until", "value")

    def __init__(self, value: V, until: int) -> None:
        self.value = value
        self.until = until


class Remembered(Generic[V]):
    """One value for each service, forgotten when there is news of its account."""

    def __init__(self, bus: Bus, clock: Clock, news: type[HooksChanged | NotificationsChanged]) -> None:
        self._clock = clock
        self._news = news
        self._known: dict[tuple[str, str], Known[V]] = {}
        self._changes = 0
        bus.subscribe(NODES, self._hear)

    def known(self, account_sid: str, service_sid: str) -> Known[V] | None:
        """The value of a service, if nothing need be read for it."""
        known = self._known.get((account_sid, service_sid))
        if known is not None and 0 < known.until - self._clock.now() <= REMEMBERED_US:
            return known
        return None

    async def read(self, account_sid: str, service_sid: str, ask: Callable[[], Awaitable[V]]) -> V:
        """The value of a service, remembered or asked for."""
        known = self.known(account_sid, service_sid)
        if known is not None:
            return known.value
        changes = self._changes
        value = await ask()
        if changes == self._changes:  # else what was read may be older than the news
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[account_sid, service_sid] = Known(value, self._clock.now() + REMEMBERED_US)
        return value

    def _hear(self, publication: Publication) -> None:
        if isinstance(publication, self._news):
            self._changes += 1
            for key in [key for key in self._known if key[0] == publication.account_sid]:
                del self._known[key]
