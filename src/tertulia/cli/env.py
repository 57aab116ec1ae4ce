"""``tertulia env``: what other tools need to reach the server, as lines a shell can evaluate."""

from __future__ import annotations

import argparse
import shlex

from tertulia.cli.call import resolve_settings
from tertulia.cli.installation import credentials_of, url_of
from tertulia.cli.urls import websocket_url


def run(options: argparse.Namespace) -> int:
    """Print one ``export`` line per value. Works while the server runs; never changes anything."""
    resolved = resolve_settings(options)
    url = url_of(resolved, options.url)
    credentials = credentials_of(resolved, account_sid=options.account, key_sid=options.key)
    values = {
        "ACCOUNT_SID": credentials.account_sid,
        "AUTH_TOKEN": credentials.auth_token,
        "API_KEY": credentials.api_key_sid,
        "API_SECRET": credentials.api_key_secret,
        "SERVICE_SID": credentials.service_sid,
        "BASE_URL": url,
        "WS_URL": websocket_url(url),
    }
    for name, value in values.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0
