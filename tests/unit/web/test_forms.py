"""Bodies and queries into structs (rest 1.3)."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qs, quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType, field

from tertulia.server.domain.errors import BAD_DATE_CREATED, TertuliaError
from tertulia.server.web.forms import Folded, Form, Reader, moment, one_of, split

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)


class Wish(Form, frozen=True, kw_only=True):
    friendly_name: str
    state: Annotated[Folded, one_of("active", "closed")] | UnsetType = UNSET
    timer: str | UnsetType = field(default=UNSET, name="Timers.Inactive")
    enabled: bool | UnsetType = UNSET
    count: int | UnsetType | None = UNSET
    filters: list[str] | UnsetType = UNSET


READER = Reader(Wish)


def read(text: str) -> Wish:
    return READER.of_form(text.encode())


@given(st.lists(st.tuples(TEXTS.filter(bool), TEXTS), min_size=1, max_size=6))
def test_a_form_is_read_as_it_was_encoded(pairs: list[tuple[str, str]]) -> None:
    wanted: dict[str, list[str]] = {}
    for name, value in pairs:
        wanted.setdefault(name, []).append(value)
    for quoting in (urlencode(pairs), urlencode(pairs, quote_via=quote)):
        assert split(quoting.encode()) == wanted


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_whatever_comes_is_read_like_everybody_reads_it(text: str) -> None:
    ours = {name: values for name, values in split(text.encode()).items() if name}
    assert ours == {name: values for name, values in parse_qs(text, keep_blank_values=True).items() if name}


def test_names_are_pascal_case_with_dots() -> None:
    wish = read("FriendlyName=a+b&Timers.Inactive=PT1M")
    assert (wish.friendly_name, wish.timer) == ("a b", "PT1M")


@pytest.mark.parametrize("text", ["friendlyname=a", "friendly_name=a", ""])
def test_names_are_case_sensitive(text: str) -> None:
    with pytest.raises(TertuliaError, match="Missing required parameter FriendlyName in the post body"):
        read(text)


def test_what_is_absent_is_unset_and_what_is_unknown_ignored() -> None:
    assert read("FriendlyName=a&Nonsense=%ff&") == Wish(friendly_name="a")


@pytest.mark.parametrize(("text", "value"), [("true", True), ("TRUE", True), ("False", False)])
def test_booleans_come_in_any_case(text: str, value: bool) -> None:
    assert read(f"FriendlyName=a&Enabled={text}").enabled is value


@pytest.mark.parametrize(("text", "value"), [("7", 7), ("null", None), ("NULL", None)])
def test_the_word_null_clears_a_number(text: str, value: int | None) -> None:
    assert read(f"FriendlyName=a&Count={text}").count == value


def test_enumerated_values_are_folded_and_others_are_not() -> None:
    wish = read("FriendlyName=NaMe&State=AcTiVe")
    assert (wish.friendly_name, wish.state) == ("NaMe", "active")


@pytest.mark.parametrize(
    ("text", "value"),
    [("Filters=a", ["a"]), ("Filters=a&Filters=b", ["a", "b"]), ("Filters=", []), ("Filters=&Filters=a", ["", "a"])],
)
def test_a_list_is_a_repeated_key(text: str, value: list[str]) -> None:
    assert read(f"FriendlyName=x&{text}").filters == value


def test_of_a_single_parameter_the_last_counts() -> None:
    assert read("FriendlyName=a&FriendlyName=b").friendly_name == "b"


@pytest.mark.parametrize("text", ["Enabled=perhaps", "Count=many", "Enabled=", "FriendlyName=%00"])
def test_what_does_not_fit_is_named_and_not_repeated(text: str) -> None:
    with pytest.raises(TertuliaError) as caught:
        read(f"FriendlyName=a&{text}")
    assert caught.value.code == 20001
    assert text.partition("=")[0] in caught.value.message
    assert "perhaps" not in caught.value.message and "many" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Enabled=perhaps", "Invalid parameter Enabled: Expected true or false"),
        ("Count=many", "Invalid parameter Count: Expected a whole number"),
    ],
)
def test_what_would_fit_is_said_in_words(text: str, sentence: str) -> None:
    with pytest.raises(TertuliaError) as caught:
        read(f"FriendlyName=a&{text}")
    assert caught.value.message == sentence


def test_a_query_is_read_alike() -> None:
    assert READER.of_query({"FriendlyName": ["a"], "State": ["CLOSED"], "Filters": ["x", "y"]}) == Wish(
        friendly_name="a", state="closed", filters=["x", "y"]
    )
    with pytest.raises(TertuliaError, match=r"^Missing required parameter FriendlyName$"):
        READER.of_query({})


def test_json_is_read_strictly_and_no_body_is_an_empty_object() -> None:
    assert READER.of_json(b'{"FriendlyName": "a", "Enabled": true, "More": 1}') == Wish(friendly_name="a", enabled=True)
    for body in (b"", b"{}", b"[]", b"{", b'{"FriendlyName": 1}', b'{"FriendlyName": "\xff"}', b"[" * 100_000):
        with pytest.raises(TertuliaError) as caught:
            READER.of_json(body)
        assert caught.value.code == 20001


def test_dates_are_moments_and_absent_ones_stay_absent() -> None:
    assert moment(UNSET, BAD_DATE_CREATED) is UNSET
    assert moment("1970-01-01T01:00:01.9+01:00", BAD_DATE_CREATED) == 1_000_000
    with pytest.raises(TertuliaError, match="DateCreated"):
        moment("", BAD_DATE_CREATED)
