"""Projects that use the plugin, each run by a pytest of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "testing_offline"
PAGE = ROOT / "docs" / "testing.md"

Run = Callable[..., tuple[int, str]]

ANYIO = """
import anyio, pytest
from tertulia.client.events import MessageAdded

pytestmark = pytest.mark.anyio

@pytest.fixture
def anyio_backend():
    return "asyncio"

async def test_a_client(tertulia_client):
    async with tertulia_client("ana") as ana:
        room = await ana.create_conversation(join=True)
        with anyio.fail_after(10):
            async with room.events(MessageAdded) as heard:
                await room.send("hello")
                assert (await anext(heard)).message.body == "hello"
"""

SETTINGS = """
import pytest

def test_those_of_the_ini_file(tertulia_server):
    assert tertulia_server.settings.tokens.min_ttl_s == 7
    assert tertulia_server.settings.limits.profile == "hosted"

@pytest.mark.tertulia_settings({"tokens.min_ttl_s": 8})
class TestMarked:
    def test_a_marker_is_stronger(self, tertulia_server):
        assert tertulia_server.settings.tokens.min_ttl_s == 8
        assert tertulia_server.settings.limits.profile == "hosted"

    @pytest.mark.tertulia_settings({"tokens.min_ttl_s": 9})
    def test_the_closest_is_the_strongest(self, tertulia_server):
        assert tertulia_server.settings.tokens.min_ttl_s == 9

class TestOverridden:
    @pytest.fixture
    def tertulia_settings(self):
        return {"tokens.min_ttl_s": 10}

    def test_a_fixture_of_the_tests_own_is_all_there_is(self, tertulia_server):
        assert tertulia_server.settings.tokens.min_ttl_s == 10
        assert tertulia_server.settings.limits.profile == "none"

def test_the_data_is_in_a_file(tertulia_server, tmp_path):
    assert (tmp_path / "tertulia.db").exists()
"""

INI = """[pytest]
addopts = --strict-markers
tertulia_database = file
tertulia_settings =
    tokens.min_ttl_s = 7
    limits.profile = hosted
