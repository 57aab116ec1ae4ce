"""The arguments of ``chat``, ``listen`` and ``send``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tertulia.cli import variables
from tertulia.cli.argument_kinds import count, names

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

EXIT_CODES: Final = (
    "Exit codes: 0 done; 1 could not, and a line on standard error says why; 2 called wrongly; 130 interrupted."
)
_NAMES: Final = "its SID (CH...), its unique name, or its friendly name if no other of yours has it"
_LOGIN: Final = f"""\
Nothing is kept from one call to the next. To say it once: export {variables.URL} and {variables.TOKEN}, whose value
`tertulia token IDENTITY` prints where the server runs. On that machine --data DIR --as IDENTITY does without.
"""


def add_clients(commands: Commands) -> None:
    """Those who connect to a server."""
    login = argparse.ArgumentParser(add_help=False)
    group = login.add_argument_group("who connects, and where to", _LOGIN)
    group.add_argument("--url", help=f"base URL of the server (default: ${variables.URL})")
    group.add_argument(
        "--token", help=f"access token; others on this machine see it here (default: ${variables.TOKEN})"
    )
    group.add_argument("--token-command", metavar="CMD", help="shell command that prints a token, run for each new one")
    group.add_argument(
        "--data", metavar="DIR", help="with --as: data folder of a server, such as ./tertulia-data; its key signs"
    )
    group.add_argument("--as", metavar="IDENTITY", dest="identity", help="who to be; anybody, new or known")

    chat = _command(
        commands,
        login,
        "chat",
        "chat in the terminal",
        "Opens the conversation with the newest message, or the one named. /help shows keys and commands;"
        " /create NAME begins a conversation, /join NAME takes part in one, Ctrl-Q ends.",
    )
    chat.add_argument("conversation", metavar="CONVERSATION", nargs="?", help=f"open this one: {_NAMES}")
    chat.add_argument("--store", metavar="FILE", type=Path, help="keeps what is known, and what waits to be sent")

    listen = _command(
        commands,
        login,
        "listen",
        "print what happens, one line of JSON each",
        "Goes on until Ctrl-C (exit code 0) or --count, also through a loss of the network.",
    )
    listen.add_argument("--conversation", metavar="NAME", action="append", help=f"only this one, repeatable: {_NAMES}")
    listen.add_argument("--types", metavar="TYPE,...", type=names, help="only events of these types")
    listen.add_argument("--history", metavar="N", type=count, help="begin with the newest N messages of each")
    listen.add_argument("--count", metavar="N", type=count, help="end after N events")

    send = _command(
        commands,
        login,
        "send",
        "send messages, and print them as JSON",
        "Waits until the server has each message, for a minute if none answers.",
    )
    send.add_argument("conversation", metavar="CONVERSATION", help=_NAMES)
    send.add_argument("text", metavar="TEXT", nargs="?", help="what to say")
    send.add_argument("--stdin", action="store_true", help="send each line of the standard input as a message")
    send.add_argument(
        "--attributes", metavar="JSON", help="""attributes of the message, any JSON: '{"kind": "backup"}'"""
    )
    send.add_argument("--file", metavar="PATH", action="append", type=Path, default=[], help="attach this; repeatable")


def _command(
    commands: Commands, login: argparse.ArgumentParser, name: str, short: str, more: str
) -> argparse.ArgumentParser:
    description = f"{short[:1].upper()}{short[1:]}. {more}"
    return commands.add_parser(name, parents=[login], help=short, description=description, epilog=EXIT_CODES)
