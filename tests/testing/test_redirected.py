"""Programs that make clients of the official library themselves, redirected to the server of the test."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import httpx
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http import HttpClient
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from tertulia.testing import LocalServer, redirected, running_server

NAMES = ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "no_proxy", "NO_PROXY")
MADE_BEFORE = Client("AC" + "0" * 32, "nobody's")


def rooms(client: Any) -> list[str]:
    return [each.friendly_name for each in client.conversations.v1.conversations.list()]


@pytest.fixture(autouse=True)
def _room(tertulia_rest: httpx.Client) -> None:
    tertulia_rest.post("/v1/Conversations", data={"FriendlyName": "here"}).raise_for_status()


@pytest.fixture
def caught(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """URLs that the library would have sent a request to; none of these leaves this machine."""
    urls: list[str] = []

    def request(self: TwilioHttpClient, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        urls.append(url)
        raise ConnectionError("caught")

    monkeypatch.setattr(TwilioHttpClient, "request", request)
    return urls


def test_whoever_makes_a_client_talks_to_the_server(
    tertulia_redirected: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = [
        Client(),
        Client(os.environ["TWILIO_ACCOUNT_SID"], os.environ["TWILIO_AUTH_TOKEN"]),
        MADE_BEFORE,
        Client("SK" + "0" * 32, "somebody's", account_sid="AC" + "1" * 32),
        Client("AC" + "2" * 32, "somebody's", region="ie1", edge="dublin"),
        Client("AC" + "2" * 32, "somebody's", http_client=TwilioHttpClient(pool_connections=False, timeout=3)),
    ]
    # Nor does a proxy hear of it, that would refuse.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert [rooms(client) for client in made] == [["here"]] * len(made)


def test_an_http_client_of_its_own_is_asked_for_the_server(tertulia_redirected: LocalServer) -> None:
    asked: list[tuple[str, str, Any]] = []

    class Own(HttpClient):  # type: ignore[misc]
        def request(self, method: str, url: str, **others: Any) -> Any:
            asked.append((method, url, others["auth"]))
            return TwilioHttpClient().request(method, url, **others)

    assert rooms(Client("AC" + "2" * 32, "somebody's", http_client=Own(None, False, None))) == ["here"]
    server = tertulia_redirected
    assert asked == [("GET", f"{server.base_url}/v1/Conversations", (server.account_sid, server.auth_token))]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:aiohttp")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:twilio")  # what it uses of aiohttp
async def test_so_do_clients_for_coroutines(tertulia_redirected: LocalServer) -> None:
    async with AsyncTwilioHttpClient() as http, asyncio.timeout(10):
        client = Client("AC" + "2" * 32, "somebody's", http_client=http)
        found = await client.conversations.v1.conversations.list_async()
    assert [each.friendly_name for each in found] == ["here"]


def test_other_services_of_the_hosted_one_are_not_reached_either(tertulia_redirected: LocalServer) -> None:
    with pytest.raises(TwilioRestException) as refused:
        Client().messages.create(to="+15550100", from_="+15550101", body="paid for?")
    assert refused.value.status == 404


def test_who_has_no_credentials_is_refused(tertulia_redirected: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWILIO_ACCOUNT_SID")
    monkeypatch.delenv("TWILIO_AUTH_TOKEN")
    with pytest.raises(TwilioRestException) as refused:
        Client().conversations.v1.conversations.create()
    assert refused.value.status == 401


def test_the_fixtures_may_be_used_together(tertulia_redirected: LocalServer, tertulia_twilio: Any) -> None:
    assert rooms(tertulia_twilio) == rooms(Client()) == ["here"]


@pytest.mark.parametrize("before", [{}, {name: f"of before {name}" for name in NAMES}])
def test_afterwards_all_is_as_it_was(
    tertulia_server: LocalServer, monkeypatch: pytest.MonkeyPatch, caught: list[str], before: dict[str, str]
) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in before.items():
        monkeypatch.setenv(name, value)

    def fail() -> None:
        with redirected(tertulia_server):
            assert os.environ["TWILIO_AUTH_TOKEN"] == tertulia_server.auth_token
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert {name: os.environ[name] for name in NAMES if name in os.environ} == before
    with pytest.raises(ConnectionError):
        rooms(MADE_BEFORE)
    assert caught == ["https://conversations.twilio.com/v1/Conversations"]
    assert MADE_BEFORE.get_auth(None) == ("AC" + "0" * 32, "nobody's")


def test_the_innermost_server_is_the_one(tertulia_server: LocalServer) -> None:
    with redirected(tertulia_server):
        with running_server() as other, redirected(other):
            assert rooms(Client()) == rooms(MADE_BEFORE) == []
        assert rooms(Client()) == rooms(MADE_BEFORE) == ["here"]
