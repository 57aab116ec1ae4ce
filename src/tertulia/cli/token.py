"""``tertulia token``: an access token, as an application's own back end would sign it."""

from __future__ import annotations

import argparse
import secrets
import sys
import time

from tertulia.cli.call import resolve_settings
from tertulia.cli.failure import CommandFailed
from tertulia.cli.installation import credentials_of
from tertulia.wire import tokens
from tertulia.wire.identities import IdentityRefused, check_identity


def run(options: argparse.Namespace) -> int:
    """Print one token on a line of its own, signed with the oldest API key or the given one."""
    try:
        check_identity(options.identity)
    except IdentityRefused as refused:
        raise CommandFailed(f"identity {options.identity!r}: {refused.message}") from None
    resolved = resolve_settings(options)
    credentials = credentials_of(
        resolved,
        account_sid=options.account,
        key_sid=options.key,
        service_sid=options.service,
        push_credential_sid=options.push_credential,
    )
    token = tokens.mint(
        account_sid=credentials.account_sid,
        key_sid=credentials.api_key_sid,
        secret=credentials.api_key_secret,
        identity=options.identity,
        service_sid=credentials.service_sid,
        now_s=time.time(),
        ttl_s=options.ttl,
        push_credential_sid=options.push_credential,
    )
    if options.encrypted:
        token = tokens.encrypt(token, credentials.api_key_sid, credentials.api_key_secret, secrets.token_bytes(12))
    print(token)
    if credentials.is_suspended:
        print(f"tertulia: account {credentials.account_sid} is suspended; no server takes its tokens", file=sys.stderr)
    limits = resolved.settings.tokens
    if not limits.min_ttl_s <= options.ttl <= limits.max_ttl_s:
        # Only a warning: the server may run with settings that this call does not see.
        warning = f"a server with these settings wants tokens to live {limits.min_ttl_s} to {limits.max_ttl_s} seconds"
        print(f"tertulia: {warning}", file=sys.stderr)
    return 0
