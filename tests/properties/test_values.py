"""Whatever text comes, parsing it gives a value or an error of the catalogue."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tertulia.server.domain import values
from tertulia.server.domain.addresses import GroupMember, MessagingBinding, check_pair, group_key, is_group_text
from tertulia.server.domain.errors import (
    BAD_DATE_CREATED,
    CATALOGUE,
    GROUP_REFUSED,
    GROUP_WITHOUT_PROJECTED,
    INACTIVE_TIMER_FORMAT,
    Row,
    TertuliaError,
)
from tertulia.server.domain.messages import check_variables

ANYTHING = st.text(st.characters(exclude_categories=()), max_size=60)
"""Also lone surrogates, which no edge lets through."""


def outcome(parse: Callable[[], Any]) -> int | None:
    """The code of the refusal, None for none. Whatever else is raised is a failure."""
    try:
        parse()
    except TertuliaError as refusal:
        return refusal.code
    return None


# --- dates

_date_like = st.from_regex(r"\A\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)\Z")


@given(ANYTHING | _date_like)
@example("0001-01-01T00:00:00+23:59")
@example("9999-12-31T23:59:59-23:59")
@example("2025-02-29T00:00:00Z")
@example("2025-01-01T24:00:00Z")
@example("2025-01-01T23:59:60Z")
@example("２０２５-01-01T00:00:00Z")
def test_a_date_is_a_date_or_refused(text: str) -> None:
    code = outcome(lambda: values.parse_date(text, BAD_DATE_CREATED))
    assert code in (None, BAD_DATE_CREATED.code)
    if code is None:
        at = values.parse_date(text, BAD_DATE_CREATED)
        assert at % 1_000_000 == 0
        assert values.parse_date(values.second(at), BAD_DATE_CREATED) == at
        assert values.parse_date(values.millisecond(at), BAD_DATE_CREATED) == at


@given(st.datetimes(timezones=st.just(UTC)))
def test_every_date_there_is_comes_back(moment: datetime) -> None:
    at = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    cut = moment.replace(microsecond=0)
    assert datetime.fromisoformat(values.second(at)) == cut
    assert values.parse_date(moment.isoformat(), BAD_DATE_CREATED) == at - moment.microsecond
    shown = datetime.fromisoformat(values.millisecond(at))
    assert timedelta(0) <= moment - shown < timedelta(milliseconds=1)


# --- durations

_duration_like = st.from_regex(r"\AP(\d{1,8}W)?(\d{1,8}D)?(T(\d{1,8}H)?(\d{1,8}M)?(\d{1,8}([.,]\d{1,3})?S)?)?\Z")


@given(ANYTHING | _duration_like)
@example("P" + "9" * 5000 + "D")
@example("PT٣S")
@example("P999999W")
def test_a_duration_is_seconds_or_refused(text: str) -> None:
    code = outcome(lambda: values.parse_duration_s(text, INACTIVE_TIMER_FORMAT))
    assert code in (None, INACTIVE_TIMER_FORMAT.code)
    if code is None:
        assert text.isascii()
        assert 0 <= values.parse_duration_s(text, INACTIVE_TIMER_FORMAT) < 10**9


@given(st.integers(0, 9999), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_the_parts_of_a_duration_add_up(days: int, hours: int, minutes: int, seconds: int) -> None:
    text = f"P{days}DT{hours}H{minutes}M{seconds}S"
    expected = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    assert values.parse_duration_s(text, INACTIVE_TIMER_FORMAT) == expected


@pytest.mark.parametrize("text", ["", "P", "PT", "P1DT", "P1Y", "P1M", "-PT1S", "PT1", "1", "PT1S ", "P1W1D", "pt1s"])
def test_what_is_no_duration_of_fixed_length_is_refused(text: str) -> None:
    assert outcome(lambda: values.parse_duration_s(text, INACTIVE_TIMER_FORMAT)) == INACTIVE_TIMER_FORMAT.code


# --- attributes, names

NESTED = [
    pytest.param(lambda levels: "[" * levels + "]" * levels, id="arrays"),
    pytest.param(lambda levels: '{"a":' * (levels - 1) + "{}" + "}" * (levels - 1), id="objects"),
    pytest.param(lambda levels: "[[],[[]]," * (levels - 2) + "[[]]" + "]" * (levels - 2), id="with others beside"),
    pytest.param(lambda levels: '["[]\\"]]",' * (levels - 1) + "[]" + "]" * (levels - 1), id="with brackets in texts"),
]


@pytest.mark.parametrize("nested", NESTED)
def test_attributes_have_sixty_four_levels_at_most(nested: Callable[[int], str]) -> None:
    assert outcome(lambda: values.check_attributes(nested(64), 16_384)) is None
    assert outcome(lambda: values.check_attributes(nested(65), 16_384)) == 50304


@pytest.mark.parametrize("text", ['{"a":"' + "[{" * 2000 + '"}', "[" + "[]," * 2000 + "{}]", '["\\\\","[","[["]'])
def test_what_is_wide_or_a_text_is_not_deep(text: str) -> None:
    assert outcome(lambda: values.check_attributes(text, 16_384)) is None


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(ANYTHING)
@example("[" * 4000)
@example("1" * 5000)
@example("NaN")
@example("Infinity")
@example('"\ud800"')
def test_attributes_are_json_or_refused(text: str) -> None:
    assert outcome(lambda: values.check_attributes(text, 16_384)) in (None, 50303, 50304)


@given(_json)
@example(10**30)
@example({"deep": [[[[[[]]]]]]})
def test_every_json_text_is_good_up_to_its_size(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    size = len(text.encode())
    assert outcome(lambda: values.check_attributes(text, size)) is None
    if text != "{}":
        assert outcome(lambda: values.check_attributes(text, size - 1)) == 50303


@pytest.mark.parametrize("text", ['{"n":1e400}', '{"n":-0.0}', '{"n":123456789012345678901234567890}', '{"a":1,"a":2}'])
def test_numbers_of_any_size_are_json(text: str) -> None:
    values.check_attributes(text, 16_384)


@given(ANYTHING)
@example('{"a":' + "1" * 5000 + "}")
@example('{"\ud800":"a"}')
def test_variables_are_an_object_of_short_texts_or_refused(text: str) -> None:
    assert outcome(lambda: check_variables(text)) in (None, 50527, 50529, 50540, 50541)


@given(ANYTHING)
@example("system")
@example("US" + "a" * 32)
@example("\0")
def test_an_identity_is_good_or_refused(text: str) -> None:
    assert outcome(lambda: values.check_identity(text)) in (None, 50203, 50204, 50206, 50207)


# --- addresses

_numbers = st.sampled_from([f"+1202555{n:04}" for n in range(6)])
_others = st.sampled_from(["+442071838750", "whatsapp:+12025550001", "a@b.c", "messenger:1"])
_address = st.none() | _numbers | _numbers | _others
_members = st.lists(
    st.builds(GroupMember, st.booleans(), st.builds(MessagingBinding, _address, _address, _address)), max_size=8
)


@given(ANYTHING, st.none() | ANYTHING)
@example("+１５５５０００１１１１", None)
@example("+1555000111\n", None)
def test_a_pair_of_addresses_is_good_or_refused(address: str, proxy: str | None) -> None:
    assert outcome(lambda: check_pair(address, proxy)) in (None, 50407, 50408, 50409, 50411, 50412, 50414)


def key_or_code(members: list[GroupMember]) -> str | int | None:
    try:
        return group_key(members)
    except TertuliaError as refusal:
        return refusal.code


@given(_members, st.randoms(use_true_random=False))
def test_the_key_of_a_group_does_not_depend_on_the_order(members: list[GroupMember], random: Any) -> None:
    shuffled = list(members)
    random.shuffle(shuffled)
    first, second = key_or_code(members), key_or_code(shuffled)
    refusals: set[Row] = {GROUP_REFUSED, GROUP_WITHOUT_PROJECTED}
    if isinstance(first, int):
        # Which of two broken rules is named first may differ.
        assert {first, second} <= {row.code for row in refusals}
    else:
        assert first == second


@given(_members)
def test_a_group_has_a_key_that_names_each_number_once(members: list[GroupMember]) -> None:
    key = key_or_code(members)
    assert (key is None) == (not is_group_text(members))
    if isinstance(key, str):
        numbers = key.split(" ")
        assert numbers == sorted(set(numbers))
        assert set(numbers) == {member.number for member in members}


@given(_members, _members)
def test_two_groups_have_one_key_only_when_their_numbers_are_the_same(
    one: list[GroupMember], other: list[GroupMember]
) -> None:
    first, second = key_or_code(one), key_or_code(other)
    if isinstance(first, str) and isinstance(second, str):
        same = {member.number for member in one} == {member.number for member in other}
        assert (first == second) == same


def test_every_code_has_one_status() -> None:
    statuses: dict[int, set[int]] = {}
    for row in CATALOGUE:
        statuses.setdefault(row.code, set()).add(row.family.status)
    assert {code: each for code, each in statuses.items() if len(each) > 1} == {}
