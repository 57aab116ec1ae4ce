"""What is said to a server so that everything followed is heard of (realtime 9.4, 9.5)."""

from __future__ import annotations

import pytest

from tertulia.client.sync.shapes import EventShape, Failure
from tertulia.client.sync.subscriptions import FIRST_BATCH, FIRST_REST_S, GATHER_S, LONGEST_PAUSE_S

from .subscribing import ESTIMATE_S, Line, body, requested


@pytest.fixture
def line() -> Line:
    return Line()


def names(count: int) -> list[str]:
    return [f"MP{number:04}" for number in range(count)]


# --- what is said


def test_what_is_opened_together_is_said_together_in_order_and_as_the_protocol_has_it(line: Line) -> None:
    line.follow("MP1", last=7)
    assert line.batch() is None
    line.pass_time(GATHER_S / 2)
    line.follow("ES1", "ET1")
    batch = line.due()
    assert line.now == 50.0 + GATHER_S
    assert body(batch) == {
        "event_protocol_version": 4,
        "action": "establish",
        "correlation_id": 1001,
        "retried_requests": 0,
        "ttl_in_s": -1,
        "requests": [
            {"object_sid": "MP1", "object_type": "map", "last_event_id": 7},
            {"object_sid": "ES1", "object_type": "map", "last_event_id": 0},
            {"object_sid": "ET1", "object_type": "map", "last_event_id": 0},
        ],
    }


def test_the_first_batch_is_small_and_later_ones_as_large_as_the_server_likes(line: Line) -> None:
    line.follow(*names(400))
    first = line.due()
    assert requested(first) == names(400)[:FIRST_BATCH]
    line.accept(first, max_batch_size=250)
    line.establish(first)
    second = line.due()
    assert len(requested(second)) == 250
    line.accept(second, max_batch_size=250)
    line.establish(second)
    assert len(requested(line.due())) == 50


def test_one_batch_is_under_way_at_a_time(line: Line) -> None:
    line.follow("MP1", "MP2")
    batch = line.due()
    line.accept(batch)
    line.follow("MP3")
    line.pass_time(1)
    line.establish(batch, "MP1")
    assert line.batch() is None
    line.establish(batch, "MP2")
    third = line.batch()
    assert third is not None
    assert requested(third) == ["MP3"]


def test_answers_may_come_before_the_server_has_said_that_it_takes_the_batch(line: Line) -> None:
    [copy] = line.follow("MP1")
    batch = line.due()
    assert line.establish(batch) == [copy]
    line.accept(batch)
    assert line.subscriptions.deadline is None


def test_nothing_is_said_without_a_connection(line: Line) -> None:
    line.subscriptions.lost()
    line.follow("MP1")
    line.pass_time(1000)
    assert line.batch() is None
    assert line.subscriptions.deadline is None


# --- what goes wrong


def test_what_is_not_established_in_the_time_the_server_estimated_is_asked_again(line: Line) -> None:
    line.follow("MP1", "MP2")
    batch = line.due()
    line.accept(batch)
    line.establish(batch, "MP2")
    line.pass_time(ESTIMATE_S - 0.1)
    assert line.batch() is None
    again = line.due()
    assert requested(again) == ["MP1"]
    assert body(again)["retried_requests"] == 1


def test_a_late_answer_is_as_good_as_one_in_time(line: Line) -> None:
    [copy] = line.follow("MP1")
    first = line.due()
    line.accept(first)
    again = line.due()
    assert line.establish(first) == [copy]
    line.accept(again)
    assert copy.is_established
    assert line.subscriptions.deadline is None


def test_an_answer_to_who_followed_it_before_means_nothing_to_who_does_now(line: Line) -> None:
    [former] = line.follow("MP1", last=1)
    batch = line.due()
    line.accept(batch)
    line.subscriptions.unfollow(former)
    [copy] = line.follow("MP1", last=1)
    line.due()
    assert line.establish(batch, last=9) == []
    assert not copy.is_established
    assert copy.last_event_id == 1


