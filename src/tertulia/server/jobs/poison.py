"""Messages that a gateway comes to grief at, while it takes others: they hold up what follows them for nothing."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, TypeVar

T = TypeVar("T")
MOST_ATTEMPTS: Final = 8
"""So often, with a message of others taken in between each time, and it is the message's own fault."""
MOST: Final = 10_000
"""Messages, and gateways, that are remembered; of more the oldest are forgotten."""


class Poison:
    """Counts in memory: an outage, in which nothing passes, counts once however long it is."""

    def __init__(self, attempts: int = MOST_ATTEMPTS, most: int = MOST) -> None:
        self._attempts = attempts
        self._most = most
        self._passed: OrderedDict[str, int] = OrderedDict()
        self._failed: OrderedDict[str, tuple[int, int]] = OrderedDict()
        """By message: how often it failed while others passed, and how many had passed its gateway then."""

    def passed(self, message_sid: str, gateway_sid: str) -> None:
        """The gateway has taken it."""
        self._failed.pop(message_sid, None)
        _keep(self._passed, gateway_sid, self._passed.get(gateway_sid, 0) + 1, self._most)

    def is_in(self, message_sid: str, gateway_sid: str) -> bool:
        """The gateway has come to grief at it once more: whether that is enough."""
        others = self._passed.get(gateway_sid, 0)
        count, before = self._failed.get(message_sid, (0, -1))
        if others == before:
            return False
        if count + 1 >= self._attempts:
            self._failed.pop(message_sid, None)
            return True
        _keep(self._failed, message_sid, (count + 1, others), self._most)
        return False


def _keep(there: OrderedDict[str, T], key: str, value: T, most: int) -> None:
    there[key] = value
    there.move_to_end(key)
    while len(there) > most:
        there.popitem(last=False)
