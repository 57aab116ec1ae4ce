"""The account API against everybody who comes to it (rest 1.2, architecture 4)."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest

from tertulia.server.rest import ACCOUNT_API, ADDITIONS
from tertulia.server.web.operations import Operation

from .rows import NOT_THERE, QUERIES, REFERENCES, REST, Outcome
from .stage import NO_PHONE, Stage, Tenant, Things, refusal_of

pytestmark = pytest.mark.asyncio(loop_scope="package")

_LONG = "/v1/Services/{service}"
OPERATIONS = {f"{operation.method} {operation.path}": operation for operation in (*ACCOUNT_API, *ADDITIONS)}
NAMING_NOTHING = [name for name in OPERATIONS if "{" not in name or (name in REST and REST[name].is_anybodys)]
NAMING = [name for name in OPERATIONS if name not in NAMING_NOTHING]
"""What they are about is named by their path."""
IN_SERVICE = [name for name, operation in OPERATIONS.items() if operation.in_service and operation.is_long]
BENEATH_SERVICE = [name for name in IN_SERVICE if OPERATIONS[name].path.count("{") > 1]

BAD_CREDENTIALS: dict[str, Outcome] = {
    "no credentials": (401, 20003),
    "wrong secret": (401, 20003),
    "revoked key": (401, 20003),
    "member's token": (401, 20003),
    "suspended account": (403, 20005),
    "key of suspended account": (403, 20005),
}


def row_of(operation: Operation) -> str:
    """The name of an operation's row: that of its short path."""
    is_long = operation.is_long and operation.in_service
    return f"{operation.method} {operation.path.removeprefix(_LONG if is_long else '/v1')}"


async def ask(stage: Stage, name: str, things: Things | None = None, **how: Any) -> httpx.Response:
    """As the owner, about the shared things, unless something else is said."""
    operation, things = OPERATIONS[name], things or stage.things
    row = REST[row_of(operation)]
    form = {key: things.filled(value) for key, value in row.form.items()}
    query = QUERIES.get(row_of(operation))
    path = things.filled(operation.path)
    return await stage.rest(operation.method, path, form=form or None, json=row.json, query=query, **how)


async def test_every_operation_has_a_row_and_every_row_an_operation() -> None:
    assert {row_of(operation) for operation in OPERATIONS.values()} == set(REST)


@pytest.mark.parametrize("name", OPERATIONS)
async def test_the_owner_may(stage: Stage, name: str) -> None:
    things = await stage.make_things()
    if name == f"DELETE {_LONG}":
        spare = await stage.made(stage.owner, "/v1/Services", FriendlyName="spare")
        things = msgspec.structs.replace(things, service=spare)
    answer = await ask(stage, name, things)
    assert refusal_of(answer) == REST[row_of(OPERATIONS[name])].owner, answer.text
    if answer.status_code < 400:
        assert answer.status_code in (OPERATIONS[name].status, 202)


@pytest.mark.parametrize("caller", BAD_CREDENTIALS)
@pytest.mark.parametrize("name", OPERATIONS)
async def test_without_good_credentials_nothing_is_answered(stage: Stage, name: str, caller: str) -> None:
    """The same, whatever is asked for, and whether it exists."""
    answers = [
        await ask(stage, name, things, **_credentials(stage, caller)) for things in (None, stage.things.absent())
    ]
    assert [refusal_of(answer) for answer in answers] == [BAD_CREDENTIALS[caller]] * 2
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize("name", NAMING)
async def test_another_account_finds_nothing_by_name(stage: Stage, name: str) -> None:
    await is_as_if_absent(stage, name, stage.things, auth=_by(stage.stranger))


@pytest.mark.parametrize("name", BENEATH_SERVICE)
async def test_another_account_finds_nothing_beneath_its_own_service(stage: Stage, name: str) -> None:
    things = msgspec.structs.replace(stage.things, service=stage.stranger.service)
    await is_as_if_absent(stage, name, things, auth=_by(stage.stranger))