def test_a_batch_that_could_not_be_said_is_said_again_after_a_pause_that_grows(line: Line) -> None:
    line.follow("MP1")
    pauses = []
    for _ in range(14):
        batch = line.due()
        said_at = line.now
        line.subscriptions.not_accepted(batch.correlation_id, line.now, 503)
        deadline = line.subscriptions.deadline
        assert deadline is not None
        pauses.append(round(deadline - said_at, 3))
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert max(pauses) == LONGEST_PAUSE_S
    batch = line.due()
    line.accept(batch)
    line.establish(batch)
    # Once heard, it begins anew.
    line.follow("MP2")
    line.subscriptions.not_accepted(line.due().correlation_id, line.now)
    assert line.subscriptions.deadline == pytest.approx(line.now + 0.1)


def test_a_new_connection_does_not_wait_for_what_an_old_one_waited_for(line: Line) -> None:
    line.follow("MP1")
    for _ in range(10):
        line.subscriptions.not_accepted(line.due().correlation_id, line.now)
    line.subscriptions.lost()
    line.subscriptions.connected(line.now)
    assert line.batch() is not None


def test_in_a_batch_that_is_refused_as_it_stands_the_one_at_fault_is_found(line: Line) -> None:
    copies = line.follow(*names(40))
    fault = copies[17].sid
    for _ in range(40):
        batch = line.due()
        if fault in requested(batch):
            line.subscriptions.not_accepted(batch.correlation_id, line.now, 400)
        else:
            line.accept(batch)
            line.establish(batch)
        if all(copy.is_established for copy in copies if copy.sid != fault):
            break
    assert [copy.sid for copy in copies if not copy.is_established] == [fault]
    assert line.now < 50 + 5 * FIRST_REST_S


def test_what_is_not_there_is_given_up(line: Line) -> None:
    copies = line.follow("MP1", "MP2")
    batch = line.due()
    line.accept(batch)
    gone = line.fail(batch, "MP1", 404)
    assert gone is copies[0]
    line.subscriptions.unfollow(gone)
    line.establish(batch, "MP2")
    assert line.subscriptions.deadline is None
    assert len(line.subscriptions) == 1


def test_one_that_fails_rests_longer_each_time_and_keeps_nobody_waiting(line: Line) -> None:
    line.follow("MP1")
    rests = []
    for number in range(10):
        batch = line.due()
        line.accept(batch)
        assert line.fail(batch, "MP1", 500) is None
        failed_at = line.now
        [other] = line.follow(f"ES{number}")
        between = line.due()
        assert line.now <= failed_at + GATHER_S
        line.accept(between)
        assert line.establish(between) == [other]
        deadline = line.subscriptions.deadline
        assert deadline is not None
        rests.append(round(deadline - failed_at, 3))
    assert rests[:4] == [1.0, 2.0, 4.0, 8.0]
    assert rests[-1] == LONGEST_PAUSE_S


def test_one_that_failed_and_then_did_not_is_as_good_as_any(line: Line) -> None:
    [copy] = line.follow("MP1")
    for _ in range(3):
        batch = line.due()
        line.accept(batch)
        line.fail(batch, "MP1", 500)
    batch = line.due()
    line.accept(batch, ttl_in_s=60)
    assert line.establish(batch) == [copy]
    renewal = line.due()
    line.accept(renewal)
    line.fail(renewal, "MP1", 500)
    assert not copy.is_established
    assert line.subscriptions.deadline == line.now + FIRST_REST_S


def test_one_that_rests_is_asked_for_on_a_new_connection_at_once(line: Line) -> None:
    line.follow("MP1")
    for _ in range(5):
        batch = line.due()
        line.accept(batch)
        line.fail(batch, "MP1", 500)
    line.subscriptions.lost()
    line.subscriptions.connected(line.now)
    at_once = line.batch()
    assert at_once is not None
    line.accept(at_once)
    line.fail(at_once, "MP1", 500)
    assert line.subscriptions.deadline == line.now + FIRST_REST_S
    again = line.due()
    line.accept(again)
    line.establish(again)
    assert line.subscriptions.deadline is None


