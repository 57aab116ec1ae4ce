"""``tertulia serve``: what it prints, makes, answers, and how it ends."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.cli.command import WITHIN_S, Server, environment, evaluated, printed, serving

FIXED = {
    "TERTULIA_ACCOUNT_SID": "AC" + "a1" * 16,
    "TERTULIA_AUTH_TOKEN": "b2" * 16,
    "TERTULIA_API_KEY_SID": "SK" + "c3" * 16,
    "TERTULIA_API_KEY_SECRET": "Secret1234567890",
    "TERTULIA_SERVICE_SID": "IS" + "d4" * 16,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("serve") / "data") as server:
        yield server


def get(server: Server, path: str) -> requests.Response:
    return requests.get(server.base_url + path, timeout=10)


def test_it_says_where_it_is_and_how_to_get_credentials_once_it_is_ready(server: Server) -> None:
    head, rest, websocket, credentials = server.block
    assert re.fullmatch(r"Tertulia \S+ is ready\.", head)
    port = server.base_url.rpartition(":")[2]
    assert int(port) > 0
    assert rest.split() == ["REST", f"http://127.0.0.1:{port}"]
    assert websocket.split() == ["WebSocket", f"ws://127.0.0.1:{port}/v3/wsconnect"]
    assert credentials.split()[0] == "Credentials"


def test_the_command_it_names_for_credentials_prints_those_that_work(server: Server) -> None:
    command = shlex.split(server.block[3])[1:]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=WITHIN_S, check=True)
    values = evaluated(done.stdout)
    assert values["BASE_URL"] == server.base_url
    answer = requests.get(
        f"{values['BASE_URL']}/v1/Services/{values['SERVICE_SID']}",
        auth=(values["ACCOUNT_SID"], values["AUTH_TOKEN"]),
        timeout=10,
    )
    assert answer.json()["account_sid"] == values["ACCOUNT_SID"]


def test_account_and_key_both_open_the_account_api(server: Server) -> None:
    known = server.credentials()
    for user, password in ((known.account_sid, known.auth_token), (known.api_key, known.api_secret)):
        answer = requests.get(f"{server.base_url}/v1/Configuration", auth=(user, password), timeout=10)
        assert answer.json()["default_chat_service_sid"] == known.service_sid
    assert get(server, "/v1/Configuration").status_code == 401


def test_the_first_start_makes_the_four_default_roles(server: Server) -> None:
    known = server.credentials()
    answer = requests.get(f"{server.base_url}/v1/Roles", auth=(known.account_sid, known.auth_token), timeout=10)
    assert sorted((role["type"], role["friendly_name"]) for role in answer.json()["roles"]) == [
        ("conversation", "channel admin"),
        ("conversation", "channel user"),
        ("service", "service admin"),
        ("service", "service user"),
    ]


def test_health_readiness_metrics_and_description_answer_without_credentials(server: Server) -> None:
    assert get(server, "/healthz").status_code == 200
    assert get(server, "/readyz").status_code == 200
    metrics = get(server, "/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert "tertulia_connections" in metrics.text
    assert "process_resident_memory_bytes" in metrics.text
    description = get(server, "/openapi.json").json()
    assert description["openapi"].startswith("3.1")
    assert "/v1/Conversations" in description["paths"]


def test_only_its_owner_can_look_into_the_data_folder(server: Server) -> None:
    assert server.data.stat().st_mode & 0o777 == 0o700
    assert (server.data / "seal.key").stat().st_mode & 0o777 == 0o600
    assert "data.open_to_others" not in server.log


def test_what_it_makes_in_a_folder_open_to_others_is_its_owners_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o755)
    with serving(data) as server:
        modes = {file.name: file.stat().st_mode & 0o777 for file in data.iterdir()}
        assert modes.pop("blobs") == 0o700
        assert modes.keys() >= {"tertulia.db", "tertulia.db-wal", "tertulia.db-shm", "lock", "seal.key", "url"}
        assert set(modes.values()) == {0o600}
        assert server.log.count("data.open_to_others") == 1


def test_its_url_is_in_the_data_folder_while_it_runs(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        assert (server.data / "url").read_text() == f"{server.base_url}\n"
        assert server.stop() == 0
    assert not (server.data / "url").exists()


def test_variables_fix_what_the_first_start_makes_and_later_starts_do_not_look_at_them(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(data, variables=FIXED) as server:
        assert server.credentials()[:5] == tuple(FIXED.values())
    others = {name: value[:2] + "e5" * 16 for name, value in FIXED.items()}
    with serving(data, variables=others) as server:
        assert server.credentials()[:5] == tuple(FIXED.values())


def test_what_no_variable_fixes_is_drawn_anew_for_each_folder(tmp_path: Path) -> None:
    seen: set[str] = set()
    for name in ("one", "two"):
        with serving(tmp_path / name) as server:
            known = server.credentials()
            assert re.fullmatch(r"[A-Za-z0-9]{32}", known.auth_token)
            seen.update(known[:5])
    assert len(seen) == 10


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT], ids=lambda by: by.name)
def test_told_to_stop_it_ends_well_and_starts_again_on_the_same_port_and_folder(
    tmp_path: Path, by: signal.Signals
) -> None:
    data = tmp_path / "data"
    with serving(data) as server:
        known = server.credentials()
        requests.get(f"{server.base_url}/healthz", timeout=10)
        assert server.stop(by) == 0
        assert "Traceback" not in server.log
    with serving(data, port=int(server.base_url.rpartition(":")[2])) as again:
        assert again.credentials() == known
        assert again.stop(by) == 0


def test_a_killed_server_leaves_a_folder_that_the_next_one_opens(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(data) as server:
        known = server.credentials()
        assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    with serving(data) as again:
        assert again.credentials()[:5] == known[:5]


def test_settings_come_from_the_file_in_the_folder_and_flags_are_stronger(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "tertulia.toml").write_text(
        '[server]\nport = 1\npublic_url = "https://chat.example.org/x/"\n[log]\nformat = "json"\n'
    )
    with serving(data) as server:
        assert server.base_url == "https://chat.example.org/x"
        assert server.ws_url == "wss://chat.example.org/x/v3/wsconnect"
        assert server.log.startswith("{")


def test_it_listens_where_the_flags_say(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--host", "127.0.0.2") as server:
        assert server.base_url.startswith("http://127.0.0.2:")
        assert get(server, "/healthz").status_code == 200


def test_it_needs_no_terminal_and_no_home(tmp_path: Path) -> None:
    with serving(tmp_path / "data", variables={"HOME": os.devnull, "TERM": ""}) as server:
        assert get(server, "/readyz").status_code == 200


@pytest.mark.owner_demand(15)
def test_the_log_names_no_secret(tmp_path: Path) -> None:
    with serving(tmp_path / "data", variables={"TERTULIA_LOG_LEVEL": "debug"}) as server:
        known = server.credentials()
        token = printed("token", "ana", "--data", server.data).strip()
        auth = (known.account_sid, known.auth_token)
        requests.post(f"{server.base_url}/v1/Conversations", auth=auth, data={"FriendlyName": "hush hush"}, timeout=10)
        requests.get(f"{server.base_url}/v1/Users", headers={"X-Twilio-Token": token}, timeout=10)
        server.stop()
        assert "request.done" in server.log
        for secret in (known.auth_token, known.api_secret, token, "hush hush"):
            assert secret not in server.log
