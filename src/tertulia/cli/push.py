"""``tertulia push``: what push notifications need, and what became of them."""

from __future__ import annotations

import argparse
import importlib
import shlex

from tertulia.cli.failure import CommandFailed
from tertulia.cli.tables import print_one


def run(options: argparse.Namespace) -> int:
    """See the functions: one for each deed."""
    if options.what == "vapid":
        return _vapid(options)
    # Each imports what it needs: making keys does not open an installation.
    deed = importlib.import_module(f"tertulia.cli.push_{options.what}")
    return int(deed.run(options))


def _vapid(options: argparse.Namespace) -> int:
    """Print a new key pair for Web Push, and the call that gives it to a server. Nothing is kept."""
    from tertulia.server.domain.credentials import Secrets
    from tertulia.server.push.service import Unusable
    from tertulia.server.push.vapid import new_pair, read_keys

    public, private = new_pair()
    try:
        read_keys(Secrets(public_key=public, private_key=private, subject=options.subject))
    except Unusable as error:
        raise CommandFailed(f"--subject {options.subject!r}: {error}") from None
    print_one({"public_key": public, "private_key": private}, as_json=options.json)
    if not options.json:
        fields = {"Type": "webpush", "PublicKey": public, "PrivateKey": private, "Subject": options.subject}
        given = (f"--data-urlencode {shlex.quote(f'{name}={value}')}" for name, value in fields.items() if value)
        print("\n# To make a credential of it (the variables are those of `tertulia env`):")
        print(f'curl -u "$ACCOUNT_SID:$AUTH_TOKEN" "$BASE_URL/v1/Credentials" {" ".join(given)}')
        print("# The sid in its answer (CR...) goes into tokens: tertulia token IDENTITY --push-credential CR...")
    return 0
