"""``tertulia accounts`` and ``tertulia keys``, on a data folder on which a server runs all the time."""

from __future__ import annotations

import contextlib
import json
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tertulia.wire import frames
from tests.cli.command import WITHIN_S, Server, evaluated, printed, refusal, run, serving, welcome

ASKING = (
    b'{"id":"TM2","method":"message","payload_size":0,'
    b'"http_request":{"path":"/Client/v2/Configuration","method":"GET"}}'
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that asks often, so that nobody waits here."""
    data = tmp_path_factory.mktemp("accounts") / "data"
    with serving(data, variables={"TERTULIA_TOKENS_RECHECK_S": "0.1"}) as server:
        yield server


def told(server: Server, *arguments: str) -> Any:
    return json.loads(printed(*arguments, "--json", "--data", server.data))


def made(server: Server, name: str) -> dict[str, str]:
    """A new account with a key; the facts of both."""
    account = told(server, "accounts", "create", name)
    return {**account, **told(server, "keys", "create", "--account", account["account_sid"])}


def status(server: Server, user: str, password: str) -> tuple[int, int | None]:
    answer = requests.get(f"{server.base_url}/v1/Services", auth=(user, password), timeout=10)
    return answer.status_code, answer.json().get("code")


def becomes(now: Callable[[], tuple[int, int | None]], wanted: tuple[int, int | None]) -> None:
    """Asked again and again, the server comes to answer so."""
    ends_at = time.monotonic() + WITHIN_S
    while now() != wanted:
        assert time.monotonic() < ends_at, f"{now()} for ever"


@contextlib.contextmanager
def connected(server: Server, *chosen: str) -> Iterator[tuple[ClientConnection, str]]:
    """A client's connection, with a token of the account or key that is chosen; and that token."""
    token = printed("token", "ana", *chosen, "--data", server.data).strip()
    with connect(server.ws_url, proxy=None) as socket:
        socket.send(frames.init("TM1", token))
        message = socket.recv(timeout=WITHIN_S)
        assert isinstance(message, bytes)
        answer = frames.parse(message).header.status
        assert answer is not None and answer.code == 200
        yield socket, token


def is_served(socket: ClientConnection) -> bool:
    """A request inside the connection is answered."""
    socket.send(b"TWILSOCK V3.0 %d\r\n%b\r\n" % (len(ASKING), ASKING))
    message = socket.recv(timeout=WITHIN_S)
    assert isinstance(message, bytes)
    return b'"http_status":{"code":200' in message


def refusal_at_init(server: Server, token: str) -> tuple[int, int | None]:
    answer = welcome(server.ws_url, token).header.status
    assert answer is not None
    return answer.code, answer.error_code


def test_a_new_account_is_served_at_once_with_a_service_of_its_own(server: Server) -> None:
    new = made(server, "Ana & sons")
    answer = requests.get(
        f"{server.base_url}/v1/Services", auth=(new["account_sid"], new["auth_token"]), timeout=10
    ).json()
    assert [service["sid"] for service in answer["services"]] == [new["service_sid"]]
    assert status(server, new["api_key"], new["api_secret"]) == (200, None)
    for secret in (new["auth_token"], new["api_secret"]):
        assert len(secret) == 32 and secret.isascii() and secret.isalnum()
    with connected(server, "--account", new["account_sid"]):
        pass


def test_lists_have_all_and_no_secret(server: Server) -> None:
    new = made(server, "listed")
    for form in ((), ("--json",)):
        accounts = printed("accounts", "list", *form, "--data", server.data)
        keys = printed("keys", "list", "--account", new["account_sid"], *form, "--data", server.data)
        assert new["account_sid"] in accounts and "listed" in accounts and server.credentials().account_sid in accounts
        assert new["api_key"] in keys and server.credentials().api_key not in keys
        for secret in (new["auth_token"], new["api_secret"], server.credentials().auth_token):
            assert secret not in accounts + keys


def test_a_name_cannot_command_a_terminal(server: Server) -> None:
    name = "a\n\x1b[31mred \u202eé"
    made = printed("accounts", "create", name, "--data", server.data)
    listed = printed("accounts", "list", "--data", server.data)
    for text in (made, listed):
        assert r"a\n\x1b[31mred \u202eé" in text
    assert name in [
        one["friendly_name"] for one in json.loads(printed("accounts", "list", "--json", "--data", server.data))
    ]


def test_env_and_token_take_the_account_or_the_key_that_is_named(server: Server) -> None:
    new, first = made(server, "chosen"), server.credentials()
    second = told(server, "keys", "create", "second", "--account", new["account_sid"])
    by_account = evaluated(printed("env", "--account", new["account_sid"], "--data", server.data))
    assert (by_account["ACCOUNT_SID"], by_account["AUTH_TOKEN"]) == (new["account_sid"], new["auth_token"])
    assert (by_account["API_KEY"], by_account["SERVICE_SID"]) == (new["api_key"], new["service_sid"])
    by_key = evaluated(printed("env", "--key", second["api_key"], "--data", server.data))
    assert (by_key["ACCOUNT_SID"], by_key["API_SECRET"]) == (new["account_sid"], second["api_secret"])
    mixed = ("--account", new["account_sid"], "--key", first.api_key)
    assert "not one of account" in refusal(run("env", *mixed, "--data", server.data))
    assert "--service" in refusal(
        run("token", "ana", "--account", new["account_sid"], "--service", first.service_sid, "--data", server.data)
    )


def test_a_revoked_key_ends_its_connections_tokens_and_requests_and_no_others(server: Server) -> None:
    new = made(server, "revoking")
    other = told(server, "keys", "create", "other", "--account", new["account_sid"])
    assert status(server, new["api_key"], new["api_secret"]) == (200, None)
    with (
        connected(server, "--key", new["api_key"]) as (doomed, token),
        connected(server, "--key", other["api_key"]) as (
            spared,
            _,
        ),
    ):
        revoked = told(server, "keys", "revoke", new["api_key"])
        assert revoked["date_revoked"] is not None and "api_secret" not in revoked
        with pytest.raises(ConnectionClosed):
            doomed.recv(timeout=WITHIN_S)
        assert is_served(spared)
    becomes(lambda: refusal_at_init(server, token), (401, 20103))
    becomes(lambda: status(server, new["api_key"], new["api_secret"]), (401, 20003))
    assert status(server, new["account_sid"], new["auth_token"]) == (200, None)
    assert "revoked" in refusal(run("token", "ana", "--key", new["api_key"], "--data", server.data))


def test_a_suspended_account_is_served_no_longer_until_it_is_reinstated(server: Server) -> None:
    new = made(server, "suspending")
    with connected(server, "--account", new["account_sid"]) as (socket, token):
        done = run("accounts", "revoke", new["account_sid"], "--data", server.data)
        assert done.returncode == 0 and "suspended" in done.stderr
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=WITHIN_S)
    becomes(lambda: refusal_at_init(server, token), (403, 20403))
    for user, password in ((new["account_sid"], new["auth_token"]), (new["api_key"], new["api_secret"])):
        becomes(lambda: status(server, user, password), (403, 20005))  # noqa: B023
    assert "suspended" in run("token", "ana", "--account", new["account_sid"], "--data", server.data).stderr
    assert status(server, *server.credentials()[:2]) == (200, None)
    printed("accounts", "reinstate", new["account_sid"], "--data", server.data)
    becomes(lambda: status(server, new["account_sid"], new["auth_token"]), (200, None))
    becomes(lambda: refusal_at_init(server, token), (200, None))


