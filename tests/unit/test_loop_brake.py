"""What goes on is counted by way and minute, and what was held back counts, too (semantics 4.5)."""

from __future__ import annotations

from tertulia.server.domain.loop_brake import MINUTE, LoopBrake, Verdict

GOES, STOPS, HELD = Verdict.GOES, Verdict.STOPS, Verdict.HELD
SECOND = 1_000_000


def test_more_than_so_many_in_a_minute_do_not_go() -> None:
    brake = LoopBrake(3)
    assert [brake.judge("way", str(n), n * SECOND) for n in range(6)] == [GOES] * 3 + [STOPS, HELD, HELD]
    assert brake.judge("another", "7", 6 * SECOND) is GOES


def test_what_comes_at_one_moment_counts_one_by_one() -> None:
    brake = LoopBrake(2)
    assert [brake.judge("way", str(n), 5) for n in range(4)] == [GOES, GOES, STOPS, HELD]


def test_it_stays_so_while_it_goes_on_and_ends_after_a_minute_of_silence() -> None:
    brake = LoopBrake(3)
    verdicts = [brake.judge("way", str(n), n * 10 * SECOND) for n in range(100)]
    assert verdicts == [GOES] * 3 + [STOPS] + [HELD] * 96
    last = 99 * 10 * SECOND
    assert brake.judge("way", "later", last + MINUTE) is GOES


def test_as_many_as_may_go_go_for_ever() -> None:
    brake = LoopBrake(3)
    assert {brake.judge("way", str(n), n * MINUTE // 3) for n in range(100)} == {GOES}


def test_another_attempt_is_no_other_message() -> None:
    brake = LoopBrake(2)
    assert [brake.judge("way", sid, 5) for sid in ("a", "b", "c", "a", "b", "c", "c")] == [
        GOES,
        GOES,
        STOPS,
        GOES,
        GOES,
        STOPS,
        STOPS,
    ]


def test_a_backlog_counts_by_when_it_was_taken_in() -> None:
    brake = LoopBrake(2)
    assert {brake.judge("way", str(n), n * MINUTE) for n in range(50)} == {GOES}


def test_without_a_limit_all_goes() -> None:
    brake = LoopBrake(0)
    assert {brake.judge("way", str(n), 5) for n in range(1000)} == {GOES}
    assert len(brake) == 0


def test_no_more_ways_are_remembered_than_may_be() -> None:
    brake = LoopBrake(1, most=10)
    for n in range(100):
        brake.judge(f"way {n}", str(n), 5)
    assert len(brake) == 10
    assert brake.judge("way 99", "more", 5) is STOPS
