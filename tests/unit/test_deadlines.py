"""Deadlines are met when the clock says so, also when the clock is set."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tertulia.server.clock import ManualClock
from tertulia.server.realtime.deadlines import Deadlines


class Looked:
    """Something with a deadline that remembers when it was looked at."""

    def __init__(self, deadlines: Deadlines, *, fails: bool = False) -> None:
        self.due_us: int | None = None
        self.times: list[int] = []
        self._deadlines = deadlines
        self._fails = fails

    def tick(self, now_us: int) -> None:
        self.times.append(now_us)
        if self._fails:
            raise RuntimeError("on purpose")

    def due(self, at_us: int | None) -> None:
        self._deadlines.put(self, at_us)


class SetClock(ManualClock):
    """A clock that can be set back."""

    def set(self, now: int) -> None:
        self._now = now


SECOND = 1_000_000


def test_one_is_looked_at_once_at_its_time_and_not_before() -> None:
    clock = ManualClock()
    deadlines, start = Deadlines(clock), clock.now()
    one = Looked(deadlines)
    one.due(start + 10 * SECOND)
    for _ in range(39):
        clock.advance(timedelta(seconds=0.25))
        deadlines.sweep()
    assert one.times == []
    for _ in range(10):
        clock.advance(timedelta(seconds=0.25))
        deadlines.sweep()
    assert len(one.times) == 1
    assert 10 * SECOND <= one.times[0] - start <= 10.5 * SECOND


def test_one_that_was_put_down_again_is_looked_at_at_the_new_time_only() -> None:
    clock = ManualClock()
    deadlines, start = Deadlines(clock), clock.now()
    later, sooner, never = (Looked(deadlines) for _ in range(3))
    for one in (later, sooner, never):
        one.due(start + 10 * SECOND)
    later.due(start + 20 * SECOND)
    sooner.due(start + 5 * SECOND)
    never.due(None)
    for _ in range(30):
        clock.advance(timedelta(seconds=1))
        deadlines.sweep()
    assert [(one.times[0] - start) // SECOND for one in (later, sooner)] == [21, 6]
    assert [len(one.times) for one in (later, sooner, never)] == [1, 1, 0]


def test_a_deadline_in_the_past_is_due_at_the_next_sweep() -> None:
    clock = ManualClock()
    deadlines = Deadlines(clock)
    one = Looked(deadlines)
    one.due(clock.now() - SECOND)
    deadlines.sweep()
    assert len(one.times) == 1


def test_a_clock_that_is_set_forward_by_years_costs_no_time() -> None:
    """A machine without a battery starts in 1970."""
    clock = ManualClock(0)
    deadlines = Deadlines(clock)
    one = Looked(deadlines)
    one.due(30 * SECOND)
    clock.advance(timedelta(days=365 * 55))
    deadlines.sweep()
    assert len(one.times) == 1


def test_a_clock_that_is_set_back_stops_no_later_deadline() -> None:
    clock = SetClock()
    deadlines = Deadlines(clock)
    clock.advance(timedelta(hours=1))
    deadlines.sweep()
    clock.set(clock.now() - 3600 * SECOND)
    one = Looked(deadlines)
    one.due(clock.now() + 30 * SECOND)
    clock.advance(timedelta(seconds=31))
    deadlines.sweep()
    assert len(one.times) == 1


def test_one_that_fails_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    deadlines = Deadlines(clock)
    both = Looked(deadlines, fails=True), Looked(deadlines)
    for one in both:
        one.due(clock.now())
    clock.advance(timedelta(seconds=1))
    deadlines.sweep()
    assert [len(one.times) for one in both] == [1, 1]
    assert [record.message for record in caplog.records] == ["deadlines.failed"]
