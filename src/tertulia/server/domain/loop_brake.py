"""Machines that answer each other: what comes in over channels goes out on them again, and comes in (semantics 4.5).

A message from outside goes out to the others of its conversation. Where one of them sends it back, by a bridge of his
own or another server like this one, that never ends, and each round is paid for. Counted is what was taken in within a
minute and goes from one address of ours to the same person; what is over the limit is not sent. What was held back
counts, too, so that it stays so until there is silence for a minute, and no round is left. Pure arithmetic.

One for each process: of several together it takes so many times as much.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, NamedTuple

MINUTE: Final = 60_000_000
MOST_WAYS: Final = 10_000


class Verdict(Enum):
    GOES = auto()
    STOPS = auto()
    """It does not go, and those before it did."""
    HELD = auto()
    """It does not go, as the one before it."""


class _Seen(NamedTuple):
    at: int
    verdict: Verdict


class LoopBrake:
    """What went by each way from an address of ours to a person; the ways used longest ago are forgotten first."""

    __slots__ = ("_most", "_per_minute", "_ways")

    def __init__(self, per_minute: int, most: int = MOST_WAYS) -> None:
        """``per_minute`` of 0: all of it goes."""
        self._per_minute = per_minute
        self._most = most
        self._ways: dict[str, dict[str, _Seen]] = {}

    def __len__(self) -> int:
        """How many ways are remembered."""
        return len(self._ways)

    def judge(self, way: str, sid: str, at: int) -> Verdict:
        """Whether this message, which was taken in at ``at``, goes this way; asked again the same."""
        if not self._per_minute:
            return Verdict.GOES
        seen = self._ways[way] = self._ways.pop(way, {})
        if len(self._ways) > self._most:
            del self._ways[next(iter(self._ways))]
        if sid in seen:
            return seen[sid].verdict
        before = [one for one in seen.values() if at - MINUTE < one.at <= at]
        verdict = Verdict.GOES
        if len(before) >= self._per_minute:
            verdict = Verdict.STOPS if before[-1].verdict is Verdict.GOES else Verdict.HELD
        seen[sid] = _Seen(at, verdict)
        oldest = next(iter(seen))
        while len(seen) > 2 * self._per_minute or seen[oldest].at <= at - MINUTE:
            del seen[oldest]
            oldest = next(iter(seen))
        return verdict
