"""What time passes, and what time it is for the server, whatever is done to the device's clock.

The clock of a device may be wrong by years, and may be set at any moment. What must not depend on it is measured by a
steady clock, which nobody can set; not every system lets that go on while it sleeps, and so the two are compared. Where
they disagree nothing is known, and that is said.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

AGREE_S: Final = 5.0
"""How far the two clocks may go apart: more, and one was set, or one stood still."""
# Linux has one that counts sleep, beside the one that does not; macOS has the one.
_STEADY: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


class Moment(NamedTuple):
    """A moment of this process, by both clocks."""

    steady: float
    wall: float


def steady() -> float:
    """Seconds, counted on by themselves; also of sleep, where the system can."""
    return time.monotonic() if _STEADY is None else time.clock_gettime(_STEADY)


class Clocks:
    """The clocks of the device, and what they tell together."""

    def __init__(self, wall: Callable[[], float], steady: Callable[[], float]) -> None:
        self._wall = wall
        self._steady = steady

    def now(self) -> Moment:
        return Moment(self._steady(), self._wall())

    def at_least(self, since: Moment) -> float:
        """Seconds since then, or fewer than that."""
        return max(0.0, self._steady() - since.steady)

    def exactly(self, since: Moment) -> float | None:
        """Seconds since then; None when the clocks do not agree."""
        passed = self.at_least(since)
        return passed if abs(self._wall() - since.wall - passed) <= AGREE_S else None


class ServerTime:
    """The server's clock, as far as it was heard in this run."""

    def __init__(self, clocks: Clocks) -> None:
        self._clocks = clocks
        self._heard: tuple[float, Moment] | None = None

    def now(self) -> float | None:
        """Unix seconds of the server's, to a minute; None when that is not known."""
        if self._heard is None:
            return None
        told, at = self._heard
        passed = self._clocks.exactly(at)
        return None if passed is None else told + passed

    def heard(self, told: float, asked: Moment) -> None:
        """The server says what time it is, in the answer to what was asked then."""
        took = self._clocks.exactly(asked)
        self._heard = None if took is None else (told + took / 2, self._clocks.now())
