"""What cannot be served says so in one line, with a code that is not zero, and leaves everything as it was."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tertulia.server.sealing import Sealer
from tests.cli.command import TERTULIA, WITHIN_S, environment, refusal, run, serving


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder on which a server has run."""
    with serving(tmp_path / "data") as server:
        assert server.stop() == 0
    return tmp_path / "data"


@contextlib.contextmanager
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def _without_privileges_over_files() -> None:
    """In a child, before it becomes the command: not even root writes where permissions say no (prctl 24)."""
    libc = ctypes.CDLL(None, use_errno=True)
    for privilege in (1, 2, 3):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
        if libc.prctl(24, privilege, 0, 0, 0):
            os._exit(77)


def test_a_port_in_use(tmp_path: Path) -> None:
    with taken_port() as port:
        line = refusal(run("serve", "--port", str(port), "--data", tmp_path / "data"))
    assert f"port {port}" in line
    assert "in use" in line
    assert "--port, or PORT= with make" in line
    assert not (tmp_path / "data").exists()


def test_an_address_that_is_not_ours(tmp_path: Path) -> None:
    line = refusal(run("serve", "--port", "0", "--host", "192.0.2.1", "--data", tmp_path / "data"))
    assert "192.0.2.1" in line


def test_a_port_that_is_none(tmp_path: Path) -> None:
    assert "--port" in refusal(run("serve", "--port", "http", "--data", tmp_path / "data"))
    assert "--port" in refusal(run("serve", "--port", "65536", "--data", tmp_path / "data"))


@pytest.mark.parametrize("inside", ["", "deeper/still"])
def test_a_file_where_the_data_folder_should_be(tmp_path: Path, inside: str) -> None:
    (tmp_path / "data").write_text("mine")
    line = refusal(run("serve", "--port", "0", "--data", tmp_path / "data" / inside))
    assert str(tmp_path / "data") in line
    assert (tmp_path / "data").read_text() == "mine"


@pytest.mark.parametrize("inside", ["", "data"], ids=["the folder itself", "the folder it is to be made in"])
def test_a_folder_that_may_only_be_read(tmp_path: Path, inside: str) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    done = subprocess.run(
        [TERTULIA, "serve", "--port", "0", "--data", str(folder / inside)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        preexec_fn=_without_privileges_over_files,
    )
    if done.returncode == 77:
        pytest.skip("this user may write everywhere and cannot give that up")
    line = refusal(done)
    assert str(folder) in line
    assert "cannot be written" in line
    assert list(folder.iterdir()) == []


def test_a_data_folder_that_another_server_holds(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        line = refusal(run("serve", "--port", "0", "--data", server.data))
        assert "held by another server" in line
        assert "--data, or DATA= with make" in line
        assert server.stop() == 0


def test_a_database_from_a_newer_release(data: Path) -> None:
    with contextlib.closing(sqlite3.connect(data / "tertulia.db")) as database, database:
        database.execute("INSERT INTO schema_migration VALUES (9999, 'far_future', 'x', 0)")
    for command in (("serve", "--port", "0"), ("env",), ("token", "ana"), ("migrate", "--plan"), ("migrate",)):
        line = refusal(run(*command, "--data", data))
        assert "newer release" in line


def test_a_file_that_is_no_database(data: Path) -> None:
    (data / "tertulia.db").write_bytes(b"all work and no play " * 1000)
    assert "cannot be opened" in refusal(run("serve", "--port", "0", "--data", data))
    assert "cannot be opened" in refusal(run("env", "--data", data))


def test_another_key_than_the_one_that_sealed_the_secrets(data: Path) -> None:
    other = {"TERTULIA_SEAL_KEY": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}
    for command in (("serve", "--port", "0"), ("env",), ("token", "ana")):
        line = refusal(run(*command, "--data", data, variables=other))
        assert "key" in line
        assert other["TERTULIA_SEAL_KEY"] not in line


def test_a_push_credential_that_another_key_has_sealed(data: Path) -> None:
    """As when a database is put together from two backups."""
    sid = "CR" + "0" * 32
    other = Sealer(b"\x02" * 32)
    with contextlib.closing(sqlite3.connect(data / "tertulia.db")) as database, database:
        database.execute(
            "INSERT INTO credentials VALUES (?, 'AC', 'fcm', NULL, 0, ?, 0, 0)", (sid, other.seal("{}", sid))
        )
    for command in (("serve", "--port", "0"), ("env",)):
        line = refusal(run(*command, "--data", data))
        assert f"sealed with key {other.key_id}" in line
        assert "put back the key" in line


def test_a_key_file_that_is_gone_is_not_replaced_by_another(data: Path) -> None:
    key = data / "seal.key"
    kept = key.read_bytes()
    key.unlink()
    for command in (("serve", "--port", "0"), ("env",), ("token", "ana")):
        assert f"{key} is missing" in refusal(run(*command, "--data", data))
    assert not key.exists()

    key.write_bytes(kept)
    key.chmod(0o600)
    with serving(data) as server:
        assert server.stop() == 0


def test_a_key_file_that_others_may_read(data: Path) -> None:
    (data / "seal.key").chmod(0o644)
    assert "chmod 600" in refusal(run("serve", "--port", "0", "--data", data))


def test_a_key_that_is_none(tmp_path: Path) -> None:
    line = refusal(run("serve", "--port", "0", "--data", tmp_path / "data", variables={"TERTULIA_SEAL_KEY": "short"}))
    assert "TERTULIA_SEAL_KEY" in line
    assert "short" not in line


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TERTULIA_ACCOUNT_SID", "AC123"),
        ("TERTULIA_SERVICE_SID", "AC" + "0" * 32),
        ("TERTULIA_AUTH_TOKEN", "not-for-basic:auth"),
    ],
)
def test_a_fixed_value_that_the_official_libraries_would_not_take(tmp_path: Path, variable: str, value: str) -> None:
    line = refusal(run("serve", "--port", "0", "--data", tmp_path / "data", variables={variable: value}))
    assert variable in line
    assert not (tmp_path / "data").exists()


def test_a_variable_that_means_nothing(tmp_path: Path) -> None:
    line = refusal(run("serve", "--data", tmp_path / "data", variables={"TERTULIA_SERVER_PROT": "1"}))
    assert "TERTULIA_SERVER_PROT" in line
    assert "did you mean TERTULIA_SERVER_PORT?" in line


def test_a_settings_file_with_a_mistake(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for text, word in (("[server]\nprot = 1\n", "server.prot"), ("[server\n", "tertulia.toml"), ("[x]\n", "[x]")):
        (data / "tertulia.toml").write_text(text)
        assert word in refusal(run("serve", "--port", "0", "--data", data))
    assert "nowhere.toml" in refusal(run("serve", "--data", data, "--config", tmp_path / "nowhere.toml"))
