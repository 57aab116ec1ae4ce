"""When a job that failed is tried again."""

from __future__ import annotations

import math

from msgspec import Struct


class RetryPolicy(Struct, frozen=True, kw_only=True):
    """Waits that grow by a factor up to the last one, and an end by number or by age, whichever comes first."""

    attempts: int
    """The first one included."""
    first_wait_s: float = 1.0
    factor: float = 2.0
    last_wait_s: float = 3600.0
    jitter: float = 0.2
    """A wait is shorter or longer by up to this part of it, so that what failed together does not return together."""
    give_up_after_s: float = math.inf
    """Age of the job at which no further attempt begins."""
    heeds_only_more: bool = False
    """A wait that the receiver asks for counts where it is longer than ours: who says "in three seconds" each time he
    is asked is asked less and less. Else it takes the place of ours."""

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.first_wait_s < 0 or self.last_wait_s < 0 or self.factor < 1:
            raise ValueError(f"at least one attempt, waits that do not shrink: {self}")
        if not 0 <= self.jitter <= 1 or self.give_up_after_s < 0:
            raise ValueError(f"jitter from 0 to 1, an age not below 0: {self}")

    def wait_s(self, number: int, age_s: float, chance: float, asked_s: float | None = None) -> float | None:
        """Seconds until the next attempt after attempt ``number`` failed; ``None``: there is no other.

        ``chance`` is a random number from 0 to 1 (exclusive). A wait that the receiver asked for takes the place of
        ours, or counts where it is longer (``heeds_only_more``); it may be longer than our last wait, not than the rest
        of the job's life.
        """
        if number >= self.attempts:
            return None
        # The exponent is bounded: 1e6 attempts are no reason for an overflow.
        wait_s = min(self.first_wait_s * self.factor ** min(number - 1, 64), self.last_wait_s)
        wait_s *= 1 + self.jitter * (2 * chance - 1)
        if asked_s is not None:
            wait_s = max(asked_s, wait_s if self.heeds_only_more else 0.0)
        return wait_s if age_s + wait_s <= self.give_up_after_s else None
