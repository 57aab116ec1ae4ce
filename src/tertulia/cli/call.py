"""What every command has: the settings of its call, and one way to fail."""

from __future__ import annotations

import argparse
import os

from tertulia.server.sources import Resolved, resolve


class CommandFailed(Exception):
    """A command could not do its work; the text is the one line to print."""


def resolve_settings(options: argparse.Namespace) -> Resolved:
    """The settings in force for this call. Raises SettingsError."""
    flags = {f"server.{name}": getattr(options, name, None) for name in ("host", "port", "data")}
    return resolve(os.environ, flags, options.config)
