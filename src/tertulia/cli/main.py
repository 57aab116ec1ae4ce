"""The arguments of ``tertulia``, all of them, and the one place where a failure becomes a line and an exit code."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tertulia import __version__
from tertulia.cli.argument_kinds import count, message_or_participant, seconds
from tertulia.cli.channels_args import add_channels
from tertulia.cli.client_arguments import EXIT_CODES, add_clients
from tertulia.cli.extras import remedy
from tertulia.cli.failure import CommandFailed
from tertulia.cli.plain import plain_lines

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_EXTRAS: dict[str, str | None] = {
    **dict.fromkeys(("rich", "textual"), "chat"),
    **dict.fromkeys(("httpx", "msgspec", "websockets"), None),
}
"""Which extra brings a package that is missing; None when even the client needs it. All others are a server's."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code of the process."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    try:
        if sys.stdout is None:
            raise CommandFailed("the standard output is closed: nothing could be printed")
        code = int(importlib.import_module(f"tertulia.cli.{options.command}").run(options))
        sys.stdout.flush()  # here, or a reader that has left is noticed when nobody can catch it any more
        return code
    except CommandFailed as error:
        print("tertulia:", "\n".join(plain_lines(str(error))), file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "tertulia"):
            raise
        call = remedy(_EXTRAS.get(package, "server"))
        print(f"tertulia: {options.command} needs {package}, which is not installed: {call}", file=sys.stderr)
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
        description="A self-hosted conversations server for the official Twilio Conversations libraries, and clients.",
        epilog=EXIT_CODES,
    )
    parser.add_argument("--version", action="version", version=f"tertulia {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    serve = commands.add_parser("serve", parents=[common], help="run a server")
    serve.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    serve.add_argument("--port", help="port to listen on, 0 for any free one (default: 8080)")

    url_help = "base URL of the server (default: where it runs, else from the settings)"
    env = commands.add_parser("env", parents=[common], help="print credentials and URLs as export lines")
    env.add_argument("--url", help=url_help)
    _choose_credentials(env)

    token = commands.add_parser("token", parents=[common], help="print an access token")
    token.add_argument("identity", metavar="IDENTITY", help="who will connect with it")
    token.add_argument("--ttl", type=seconds, default=3600, metavar="SECONDS", help="its life (default: 3600)")
    _choose_credentials(token)
    token.add_argument("--service", metavar="IS...", help="chat service (default: the default service)")
    token.add_argument(
        "--push-credential", metavar="CR...", help="push credential under which its holder's devices ring"
    )
    token.add_argument("--encrypted", action="store_true", help="hide its content from who holds it (JWE)")

    doctor = commands.add_parser("doctor", parents=[common], help="look for trouble and say what to do")
    doctor.add_argument("--url", help=url_help)

    migrate = commands.add_parser("migrate", parents=[common], help="bring the database up to date")
    migrate.add_argument("--plan", action="store_true", help="only print what would run")

    _add_accounts(commands, common)
    _add_keys(commands, common)
    _add_outbox(commands, common)
    _add_retention(commands, common)
    _add_media(commands, common)
    _add_push(commands, common)
    add_channels(commands, common, _printing_json())
    _add_phone(commands, common)
    commands.add_parser("settings", parents=[common], help="print the settings in force and their sources")
    add_clients(commands)
    return parser


def _choose_credentials(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--account", metavar="AC...", help="account (default: the first, or that of the key)")
    parser.add_argument("--key", metavar="SK...", help="API key of it (default: its oldest)")


def _add_accounts(commands: Commands, common: argparse.ArgumentParser) -> None:
    accounts = commands.add_parser("accounts", help="make, list, suspend and reinstate accounts")
    deeds = accounts.add_subparsers(dest="what", metavar="WHAT", required=True)
    json = _printing_json()
    create = deeds.add_parser("create", parents=[common, json], help="make one, and print its auth token")
    create.add_argument("name", metavar="NAME", help="what it is called")
    deeds.add_parser("list", parents=[common, json], help="print all, without secrets")
    revoke = deeds.add_parser("revoke", parents=[common, json], help="suspend one: nothing of it is served any more")
    reinstate = deeds.add_parser("reinstate", parents=[common, json], help="serve a suspended one again")
    for parser in (revoke, reinstate):
        parser.add_argument("account", metavar="AC...", help="its SID")


def _add_keys(commands: Commands, common: argparse.ArgumentParser) -> None:
    keys = commands.add_parser("keys", help="make, list and revoke API keys")
    deeds = keys.add_subparsers(dest="what", metavar="WHAT", required=True)
    json = _printing_json()
    create = deeds.add_parser("create", parents=[common, json], help="make one, and print its secret")
    create.add_argument("name", metavar="NAME", nargs="?", default="key", help="what it is called (default: key)")
    listing = deeds.add_parser("list", parents=[common, json], help="print all of an account, without secrets")
    for parser in (create, listing):
        parser.add_argument("--account", metavar="AC...", help="whose (default: the first account's)")
    revoke = deeds.add_parser("revoke", parents=[common, json], help="end one for good, with all its access tokens")
    revoke.add_argument("key", metavar="SK...", help="its SID")


def _add_outbox(commands: Commands, common: argparse.ArgumentParser) -> None:
    outbox = commands.add_parser("outbox", help="list, retry and purge what is owed to webhooks and others")
    deeds = outbox.add_subparsers(dest="what", metavar="WHAT", required=True)
    listing = deeds.add_parser("list", parents=[common, _printing_json()], help="print jobs, newest first")
    listing.add_argument("--state", choices=("waiting", "leased", "done", "dead"), help="only those in this state")
    listing.add_argument("--limit", type=count, default=50, metavar="N", help="no more than N (default: 50)")
    retry = deeds.add_parser("retry", parents=[common], help="try dead jobs again, and waiting ones now")
    retry.add_argument("--all-dead", action="store_true", help="all that were given up")
    for parser in (listing, retry):
        parser.add_argument("--kind", metavar="KIND", help="only those of this kind, such as CallWebhook")
    purge = deeds.add_parser("purge", parents=[common], help="remove jobs: what they owe is not owed any more")
    purge.add_argument("--dead", action="store_true", help="all that were given up")
    purge.add_argument("--older-than-days", type=count, metavar="N", help="only those given up that long ago")
    for parser in (retry, purge):
        parser.add_argument("ids", metavar="ID", nargs="*", type=count, help="number of a job, as the list shows it")


def _add_retention(commands: Commands, common: argparse.ArgumentParser) -> None:
    retention = commands.add_parser("retention", help="choose how long a service keeps what is said in it")
    deeds = retention.add_subparsers(dest="what", metavar="WHAT", required=True)
    json = _printing_json()
    choose = deeds.add_parser("set", parents=[common, json], help="choose for one service; takes effect within an hour")
    for name, what in (("messages", "messages"), ("closed-conversations", "conversations after their closing")):
        choose.add_argument(
            f"--{name}-days", metavar="DAYS", help=f"how long to keep {what}; 0: for good; default: as the settings say"
        )
    show = deeds.add_parser("show", parents=[common, json], help="print what holds for one service")
    for parser in (choose, show):
        parser.add_argument("--service", metavar="IS...", required=True, help="its SID")


def _add_media(commands: Commands, common: argparse.ArgumentParser) -> None:
    media = commands.add_parser("media", help="count files, and remove what nobody needs any more")
    deeds = media.add_subparsers(dest="what", metavar="WHAT", required=True)
    deeds.add_parser("list", parents=[common, _printing_json()], help="print what each service has")
    gc = deeds.add_parser("gc", parents=[common], help="remove what nobody attached, and bytes without a record")
    gc.add_argument("--dry-run", action="store_true", help="only print what would be removed")


def _add_push(commands: Commands, common: argparse.ArgumentParser) -> None:
    push = commands.add_parser("push", help="find out about push notifications, try them, make keys for browsers")
    deeds = push.add_subparsers(dest="what", metavar="WHAT", required=True)
    vapid = deeds.add_parser(
        "vapid",
        parents=[_printing_json()],
        help="print a new key pair and how to put it in",
        description="Print a new key pair for browsers, and the call that makes a credential of it. Keeps nothing.",
        epilog=EXIT_CODES,
    )
    vapid.add_argument(
        "--subject", metavar="URI", help="whom push services may write to (mailto: or https:; Apple wants a real one)"
    )
    why = deeds.add_parser(
        "why",
        parents=[common, _printing_json()],
        help="print whose devices rang, and why not",
        description="Print whose devices rang because of a message, or of somebody's being added, and why the others"
        " did not. Looks into the data folder, on the machine of the server, running or not.",
        epilog=EXIT_CODES,
    )
    why.add_argument(
        "sid",
        type=message_or_participant,
        metavar="SID",
        help="of a message (IM...), or of a participant (MB...) who was added",
    )
    test = deeds.add_parser(
        "test",
        parents=[common, _printing_json()],
        help="send a test to the devices of a user",
        description="Send a test to the devices of a user, and print what the push service said of each. Needs the data"
        " folder of a running server.",
        epilog=f"{EXIT_CODES} Here 0 means that a push service took it for one device at least.",
    )
    test.add_argument("identity", metavar="IDENTITY", help="whose devices")
    test.add_argument("--service", metavar="IS...", help="chat service (default: the default service)")
    test.add_argument("--wait", type=seconds, default=30, metavar="SECONDS", help="how long at most (default: 30)")


def _add_phone(commands: Commands, common: argparse.ArgumentParser) -> None:
    phone = commands.add_parser("phone", parents=[common, _printing_json()], help="be somebody on a simulated phone")
    phone.add_argument("number", metavar="NUMBER", help="whose: +1..., whatsapp:+1..., a mailbox")
    phone.add_argument(
        "--to", metavar="NUMBER", action="append", default=[], help="whom to write to (default: who wrote last)"
    )
    phone.add_argument("--count", metavar="N", type=count, help="end when N messages have come, not with the input")
    phone.add_argument("--url", help="base URL of the server (default: where it runs, else from the settings)")
    phone.add_argument("--account", metavar="AC...", help="account (default: the first)")
    phone.add_argument("--gateway", metavar="NAME", help="simulator to be on, where the account has several")


def _printing_json() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
