"""What every request shares: credentials, methods, paths, bodies, headers (rest 1)."""

from __future__ import annotations

import base64

import httpx
import pytest

from tests.engine.world import World

from .client import AccountHolder

MISSING = "CH" + "0" * 32


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def test_an_account_is_let_in_by_its_token_and_by_an_api_key(world: World, http: httpx.AsyncClient) -> None:
    known = world.credentials
    for user, password in ((known.account_sid, known.auth_token), (known.api_key_sid, known.api_key_secret)):
        answer = await http.get("/v1/Configuration", auth=(user, password))
        assert answer.json()["account_sid"] == known.account_sid


@pytest.mark.parametrize("path", ["/v1/Conversations", "/v1/NoSuchResource"])
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"no separator").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
        basic("", ""),
        basic("AC" + "f" * 32, "0" * 32),
        basic("SK" + "f" * 32, "0" * 32),
        "Bearer " + "x" * 32,
    ],
)
async def test_whoever_is_not_known_is_401_with_a_challenge(
    http: httpx.AsyncClient, path: str, authorization: str | None
) -> None:
    answer = await http.get(path, headers={} if authorization is None else {"Authorization": authorization})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="Twilio API"'
    assert answer.json() == {
        "code": 20003,
        "message": "Authenticate",
        "more_info": "https://www.twilio.com/docs/errors/20003",
        "status": 401,
    }


async def test_a_wrong_password_is_401(world: World, http: httpx.AsyncClient) -> None:
    known = world.credentials
    for user in (known.account_sid, known.api_key_sid):
        assert (await http.get("/v1/Configuration", auth=(user, "0" * 32))).status_code == 401


async def test_the_name_of_the_scheme_may_be_in_any_case(world: World, http: httpx.AsyncClient) -> None:
    known = world.credentials
    header = "bAsIc" + basic(known.account_sid, known.auth_token)[5:]
    assert (await http.get("/v1/Configuration", headers={"Authorization": header})).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        f"/Conversations/{MISSING}",
        f"/Conversations/{MISSING}/Messages",
        f"/Conversations/{MISSING}/Participants/MB" + "0" * 32,
        "/Users/nobody",
        "/Users/nobody/Conversations",
        "/Roles/RL" + "0" * 32,
        "/NoSuchResource",
        "/Conversations/",
        "/Conversations//Messages",
        "/Conversations/%00",
    ],
)
async def test_what_the_url_names_and_is_not_there_is_20404_with_the_path(api: AccountHolder, path: str) -> None:
    sentence = (await api.get(path)).refused_with(404, 20404)
    assert sentence == f"The requested resource {api.prefix.removeprefix('/v1')}{path} was not found"


async def test_an_unknown_service_is_20404_for_every_operation(account: AccountHolder) -> None:
    gone = "/v1/Services/IS" + "0" * 32
    for path in ("", "/Configuration", "/Conversations", "/Users", "/Roles", "/ParticipantConversations?Identity=a"):
        (await account.get(gone + path)).refused_with(404, 20404)
    for path in ("/Conversations", "/Users", "/Roles", "/Configuration"):
        form = {"Identity": "a", "FriendlyName": "f", "Type": "service", "Permission": "joinConversation"}
        (await account.post(gone + path, form)).refused_with(404, 20404)


async def test_a_link_that_leads_nowhere_answers_as_missing(api: AccountHolder, room: str) -> None:
    (await api.get(f"{room}/Export")).refused_with(404, 20404)


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/v1/Services"), ("PATCH", "/v1/Configuration"), ("DELETE", "/v1/Conversations"), ("BREW", "/v1/Users")],
)
async def test_a_method_that_a_path_does_not_have_is_405(account: AccountHolder, method: str, path: str) -> None:
    sentence = (await account.ask(method, path)).refused_with(405, 20004)
    resource = path.removeprefix("/v1")
    assert sentence == f"The requested resource {resource} does not support the attempted HTTP method {method}"


async def test_answers_are_json_with_the_headers_of_the_hosted_service(account: AccountHolder) -> None:
    first, second = await account.get("/Configuration"), await account.get("/Configuration")
    assert first.headers["content-type"] == "application/json"
    assert first.headers["twilio-request-id"].startswith("RQ") and len(first.headers["twilio-request-id"]) == 34
    assert first.headers["twilio-request-id"] != second.headers["twilio-request-id"]
    assert float(first.headers["twilio-request-duration"]) >= 0
    assert first.headers["twilio-concurrent-requests"] == "1"
    assert first.headers["x-home-region"] == "us1"
    assert first.headers["x-api-domain"]
    assert first.headers["access-control-allow-origin"] == "*"


async def test_refusals_have_those_headers_too(account: AccountHolder) -> None:
    answer = await account.get("/NoSuchResource")
    assert {"twilio-request-id", "x-home-region", "access-control-allow-origin"} <= set(answer.headers)


