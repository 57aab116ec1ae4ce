"""What is loaded: the protocol without the server, a command without what it does not use."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.command import WITHIN_S, environment

SERVER_PARTS = {"apsw", "cryptography", "httptools", "joserfc", "prometheus_client", "uvicorn", "uvloop", "websockets"}


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh interpreter has after this code."""
    program = f"{code}\nimport sys\nprint('\\0', *sys.modules, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, timeout=WITHIN_S
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.partition("\0\n")[2].splitlines())


def calling(*arguments: str) -> str:
    return f"""
from tertulia.cli.main import main
try:
    main({list(arguments)})
except SystemExit:
    pass
"""


def test_the_protocol_needs_no_part_of_the_server() -> None:
    everything = """
import importlib, pkgutil, tertulia.wire
for module in pkgutil.walk_packages(tertulia.wire.__path__, "tertulia.wire."):
    importlib.import_module(module.name)
"""
    modules = loaded_by(everything)
    assert "tertulia.wire.tokens" in modules
    # It takes the unmasking function of this one where it is installed, and does without where it is not.
    assert (SERVER_PARTS - {"websockets"}) & modules == set()
    assert [name for name in modules if name.startswith(("tertulia.server", "tertulia.cli"))] == []


@pytest.mark.parametrize("call", [("env", "--help"), ("--version",), ("settings", "--data", "/nowhere"), ("--help",)])
def test_a_command_that_only_talks_loads_no_server(call: tuple[str, ...]) -> None:
    modules = loaded_by(calling(*call))
    assert (SERVER_PARTS | {"asyncio", "tertulia.server.app"}) & modules == set()


def test_a_server_that_calls_nobody_loads_no_client() -> None:
    assert {"certifi", "h11", "httpcore", "httpx"} & loaded_by("import tertulia.server.app") == set()


def test_a_server_with_nobody_to_check_loads_no_cryptography() -> None:
    assert {"cryptography", "joserfc"} & loaded_by("import tertulia.server.app") == set()
