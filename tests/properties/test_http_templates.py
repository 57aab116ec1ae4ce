"""Whatever a message says, it stays where its placeholder stood: in JSON, in a path, in a query."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tertulia.server.channels.http_sms.paths import found, holds, texts
from tertulia.server.channels.http_sms.templates import in_fields, in_json, in_path, in_text

WORDS = st.text(alphabet=st.characters(codec="utf-8"), max_size=60)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)


@given(WORDS, WORDS)
def test_json_says_what_was_said(text: str, to: str) -> None:
    template = {"to": ["{to}"], "said": {"text": "so: {text}", "as": "{{text}}"}}
    encoded = msgspec.json.encode(in_json(template, {"text": text, "to": to}))
    expected: dict[str, Any] = {"said": {"text": f"so: {text}", "as": "{text}"}}
    if to:
        expected["to"] = [to]
    assert msgspec.json.decode(encoded) == expected


@given(WORDS)
def test_a_value_stays_within_its_segment_of_a_path(value: str) -> None:
    path = in_path("/send/{to}/end", {"to": value})
    assert path.count("/") == 3
    assert path.isascii()
    assert not {"?", "#", " "} & set(path)
    assert unquote(path) == f"/send/{value}/end"
    assert urlsplit(f"https://api.example{path}").hostname == "api.example"
    assert "/../" not in path


@given(WORDS, WORDS)
def test_a_value_stays_within_its_field(text: str, to: str) -> None:
    fields = in_fields({"text": "{text}", "to": "{to}", "both": "{to}: {text}"}, {"text": text, "to": to})
    pairs = [("text", text), ("to", to), ("both", f"{to}: {text}")]
    assert parse_qsl(fields, keep_blank_values=True) == [pair for pair in pairs if pair[1]]


@given(WORDS)
def test_what_is_filled_in_is_not_filled_again(text: str) -> None:
    assert in_text("{a}{b}", {"a": "{b}", "b": text}) == "{b}" + text


@given(ANYTHING, st.sampled_from(["", "a", "a.b", "[]", "[0]", "a[].b | c", "a[0][1] + b", "a[].b[].c"]))
def test_whatever_comes_a_path_leads_somewhere_or_nowhere(document: Any, path: str) -> None:
    assert all(isinstance(text, str) for text in texts(document, path))
    assert isinstance(found(document, path), list)
    assert holds(document, {path: ("*",)}) is bool(texts(document, path))
