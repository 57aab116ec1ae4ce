"""The installation in a data folder, read by commands that do not serve."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tertulia.cli.call import CommandFailed
from tertulia.server import app
from tertulia.server.sources import Resolved


def require_data_folder(resolved: Resolved) -> Path:
    """The data folder. Raises CommandFailed when there is none: looking must not make one."""
    data = Path(resolved.settings.server.data)
    if data.exists() and not data.is_dir():
        raise CommandFailed(f"{data} is a file, not a data folder")
    if not data.is_dir():
        raise CommandFailed(f"no data folder at {data}; `tertulia serve --data {data}` makes one")
    return data


def credentials_of(resolved: Resolved) -> app.Credentials:
    """The first account's credentials. Raises CommandFailed when they cannot be read."""
    require_data_folder(resolved)

    async def read() -> app.Credentials:
        async with app.open_installation(resolved.settings, resolved.bootstrap, migrate=False) as installation:
            return installation.first_credentials()

    try:
        return asyncio.run(read())
    except app.StartupFailure as failure:
        raise CommandFailed(str(failure)) from None
