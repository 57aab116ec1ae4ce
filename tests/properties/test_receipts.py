"""Receipts under every sequence of reports, and what the receipts of a message come to (semantics 4.11)."""

from __future__ import annotations

from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tertulia.server.domain.receipts import COUNTED, FAILURES, Receipt, ReceiptStatus, advanced, aggregate

QUEUED = Receipt("DY1", "AC1", "IS1", "CH1", "IM1", "MB1", None, "queued", "", 0, 1, 1)
FORWARD = ["queued", "sent", "delivered", "read"]
FAILED = [status.value for status in FAILURES]

_reports = st.lists(st.tuples(st.sampled_from([*ReceiptStatus]), st.integers(0, 70_000)), max_size=8)


def after(reports: list[tuple[ReceiptStatus, int]]) -> list[Receipt]:
    """The receipt at each moment of a story."""
    story = [QUEUED]
    for now, (status, code) in enumerate(reports, 2):
        story.append(advanced(story[-1], status, code, now))
    return story


@given(reports=_reports)
def test_a_receipt_never_goes_backwards(reports: list[tuple[ReceiptStatus, int]]) -> None:
    story = after(reports)
    for before, now in pairwise(story):
        if before.status in FAILED:
            assert now is before or now.status in ("delivered", "read")
        elif now.status in FAILED:
            assert now is before or before.status in ("queued", "sent")
        else:
            assert FORWARD.index(now.status) >= FORWARD.index(before.status)


@given(reports=_reports)
def test_a_report_is_taken_or_leaves_the_very_receipt(reports: list[tuple[ReceiptStatus, int]]) -> None:
    story = after(reports)
    for number, (before, now, (status, code)) in enumerate(zip(story, story[1:], reports, strict=False), 2):
        if now is not before:
            assert (now.status, now.updated_at) == (status, number)
            assert now.error_code == (code if status in FAILED else 0)
        assert (now.sid, now.created_at) == (QUEUED.sid, QUEUED.created_at)


@given(reports=_reports)
def test_the_same_report_again_changes_nothing(reports: list[tuple[ReceiptStatus, int]]) -> None:
    twice = after([report for report in reports for _ in range(2)])
    assert [one.status for one in twice[::2]] == [one.status for one in after(reports)]
    assert all(first is second for first, second in zip(twice[1::2], twice[2::2], strict=True))


@given(reports=_reports)
def test_what_counts_is_what_was_come_through(reports: list[tuple[ReceiptStatus, int]]) -> None:
    story = after(reports)
    last = story[-1]
    states = last.states
    assert states == [state for state in COUNTED if state in states], "in one order, each once"
    if last.status in FORWARD:
        assert states == FORWARD[1 : FORWARD.index(last.status) + 1]
    elif last.status == "undelivered":
        assert states == ["sent", "undelivered"]
    else:
        was_sent = any(one.status == "sent" for one in story)
        assert states == ["sent", "failed"] if was_sent else ["failed"]


@given(statuses=st.lists(st.sampled_from([*ReceiptStatus]), max_size=5))
def test_who_has_read_has_received_and_was_sent_to(statuses: list[ReceiptStatus]) -> None:
    told = aggregate([advanced(QUEUED, status, 0, 2) for status in statuses])
    if not statuses:
        assert told is None
        return
    assert told is not None and told.total == len(statuses)
    expected = {
        "sent": {"sent", "delivered", "read", "undelivered"},
        "delivered": {"delivered", "read"},
        "read": {"read"},
        "failed": {"failed"},
        "undelivered": {"undelivered"},
    }
    for state, implied_by in expected.items():
        count = sum(status in implied_by for status in statuses)
        word = "none" if count == 0 else "all" if count == len(statuses) else "some"
        assert getattr(told, state) == word


@given(stories=st.lists(_reports, min_size=1, max_size=4))
def test_the_order_of_receipts_does_not_matter(stories: list[list[tuple[ReceiptStatus, int]]]) -> None:
    receipts = [after(reports)[-1] for reports in stories]
    assert aggregate(receipts) == aggregate(receipts[::-1])


def test_it_is_told_in_six_members() -> None:
    told = aggregate([advanced(QUEUED, "failed", 21610, 2), QUEUED])
    assert msgspec.to_builtins(told) == {
        "total": 2,
        "sent": "none",
        "delivered": "none",
        "read": "none",
        "failed": "some",
        "undelivered": "none",
    }
