"""Waits between attempts: they grow, they differ, they end."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia.server.jobs.retry import RetryPolicy

PATIENT = RetryPolicy(attempts=10, first_wait_s=2, factor=3, last_wait_s=100, jitter=0)

policies = st.builds(
    RetryPolicy,
    attempts=st.integers(1, 1000),
    first_wait_s=st.floats(0, 1e4),
    factor=st.floats(1, 10),
    last_wait_s=st.floats(0, 1e6),
    jitter=st.floats(0, 1),
    give_up_after_s=st.one_of(st.just(math.inf), st.floats(0, 1e7)),
)
chances = st.floats(0, 1, exclude_max=True)


def test_waits_grow_by_the_factor_up_to_the_last() -> None:
    assert [PATIENT.wait_s(number, 0, 0.5) for number in range(1, 7)] == [2, 6, 18, 54, 100, 100]


def test_there_is_no_attempt_after_the_last() -> None:
    assert PATIENT.wait_s(9, 0, 0.5) is not None
    assert PATIENT.wait_s(10, 0, 0.5) is None
    assert PATIENT.wait_s(11, 0, 0.5) is None
    assert RetryPolicy(attempts=1).wait_s(1, 0, 0.5) is None


def test_no_attempt_begins_after_the_age_at_which_to_give_up() -> None:
    policy = RetryPolicy(attempts=100, first_wait_s=10, jitter=0, give_up_after_s=60)
    assert policy.wait_s(1, 50, 0.5) == 10
    assert policy.wait_s(1, 51, 0.5) is None
    assert policy.wait_s(1, 10, 0.5, asked_s=51) is None


def test_a_receiver_that_says_when_is_believed() -> None:
    assert PATIENT.wait_s(1, 0, 0.9, asked_s=500) == 500
    assert PATIENT.wait_s(1, 0, 0.9, asked_s=0) == 0
    assert PATIENT.wait_s(1, 0, 0.9, asked_s=-5) == 0
    assert PATIENT.wait_s(10, 0, 0.9, asked_s=5) is None


def test_a_receiver_that_asks_for_less_than_our_wait_may_be_asked_less_and_less() -> None:
    policy = RetryPolicy(attempts=10, first_wait_s=2, factor=3, last_wait_s=100, jitter=0.2, heeds_only_more=True)
    assert [policy.wait_s(number, 0, 0.5, asked_s=10) for number in range(1, 7)] == [10, 10, 18, 54, 100, 100]
    assert [policy.wait_s(6, 0, 0.5, asked_s=asked) for asked in (-5, 0, 500)] == [100, 100, 500]
    assert policy.wait_s(6, 0, 0, asked_s=90) == 90, "asked for, it is never too early"
    assert policy.wait_s(10, 0, 0.5, asked_s=5) is None


def test_jitter_spreads_waits_evenly_about_the_mean() -> None:
    policy = RetryPolicy(attempts=5, first_wait_s=10, jitter=0.2)
    assert policy.wait_s(1, 0, 0) == 8
    assert policy.wait_s(1, 0, 0.5) == 10
    assert policy.wait_s(1, 0, 0.999999) == pytest.approx(12, abs=0.001)


@given(policies, st.integers(1, 2000), st.floats(0, 1e7), chances)
def test_every_wait_is_in_bounds_and_the_end_is_kept(
    policy: RetryPolicy, number: int, age_s: float, chance: float
) -> None:
    wait_s = policy.wait_s(number, age_s, chance)
    if wait_s is None:
        assert number >= policy.attempts or age_s + 2 * policy.last_wait_s >= policy.give_up_after_s
    else:
        assert number < policy.attempts
        assert 0 <= wait_s <= policy.last_wait_s * (1 + policy.jitter)
        assert age_s + wait_s <= policy.give_up_after_s


@given(policies, chances)
def test_every_job_ends(policy: RetryPolicy, chance: float) -> None:
    number, age_s = 1, 0.0
    while (wait_s := policy.wait_s(number, age_s, chance)) is not None:
        number, age_s = number + 1, age_s + wait_s
        assert number <= policy.attempts


@pytest.mark.parametrize(
    "wrong", [{"attempts": 0}, {"factor": 0.5}, {"first_wait_s": -1}, {"jitter": 1.5}, {"give_up_after_s": -1}]
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        RetryPolicy(**{"attempts": 3, **wrong})  # type: ignore[arg-type]
