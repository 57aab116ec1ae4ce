"""``tertulia token``: tokens that the server takes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from websockets.exceptions import WebSocketException

from tests.cli.command import Server, printed, refusal, run, serving, welcome


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("token") / "data") as server:
        yield server


def status_of(server: Server, *arguments: str) -> tuple[int, int | None]:
    """How the server answers a client with the token of this call, and with which error."""
    done = run("token", *arguments, "--data", server.data)
    assert done.returncode == 0, done.stderr
    status = welcome(server.ws_url, done.stdout.strip()).header.status
    assert status is not None
    return status.code, status.error_code


@pytest.mark.parametrize("flags", [(), ("--encrypted",), ("--ttl", "180"), ("--ttl", "86400", "--encrypted")])
@pytest.mark.owner_demand(11)
def test_the_server_lets_its_holder_in(server: Server, flags: tuple[str, ...]) -> None:
    assert status_of(server, "ana", *flags) == (200, None)


@pytest.mark.owner_demand(15)
def test_a_token_shows_in_no_log_and_in_no_refusal(tmp_path: Path) -> None:
    """Whoever has it is its holder. Good, damaged, too short, and where it does not belong: in a URL."""
    with serving(tmp_path / "data", variables={"TERTULIA_LOG_LEVEL": "debug"}) as server:
        good = printed("token", "ana", "--data", server.data).strip()
        short = run("token", "ana", "--ttl", "60", "--data", server.data).stdout.strip()
        damaged = good[:-8] + "AAAAAAAA"
        answers = []
        for token in (good, damaged, short):
            answers.append(str(welcome(server.ws_url, token).header))
            with contextlib.suppress(WebSocketException):
                welcome(f"{server.ws_url}?token={token}", token)
            ways: list[dict[str, Any]] = [{"headers": {"X-Twilio-Token": token}}, {"params": {"X-Twilio-Token": token}}]
            for how in ways:
                answer = requests.get(f"{server.base_url}/Client/v2/Configuration", timeout=10, **how)
                answers.append(f"{answer.status_code} {answer.headers} {answer.text}")
        assert [answer[:3] for answer in answers if answer[:3].isdigit()] == ["200", *["401"] * 5]
        assert server.stop() == 0
        for token in (good, damaged, short):
            for part in {token, *token.split(".")[1:]}:
                assert part not in server.log
                assert [answer for answer in answers if part in answer] == []


@pytest.mark.parametrize("identity", ["ana@example.org", "ana & ben", "Аня 🌻", "x" * 256])
def test_any_identity_that_the_server_allows_will_do(server: Server, identity: str) -> None:
    assert status_of(server, identity) == (200, None)


def test_a_token_is_what_the_helper_libraries_sign(server: Server) -> None:
    known = server.credentials()
    token = printed("token", "ana", "--ttl", "600", "--data", server.data).strip()
    claims = jwt.decode(token, known.api_secret, algorithms=["HS256"])
    assert jwt.get_unverified_header(token)["cty"] == "twilio-fpa;v=1"
    assert (claims["iss"], claims["sub"]) == (known.api_key, known.account_sid)
    assert claims["grants"] == {"identity": "ana", "chat": {"service_sid": known.service_sid}}
    assert 590 < claims["exp"] - time.time() <= 600


def test_a_token_is_for_the_service_that_is_asked_for(server: Server) -> None:
    known = server.credentials()
    answer = requests.post(
        f"{server.base_url}/v1/Services",
        auth=(known.account_sid, known.auth_token),
        data={"FriendlyName": "second"},
        timeout=10,
    )
    sid = answer.json()["sid"]
    token = printed("token", "ana", "--service", sid, "--data", server.data).strip()
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["grants"]["chat"] == {"service_sid": sid}
    assert status_of(server, "ana", "--service", sid) == (200, None)


@pytest.mark.parametrize("sid", ["IS" + "0" * 32, "second", ""])
def test_a_service_that_the_account_does_not_have_is_refused(server: Server, sid: str) -> None:
    assert "--service" in refusal(run("token", "ana", "--service", sid, "--data", server.data))


@pytest.mark.parametrize("sid", ["CR" + "0" * 32, "mine", ""])
def test_a_push_credential_that_the_account_does_not_have_is_refused(server: Server, sid: str) -> None:
    line = refusal(run("token", "ana", "--push-credential", sid, "--data", server.data))
    assert line.startswith(f"--push-credential {sid}: ") and "has none yet" in line


def test_an_hour_is_its_life_unless_it_is_given(server: Server) -> None:
    claims = jwt.decode(printed("token", "ana", "--data", server.data).strip(), options={"verify_signature": False})
    assert 3590 < claims["exp"] - time.time() <= 3600


def test_an_encrypted_token_shows_nothing_of_its_holder(server: Server) -> None:
    token = printed("token", "ana", "--encrypted", "--data", server.data).strip()
    assert len(token.split(".")) == 5
    assert printed("token", "ana", "--encrypted", "--data", server.data).strip() != token


@pytest.mark.parametrize("ttl", ["179", "86401"])
def test_a_life_that_the_server_would_refuse_is_printed_with_a_warning(server: Server, ttl: str) -> None:
    done = run("token", "ana", "--ttl", ttl, "--data", server.data)
    assert done.returncode == 0
    assert "180 to 86400 seconds" in done.stderr
    status = welcome(server.ws_url, done.stdout.strip()).header.status
    assert status is not None
    assert status.code != 200


def test_an_identity_that_no_token_can_name_is_refused(server: Server) -> None:
    assert "identity" in refusal(run("token", "", "--data", server.data))
    assert "identity" in refusal(run("token", "x" * 257, "--data", server.data))


@pytest.mark.parametrize("arguments", [(), ("ana", "--ttl", "soon"), ("ana", "--ttl", "0"), ("ana", "--ttl", "-5")])
def test_a_wrong_call_is_answered_with_the_usage(arguments: tuple[str, ...]) -> None:
    done = run("token", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("usage: tertulia token")