def test_one_that_rests_and_is_established_late_is_left_in_peace(line: Line) -> None:
    line.follow("MP1")
    first = line.due()
    line.accept(first)
    again = line.due()
    line.accept(again)
    line.fail(again, "MP1", 500)
    line.establish(first)
    assert line.subscriptions.deadline is None


def test_a_refusal_nobody_asked_for_is_looked_into(line: Line) -> None:
    [copy] = line.settle("MP1")
    event = EventShape(object_sid="MP1", object_type="map", error=Failure(404))
    assert line.subscriptions.failed(event, None, line.now) is None
    assert not copy.is_established
    assert requested(line.due()) == ["MP1"]


def test_a_refusal_to_who_followed_it_before_means_nothing_to_who_does_now(line: Line) -> None:
    [former] = line.follow("MP1")
    batch = line.due()
    line.accept(batch)
    line.subscriptions.unfollow(former)
    line.follow("MP1")
    assert line.fail(batch, "MP1", 404) is None
    assert len(line.subscriptions) == 1


def test_answers_of_an_old_connection_mean_nothing_on_a_new_one(line: Line) -> None:
    [copy] = line.follow("MP1")
    batch = line.due()
    line.accept(batch)
    line.subscriptions.lost()
    line.subscriptions.connected(line.now)
    assert line.establish(batch) == []
    assert not copy.is_established


def test_what_was_replayed_in_part_is_asked_for_at_once_from_there(line: Line) -> None:
    [copy] = line.follow("MP1")
    line.follow("MP2")
    batch = line.due()
    line.accept(batch)
    copy.last_event_id = 40
    assert line.establish(batch, "MP1", status="interrupted") == []
    line.establish(batch, "MP2")
    again = line.batch()
    assert again is not None
    assert body(again)["requests"] == [{"object_sid": "MP1", "object_type": "map", "last_event_id": 40}]


def test_a_part_without_anything_in_it_does_not_make_a_loop(line: Line) -> None:
    line.follow("MP1")
    batch = line.due()
    line.accept(batch)
    line.establish(batch, status="interrupted")
    assert line.batch() is None
    assert line.subscriptions.deadline == line.now + FIRST_REST_S


def test_a_server_that_knows_less_than_before_is_believed(line: Line) -> None:
    [copy] = line.follow("MP1", last=100)
    batch = line.due()
    line.accept(batch)
    line.establish(batch, last=40)
    assert copy.is_established
    assert copy.is_doubtful
    assert copy.last_event_id == 40


# --- in the course of time


def test_everything_is_established_anew_on_a_new_connection_in_the_order_it_was_opened(line: Line) -> None:
    copies = line.settle("MP1", "MP2", "MP3")
    copies[1].last_event_id = 8
    line.subscriptions.lost()
    assert not any(copy.is_established for copy in copies)
    line.subscriptions.connected(line.now)
    batch = line.batch()
    assert batch is not None
    assert [request["last_event_id"] for request in body(batch)["requests"]] == [0, 8, 0]
    assert requested(batch) == ["MP1", "MP2", "MP3"]


def test_thousands_come_back_in_a_few_batches(line: Line) -> None:
    line.settle(*names(FIRST_BATCH))
    line.follow(*names(3000)[FIRST_BATCH:])
    line.subscriptions.lost()
    line.subscriptions.connected(line.now)
    sizes = []
    while line.subscriptions.deadline is not None:
        batch = line.due()
        sizes.append(len(requested(batch)))
        line.accept(batch)
        line.establish(batch)
    assert sizes == [1000, 1000, 1000]


def test_subscriptions_are_renewed_before_they_end_and_stay_live_meanwhile(line: Line) -> None:
    [copy] = line.follow("MP1")
    line.pass_time(GATHER_S)
    batch = line.due()
    line.accept(batch, ttl_in_s=86_400)
    line.establish(batch)
    renewal = line.due()
    assert line.now == 50 + GATHER_S + 86_400
    assert body(renewal)["reason"] == "ttl"
    assert copy.is_established
    line.accept(renewal, ttl_in_s=86_400)
    line.establish(renewal)
    assert line.subscriptions.deadline == line.now + 86_400
    [other] = line.follow("MP2")
    later = line.due()
    assert "reason" not in body(later)
    assert requested(later) == [other.sid]


