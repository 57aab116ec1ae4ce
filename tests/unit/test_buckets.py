"""Token buckets: a second's worth at once, then as many as come back in time."""

from __future__ import annotations

from tertulia.server.domain.buckets import SECOND, Bucket, Buckets


def taken(bucket: Bucket, now: int, tries: int) -> int:
    return sum(bucket.take(now) == 0 for _ in range(tries))


def test_a_second_s_worth_may_be_taken_at_once_and_no_more() -> None:
    assert taken(Bucket(30), 5 * SECOND, 100) == 30


def test_what_is_told_to_wait_is_there_then_and_not_before() -> None:
    bucket, now = Bucket(30), 5 * SECOND
    taken(bucket, now, 30)
    wait = bucket.take(now)
    assert wait == 33_334
    assert bucket.take(now + wait - 1) == 1
    assert bucket.take(now + wait) == 0


def test_after_a_second_the_bucket_is_full_again_and_not_fuller_after_a_day() -> None:
    bucket, now = Bucket(7), 5 * SECOND
    assert taken(bucket, now, 20) == 7
    assert taken(bucket, now + SECOND, 20) == 7
    assert taken(bucket, now + 86_400 * SECOND, 20) == 7


def test_being_refused_costs_nothing() -> None:
    bucket, now = Bucket(2), 5 * SECOND
    taken(bucket, now, 1_000)
    assert taken(bucket, now + SECOND // 2, 10) == 1


def test_a_clock_that_is_set_back_stops_nobody_for_longer_than_a_second() -> None:
    bucket, now = Bucket(10), 7_200 * SECOND
    taken(bucket, now, 10)
    assert bucket.take(now - 3_600 * SECOND) <= SECOND
    assert taken(bucket, now - 3_599 * SECOND, 50) == 10


def test_each_key_has_a_bucket_of_its_own() -> None:
    buckets = Buckets(3)
    assert [buckets.take(key, 0) == 0 for key in "aaaabaab"] == [True] * 3 + [False, True, False, False, True]


def test_strangers_fill_no_memory_what_is_idle_is_forgotten() -> None:
    buckets = Buckets(10)
    for n in range(50_000):
        buckets.take(n, n * 1_000)
    assert len(buckets) <= 1_100, "those of the last second, and no others"
    for n in range(1_100):
        buckets.take("one", 60 * SECOND + n)
    assert len(buckets) == 1


def test_there_are_never_more_than_so_many() -> None:
    buckets = Buckets(10, most=100)
    for n in range(1_000):
        buckets.take(n, 0)
    assert len(buckets) <= 100