@pytest.mark.parametrize("name", BENEATH_SERVICE)
async def test_another_service_has_nothing_of_this_one(stage: Stage, name: str) -> None:
    await is_as_if_absent(stage, name, msgspec.structs.replace(stage.things, service=stage.other_service))


@pytest.mark.parametrize("name", NAMING_NOTHING)
async def test_another_account_gets_its_own_things_alone(stage: Stage, name: str) -> None:
    answer = await ask(stage, name, msgspec.structs.replace(stage.things, phone=NO_PHONE), auth=_by(stage.stranger))
    assert answer.status_code == OPERATIONS[name].status, answer.text
    assert mentioned(stage, answer) == set()


@pytest.mark.parametrize("what", REFERENCES)
async def test_another_account_cannot_name_it_in_a_parameter(stage: Stage, what: str) -> None:
    named, form = REFERENCES[what]
    method, path = named.replace("{mine}", stage.stranger.service).split(" ")
    answers = [
        await stage.rest(
            method,
            path if path.startswith(("/channels", "/simulator")) else f"/v1{path}",
            form={key: things.filled(value) for key, value in form.items()},
            auth=_by(stage.stranger),
        )
        for things in (stage.things, stage.things.absent())
    ]
    assert answers[0].status_code in (400, 404), answers[0].text
    assert _without_names(answers[0], stage.things) == _without_names(answers[1], stage.things.absent())


@pytest.mark.parametrize(
    "path", ["/v1/Conversations", "/v1/Users", "/v1/Roles", "/v1/Services", "/v1/Credentials", "/v1/Content"]
)
async def test_a_page_token_of_another_account_opens_nothing_of_it(stage: Stage, path: str) -> None:
    await stage.make_things()
    await stage.made(stage.owner, "/v1/Services", FriendlyName="one more")
    next_page = (await stage.rest("GET", path, query={"PageSize": "1"})).json()["meta"]["next_page_url"]
    answer = await stage.rest("GET", next_page, auth=_by(stage.stranger))
    assert answer.status_code == 400 or mentioned(stage, answer) == set(), answer.text


async def is_as_if_absent(stage: Stage, name: str, things: Things, **how: Any) -> None:
    """Refused, in the very bytes in which the same request for things that do not exist is, and nothing happens."""
    heard = len(stage.world.bus.heard)
    absent = msgspec.structs.replace(things.absent(), service=things.service)
    refused, missing = await ask(stage, name, things, **how), await ask(stage, name, absent, **how)
    assert refusal_of(refused) == NOT_THERE, refused.text
    assert _without_names(refused, things) == _without_names(missing, absent)
    assert len(stage.world.bus.heard) == heard


def mentioned(stage: Stage, answer: httpx.Response) -> set[str]:
    """What of the owner's is in it."""
    secrets = {*stage.things.sids().values(), stage.owner.account_sid, stage.owner.service, stage.other_service}
    return {secret for secret in secrets if secret in answer.text}


def _without_names(answer: httpx.Response, things: Things) -> str:
    """The body without what it echoes of the path."""
    text = answer.text
    names = {*things.sids().values(), things.member, things.user, things.address, things.phone}
    for value in sorted(names, key=len, reverse=True):
        text = text.replace(value, "*")
    return text


def _by(tenant: Tenant) -> tuple[str, str]:
    return tenant.account_sid, tenant.auth_token


def _credentials(stage: Stage, caller: str) -> dict[str, Any]:
    owner, suspended, revoked = stage.owner, stage.suspended, stage.revoked
    if caller == "member's token":
        return {"auth": None, "headers": {"X-Twilio-Token": owner.token("ana", stage.now_s)}}
    pairs = {
        "no credentials": None,
        "wrong secret": (owner.account_sid, "x" * 32),
        "revoked key": (revoked.key_sid, revoked.secret),
        "suspended account": _by(suspended),
        "key of suspended account": (suspended.key_sid, suspended.secret),
    }
    return {"auth": pairs[caller]}
