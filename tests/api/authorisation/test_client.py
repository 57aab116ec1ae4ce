"""The client API against everybody who comes to it (semantics 2.4, 3.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest

from tertulia.server.client_api import CLIENT_API

from .rows import CLIENT, Outcome
from .stage import Stage, Things, refusal_of

pytestmark = pytest.mark.asyncio(loop_scope="package")

OPERATIONS = {f"{operation.method} {operation.path}": operation for operation in CLIENT_API}
INSIDE = ("former", "guest")
OUTSIDE = ("ana of another service", "ana of another account", "guest of another account")
BAD_TOKENS: dict[str, Outcome] = {
    "no token": (401, 20101),
    "expired token": (401, 20104),
    "revoked key": (401, 20103),
    "another account's service": (403, 20403),
    "suspended account": (403, 20403),
}


def shape(name: str) -> str:
    """A row names whose list it is; the operation has a parameter there."""
    return name.replace("/Users/{member}", "/Users/{identity}").replace("/Users/{user}", "/Users/{identity}")


def token_of(stage: Stage, caller: str) -> str:
    now_s, owner, stranger = stage.now_s, stage.owner, stage.stranger
    identity = caller.split(" ")[0]
    tokens: dict[str, Callable[[], str]] = {
        "ana of another service": lambda: owner.token("ana", now_s, stage.other_service),
        "ana of another account": lambda: stranger.token("ana", now_s),
        "guest of another account": lambda: stranger.token("guest", now_s),
        "no token": lambda: "",
        "expired token": lambda: owner.token("ana", now_s - 7200),
        "revoked key": lambda: stage.revoked.token("ana", now_s),
        "another account's service": lambda: stranger.token("ana", now_s, owner.service),
        "suspended account": lambda: stage.suspended.token("ana", now_s),
    }
    return tokens[caller]() if caller in tokens else owner.token(identity, now_s)


async def ask(stage: Stage, name: str, caller: str, things: Things | None = None) -> httpx.Response:
    """About the shared things, unless others are given."""
    row, things = CLIENT[name], things or stage.things
    method, path = name.split(" ", 1)
    return await stage.client(
        method,
        things.filled(path),
        caller,
        _filled(row.body, things),
        token=token_of(stage, caller),
        is_form=row.is_form,
        query={key: things.filled(value) for key, value in row.query.items()},
    )


def _filled(body: Any, things: Things) -> Any:
    if isinstance(body, dict):
        return {key: _filled(value, things) for key, value in body.items()}
    return things.filled(body) if isinstance(body, str) else body


async def test_every_operation_has_a_row_and_every_row_an_operation() -> None:
    assert {shape(name) for name in CLIENT} == set(OPERATIONS)


@pytest.mark.parametrize("name", CLIENT)
async def test_a_member_may(stage: Stage, name: str) -> None:
    answer = await ask(stage, name, "ana", await stage.make_things())
    assert refusal_of(answer) == CLIENT[name].member, answer.text
    if answer.status_code < 400:
        assert answer.status_code == OPERATIONS[shape(name)].status


@pytest.mark.parametrize("caller", BAD_TOKENS)
@pytest.mark.parametrize("name", CLIENT)
async def test_without_a_good_token_nothing_is_answered(stage: Stage, name: str, caller: str) -> None:
    """The same, whatever is asked for, and whether it exists."""
    answers = [await ask(stage, name, caller, things) for things in (None, stage.things.absent())]
    assert [refusal_of(answer) for answer in answers] == [BAD_TOKENS[caller]] * 2
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize("caller", INSIDE + OUTSIDE)
@pytest.mark.parametrize("name", CLIENT)
async def test_who_is_no_member(stage: Stage, name: str, caller: str) -> None:
    """What he may not see is refused as if it did not exist; what he gets has nothing of the conversation in it."""
    expected = _expected(name, caller)
    heard = len(stage.world.bus.heard)
    answer = await ask(stage, name, caller)
    assert refusal_of(answer) == expected, answer.text
    if expected is None:
        assert not _hidden(stage.things) & _words(answer, stage)
        if caller.endswith("another account"):
            assert not {stage.owner.account_sid, stage.owner.service} & _words(answer, stage)
        return
    assert len(stage.world.bus.heard) == heard
    if expected[0] == 404:
        missing = await ask(stage, name, caller, stage.things.absent())
        assert _without_names(answer, stage.things) == _without_names(missing, stage.things.absent())


@pytest.mark.parametrize("name", [name for name in CLIENT if "{conversation}" in name and "{member}" not in name])
@pytest.mark.parametrize("caller", INSIDE + OUTSIDE)
async def test_the_unique_name_leads_nobody_in(stage: Stage, name: str, caller: str) -> None:
    """Outside there is a conversation of the same name, so what is found there is that one."""
    things = msgspec.structs.replace(stage.things, conversation="room", message="IM" + "f" * 32, participant="nobody")
    answer = await ask(stage, name, caller, things)
    if caller in INSIDE or caller.startswith("guest"):
        assert refusal_of(answer) == _expected(name, caller), answer.text
    assert not _hidden(stage.things) & _words(answer, stage)


@pytest.mark.parametrize("caller", INSIDE + OUTSIDE)
async def test_joining_is_open_to_the_users_of_the_service_alone(stage: Stage, caller: str) -> None:
    """The one thing a user may do with a conversation he does not see, with ``joinConversation``."""
    things = await stage.make_things()
    identity = caller.split(" ")[0]
    path = f"/Client/v2/Conversations/{things.conversation}/Participants"
    answer = await stage.client("POST", path, identity, {"identity": identity}, token=token_of(stage, caller))
    assert refusal_of(answer) == (None if caller in INSIDE else (404, 50350)), answer.text


@pytest.mark.parametrize("caller", INSIDE + OUTSIDE)
async def test_nobody_else_can_unregister_a_device(stage: Stage, caller: str) -> None:
    things = stage.things
    for name in ("DELETE /v1/registrations", "DELETE /v1/registrations/{registration}"):
        assert (await ask(stage, name, caller)).status_code == 204
    left = await stage.rest("GET", f"/v1/Services/{stage.owner.service}/Bindings/{things.binding}")
    assert left.status_code == 200


def _expected(name: str, caller: str) -> Outcome:
    row = CLIENT[name]
    # Only who has the member's name has a list of that name, outside.
    return row.inside if caller in INSIDE or (caller.startswith("guest") and "{member}" in name) else row.outside


def _hidden(things: Things) -> set[str]:
    """What must not be in an answer to who is no member."""
    return {things.conversation, things.message, things.participant, things.binding, "secret"}


def _words(answer: httpx.Response, stage: Stage) -> set[str]:
    words = {*stage.things.sids().values(), stage.owner.account_sid, "secret"}
    return {word for word in words if word in answer.text}


def _without_names(answer: httpx.Response, things: Things) -> str:
    text = answer.text
    for value in sorted({*things.sids().values(), things.user}, key=len, reverse=True):
        text = text.replace(value, "*")
    return text
