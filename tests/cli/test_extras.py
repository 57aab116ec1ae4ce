"""Where only some of the packages are installed: what needs no more works, the others say what to do."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import tertulia

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


def run_without(
    names: set[str],
    *arguments: str,
    package: Path | None = None,
    folder: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """The command where these packages are missing; ``package`` is a folder that has another copy of ours."""
    program = [sys.executable, "-c", WITHOUT.format(names=sorted(names)), *arguments]
    here = {} if package is None else {"PYTHONPATH": str(package)}
    return subprocess.run(
        program,
        env={**environment(**here), **(variables or {})},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
    )


@pytest.mark.parametrize(
    ("missing", "command", "wanted"),
    [
        ({"uvicorn"}, ("serve",), "[server]"),
        ({"apsw"}, ("token", "ana"), "[server]"),
        ({"textual", "rich"}, ("chat",), "[chat]"),
        ({"websockets"}, ("listen", "--url", "http://127.0.0.1:1", "--token", "x"), ""),
        ({"apsw"}, ("listen", "--data", "somewhere", "--as", "ana"), "[server]"),
    ],
)
def test_a_command_whose_packages_are_missing_says_what_to_install(
    missing: set[str], command: tuple[str, ...], wanted: str, installed: Path
) -> None:
    done = run_without(missing, *command, package=installed)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"tertulia: {command[0]} needs ")
    assert line.endswith(f": pip install 'tertulia{wanted}'")


def test_in_a_checkout_it_names_the_checkout(checkout: Path) -> None:
    def called(folder: Path, **variables: str) -> str:
        done = run_without({"textual"}, "chat", package=checkout / "src", folder=folder, variables=variables)
        return done.stderr.strip().rpartition("not installed: ")[2]

    assert called(checkout) == "pip install --editable '.[chat]'"
    assert called(checkout.parent) == f"pip install --editable '{checkout}[chat]'"
    # Not the pip of another Python.
    assert called(checkout, PATH="/nowhere").endswith("/bin/pip install --editable '.[chat]'")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has the package as pip puts it there."""
    return copied(tmp_path_factory.mktemp("site") / "site-packages")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("check") / "out"
    copied(root / "src")
    (root / "pyproject.toml").write_text("")
    return root


def copied(folder: Path) -> Path:
    shutil.copytree(Path(tertulia.__file__).parent, folder / "tertulia", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_a_client_needs_nothing_of_a_server(tmp_path: Path) -> None:
    missing = {*OF_A_SERVER, "textual", "rich", "tertulia.server"} - {"certifi", "h11"}
    with serving(tmp_path / "data") as server:
        town = Town(server)
        login = ("--url", town.url, "--token", town.token("ana"))
        listened = run_without(missing, "listen", "--count", "1", "--types", "ready", *login)
        assert (listened.returncode, json.loads(listened.stdout)["identity"]) == (0, "ana"), listened.stderr
        sent = run_without(missing, "send", "hall", "hello", *login)
        assert sent.returncode == 1
        assert "no conversation 'hall'" in sent.stderr


def test_help_and_version_need_nothing_at_all() -> None:
    missing = {*OF_A_SERVER, "textual", "rich", "websockets", "httpx"}
    assert "listen" in run_without(missing, "--help").stdout
    assert run_without(missing, "listen", "--help").returncode == 0
    assert run_without(missing, "--version").returncode == 0
