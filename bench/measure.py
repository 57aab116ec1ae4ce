"""What a scenario reports: one line of JSON, with the marks it is held against."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

import msgspec

from .server import Options


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """How to run a scenario."""

    options: Options
    """How to start the server."""
    quick: bool = False
    ack: Literal["joined", "each"] = "joined"
    """Whether clients answer all frames of one read with one write, or each frame with a write of its own."""

    def seconds(self, usual: float) -> float:
        """How long to measure."""
        return usual / 3 if self.quick else usual


class Mark(msgspec.Struct, frozen=True):
    """What a figure must reach."""

    figure: str
    at_least: float | None = None
    at_most: float | None = None

    def judge(self, value: float) -> dict[str, Any]:
        if self.at_least is not None:
            return {"at_least": self.at_least, "met": value >= self.at_least}
        assert self.at_most is not None
        return {"at_most": self.at_most, "met": value <= self.at_most}


Facts = dict[str, Any]


class Scenario(msgspec.Struct, frozen=True):
    """Something to measure. ``measure`` returns its facts by name; those with a mark are judged."""

    name: str
    measure: Callable[[Run], Awaitable[Facts]]
    marks: tuple[Mark, ...] = ()

    def line(self, facts: Facts) -> str:
        """The scenario's line of JSON."""
        marks = {mark.figure: mark.judge(facts[mark.figure]) for mark in self.marks}
        return json.dumps(
            {"scenario": self.name, **{name: _plain(value) for name, value in facts.items()}, "marks": marks}
        )


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that is not below ``share`` of them."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def latencies(values_ns: Sequence[int], prefix: str = "") -> Facts:
    """Median and 99th percentile in milliseconds."""
    if not values_ns:
        raise RuntimeError("nothing was measured: no sampled client has received a message")
    return {
        f"{prefix}samples": len(values_ns),
        f"{prefix}p50_ms": percentile(values_ns, 0.50) / 1e6,
        f"{prefix}p99_ms": percentile(values_ns, 0.99) / 1e6,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(value) if abs(value) >= 1000 else round(value, 3)
    return value
