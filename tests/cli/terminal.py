"""A program in a real terminal: tmux keeps the screen, takes keys, and shows what can be seen."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from .command import TERTULIA, WITHIN_S, environment

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
WIDTH, HEIGHT = 110, 34


class Terminal:
    """One program on a screen of its own."""

    def __init__(self, socket: str, config: Path, variables: Mapping[str, str]) -> None:
        self._code = config.with_name("exit-code")
        self._tmux = ("tmux", "-L", socket, "-f", str(config))
        self._variables = {**environment(**variables), "LC_ALL": "C.UTF-8", "TERM": "xterm-256color", "TMUX": ""}

    def _call(self, *arguments: str, check: bool = True, given: str = "") -> str:
        done = subprocess.run(
            [*self._tmux, *arguments],
            env=self._variables,
            input=given,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout

    def start(self, *command: str) -> None:
        size = ("-x", str(WIDTH), "-y", str(HEIGHT))
        # tmux itself does not always learn how its program has ended.
        code = shlex.quote(str(self._code))
        script = f"{shlex.join(command)}; echo $? > {code}.draft; mv {code}.draft {code}"
        self._call("new-session", "-d", *size, "-s", "it", script)

    def end(self) -> None:
        self._call("kill-server", check=False)

    def screen(self) -> str:
        """What can be seen."""
        return self._call("capture-pane", "-p", "-t", "it")

    def printed(self) -> str:
        """The same with what has gone out of sight above it, in whole lines."""
        return self._call("capture-pane", "-p", "-J", "-S", "-", "-t", "it")

    def keys(self, *names: str) -> None:
        """Press these, by tmux's names: ``Enter``, ``C-k``, ``Up``."""
        self._call("send-keys", "-t", "it", *names)

    def type(self, text: str) -> None:
        self._call("send-keys", "-t", "it", "-l", text)

    def enter(self, text: str) -> None:
        self.type(text)
        self.keys("Enter")

    def paste(self, text: str) -> None:
        """As a terminal does it that tells pasting from typing."""
        self._call("load-buffer", "-", given=text)
        self._call("paste-buffer", "-p", "-t", "it")

    def click(self, column: int, row: int) -> None:
        """With the left button; as a terminal tells it whose mouse is asked for (SGR)."""
        place = f"{column + 1};{row + 1}"
        self.type(f"\x1b[<0;{place}M\x1b[<0;{place}m")

    def resize(self, width: int, height: int) -> None:
        self._call("resize-window", "-t", "it", "-x", str(width), "-y", str(height))

    async def until(self, is_so: Callable[[str], object], what: str = "") -> str:
        """The screen, once it shows that."""
        ends_at = time.monotonic() + WITHIN_S
        while True:
            seen = self.screen()
            if is_so(seen):
                return seen
            assert time.monotonic() < ends_at, f"{what or 'it'} is not to be seen:\n{seen}"
            await asyncio.sleep(0.03)

    async def shows(self, *patterns: str) -> str:
        """The screen, once all of these match somewhere on it."""
        return await self.until(lambda seen: all(re.search(each, seen) for each in patterns), " and ".join(patterns))

    async def shows_no(self, pattern: str) -> str:
        return await self.until(lambda seen: not re.search(pattern, seen), f"no {pattern}")

    async def pressing(self, key: str, pattern: str) -> str:
        """The screen, once this matches; the key is pressed again and again until then."""
        ends_at = time.monotonic() + WITHIN_S
        while not re.search(pattern, seen := self.screen()):
            assert time.monotonic() < ends_at, f"{pattern} is not to be seen:\n{seen}"
            self.keys(key)
            await asyncio.sleep(0.05)
        return seen

    async def exit_code(self) -> int:
        """Of the program, once it has ended by itself; the screen stays."""
        ends_at = time.monotonic() + WITHIN_S
        while not self._code.exists():
            assert time.monotonic() < ends_at, f"it goes on:\n{self.screen()}"
            await asyncio.sleep(0.03)
        return int(self._code.read_text())


@contextlib.contextmanager
def terminal(folder: Path, *arguments: str | Path, variables: Mapping[str, str] | None = None) -> Iterator[Terminal]:
    """``tertulia`` with these arguments on a screen of 110 by 34; it runs no longer than the block."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "tmux.conf"
    config.write_text("set -g remain-on-exit on\nset -g status off\nset -g default-terminal screen-256color\n")
    # A folder of its own: tmux leaves its socket behind, and the path of one has to be short.
    with tempfile.TemporaryDirectory(prefix="tmux-") as sockets:
        known = {"TZ": "UTC", "TMUX_TMPDIR": sockets, **(variables or {})}
        term = Terminal(f"tertulia-{os.getpid()}", config, known)
        try:
            term.start(TERTULIA, *map(str, arguments))
            yield term
        finally:
            term.end()