@pytest.mark.parametrize(
    "arguments",
    [
        ("accounts", "revoke", "AC" + "0" * 32),
        ("keys", "list", "--account", "AC" + "0" * 32),
        ("keys", "revoke", "SK" + "0" * 32),
        ("env", "--account", "AC" + "0" * 32),
        ("token", "ana", "--key", "SK" + "0" * 32),
    ],
    ids=" ".join,
)
def test_what_does_not_exist_is_named(server: Server, arguments: tuple[str, ...]) -> None:
    assert arguments[-1] in refusal(run(*arguments, "--data", server.data))


@pytest.mark.parametrize("arguments", [("accounts",), ("keys",), ("accounts", "create"), ("keys", "revoke")])
def test_a_wrong_call_is_answered_with_the_usage(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2 and done.stderr.startswith(f"usage: tertulia {arguments[0]}")


def test_nothing_is_made_where_nothing_is(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert "no data folder" in refusal(run("accounts", "create", "x", "--data", data))
    assert not data.exists()
    data.mkdir()
    for deed in (("accounts", "create", "x"), ("keys", "list")):
        assert "first start" in refusal(run(*deed, "--data", data))
    assert list(data.iterdir()) == []


def test_it_works_without_a_server_too_and_leaves_files_of_the_owner_alone(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        server.stop()
    new = made(server, "offline")
    assert new["account_sid"] in printed("accounts", "list", "--data", server.data)
    assert {stat.S_IMODE(file.stat().st_mode) & 0o077 for file in server.data.iterdir()} == {0}
    with serving(tmp_path / "data") as server:
        assert status(server, new["api_key"], new["api_secret"]) == (200, None)


def test_an_account_without_a_live_key_says_how_to_get_one(server: Server) -> None:
    account = told(server, "accounts", "create", "keyless")
    line = refusal(run("token", "ana", "--account", account["account_sid"], "--data", server.data))
    assert "tertulia keys create" in line
