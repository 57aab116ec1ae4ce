"""What will happen on the network, and when: messages reach phones, and the server is told of something."""

from __future__ import annotations

import heapq
from typing import Final

import msgspec

from tertulia.server.channels.base import NotNow
from tertulia.server.domain.channels import Incoming, Report

from .phones import PhoneMessage

STEPS: Final = 20_000
"""What may be under way at a time."""
WORDS: Final = 32 << 20
"""How many characters that may have."""


class Arrival(msgspec.Struct, frozen=True):
    """A message reaches a phone."""

    address: str
    message: PhoneMessage


class News(msgspec.Struct, frozen=True):
    """The server is told."""

    event: Incoming | Report
    failures: int = 0
    """How often it would not hear it."""


Step = Arrival | News


class Schedule:
    """In the order of their times; those of one time in the order in which they were put."""

    def __init__(self) -> None:
        self._steps: list[tuple[int, int, Step]] = []
        self._count = 0
        self._words = 0

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def next_at(self) -> int | None:
        """When the next one is due."""
        return self._steps[0][0] if self._steps else None

    def require_room(self, steps: int) -> None:
        """Raises ``NotNow`` when there is none for so many more."""
        if len(self._steps) + steps > STEPS or self._words > WORDS:
            raise NotNow("too much is under way on the simulated network", 1.0)

    def put(self, at: int, step: Step) -> None:
        self._count += 1
        self._words += _words(step)
        heapq.heappush(self._steps, (at, self._count, step))

    def take(self, now: int) -> Step | None:
        """The next one that is due by now."""
        if not self._steps or self._steps[0][0] > now:
            return None
        step = heapq.heappop(self._steps)[2]
        self._words -= _words(step)
        return step


def _words(step: Step) -> int:
    if isinstance(step, Arrival):
        return step.message.weight
    return len(step.event.text or "") if isinstance(step.event, Incoming) else 0
