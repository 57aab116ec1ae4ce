"""Clocks count microseconds, and one of them only when told to."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from tertulia.server.clock import Clock, ManualClock, SystemClock


def test_the_system_clock_is_in_microseconds_of_utc() -> None:
    clock: Clock = SystemClock()
    before = time.time()
    assert before * 1e6 - 1e6 <= clock.now() <= time.time() * 1e6 + 1e6


def test_a_manual_clock_passes_only_when_told_to() -> None:
    clock = ManualClock(10)
    assert clock.now() == clock.now() == 10
    assert clock.advance(timedelta(seconds=1, microseconds=5)) == clock.now() == 1_000_015


def test_a_manual_clock_does_not_go_back() -> None:
    with pytest.raises(ValueError):
        ManualClock().advance(timedelta(seconds=-1))