async def test_browsers_may_ask_before_they_ask(http: httpx.AsyncClient) -> None:
    answer = await http.options("/v1/Conversations", headers={"Origin": "https://a.test"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    for header in ("Authorization", "If-Match", "Idempotency-Key", "X-Twilio-Webhook-Enabled"):
        assert header in answer.headers["access-control-allow-headers"]
    assert "DELETE" in answer.headers["access-control-allow-methods"]
    assert "ETag" in answer.headers["access-control-expose-headers"]


async def test_head_is_get_without_a_body(account: AccountHolder) -> None:
    whole = await account.get("/Configuration")
    answer = await account.http.head("/v1/Configuration")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == whole.headers["content-length"]


async def test_the_four_verbs_have_their_status(api: AccountHolder) -> None:
    made = await api.post("/Conversations", {"FriendlyName": "a"})
    path = f"/Conversations/{made['sid']}"
    statuses = [made.status, (await api.get(path)).status, (await api.post(path, {"FriendlyName": "b"})).status]
    gone = await api.delete(path)
    assert [*statuses, gone.status] == [201, 200, 200, 204]
    assert gone.body is None
    assert "content-length" not in gone.headers and "content-type" not in gone.headers


@pytest.mark.parametrize("length", [2**20 + 1, 3 * 2**20])
async def test_a_body_over_the_limit_is_413(account: AccountHolder, length: int) -> None:
    (await account.ask("POST", "/Conversations", content=b"x" * length)).refused_with(413, 20413)


async def test_a_body_of_unknown_length_is_read_to_the_limit_only(account: AccountHolder) -> None:
    async def drip() -> object:
        for _ in range(5):
            yield b"x" * 2**18

    (await account.ask("POST", "/Conversations", content=drip())).refused_with(413, 20413)


async def test_text_survives_the_form(api: AccountHolder) -> None:
    nasty = 'plus + percent % amp & eq = semi ; quote " emoji \U0001f680 ü中 line\nend'
    made = await api.made("/Conversations", {"FriendlyName": nasty})
    assert made["friendly_name"] == nasty


async def test_unknown_parameters_are_ignored(api: AccountHolder) -> None:
    made = await api.made("/Conversations", {"FriendlyName": "x", "NoSuchParameter": "1", "friendlyname": "y"})
    assert made["friendly_name"] == "x"
    assert (await api.get("/Users", NoSuchFilter="1")).status == 200


async def test_a_nul_is_no_text(api: AccountHolder) -> None:
    (await api.post("/Conversations", {"FriendlyName": "a\0b"})).refused_with(400, 20001)
    (await api.get("/ParticipantConversations", Identity="a\0b")).refused_with(400, 20001)


@pytest.mark.parametrize(
    "identity", ["a/b", "a+b", "a b", "a?b#c", "100%", "a%2Fb", "Jörg", "+15550001111", "a@b.test"]
)
async def test_a_path_is_split_first_and_decoded_then(api: AccountHolder, identity: str) -> None:
    sid = (await api.made("/Users", {"Identity": identity}))["sid"]
    encoded = httpx.URL("http://x").copy_with(params={"k": identity}).query.decode()[2:].replace("+", "%20")
    assert (await api.get(f"/Users/{encoded}"))["sid"] == sid


async def test_a_plus_in_a_path_is_a_plus(api: AccountHolder) -> None:
    await api.made("/Users", {"Identity": "a+b"})
    assert (await api.get("/Users/a+b"))["identity"] == "a+b"
    (await api.get("/Users/a b")).refused_with(404, 20404)


@pytest.mark.parametrize("value", ["true", "FALSE", "True", "neither"])
async def test_the_webhook_header_is_accepted_everywhere(api: AccountHolder, value: str) -> None:
    headers = {"X-Twilio-Webhook-Enabled": value}
    path = f"/Conversations/{(await api.post('/Conversations', headers=headers))['sid']}"
    for _ in range(2):
        assert (await api.post(path, {"FriendlyName": "h"}, headers=headers)).status == 200
    assert (await api.ask("DELETE", path, headers=headers)).status == 204


async def test_a_database_that_is_away_is_503(world: World, account: AccountHolder) -> None:
    assert (await account.get("/Configuration")).status == 200
    await world.database.close()
    (await account.get("/Configuration")).refused_with(503, 20503)
    (await account.post("/Configuration", {"DefaultInactiveTimer": "PT5M"})).refused_with(503, 20503)


async def test_urls_in_answers_begin_with_what_the_request_was_sent_to(account: AccountHolder) -> None:
    answer = await account.http.get("/v1/Configuration", headers={"Host": "conversations.example:8443"})
    assert answer.json()["url"] == "http://conversations.example:8443/v1/Configuration"
