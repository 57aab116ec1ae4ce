"""``tertulia accounts``: the tenants of an installation, also while a server runs on it."""

from __future__ import annotations

import argparse
import sys

from tertulia.cli.call import resolve_settings
from tertulia.cli.installation import at_installation
from tertulia.cli.tables import Fact, print_all, print_one, time_of
from tertulia.server import app
from tertulia.server.domain.accounts import Account, CreateAccount, ReinstateAccount, SuspendAccount
from tertulia.server.domain.secrets import Secret
from tertulia.server.randomness import draw_secret
from tertulia.server.sources import Resolved


def run(options: argparse.Namespace) -> int:
    """Make, list, suspend or reinstate accounts. Secrets are printed when they are made, and never by ``list``."""
    return {"create": _create, "list": _list, "revoke": _revoke, "reinstate": _reinstate}[options.what](
        options, resolve_settings(options)
    )


def _create(options: argparse.Namespace, resolved: Resolved) -> int:
    auth_token = draw_secret()

    async def make(installation: app.Installation) -> Account:
        return await installation.execute(CreateAccount(friendly_name=options.name, auth_token=Secret(auth_token)))

    account = at_installation(resolved, make, writes=True)
    print_one({**_facts(account), "auth_token": auth_token}, as_json=options.json)
    _say(f"the account has no API key yet; `tertulia keys create --account {account.sid}` makes one")
    return 0


def _list(options: argparse.Namespace, resolved: Resolved) -> int:
    async def read(installation: app.Installation) -> list[Account]:
        installation.first_account()
        return await installation.accounts()

    print_all([_facts(account) for account in at_installation(resolved, read)], as_json=options.json)
    return 0


def _revoke(options: argparse.Namespace, resolved: Resolved) -> int:
    async def suspend(installation: app.Installation) -> Account:
        return await installation.execute(SuspendAccount(account=options.account))

    account = at_installation(resolved, suspend, writes=True)
    print_one(_facts(account), as_json=options.json)
    _say("suspended; a running server refuses it and ends its connections within a minute. Its data stays")
    return 0


def _reinstate(options: argparse.Namespace, resolved: Resolved) -> int:
    async def reinstate(installation: app.Installation) -> Account:
        return await installation.execute(ReinstateAccount(account=options.account))

    print_one(_facts(at_installation(resolved, reinstate, writes=True)), as_json=options.json)
    return 0


def _facts(account: Account) -> dict[str, Fact]:
    return {
        "account_sid": account.sid,
        "friendly_name": account.friendly_name,
        "service_sid": account.default_service_sid,
        "date_created": time_of(account.created_at),
        "date_suspended": time_of(account.suspended_at),
    }


def _say(text: str) -> None:
    print(f"tertulia: {text}", file=sys.stderr)
