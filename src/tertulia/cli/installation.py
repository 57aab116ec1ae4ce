"""The installation in a data folder, read by commands that do not serve."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from tertulia.cli.call import CommandFailed
from tertulia.cli.urls import base_url
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


def url_of(resolved: Resolved, given: str | None) -> str:
    """The base URL of the server: the given one, else where it runs, else where it would. Raises CommandFailed."""
    running = app.served_url(Path(resolved.settings.server.data))
    url = (given or running or base_url(resolved.settings)).rstrip("/")
    if not url.startswith(("http://", "https://")):
        source = f"--url {given}" if given else f"{resolved.settings.server.data}/url holds {running!r}"
        raise CommandFailed(f"{source}: expected http://host or https://host")
    return url


def credentials_of(resolved: Resolved, service_sid: str | None = None) -> app.Credentials:
    """The first account's credentials, for its default service or the given one.

    Raises CommandFailed when they cannot be read, or when the account has no such service.
    """
    require_data_folder(resolved)

    async def read() -> app.Credentials:
        async with app.open_installation(resolved.settings, resolved.bootstrap, migrate=False) as installation:
            credentials = installation.first_credentials()
            if service_sid is None:
                return credentials
            if not await installation.has_service(service_sid):
                raise CommandFailed(f"--service {service_sid}: account {credentials.account_sid} has no such service")
            return msgspec.structs.replace(credentials, service_sid=service_sid)

    try:
        return asyncio.run(read())
    except app.StartupFailure as failure:
        raise CommandFailed(str(failure)) from None
