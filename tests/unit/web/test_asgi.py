"""HTTP in, HTTP out: which face answers, how much is read, what the server says of itself."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tertulia.server.web.asgi import HttpApp
from tertulia.server.web.openapi import describe
from tertulia.server.web.operations import Call, Operations
from tertulia.wire.requests import Reply

from .conftest import Machinery

REST = Operations("rest", "/v1")
CLIENT = Operations("client")
LIMIT = 2048


@REST.operation("GET", "/Echo/{word}")
@REST.operation("POST", "/Echo/{word}")
async def rest_echo(call: Call) -> Reply:
    seen = {"face": "rest", "word": call.path["word"], "query": call.request.query, "body": len(call.request.body)}
    return Reply(200, json.dumps({**seen, "url": call.base_url}).encode())


@CLIENT.operation("GET", "/Client/v2/Echo")
@CLIENT.operation("GET", "/v3/Echo")
@CLIENT.operation("GET", "/v1/typing")
@CLIENT.operation("GET", "/v1/registrations/{sid}")
async def client_echo(call: Call) -> Reply:
    return Reply(200, b'{"face":"client"}')


class Outside:
    """A client of the application."""

    def __init__(self, machinery: Machinery) -> None:
        self.is_ready = True
        rest, client = machinery.rest(REST), machinery.client(CLIENT)
        application = HttpApp(
            rest,
            client,
            is_ready=self._ready,
            document=lambda: describe([*rest.operations, *client.operations]),
            body_limit_bytes=LIMIT,
        )
        known = machinery.credentials
        self.application = application
        self.authorization = machinery.request("GET", "/").headers["authorization"].encode()
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=application),
            base_url="https://a.test:444",
            auth=(known.account_sid, known.auth_token),
        )

    async def _ready(self) -> bool:
        return self.is_ready


@pytest.fixture
def outside(machinery: Machinery) -> Outside:
    return Outside(machinery)


@pytest.mark.parametrize(
    ("path", "face"),
    [
        ("/v1/Echo/x", "rest"),
        ("/Client/v2/Echo", "client"),
        ("/v3/Echo", "client"),
        ("/v1/typing", "client"),
        ("/v1/registrations/x", "client"),
    ],
)
async def test_the_path_chooses_the_face_whatever_the_host(outside: Outside, path: str, face: str) -> None:
    for host in ("a.test", "conversations.twilio.com", "aim.us1.twilio.com"):
        answer = await outside.http.get(path, headers={"Host": host})
        if face == "rest":
            assert answer.json()["face"] == "rest"
        else:
            assert answer.json()["code"] == 20101  # clients have tokens


async def test_path_and_query_arrive_as_they_were_sent(outside: Outside) -> None:
    answer = (await outside.http.get("/v1/Echo/a%2Fb+c%20d?x=1&x=%2B2&y=a+b")).json()
    assert answer["word"] == "a/b+c d"
    assert answer["query"] == {"x": ["1", "+2"], "y": ["a b"]}
    assert answer["url"] == "https://a.test:444"


@pytest.mark.parametrize(("size", "status"), [(0, 200), (LIMIT, 200), (LIMIT + 1, 413)])
async def test_a_body_is_read_up_to_the_limit(outside: Outside, size: int, status: int) -> None:
    async def drip() -> Any:
        for start in range(0, size, 700):
            yield b"x" * min(700, size - start)

    for content in (b"x" * size, drip()):
        answer = await outside.http.post("/v1/Echo/x", content=content)
        assert answer.status_code == status
        assert answer.json().get("body", 0) == (size if status == 200 else 0)


async def test_a_client_that_goes_away_while_it_sends_is_not_answered(outside: Outside) -> None:
    events = [{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}]
    scope = {"type": "http", "method": "POST", "path": "/v1/Echo/x", "raw_path": b"/v1/Echo/x"}

    async def receive() -> Any:
        return events.pop(0)

    async def send(event: Any) -> None:
        raise AssertionError("nobody listens")

    headers = [(b"authorization", outside.authorization)]
    await outside.application({**scope, "headers": headers, "query_string": b"", "scheme": "http"}, receive, send)


async def test_the_server_says_whether_it_lives_and_whether_it_is_ready(outside: Outside) -> None:
    assert (await outside.http.get("/healthz")).json() == {"status": "ok"}
    assert (await outside.http.get("/readyz")).status_code == 200
    outside.is_ready = False
    assert (await outside.http.get("/readyz")).status_code == 503
    assert (await outside.http.get("/healthz")).status_code == 200
    assert (await outside.http.head("/healthz")).content == b""


async def test_metrics_are_in_the_text_format_of_prometheus(outside: Outside) -> None:
    await outside.http.get("/v1/Echo/x")
    answer = await outside.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'tertulia_requests_total{face="rest",operation="rest_echo",status="2xx"}' in answer.text


async def test_the_description_is_served(outside: Outside) -> None:
    document = (await outside.http.get("/openapi.json")).json()
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) == {one.path for one in (*REST, *CLIENT)}


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/Echo", "/favicon.ico", "/healthz/x"])
async def test_everything_else_is_not_found(outside: Outside, path: str) -> None:
    answer = await outside.http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, 20404)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json", "/"])
async def test_what_the_server_says_of_itself_is_not_for_pages_of_other_sites(outside: Outside, path: str) -> None:
    assert "access-control-allow-origin" not in (await outside.http.get(path)).headers
    assert "access-control-allow-origin" not in (await outside.http.options(path)).headers
