"""Where only some of the packages are installed: what needs no more works, the others say what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .command import WITHIN_S, environment, serving
from .people import Town

OF_A_SERVER = (
    "apsw",
    "certifi",
    "cryptography",
    "h11",
    "httptools",
    "joserfc",
    "prometheus_client",
    "uvicorn",
    "uvloop",
)
"""Those that no client asks for by itself; ``certifi`` and ``h11`` come with its HTTP."""
WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from tertulia.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def run_without(names: set[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command where these packages are missing."""
    program = [sys.executable, "-c", WITHOUT.format(names=sorted(names)), *arguments]
    return subprocess.run(program, env=environment(), capture_output=True, text=True, timeout=WITHIN_S)


@pytest.mark.parametrize(
    ("missing", "command", "wanted"),
    [
        ({"uvicorn"}, ("serve",), "tertulia[server]"),
        ({"apsw"}, ("token", "ana"), "tertulia[server]"),
        ({"textual", "rich"}, ("chat",), "tertulia[chat]"),
        ({"websockets"}, ("listen", "--url", "http://127.0.0.1:1", "--token", "x"), "tertulia"),
        ({"apsw"}, ("listen", "--data", "somewhere", "--as", "ana"), "tertulia[server]"),
    ],
)
def test_a_command_whose_packages_are_missing_says_what_to_install(
    missing: set[str], command: tuple[str, ...], wanted: str
) -> None:
    done = run_without(missing, *command)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"tertulia: {command[0]} needs ")
    assert line.endswith(f"pip install '{wanted}'")


def test_a_client_needs_nothing_of_a_server(tmp_path: Path) -> None:
    missing = {*OF_A_SERVER, "textual", "rich", "tertulia.server"} - {"certifi", "h11"}
    with serving(tmp_path / "data") as server:
        town = Town(server)
        login = ("--url", town.url, "--token", town.token("ana"))
        listened = run_without(missing, "listen", "--count", "1", "--types", "ready", *login)
        assert (listened.returncode, json.loads(listened.stdout)["identity"]) == (0, "ana"), listened.stderr
        sent = run_without(missing, "send", "hall", "hello", *login)
        assert sent.returncode == 1
        assert "404" in sent.stderr


def test_help_and_version_need_nothing_at_all() -> None:
    missing = {*OF_A_SERVER, "textual", "rich", "websockets", "httpx"}
    assert "listen" in run_without(missing, "--help").stdout
    assert run_without(missing, "listen", "--help").returncode == 0
    assert run_without(missing, "--version").returncode == 0
