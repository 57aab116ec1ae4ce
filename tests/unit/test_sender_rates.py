"""How fast our addresses may send: a slot for each message, and nobody waits twice (gateways 8.0)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia.server.domain.sender_rates import (
    LONG_CODE,
    MINUTE,
    SHORT_CODE,
    TOLL_FREE,
    WHATSAPP,
    SenderRates,
    default_rate,
)

SECOND = 1_000_000
NOW = 1_700_000_000 * SECOND
NEVER = NOW + 10**15


@pytest.mark.parametrize(
    ("kind", "address", "rate"),
    [
        ("sms", "+12025550100", LONG_CODE),
        ("sms", "+493012345678", LONG_CODE),
        ("sms", "+18005550100", TOLL_FREE),
        ("sms", "+18885550100", TOLL_FREE),
        ("sms", "12345", SHORT_CODE),
        ("sms", "+12345", SHORT_CODE),
        ("sms", "12345678", SHORT_CODE),
        ("sms", "Tertulia", None),
        ("whatsapp", "whatsapp:+12025550100", WHATSAPP),
        ("email", "desk@d.test", None),
        ("messenger", "messenger:1", None),
    ],
)
def test_each_kind_of_address_has_its_rate(kind: str, address: str, rate: int | None) -> None:
    assert default_rate(kind, address) == rate


def waits(rates: SenderRates, count: int, per_minute: int, now: int = NOW, sender: str = "a") -> list[float | None]:
    """In seconds, of so many that want to send at the same time."""
    found = [rates.reserve(sender, per_minute, f"{sender}{now}/{n}", now, NEVER) for n in range(count)]
    return [None if wait is None else wait / SECOND for wait in found]


def test_slots_are_given_one_after_the_other() -> None:
    assert waits(SenderRates(), 4, 60) == [0, 1, 2, 3]
    assert waits(SenderRates(), 3, 30) == [0, 2, 4]


def test_a_seconds_worth_goes_out_at_once() -> None:
    assert waits(SenderRates(), 5, 180) == pytest.approx([0, 0, 0, 1 / 3, 2 / 3], abs=1e-5)


def test_who_comes_back_when_he_was_told_has_his_slot() -> None:
    rates = SenderRates()
    assert rates.reserve("a", 60, "1", NOW, NEVER) == 0
    assert rates.reserve("a", 60, "2", NOW, NEVER) == SECOND
    for n in range(3, 50):
        rates.reserve("a", 60, f"{n}", NOW, NEVER)
    assert rates.reserve("a", 60, "2", NOW + SECOND - 10, NEVER) == 10, "too early, and still the same"
    assert rates.reserve("a", 60, "2", NOW + SECOND, NEVER) == 0


def test_senders_do_not_wait_for_each_other() -> None:
    rates = SenderRates()
    assert waits(rates, 2, 60, sender="a") == waits(rates, 2, 60, sender="b") == [0, 1]


def test_what_has_no_slot_in_time_takes_none() -> None:
    rates = SenderRates()
    latest = NOW + 2 * SECOND
    assert [rates.reserve("a", 60, f"{n}", NOW, latest) for n in range(5)] == [0, SECOND, 2 * SECOND, None, None]
    assert rates.reserve("a", 60, "later", NOW + SECOND, NEVER) == 2 * SECOND


def test_a_sender_that_was_idle_begins_anew() -> None:
    rates = SenderRates()
    waits(rates, 3, 60)
    assert waits(rates, 2, 60, NOW + 3600 * SECOND) == [0, 1]


def test_another_rate_is_in_force_at_once_and_keeps_what_was_reserved() -> None:
    rates = SenderRates()
    waits(rates, 3, 60)
    assert waits(rates, 2, 30, NOW + SECOND // 2) == [2.5, 4.5]


def test_a_clock_that_was_set_back_stops_nobody() -> None:
    rates = SenderRates()
    waits(rates, 5, 60)
    assert waits(rates, 2, 60, NOW - 3600 * SECOND) == [0, 1]


def test_what_is_remembered_is_bounded() -> None:
    rates = SenderRates(most=10)
    for n in range(1000):
        waits(rates, 2, 1, sender=f"{n}-")
    assert len(rates) <= 20


@given(
    per_minute=st.integers(1, 10_000),
    gaps=st.lists(st.integers(0, 2 * MINUTE), min_size=1, max_size=60),
)
def test_never_more_than_a_seconds_worth_beyond_the_rate(per_minute: int, gaps: list[int]) -> None:
    rates, now, at = SenderRates(), NOW, []
    for n, gap in enumerate(gaps):
        now += gap
        wait = rates.reserve("a", per_minute, f"{n}", now, NEVER)
        assert wait is not None and wait >= 0
        at.append(now + wait)
    assert at == sorted(at), "in the order of asking"
    burst = max(per_minute // 60, 1)
    for first in range(len(at)):
        for last in range(first, len(at)):
            allowed = (at[last] - at[first] + 1) * per_minute / MINUTE + burst
            assert last - first + 1 <= allowed + 1e-6
