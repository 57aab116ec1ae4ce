"""The arguments of ``tertulia``, all of them, and the one place where a failure becomes a line and an exit code."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tertulia import __version__
from tertulia.cli.call import CommandFailed
from tertulia.server.sources import SettingsError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code of the process."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    try:
        return int(importlib.import_module(f"tertulia.cli.{options.command}").run(options))
    except (CommandFailed, SettingsError) as error:
        print(f"tertulia: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of our output has left; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--data", metavar="DIR", help="data folder (default: tertulia-data)")
    common.add_argument("--config", metavar="FILE", type=Path, help="settings file (default: DIR/tertulia.toml)")

    parser = argparse.ArgumentParser(
        prog="tertulia",
        description="A self-hosted conversations server for the official Twilio Conversations libraries.",
    )
    parser.add_argument("--version", action="version", version=f"tertulia {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    serve = commands.add_parser("serve", parents=[common], help="run a server")
    serve.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    serve.add_argument("--port", help="port to listen on, 0 for any free one (default: 8080)")

    url_help = "base URL of the server (default: where it runs, else from the settings)"
    env = commands.add_parser("env", parents=[common], help="print credentials and URLs as export lines")
    env.add_argument("--url", help=url_help)

    token = commands.add_parser("token", parents=[common], help="print an access token")
    token.add_argument("identity", metavar="IDENTITY", help="who will connect with it")
    token.add_argument("--ttl", type=_seconds, default=3600, metavar="SECONDS", help="its life (default: 3600)")
    token.add_argument("--service", metavar="IS...", help="chat service (default: the default service)")
    token.add_argument("--encrypted", action="store_true", help="hide its content from who holds it (JWE)")

    doctor = commands.add_parser("doctor", parents=[common], help="look for trouble and say what to do")
    doctor.add_argument("--url", help=url_help)

    migrate = commands.add_parser("migrate", parents=[common], help="bring the database up to date")
    migrate.add_argument("--plan", action="store_true", help="only print what would run")

    commands.add_parser("settings", parents=[common], help="print the settings in force and their sources")
    return parser


def _seconds(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a number of seconds, got {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
