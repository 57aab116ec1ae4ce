"""However it is asked, a bucket gives no more than it says: in any t seconds rate * t and a second's worth."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tertulia.server.domain.buckets import SECOND, Bucket, Buckets

PAUSES = st.lists(st.one_of(st.just(0), st.integers(0, 2_000), st.integers(0, 3 * SECOND)), min_size=1, max_size=300)


@given(per_s=st.integers(1, 200), start=st.integers(0, 2_000_000_000 * SECOND), pauses=PAUSES)
def test_never_more_than_the_rate_and_one_burst_in_any_stretch_of_time(
    per_s: int, start: int, pauses: list[int]
) -> None:
    bucket, now, taken = Bucket(per_s), start, []
    for pause in pauses:
        now += pause
        if bucket.take(now) == 0:
            taken.append(now)
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            count, stretch = last - first + 1, taken[last] - taken[first]
            assert count * SECOND <= per_s * stretch + per_s * SECOND


@given(per_s=st.integers(1, 200), pauses=PAUSES)
def test_nobody_is_refused_who_keeps_to_the_rate(per_s: int, pauses: list[int]) -> None:
    """And whoever waits as long as he was told gets what he waits for."""
    bucket, now = Bucket(per_s), 0
    for pause in pauses:
        now += max(pause, -(-SECOND // per_s))
        assert bucket.take(now) == 0
    while wait := bucket.take(now):
        now += wait
    assert wait == 0


@given(
    asked=st.lists(st.tuples(st.integers(0, 4), st.integers(0, SECOND)), min_size=1, max_size=300),
    per_s=st.integers(1, 20),
)
def test_many_buckets_are_each_what_one_would_be(asked: list[tuple[int, int]], per_s: int) -> None:
    """Forgetting those that are full changes nothing."""
    buckets, alone, now = Buckets(per_s), [Bucket(per_s) for _ in range(5)], 0
    for key, pause in asked:
        now += pause
        assert buckets.take(key, now) == alone[key].take(now)
