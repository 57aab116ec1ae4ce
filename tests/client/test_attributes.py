"""Attributes: any JSON of the application's, and whatever others have put into theirs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from operator import eq
from typing import Any

import pytest

from tertulia.client.attributes import attributes_of, attributes_text
from tertulia.client.errors import InvalidArgumentError

from .stage import Stage


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (None, {}),
        ("{}", {}),
        ('{"a":[1,"b",null]}', {"a": [1, "b", None]}),
        ({"a": [1]}, {"a": [1]}),
        ('"a text"', "a text"),
        ("null", None),
        ("no JSON", {}),
        ("", {}),
        ('"\\ud800"', {}),
        ("1" + "0" * 5000, {}),
        (nested(65), {}),
        (nested(980), {}),
        (nested(100_000), {}),
        ('{"a":"' + "[" * 1000 + '"}', {"a": "[" * 1000}),
    ],
    ids=lambda value: str(value)[:20],
)
def test_attributes_are_what_was_told_or_none(told: Any, expected: Any) -> None:
    assert attributes_of(told) == expected


def test_whoever_reads_them_may_be_deep_in_calls_of_his_own() -> None:
    def at_depth(levels: int, what: Callable[[], Any]) -> Any:
        return what() if not levels else at_depth(levels - 1, what)

    value: Any = []
    for _ in range(900):
        value = [value]
    for told in (nested(64), nested(900), value):
        read = at_depth(600, partial(attributes_of, told))
        assert at_depth(600, partial(repr, read)) and at_depth(600, partial(eq, read, read))


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    "value", [object(), {"a": "\ud800"}, {(1, 2): "secret"}, CIRCLE, [[]] * 2 + [10**5000]], ids=range(5)
)
def test_what_json_cannot_say_is_refused_and_not_repeated(value: Any) -> None:
    with pytest.raises(InvalidArgumentError) as refusal:
        attributes_text(value)
    assert "secret" not in str(refusal.value)


def test_what_no_reader_would_bear_is_refused() -> None:
    assert attributes_text(attributes_of(nested(64))) == nested(64)
    with pytest.raises(InvalidArgumentError, match="64 levels"):
        attributes_text([attributes_of(nested(64))])


ODD = {"tuple": (1, 2), 3: "a number's name", "none": float("nan"), "set": {1}, "day": datetime(2026, 1, 2)}
AS_JSON = {"tuple": [1, 2], "3": "a number's name", "none": None, "set": [1], "day": "2026-01-02T00:00:00"}


async def test_an_update_is_seen_as_json_has_it(stage: Stage) -> None:
    """However the application spells it: no update waits for an event that cannot come."""
    [room] = await stage.hosted("ana", visibility_timeout=2)
    message = await room.send("hello")
    [participant] = room.participants.values()
    me = await participant.get_user()
    await me.update(attributes=ODD)
    await room.update(attributes=ODD)
    await participant.update(attributes=ODD)
    await message.edit(attributes=ODD)
    assert [each.attributes for each in (me, room, participant, message)] == [AS_JSON] * 4
