"""What every command that looks at an installation has: the settings of its call."""

from __future__ import annotations

import argparse
import os

from tertulia.cli import variables
from tertulia.cli.failure import CommandFailed
from tertulia.server.sources import Resolved, SettingsError, resolve


def resolve_settings(options: argparse.Namespace) -> Resolved:
    """The settings in force for this call. Raises CommandFailed."""
    flags = {f"server.{name}": getattr(options, name, None) for name in ("host", "port", "data")}
    environment = {name: value for name, value in os.environ.items() if name not in variables.OF_CLIENTS}
    try:
        return resolve(environment, flags, options.config)
    except SettingsError as error:
        raise CommandFailed(str(error)) from None