"""

WANTED = """
def test_a_server(tertulia_server): ...
def test_webhooks(tertulia_webhooks): ...
def test_the_official_library(tertulia_twilio): ...
def test_whoever_uses_it(tertulia_redirected): ...
def test_something_else(): ...
"""


@pytest.fixture
def project(tmp_path: Path) -> Run:
    """Runs pytest on these files; its exit code and what it said."""

    def run(*arguments: str, **files: str) -> tuple[int, str]:
        files = {"pytest.ini": "[pytest]\n", **{name.replace("__", "."): text for name, text in files.items()}}
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        # Whatever else is installed: these have no plugin but ours.
        return pytest_in(tmp_path, "-p", "no:asyncio", *arguments)

    return run


def pytest_in(folder: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
    )
    return done.returncode, f"{done.stdout}\n{done.stderr}"


def test_the_example_projects_tests_pass_offline() -> None:
    code, said = pytest_in(EXAMPLE)
    assert code == 0, said
    assert "5 passed" in said


@pytest.fixture(scope="module")
def of_the_page() -> dict[str, str]:
    """The files that the page of the documentation shows, each by the name in its first line."""
    blocks = re.findall(r"^```(?:python|ini)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    named = [re.match(r"# ([\w/]+\.(?:py|ini))\n", block) for block in blocks]
    assert all(named), "every block is a file, whose name its first line says"
    names = [each[1] for each in named if each]
    assert len(set(names)) == len(names)
    return dict(zip(names, blocks, strict=True))


def test_every_recipe_of_the_documentation_works_as_it_stands(of_the_page: dict[str, str], tmp_path: Path) -> None:
    for name in ("pytest.ini", *(name for name in of_the_page if name.endswith(".py"))):
        (tmp_path / name).write_text(of_the_page[name])
    wanted = sum(len(re.findall(r"^(?:async )?def test_", text, re.MULTILINE)) for text in of_the_page.values())
    assert wanted >= 10
    code, said = pytest_in(tmp_path)
    assert (code, f"{wanted} passed" in said) == (0, True), said


def test_the_settings_that_it_shows_are_settings(of_the_page: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text(of_the_page["other/pytest.ini"])
    (tmp_path / "test_it.py").write_text(
        "def test_it(tertulia_server):\n"
        "    settings = tertulia_server.settings\n"
        "    assert (settings.tokens.min_ttl_s, settings.limits.profile) == (10, 'hosted')\n"
    )
    code, said = pytest_in(tmp_path, "-p", "no:asyncio")
    assert (code, "1 passed" in said) == (0, True), said


def test_without_pytest_it_works_too(of_the_page: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "try_it.py").write_text(of_the_page["try_it.py"])
    done = subprocess.run(
        [sys.executable, "-W", "error", "try_it.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert re.fullmatch(r"CH[0-9a-f]{32} at http://127\.0\.0\.1:\d+\n", done.stdout), done.stderr


def test_what_it_installs_has_all_that_the_recipes_import(of_the_page: dict[str, str]) -> None:
    [line] = re.findall(r"^\.venv/bin/pip install '/path/to/tertulia\[testing\]' (.*)$", PAGE.read_text(), re.MULTILINE)
    modules = {
        word for text in of_the_page.values() for word in re.findall(r"^(?:from|import) (\w+)", text, re.MULTILINE)
    }
    others = modules - {"os", "shop", "tertulia", "pytest"}
    assert others <= set(line.split())
    assert ("asyncio_mode" in of_the_page["pytest.ini"]) == ("pytest-asyncio" in line.split())
    assert f"tertulia-{version('tertulia')}-py3-none-any.whl[testing]" in PAGE.read_text()


def test_anyio_does_as_well_as_pytest_asyncio(project: Run) -> None:
    code, said = project(test_it__py=ANYIO)
    assert (code, "1 passed" in said) == (0, True), said


def test_settings_come_from_the_ini_file_a_marker_or_a_fixture(project: Run) -> None:
    code, said = project(test_it__py=SETTINGS, pytest__ini=INI)
    assert (code, "5 passed" in said) == (0, True), said
    code, said = project("--tertulia-database", "memory", test_it__py=SETTINGS, pytest__ini=INI)
    assert "FAILED test_it.py::test_the_data_is_in_a_file" in said and "4 passed" in said


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("tertulia_settings = tokens.min_ttl", "expected a name, = and a value, got 'tokens.min_ttl'"),
        ("tertulia_settings = tokens.min_ttl = 5", "did you mean tokens.min_ttl_s?"),
        ("tertulia_database = cloud", "tertulia_database is memory or file, not cloud"),
    ],
)
def test_a_mistake_in_the_ini_file_is_told(project: Run, line: str, complaint: str) -> None:
    code, said = project(test_it__py="def test_a_server(tertulia_server): ...", pytest__ini=f"[pytest]\n{line}\n")
    assert code == 1 and complaint in said, said
    assert "Traceback" not in said


def test_without_the_packages_of_the_server_it_says_what_to_install(project: Run) -> None:
    absent = "import sys\nsys.modules['apsw'] = None\n"
    code, said = project(test_it__py=WANTED, conftest__py=absent)
    assert code == 1 and "1 passed, 4 errors" in said, said
    assert said.count("the server needs apsw: pip install 'tertulia[testing]'") >= 4


def test_without_the_official_library_its_tests_are_skipped(project: Run) -> None:
    absent = "import sys\nsys.modules['twilio'] = None\n"
    code, said = project("-rs", test_it__py=WANTED, conftest__py=absent)
    assert code == 0 and "3 passed, 2 skipped" in said, said
    assert "needs the official library: pip install twilio" in said


def test_the_plugin_costs_a_run_of_pytest_next_to_nothing() -> None:
    program = (
        "import sys, pytest; before = set(sys.modules); import tertulia.testing.plugin;"
        "print(*sorted(set(sys.modules) - before))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.split() == ["tertulia", "tertulia.testing", "tertulia.testing.plugin"]
