"""``tertulia env``: lines for a shell."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import TERTULIA, WITHIN_S, Server, environment, evaluated, printed, refusal, run, serving

NAMES = {"ACCOUNT_SID", "AUTH_TOKEN", "API_KEY", "API_SECRET", "SERVICE_SID", "BASE_URL", "WS_URL"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("env") / "data") as server:
        yield server


def test_a_shell_evaluates_its_lines_and_exports_all_seven(server: Server) -> None:
    lines = printed("env", "--data", server.data)
    assert all(line.startswith("export ") for line in lines.splitlines())
    assert evaluated(lines).keys() == NAMES


def test_without_a_url_it_takes_that_of_the_running_server(server: Server) -> None:
    values = evaluated(printed("env", "--data", server.data))
    assert (values["BASE_URL"], values["WS_URL"]) == (server.base_url, server.ws_url)


def test_when_none_runs_it_takes_that_of_the_settings(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        assert server.stop() == 0
    values = evaluated(printed("env", "--data", server.data))
    assert values["BASE_URL"] == "http://127.0.0.1:8080"
    assert values["WS_URL"] == "ws://127.0.0.1:8080/v3/wsconnect"
    variables = {"TERTULIA_SERVER_HOST": "0.0.0.0", "TERTULIA_SERVER_PORT": "9000"}
    values = evaluated(printed("env", "--data", server.data, variables=variables))
    assert values["BASE_URL"] == "http://127.0.0.1:9000"


@pytest.mark.parametrize(
    ("url", "base", "websocket"),
    [
        ("http://localhost:1234", "http://localhost:1234", "ws://localhost:1234/v3/wsconnect"),
        ("https://chat.example.org/", "https://chat.example.org", "wss://chat.example.org/v3/wsconnect"),
        (
            "https://example.org/it's $HOME",
            "https://example.org/it's $HOME",
            "wss://example.org/it's $HOME/v3/wsconnect",
        ),
    ],
)
def test_both_urls_follow_the_one_that_is_given(server: Server, url: str, base: str, websocket: str) -> None:
    values = evaluated(printed("env", "--data", server.data, "--url", url))
    assert (values["BASE_URL"], values["WS_URL"]) == (base, websocket)


def test_the_credentials_are_the_same_while_the_server_runs_and_when_it_does_not(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        during = printed("env", "--data", server.data, "--url", "http://here")
        server.stop()
    assert printed("env", "--data", tmp_path / "data", "--url", "http://here") == during


def test_it_looks_and_changes_nothing(tmp_path: Path) -> None:
    assert "no data folder" in refusal(run("env", "--data", tmp_path / "data"))
    assert not (tmp_path / "data").exists()
    (tmp_path / "data").mkdir()
    assert "no account yet" in refusal(run("env", "--data", tmp_path / "data"))
    assert list((tmp_path / "data").iterdir()) == []


def test_a_url_that_is_none_is_refused(server: Server) -> None:
    assert "--url" in refusal(run("env", "--data", server.data, "--url", "localhost:8080"))


def test_a_file_that_holds_no_url_is_named(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        server.stop()
    (server.data / "url").write_text("8080\n")
    assert "data/url" in refusal(run("env", "--data", server.data))


def test_a_reader_that_leaves_early_causes_no_noise(server: Server) -> None:
    done = subprocess.run(
        ["sh", "-c", '"$0" env --data "$1" | true', TERTULIA, str(server.data)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
    )
    assert done.stderr == ""
