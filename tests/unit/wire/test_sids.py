from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia.wire import sids

RANDOM = st.binary(min_size=sids.RANDOM_BYTES, max_size=sids.RANDOM_BYTES)
MOMENTS = st.integers(min_value=0, max_value=(1 << 48) * 1000 - 1)


def test_a_known_moment_and_known_randomness_give_known_text() -> None:
    now_us = 0x017F22E279B0 * 1000 + 999
    assert sids.new_sid(sids.CONVERSATION, now_us, bytes(10)) == "CH017f22e279b070008000000000000000"
    assert sids.new_sid(sids.CONVERSATION, now_us, b"\xff" * 10) == "CH017f22e279b077ffbfffffffffffffff"


@given(MOMENTS, RANDOM)
def test_the_digits_are_a_uuid_of_version_seven_that_holds_the_millisecond(now_us: int, randomness: bytes) -> None:
    sid = sids.new_sid(sids.MESSAGE, now_us, randomness)
    digits = uuid.UUID(hex=sid[2:])
    assert (digits.version, digits.variant) == (7, uuid.RFC_4122)
    assert digits.int >> 80 == now_us // 1000
    assert sids.is_sid(sid, sids.MESSAGE)


@given(MOMENTS, MOMENTS, RANDOM, RANDOM)
def test_text_order_is_age_order(one_us: int, other_us: int, one: bytes, other: bytes) -> None:
    if one_us // 1000 < other_us // 1000:
        assert sids.new_sid("IM", one_us, one) < sids.new_sid("IM", other_us, other)


@given(MOMENTS, RANDOM)
def test_an_identifier_tells_its_moment_to_the_millisecond(now_us: int, randomness: bytes) -> None:
    assert sids.made_at(sids.new_sid("IM", now_us, randomness)) == now_us // 1000 * 1000


@given(st.lists(st.tuples(st.integers(min_value=0, max_value=5000), RANDOM), max_size=50))
def test_one_source_only_ever_grows_even_when_the_clock_goes_back(calls: list[tuple[int, bytes]]) -> None:
    source = sids.SidSource()
    made = [source.new("IM", now_us, randomness) for now_us, randomness in calls]
    assert made == sorted(set(made))
    assert all(sids.is_sid(sid, "IM") and uuid.UUID(hex=sid[2:]).version == 7 for sid in made)


def test_a_source_takes_the_time_of_its_clock_while_that_moves_on() -> None:
    source = sids.SidSource()
    randomness = b"\x55" * 10
    assert source.new("IM", 1_000_000, randomness) == sids.new_sid("IM", 1_000_000, randomness)
    assert source.new("IM", 1_001_000, randomness) == sids.new_sid("IM", 1_001_000, randomness)


def test_a_source_goes_on_into_the_next_millisecond_when_one_is_full() -> None:
    source = sids.SidSource()
    source.new("IM", 0, bytes(10))
    source._tail = (1 << 74) - 1
    assert source.new("IM", 0, b"\x01" * 10)[2:14] == "000000000001"


@pytest.mark.parametrize("length", [0, 9, 11])
def test_randomness_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="10 random bytes"):
        sids.new_sid("IM", 0, bytes(length))


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("CH" + "0123456789abcdef" * 2, True),
        ("CH" + "0123456789ABCDEF" * 2, True),
        ("IM" + "0123456789abcdef" * 2, False),
        ("ch" + "0123456789abcdef" * 2, False),
        ("CH" + "0" * 31, False),
        ("CH" + "0" * 33, False),
        ("CH" + "0" * 31 + "g", False),
        ("CH" + "0" * 32 + "\n", False),
        ("CH" + "٠" * 32, False),
        ("", False),
    ],
)
def test_the_form_of_an_identifier_is_the_published_one(text: str, is_one: bool) -> None:
    assert sids.is_sid(text, sids.CONVERSATION) is is_one


def test_every_kind_has_its_own_two_letters() -> None:
    prefixes = [value for name, value in vars(sids).items() if name.isupper() and isinstance(value, str)]
    assert len(prefixes) == len(set(prefixes)) == 29
    assert all(len(prefix) == 2 and prefix.isupper() for prefix in prefixes)
