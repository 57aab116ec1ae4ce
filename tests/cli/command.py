"""The command ``tertulia`` as its users run it: a process of its own, in an environment of its own."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from websockets.sync.client import connect

from tertulia.wire import frames

TERTULIA = str(Path(sys.executable).with_name("tertulia"))
WITHIN_S = 30.0
"""Nothing here takes a tenth of it; a machine that is busy may."""


def environment(**variables: str) -> dict[str, str]:
    """Ours, without what would reach a server by accident, and the size of the screen of whoever runs the tests."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TERTULIA_") and not name.lower().endswith("_proxy") and name not in ("COLUMNS", "LINES")
    }
    return {**kept, "PATH": f"{Path(TERTULIA).parent}{os.pathsep}{kept.get('PATH', '')}", **variables}


def run(*arguments: str | Path, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    return subprocess.run(
        [TERTULIA, *map(str, arguments)],
        env=environment(**(variables or {})),
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
    )


def printed(*arguments: str | Path, variables: Mapping[str, str] | None = None) -> str:
    """What a command that has to succeed prints."""
    done = run(*arguments, variables=variables)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The one line with which a command says why it could not."""
    assert done.returncode == 1, done
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("tertulia: ")
    return line.removeprefix("tertulia: ")


def evaluated(lines: str) -> dict[str, str]:
    """The variables that a shell has after evaluating these lines, and had not before."""
    shell = 'eval "$LINES"; unset LINES; env'
    done = subprocess.run(
        ["sh", "-euc", shell], env={"LINES": lines, "PATH": os.environ["PATH"]}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    values = dict(line.split("=", 1) for line in done.stdout.splitlines())
    return {name: value for name, value in values.items() if name not in ("PATH", "PWD", "SHLVL", "_", "OLDPWD")}


class Credentials(NamedTuple):
    """What ``tertulia env`` prints."""

    account_sid: str
    auth_token: str
    api_key: str
    api_secret: str
    service_sid: str
    base_url: str
    ws_url: str


class Server:
    """A running ``tertulia serve``."""

    def __init__(self, process: subprocess.Popen[str], data: Path, log: Path, block: list[str]) -> None:
        self.process = process
        self.data = data
        self.block = block
        """What it printed when it was ready, line by line."""
        self.base_url = block[1].split()[-1]
        self.ws_url = block[2].split()[-1]
        self._log = log

    @property
    def log(self) -> str:
        """What it has written to standard error."""
        return self._log.read_text(encoding="utf-8")

    def credentials(self) -> Credentials:
        values = evaluated(printed("env", "--data", self.data, "--url", self.base_url))
        return Credentials(*(values[name.upper()] for name in Credentials._fields))

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code, once it has stopped."""
        self.process.send_signal(by)
        return self.process.wait(WITHIN_S)


@contextlib.contextmanager
def serving(data: Path, *flags: str, variables: Mapping[str, str] | None = None, port: int = 0) -> Iterator[Server]:
    """A server on this data folder; whatever happens, it runs no longer than the block."""
    log = data.with_name(f"{data.name}.log")
    with log.open("a") as errors:
        process = subprocess.Popen(
            [TERTULIA, "serve", "--data", str(data), "--port", str(port), *flags],
            env=environment(**(variables or {})),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        yield Server(process, data, log, _ready_block(process, log))
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _ready_block(process: subprocess.Popen[str], log: Path) -> list[str]:
    """The lines up to the one about credentials, which is the last."""
    assert process.stdout is not None
    text, ends_at = "", time.monotonic() + WITHIN_S
    while not (text.endswith("\n") and "Credentials" in text):
        left = ends_at - time.monotonic()
        assert left > 0, f"not ready in time: {log.read_text()}"
        readable, _, _ = select.select([process.stdout], [], [], left)
        chunk = os.read(process.stdout.fileno(), 4096) if readable else b""
        assert chunk or not readable, f"it did not start: {log.read_text()}"
        text += chunk.decode()
    return text.splitlines()


def welcome(ws_url: str, token: str) -> frames.Frame:
    """The server's answer to a client that presents this token."""
    with connect(ws_url, proxy=None) as socket:
        socket.send(frames.init("TM1", token))
        message = socket.recv(timeout=WITHIN_S)
        assert isinstance(message, bytes)
        return frames.parse(message)
