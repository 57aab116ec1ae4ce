"""The mounted operations against the published ones: nothing missing, nothing extra."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from tertulia.server.rest import ACCOUNT_API
from tertulia.server.web.operations import Operation
from tests.api import published

_BOTH = ("/v1", "/v1/Services/{}")
_MESSAGE = "/Conversations/{}/Messages/{}"

DEFERRED: set[tuple[str, str]] = set()
"""Published, and not ours yet."""

ADDED = {
    (method, path): {"KeyId", "TeamId", "Topic", "PublicKey", "Subject"}
    for method, path in (("POST", "/v1/Credentials"), ("POST", "/v1/Credentials/{}"))
}
"""Parameters of ours beside the published ones: token keys of Apple, key pairs of browsers (semantics 7.1)."""

UNPUBLISHED = {("GET", f"{root}{_MESSAGE}/ChannelMetadata") for root in _BOTH}
"""Known from links and the error dictionary alone (rest 7.2)."""


def shape(operation: Operation) -> tuple[str, str]:
    return operation.method, re.sub(r"\{\w+\}", "{}", operation.path)


def names(form: type[msgspec.Struct] | None, *, required: bool = False) -> set[str]:
    fields = msgspec.structs.fields(form) if form is not None else ()
    return {field.encode_name for field in fields if field.required or not required}


MOUNTED = {shape(operation): operation for operation in ACCOUNT_API}
PUBLISHED = {operation.shape: operation for operation in published.operations()}
IN_SCOPE = sorted(set(MOUNTED) - UNPUBLISHED)


def test_every_published_operation_is_mounted_or_deferred_by_name() -> None:
    assert set(PUBLISHED) - set(MOUNTED) == DEFERRED


def test_nothing_is_mounted_that_is_not_published() -> None:
    assert set(MOUNTED) - set(PUBLISHED) == UNPUBLISHED


@pytest.mark.parametrize("one", IN_SCOPE, ids=" ".join)
def test_an_operation_takes_the_published_parameters_and_answers_with_the_published_status(
    one: tuple[str, str],
) -> None:
    mounted, wanted = MOUNTED[one], PUBLISHED[one]
    assert names(mounted.form) == wanted.body | ADDED.get(one, set())
    assert names(mounted.form, required=True) == wanted.required
    assert names(mounted.query) == wanted.query
    assert mounted.status in wanted.answers


@pytest.mark.parametrize("one", IN_SCOPE, ids=" ".join)
def test_an_operation_obeys_the_header_about_hooks_where_that_is_published(one: tuple[str, str]) -> None:
    assert MOUNTED[one].hooks == PUBLISHED[one].hooks


@pytest.mark.parametrize("one", IN_SCOPE, ids=" ".join)
def test_a_view_has_the_published_properties(one: tuple[str, str]) -> None:
    mounted, schema = MOUNTED[one], PUBLISHED[one].answers[MOUNTED[one].status]
    if schema is None:
        assert mounted.answer is None
        return
    wanted = published.resolved(PUBLISHED[one].document, schema)
    optional = {"chat_service_sid"} if names(mounted.answer) - properties(wanted) else set()
    assert names(mounted.answer) - optional == properties(wanted)


def properties(schema: dict[str, Any]) -> set[str]:
    return set(schema["properties"])
