"""One request, from the table to the reply, whatever happens."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tertulia.server import observe
from tertulia.server.domain.callers import identity
from tertulia.server.domain.errors import CONVERSATION_NOT_FOUND, MEDIA_UNKNOWN, RESOURCE_NOT_FOUND
from tertulia.server.web.forms import Form
from tertulia.server.web.operations import BOTH, Call, Operations
from tertulia.wire.requests import Reply, Request
from tertulia.wire.tokens import mint

from .conftest import Machinery

REST = Operations("rest", "/v1")
CLIENT = Operations("client")


class Echo(msgspec.Struct):
    path: dict[str, str]
    body: str
    root: str
    service: str
    hooks: bool
    who: str
    mutation: str | None


class Wish(Form, frozen=True, kw_only=True):
    body: str = ""


def echo(call: Call, body: str) -> Echo:
    caller = call.caller
    return Echo(call.path, body, call.root, call.service_sid, caller.hooks, caller.author, caller.mutation_id)


@REST.operation("POST", "/Echo/{word}", Wish, status=201, scopes=BOTH, hooks=True)
@CLIENT.operation("POST", "/Client/v2/Echo/{word}", Wish, body="json")
async def post_echo(call: Call, form: Wish) -> Echo:
    return echo(call, form.body)


@REST.operation("GET", "/Bug")
@CLIENT.operation("GET", "/Client/v2/Bug")
async def bug(call: Call) -> None:
    raise ZeroDivisionError("a detail for us alone")


@REST.operation("GET", "/Missing/{what}")
@CLIENT.operation("GET", "/Client/v2/Missing/{what}")
async def missing(call: Call) -> None:
    raise {"addressed": CONVERSATION_NOT_FOUND, "named": MEDIA_UNKNOWN, "thing": RESOURCE_NOT_FOUND}[
        call.path["what"]
    ]()


@REST.operation("GET", "/Bytes")
async def some_bytes(call: Call) -> Reply:
    return Reply(206, b"\x00", (("content-type", "image/png"),))


def body_of(reply: Reply) -> Any:
    return json.loads(reply.body)


async def test_a_view_becomes_json_with_the_declared_status(machinery: Machinery) -> None:
    request = machinery.request("POST", "/v1/Echo/w%2Fx", b"Body=a+b", x_twilio_webhook_enabled=" TRUE ")
    reply = await machinery.rest(REST).dispatch(request)
    assert reply.status == 201
    assert body_of(reply) == {
        "path": {"word": "w/x"},
        "body": "a b",
        "root": "http://a.test/v1",
        "service": machinery.credentials.service_sid,
        "hooks": True,
        "who": "system",
        "mutation": None,
    }


async def test_the_long_form_is_in_the_service_of_its_path(machinery: Machinery) -> None:
    sid = machinery.credentials.service_sid
    reply = await machinery.rest(REST).dispatch(machinery.request("POST", f"/v1/Services/{sid}/Echo/w"))
    got = body_of(reply)
    assert (got["service"], got["root"]) == (sid, f"http://a.test/v1/Services/{sid}")
    other = machinery.request("POST", f"/v1/Services/IS{'0' * 32}/Echo/w")
    assert (await machinery.rest(REST).dispatch(other)).status == 404


@pytest.mark.parametrize("value", ["false", "", "1", "yes"])
async def test_hooks_are_off_unless_the_header_says_true(machinery: Machinery, value: str) -> None:
    dispatcher = machinery.rest(REST)
    assert body_of(await dispatcher.dispatch(machinery.request("POST", "/v1/Echo/w")))["hooks"] is False
    request = machinery.request("POST", "/v1/Echo/w", x_twilio_webhook_enabled=value)
    assert body_of(await dispatcher.dispatch(request))["hooks"] is False


async def test_urls_begin_with_the_public_url_else_with_what_the_edge_saw(machinery: Machinery) -> None:
    request = machinery.request("POST", "/v1/Echo/w")
    reply = await machinery.rest(REST).dispatch(request, base_url="https://b.test")
    assert body_of(reply)["root"] == "https://b.test/v1"
    reply = await machinery.rest(REST, public_url="https://c.test/chat/").dispatch(request, base_url="https://b.test")
    assert body_of(reply)["root"] == "https://c.test/chat/v1"


async def test_a_bug_is_a_500_with_a_reference_and_a_traceback_in_the_log(
    machinery: Machinery, caplog: pytest.LogCaptureFixture
) -> None:
    reply = await machinery.rest(REST).dispatch(machinery.request("GET", "/v1/Bug"))
    reference = dict(reply.headers)["Twilio-Request-Id"]
    assert (reply.status, body_of(reply)["code"]) == (500, 20500)
    assert reference in body_of(reply)["message"]
    assert b"detail" not in reply.body and b"Zero" not in reply.body
    (line,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert line.exc_info is not None and line.exc_info[0] is ZeroDivisionError


async def test_each_request_is_one_line_without_a_word_of_the_caller(
    machinery: Machinery, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tertulia.server.web")
    dispatcher = machinery.rest(REST)
    request = machinery.request("POST", "/v1/Echo/a-secret-word", b"Body=another-secret")
    await dispatcher.dispatch(request)
    await dispatcher.dispatch(Request("SECRET", "/v1/secret", {"secret": ["secret"]}, {}, b"secret"))
    lines = [record for record in caplog.records if record.name.startswith("tertulia.server.web")]
    assert [record.getMessage() for record in lines] == ["request.done"] * 2
    shown = [observe.TextFormatter().format(record) for record in lines]
    assert "operation=post_echo" in shown[0] and "status=201" in shown[0] and "request_id=RQ" in shown[0]
    assert "operation=unknown" in shown[1] and "status=401" in shown[1]
    assert not any("secret" in line.lower() or machinery.credentials.auth_token in line for line in shown)


async def test_each_request_is_counted_under_its_operation(machinery: Machinery) -> None:
    def count() -> float:
        labels = {"face": "rest", "operation": "post_echo", "status": "2xx"}
        return observe.REGISTRY.get_sample_value("tertulia_requests_total", labels) or 0

    before = count()
    await machinery.rest(REST).dispatch(machinery.request("POST", "/v1/Echo/w"))
    assert count() == before + 1


@pytest.mark.parametrize(
    ("what", "rest_code", "client_code"),
    [("addressed", 20404, 50350), ("named", 50507, 50507), ("thing", 20404, 20404)],
)
async def test_faces_spell_what_is_missing_each_in_its_way(
    machinery: Machinery, what: str, rest_code: int, client_code: int
) -> None:
    reply = await machinery.rest(REST).dispatch(machinery.request("GET", f"/v1/Missing/{what}"))
    assert (reply.status, body_of(reply)["code"]) == (404, rest_code)
    is_path = body_of(reply)["message"] == f"The requested resource /Missing/{what} was not found"
    assert is_path == (rest_code == 20404)
    caller = identity(machinery.credentials.account_sid, machinery.credentials.service_sid, "ana")
    request = Request("GET", f"/Client/v2/Missing/{what}", {}, {}, b"")
    reply = await machinery.client(CLIENT).dispatch(request, caller=caller)
    assert (reply.status, body_of(reply)["code"]) == (404, client_code)


async def test_a_reply_is_sent_as_it_is(machinery: Machinery) -> None:
    reply = await machinery.rest(REST).dispatch(machinery.request("GET", "/v1/Bytes"))
    assert (reply.status, reply.body, dict(reply.headers)["content-type"]) == (206, b"\x00", "image/png")


async def test_a_connection_says_who_asks(machinery: Machinery) -> None:
    known = machinery.credentials
    caller = identity(known.account_sid, known.service_sid, "ana", mutation_id="m1")
    request = Request("POST", "/Client/v2/Echo/w", {}, {}, b'{"Body": "x"}')
    got = body_of(await machinery.client(CLIENT).dispatch(request, caller=caller, base_url="http://b.test"))
    assert (got["who"], got["service"], got["mutation"], got["hooks"]) == ("ana", known.service_sid, "m1", True)
    assert (got["body"], got["root"]) == ("x", "http://b.test")


def token(machinery: Machinery, *, ttl_s: int = 3600, **changed: str) -> str:
    known = machinery.credentials
    claims = {
        "account_sid": known.account_sid,
        "key_sid": known.api_key_sid,
        "service_sid": known.service_sid,
    } | changed
    return mint(
        account_sid=claims["account_sid"],
        key_sid=claims["key_sid"],
        service_sid=claims["service_sid"],
        secret=known.api_key_secret,
        identity="ana",
        now_s=machinery.clock.now() / 1_000_000,
        ttl_s=ttl_s,
    )


async def test_over_plain_http_the_token_is_in_a_header_and_makes_the_user(machinery: Machinery) -> None:
    headers = {"x-twilio-token": token(machinery), "x-twilio-mutation-id": "m1"}
    request = Request("POST", "/Client/v2/Echo/w", {}, headers, b"{}")
    dispatcher = machinery.client(CLIENT)
    for _ in range(2):
        got = body_of(await dispatcher.dispatch(request))
        assert (got["who"], got["mutation"]) == ("ana", "m1")
    assert (await machinery.world.queries.user(machinery.credentials.service_sid, "ana")).identity == "ana"


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        (None, 401, 20101),
        ({"service_sid": "IS" + "0" * 32}, 403, 20403),
        ({"key_sid": "SK" + "0" * 32}, 401, 20103),
        ({"account_sid": "AC" + "0" * 32}, 401, 20103),
    ],
)
async def test_a_bad_token_is_refused_with_its_code(
    machinery: Machinery, changed: dict[str, str] | None, status: int, code: int
) -> None:
    headers = {} if changed is None else {"x-twilio-token": token(machinery, ttl_s=3600, **changed)}
    reply = await machinery.client(CLIENT).dispatch(Request("GET", "/Client/v2/Bug", {}, headers, b""))
    assert (reply.status, body_of(reply)["code"]) == (status, code)


async def test_a_remembered_token_ends_when_it_says(machinery: Machinery) -> None:
    request = Request("POST", "/Client/v2/Echo/w", {}, {"x-twilio-token": token(machinery, ttl_s=200)}, b"")
    dispatcher = machinery.client(CLIENT)
    machinery.clock.advance(timedelta(seconds=190))
    assert (await dispatcher.dispatch(request)).status == 200
    machinery.clock.advance(timedelta(seconds=11))
    reply = await dispatcher.dispatch(request)
    assert (reply.status, body_of(reply)["code"]) == (401, 20104)


async def test_an_unknown_path_of_clients_is_20404(machinery: Machinery) -> None:
    caller = identity(machinery.credentials.account_sid, machinery.credentials.service_sid, "ana")
    reply = await machinery.client(CLIENT).dispatch(Request("GET", "/Client/v2/No", {}, {}, b""), caller=caller)
    assert (reply.status, body_of(reply)["code"]) == (404, 20404)
