"""``tertulia serve``: a server on one port, until it is told to stop."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys

from tertulia import __version__
from tertulia.cli.call import resolve_settings
from tertulia.cli.failure import CommandFailed
from tertulia.cli.urls import websocket_url
from tertulia.server import app, observe


def run(options: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM. Raises CommandFailed when the server cannot start."""
    resolved = resolve_settings(options)
    settings = resolved.settings
    observe.configure(settings.log.level, settings.log.format)

    def announce(base_url: str) -> None:
        credentials = shlex.join([_ourselves(), "env", "--data", settings.server.data, "--url", base_url])
        print(
            f"Tertulia {__version__} is ready.\n"
            f"  REST         {base_url}\n"
            f"  WebSocket    {websocket_url(base_url)}\n"
            f"  Credentials  {credentials}",
            flush=True,
        )

    try:
        return app.serve(settings, resolved.bootstrap, announce)
    except app.StartupFailure as failure:
        raise CommandFailed(str(failure)) from None


def _ourselves() -> str:
    """How the reader can call this command again."""
    return "tertulia" if shutil.which("tertulia") == shutil.which(sys.argv[0]) else sys.argv[0]
