"""Templates and values, whatever they are: what becomes of them is bounded, and no value that is there is left out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from tertulia.server.domain import limits
from tertulia.server.domain.content import Content
from tertulia.server.domain.content_types import SHOWN, TYPES, Types, read_types
from tertulia.server.domain.errors import BAD_PARAMETER, BODY_TOO_LONG, TertuliaError
from tertulia.server.domain.rendering import render, text_fallback

R = TypeVar("R")

PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="{}"), max_size=40)
NAMES = st.sampled_from(["1", "2", "name", "a b", "é" * 16])
BODIES = st.lists(PLAIN | NAMES.map(lambda name: f"{{{{{name}}}}}")).map("".join)
VALUES = st.dictionaries(NAMES, PLAIN)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
PARTS: dict[str, Callable[[str], dict[str, Any]]] = {
    "twilio/text": lambda body: {"body": body},
    "twilio/media": lambda body: {"body": body, "media": [body]},
    "twilio/location": lambda body: {"latitude": 1.5, "longitude": 2.5, "label": body},
    "twilio/quick-reply": lambda body: {"body": body, "actions": [{"title": body, "id": body}]},
    "twilio/list-picker": lambda body: {"body": "x", "button": body, "items": [{"id": body, "item": body}]},
    "twilio/call-to-action": lambda body: {"body": body, "actions": [{"type": "URL", "title": "x", "url": body}]},
    "twilio/card": lambda body: {"title": f"x{body}", "media": [body], "actions": [], "subtitle": "y"},
}


def types_of(bodies: dict[str, str]) -> Types:
    return read_types(json.dumps({name: PARTS[name](body or "x") for name, body in bodies.items()}).encode())


TYPES_OF_SOME = st.dictionaries(st.sampled_from(SHOWN), BODIES, min_size=1).map(types_of)


def content(types: Types, defaults: dict[str, str] | None = None) -> Content:
    return Content("HX", "AC", "", "en", defaults or {}, types, None, 0, 0)


def outcome(deed: Callable[[], R]) -> R | TertuliaError:
    """What comes of it, or its refusal. Whatever else is raised is a failure."""
    try:
        return deed()
    except TertuliaError as refusal:
        return refusal


def texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in inner for text in texts(each)]


@given(TYPES_OF_SOME, VALUES, VALUES)
def test_no_placeholder_is_left_for_which_there_is_a_value(
    types: Types, defaults: dict[str, str], values: dict[str, str]
) -> None:
    rendered = render(content(types, defaults), values)
    for text in [rendered.body or "", *texts(json.loads(rendered.data))]:
        left = set(re.findall(r"\{\{(.*?)\}\}", text))
        assert not left & (defaults.keys() | values.keys())


@given(TYPES_OF_SOME, VALUES, VALUES)
def test_what_a_message_brings_comes_before_what_the_template_has(
    types: Types, defaults: dict[str, str], values: dict[str, str]
) -> None:
    assert render(content(types, defaults), values) == render(content(types), {**defaults, **values})


@given(TYPES_OF_SOME, VALUES)
def test_what_is_rendered_is_rendered(types: Types, values: dict[str, str]) -> None:
    rendered = render(content(types), values)
    again = read_types(json.dumps({rendered.type: json.loads(rendered.data)["data"]}).encode())
    assert render(content(again), values).data == rendered.data


@given(st.dictionaries(st.sampled_from(SHOWN), PLAIN, min_size=1).map(types_of), VALUES)
def test_a_template_without_placeholders_is_shown_as_it_is(types: Types, values: dict[str, str]) -> None:
    rendered = render(content(types), values)
    assert rendered.body == (text_fallback(types) or None)
    assert json.loads(rendered.data)["data"] == json.loads(msgspec.json.encode(types.get(rendered.type)))
    assert rendered.type == next(name for name in SHOWN if types.get(name) is not None)


@given(PLAIN, st.text(st.characters(codec="utf-8"), max_size=40))
def test_a_value_is_put_in_as_it_is(before: str, value: str) -> None:
    types = read_types(json.dumps({"twilio/text": {"body": f"{before}{{{{1}}}}"}}).encode())
    assert (render(content(types), {"1": value, "2": "never"}).body or "") == before + value


@given(st.integers(0, 3000), st.integers(0, limits.CONTENT_VARIABLE_VALUE_CHARS), st.sampled_from(["1", "2"]))
@example(60, limits.CONTENT_VARIABLE_VALUE_CHARS, "1")
@example(3000, limits.CONTENT_VARIABLE_VALUE_CHARS, "1")
def test_what_it_becomes_is_bounded(count: int, length: int, name: str) -> None:
    body = f"x{{{{{name}}}}}"
    types = read_types(
        json.dumps(
            {"twilio/text": {"body": "x"}, "twilio/card": {"title": body * (count // 2), "media": [body * count]}}
            if count >= 2
            else {"twilio/text": {"body": body}}
        ).encode()
    )
    rendered = outcome(lambda: render(content(types), {"1": "y" * length}))
    if isinstance(rendered, TertuliaError):
        assert rendered.code == BODY_TOO_LONG.code
        return
    assert len((rendered.body or "").encode()) <= limits.MESSAGE_BODY
    assert sum(map(len, texts(json.loads(rendered.data)))) <= limits.CONTENT_RENDERED_CHARS


@given(JSON | st.dictionaries(st.sampled_from(TYPES), JSON))
@example({"twilio/location": {"latitude": 10**400, "longitude": 0}})
def test_whatever_types_are_sent_they_are_kept_or_refused(types: Any) -> None:
    kept = outcome(lambda: read_types(json.dumps(types).encode()))
    if isinstance(kept, TertuliaError):
        assert kept.code == BAD_PARAMETER.code
        assert len(kept.message) < 600
        return
    encoded = msgspec.json.encode(kept)
    assert read_types(encoded) == kept
    assert msgspec.json.decode(encoded, type=Types) == kept