def test_a_server_without_a_time_to_live_is_not_asked_again(line: Line) -> None:
    line.settle("MP1")
    assert line.subscriptions.deadline is None


# --- no more


def test_what_is_followed_no_more_is_cancelled(line: Line) -> None:
    copies = line.settle("MP1", "MP2")
    line.subscriptions.unfollow(copies[0])
    batch = line.due()
    assert batch.action == "cancel"
    assert body(batch)["requests"] == [{"object_sid": "MP1", "object_type": "map"}]
    assert line.subscriptions.deadline is None
    assert not copies[0].is_established


def test_what_was_never_asked_for_need_not_be_cancelled(line: Line) -> None:
    [copy] = line.follow("MP1")
    line.subscriptions.unfollow(copy)
    line.pass_time(1)
    assert line.batch() is None


def test_what_is_cancelled_while_it_is_renewed_is_cancelled_there_too(line: Line) -> None:
    [copy] = line.follow("MP1")
    batch = line.due()
    line.accept(batch, ttl_in_s=60)
    line.establish(batch)
    line.due()
    line.subscriptions.unfollow(copy)
    assert line.due().action == "cancel"


def test_who_is_cancelled_keeps_nobody_waiting(line: Line) -> None:
    [copy] = line.follow("MP1")
    batch = line.due()
    line.accept(batch)
    line.subscriptions.unfollow(copy)
    line.follow("MP2")
    assert line.due().action == "cancel"
    assert requested(line.due()) == ["MP2"]
    assert line.now < 50 + 1


def test_a_cancellation_that_could_not_be_said_is_said_again(line: Line) -> None:
    [copy] = line.settle("MP1")
    line.subscriptions.unfollow(copy)
    line.subscriptions.not_accepted(line.due().correlation_id, line.now)
    again = line.due()
    assert again.action == "cancel"
    assert requested(again) == ["MP1"]


def test_a_cancellation_that_could_not_be_said_is_forgotten_when_it_is_followed_again(line: Line) -> None:
    [former] = line.settle("MP1")
    line.subscriptions.unfollow(former)
    cancel = line.due()
    line.follow("MP1")
    line.subscriptions.not_accepted(cancel.correlation_id, line.now)
    assert line.due().action == "establish"


def test_what_is_followed_again_at_once_is_not_cancelled(line: Line) -> None:
    [former] = line.settle("MP1")
    line.subscriptions.unfollow(former)
    line.follow("MP1")
    assert line.due().action == "establish"


def test_what_only_an_old_connection_followed_need_not_be_cancelled(line: Line) -> None:
    [copy] = line.settle("MP1")
    line.subscriptions.lost()
    line.subscriptions.connected(line.now)
    line.subscriptions.unfollow(copy)
    assert line.batch() is None
    assert line.subscriptions.deadline is None


def test_a_cancellation_that_overtook_what_it_cancels_is_said_again(line: Line) -> None:
    [copy] = line.follow("MP1")
    batch = line.due()
    line.accept(batch)
    line.subscriptions.unfollow(copy)
    line.due()
    line.establish(batch)
    again = line.due()
    assert again.action == "cancel"
    assert requested(again) == ["MP1"]


def test_what_was_never_asked_for_is_not_cancelled_however_often_it_is_told(line: Line) -> None:
    line.settle("MP1")
    for correlation_id in (None, 1, 1001, 1e300):
        for number in range(10):
            event = EventShape(object_sid=f"ES{number}", object_type="list", replay_status="completed")
            assert line.subscriptions.established(event, correlation_id, line.now) is None
    assert line.subscriptions.deadline is None and line.batch() is None


def test_a_cancellation_that_comes_late_is_made_good(line: Line) -> None:
    [former] = line.settle("MP1")
    line.subscriptions.unfollow(former)
    line.due()
    [copy] = line.settle("MP1")
    line.subscriptions.cancelled(EventShape(object_sid="MP1", object_type="map"))
    assert not copy.is_established
    assert requested(line.due()) == ["MP1"]
