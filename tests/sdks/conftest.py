"""The official libraries against a server as a user starts it, and a visible skip where one cannot be had."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.cli.command import Credentials, Server, serving

from .chromium import Browser, browsing

HERE = Path(__file__).parent
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all, that takes short tokens; at the end it has nothing to be sorry for."""
    variables = {"TERTULIA_TOKENS_MIN_TTL_S": "1"}
    with serving(tmp_path_factory.mktemp("sdks") / "data", variables=variables) as server:
        yield server
        assert server.stop() == 0
        assert [line for line in server.log.splitlines() if " ERROR " in line or "Traceback" in line] == []


@pytest.fixture(scope="session")
def known(server: Server) -> Credentials:
    return server.credentials()


@pytest.fixture(scope="session")
def node() -> str:
    """Node with the packages of this folder."""
    node = shutil.which("node")
    if node is None or _major(node) < 20:
        pytest.skip("Node 20 or newer is missing; `make sdk-parts` brings it where it can")
    if not (HERE / "node_modules/.package-lock.json").exists():
        pytest.skip("the packages of tests/sdks are not installed; `make sdk-parts` does it where it can")
    return node


@pytest.fixture(scope="session")
def chromium() -> str:
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        pytest.skip("Chromium is missing; `make sdk-parts` brings it where it can")
    if not (HERE / "node_modules/.package-lock.json").exists():
        pytest.skip("the packages of tests/sdks are not installed; `make sdk-parts` does it where it can")
    return found


@cache
def _major(node: str) -> int:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, env=dict(os.environ))
    return int(said.stdout.removeprefix("v").partition(".")[0])


@pytest.fixture(scope="module")
def browser(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(chromium, tmp_path_factory.mktemp("browser") / "profile") as browser:
        yield browser
