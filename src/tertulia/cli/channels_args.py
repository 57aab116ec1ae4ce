"""The arguments of ``tertulia channels``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_channels(commands: Commands, common: argparse.ArgumentParser, printing_json: argparse.ArgumentParser) -> None:
    channels = commands.add_parser("channels", help="reach people by SMS, WhatsApp, e-mail: gateways and senders")
    deeds = channels.add_subparsers(dest="what", metavar="WHAT", required=True)
    adapters = deeds.add_parser("adapters", parents=[printing_json], help="print what is installed, or all of one")
    adapters.add_argument("adapter", metavar="NAME", nargs="?", help="one of them: every setting it has")

    account = argparse.ArgumentParser(add_help=False)
    account.add_argument("--account", metavar="AC...", help="whose (default: the first account's)")
    parents = [common, account, printing_json]
    listing = deeds.add_parser("list", parents=parents, help="print gateways and their senders, without secrets")
    listing.add_argument("gateway", metavar="NAME", nargs="?", help="one of them: all that it is told")
    add = deeds.add_parser("add", parents=parents, help="make a gateway")
    add.add_argument("gateway", metavar="NAME", help="what it is called, as you like")
    add.add_argument("--adapter", metavar="NAME", required=True, help="how its provider is spoken to")
    change = deeds.add_parser("set", parents=parents, help="change a gateway; a running server opens it anew")
    change.add_argument("gateway", metavar="NAME", help="its name or SID")
    change.add_argument("--name", metavar="NAME", dest="new_name", help="what it is called from now on")
    change.add_argument(
        "--unset", metavar="SETTING", action="append", default=[], help="goes back to its default; repeatable"
    )
    for parser in (add, change):
        _take_settings(parser)
    remove = deeds.add_parser("remove", parents=parents, help="forget a gateway that serves no sender any more")
    remove.add_argument("gateway", metavar="NAME", help="its name or SID")
    check = deeds.add_parser("check", parents=parents, help="ask providers whether they believe us; sends nothing")
    check.add_argument("gateway", metavar="NAME", nargs="?", help="one of them (default: all)")
    _add_senders(deeds, parents)


def _take_settings(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("settings, each repeatable")
    group.add_argument("--set", metavar="SETTING=VALUE", action="append", default=[], type=_pair, dest="given")
    group.add_argument(
        "--set-file", metavar="SETTING=PATH", action="append", default=[], type=_file, help="to what a file contains"
    )
    group.add_argument(
        "--secret", metavar="SETTING", action="append", default=[], help="asked for without echo; or a line of stdin"
    )
    group.add_argument(
        "--secret-env",
        metavar="SETTING=VARIABLE",
        action="append",
        default=[],
        type=_pair,
        help="a variable's value",
    )


def _add_senders(deeds: Commands, parents: list[argparse.ArgumentParser]) -> None:
    sender = deeds.add_parser("sender", help="say which addresses are ours, and which gateway serves them")
    senders = sender.add_subparsers(dest="deed", metavar="DEED", required=True)
    add = senders.add_parser("add", parents=parents, help="add one; from the first on no others are ours")
    change = senders.add_parser("set", parents=parents, help="change what serves one, or how")
    remove = senders.add_parser("remove", parents=parents, help="remove one, and its address configuration")
    for parser in (add, change, remove):
        parser.add_argument("address", metavar="ADDRESS", help="+1..., a short code, whatsapp:+1..., a mailbox")
    for parser in (add, change):
        parser.add_argument("--gateway", metavar="NAME", required=parser is add, help="name or SID of what serves it")
        parser.add_argument("--pool", metavar="NAME", help="who opts out of one of it has opted out of all; '': none")
        parser.add_argument(
            "--per-minute", metavar="N", type=_rate, help="messages a minute; 0: what its kind may send (default)"
        )


def _pair(text: str) -> tuple[str, str]:
    name, is_pair, value = text.partition("=")
    if not is_pair or not name:
        raise argparse.ArgumentTypeError("expected NAME=VALUE")
    return name, value


def _file(text: str) -> tuple[str, Path]:
    name, path = _pair(text)
    return name, Path(path)


def _rate(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}")
    return int(text)
