"""The settings of a gateway, as they are given on the command line: secrets never stand in it."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tertulia.cli.failure import CommandFailed
from tertulia.server.channels.registry import NoAdapter, adapter_of, known_settings

LONGEST_FILE: Final = 1 << 20


def given_settings(options: argparse.Namespace, adapter: str) -> dict[str, str]:
    """All that are given, each once. Raises CommandFailed."""
    given: dict[str, str] = {}
    for name, value in _all(options):
        if name in given:
            raise CommandFailed(f"{name} is given twice")
        given[name] = value
    open_secrets = {name for name, _ in options.given} & _secrets_of(adapter)
    for name in sorted(open_secrets):
        print(
            f"tertulia: {name} is a secret: others on this machine saw it here, and your shell remembers it;"
            f" --secret {name} asks for it",
            file=sys.stderr,
        )
    return given


def _all(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    yield from options.given
    for name, path in options.set_file:
        yield name, _content(name, path)
    for name, variable in options.secret_env:
        if variable not in os.environ:
            raise CommandFailed(f"--secret-env {name}={variable}: there is no variable {variable}")
        yield name, os.environ[variable]
    for name in options.secret:
        yield name, _asked(name)


def _content(name: str, path: Path) -> str:
    try:
        content = path.read_bytes()
        if len(content) > LONGEST_FILE:
            raise CommandFailed(f"--set-file {name}={path}: the file has more than {LONGEST_FILE} bytes")
        return content.decode()
    except OSError as error:
        raise CommandFailed(f"--set-file {name}={path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandFailed(f"--set-file {name}={path}: the file is no text") from None


def _asked(name: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(f"{name}: ")
    line = sys.stdin.readline()
    if not line:
        raise CommandFailed(f"--secret {name}: no line of the standard input is left for it")
    return line.rstrip("\r\n")


def _secrets_of(adapter: str) -> set[str]:
    try:
        return {one.name for one in known_settings(adapter_of(adapter)) if one.is_secret}
    except NoAdapter:
        return set()
