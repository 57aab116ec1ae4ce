"""``tertulia keys``: the API keys of an account, also while a server runs on it."""

from __future__ import annotations

import argparse
import sys

from tertulia.cli.call import resolve_settings
from tertulia.cli.installation import at_installation
from tertulia.cli.tables import Fact, print_all, print_one, time_of
from tertulia.server import app
from tertulia.server.domain.accounts import ApiKey, CreateKey, RevokeKey
from tertulia.server.domain.secrets import Secret
from tertulia.server.randomness import draw_secret
from tertulia.server.sources import Resolved


def run(options: argparse.Namespace) -> int:
    """Make, list or revoke API keys. Secrets are printed when they are made, and never by ``list``."""
    return {"create": _create, "list": _list, "revoke": _revoke}[options.what](options, resolve_settings(options))


def _create(options: argparse.Namespace, resolved: Resolved) -> int:
    secret = draw_secret()

    async def make(installation: app.Installation) -> ApiKey:
        account = options.account or installation.first_account()
        return await installation.execute(CreateKey(account=account, friendly_name=options.name, secret=Secret(secret)))

    key = at_installation(resolved, make, writes=True)
    print_one({**_facts(key), "api_secret": secret}, as_json=options.json)
    return 0


def _list(options: argparse.Namespace, resolved: Resolved) -> int:
    async def read(installation: app.Installation) -> list[ApiKey]:
        return await installation.keys(options.account or installation.first_account())

    print_all([_facts(key) for key in at_installation(resolved, read)], as_json=options.json)
    return 0


def _revoke(options: argparse.Namespace, resolved: Resolved) -> int:
    async def revoke(installation: app.Installation) -> ApiKey:
        return await installation.execute(RevokeKey(key=options.key))

    key = at_installation(resolved, revoke, writes=True)
    print_one(_facts(key), as_json=options.json)
    print(
        "tertulia: revoked for good; a running server refuses it and its tokens, and ends their connections, within"
        " a minute",
        file=sys.stderr,
    )
    return 0


def _facts(key: ApiKey) -> dict[str, Fact]:
    return {
        "api_key": key.sid,
        "account_sid": key.account_sid,
        "friendly_name": key.friendly_name,
        "date_created": time_of(key.created_at),
        "date_revoked": time_of(key.revoked_at),
    }
