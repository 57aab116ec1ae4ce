"""JSON that our decoder does not take, though it is well-formed."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia.server.domain.errors import TertuliaError
from tertulia.server.web.forms import Reader, Tolerant
from tertulia.server.web.odd_json import DEEPEST, mended

KEYS = st.text(st.characters(codec="utf-8", min_codepoint=1), max_size=3)
ANY: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
)


def plain(value: Any) -> Any:
    if isinstance(value, str):
        return re.sub("[\0\ud800-\udfff]", "\ufffd", value)
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    return [plain(member) for member in value] if isinstance(value, list) else value


@given(ANY)
def test_what_is_well_formed_is_read_as_it_is_but_for_what_stands_for_no_character(value: Any) -> None:
    text = json.dumps(value)
    assert msgspec.json.decode(mended(text.encode())) == plain(json.loads(text))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (r'"a\ud800b"', "a\ufffdb"),
        (r'"\udc00\ud83d\ude00\ud83d"', "\ufffd😀\ufffd"),
        (r'"\ud83d\ud83d\ude00"', "\ufffd😀"),
        (r'"\u0000\\ud800\""', '\ufffd\\ud800"'),
        (r'{"\ud800": "[{"}', {"\ufffd": "[{"}),
        ("[" * DEEPEST + "1" + "]" * DEEPEST, None),
        ('{"a": ' + '[{"]": "\\"}"},' * 20_000 + "[]" + "]" * 20_000 + ', "b": 1}', {"b": 1}),
    ],
)
def test_what_is_odd_is_made_plain(text: str, kept: Any) -> None:
    read = msgspec.json.decode(mended(text.encode()))
    if isinstance(kept, dict) and "b" in kept:
        assert read["b"] == kept["b"]
    elif kept is not None:
        assert read == kept


@pytest.mark.parametrize("text", ["{", "[" * 200 + "}", "[" * 200 + "]" * 199, '{"a":}', '"\\', "[}" * 200, ""])
def test_what_is_no_json_stays_none(text: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(mended(text.encode()))


def test_a_body_that_ends_in_the_middle_is_gone_through_once() -> None:
    body = b'"' + b'\\"' * 500_000  # to look for its end from each of its quotes would take minutes
    assert mended(body) == body


class Plain(msgspec.Struct, frozen=True):
    name: str = ""


class Odd(Tolerant, frozen=True):
    name: str = ""


BODIES = {
    "half a character": rb'{"name": "a\ud800"}',
    "NUL": rb'{"name": "a\u0000"}',
    "deep": b'{"name": "a", "x": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_that_has_to_be_taken_is(body: bytes) -> None:
    assert Reader(Odd).of_json(body).name in ("a", "a\ufffd")


@pytest.mark.parametrize("body", [*BODIES.values(), b'{"name": "\xff"}', b"{", b'{"x":' + b"[" * 100_000])
def test_others_are_refused_in_words_of_ours(body: bytes) -> None:
    with pytest.raises(TertuliaError) as refused:
        Reader(Plain).of_json(body)
    assert refused.value.code == 20001
    message = refused.value.message
    assert "The body " in message
    assert not any(word in message for word in ("codec", "recursion", "byte", "deserializ", "truncated", "malformed"))
