"""The installation in a data folder, read by commands that do not serve."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from tertulia.cli.failure import CommandFailed
from tertulia.cli.urls import base_url
from tertulia.server import app
from tertulia.server.domain.errors import TertuliaError
from tertulia.server.sources import Resolved
from tertulia.server.storage.credentials import Credentials

R = TypeVar("R")


def require_data_folder(resolved: Resolved) -> Path:
    """The data folder. Raises CommandFailed when there is none: looking must not make one."""
    data = Path(resolved.settings.server.data)
    if data.exists() and not data.is_dir():
        raise CommandFailed(f"{data} is a file, not a data folder")
    if not data.is_dir():
        raise CommandFailed(
            f"no data folder at {data}; name the one of the server with --data DIR, or make one: `tertulia serve --data"
            f" {data}`"
        )
    return data


def url_of(resolved: Resolved, given: str | None) -> str:
    """The base URL of the server: the given one, else where it runs, else where it would. Raises CommandFailed."""
    running = app.served_url(Path(resolved.settings.server.data))
    url = (given or running or base_url(resolved.settings)).rstrip("/")
    if not url.startswith(("http://", "https://")):
        source = f"--url {given}" if given else f"{resolved.settings.server.data}/url holds {running!r}"
        raise CommandFailed(f"{source}: expected http://host or https://host")
    return url


def credentials_of(
    resolved: Resolved,
    *,
    account_sid: str | None = None,
    key_sid: str | None = None,
    service_sid: str | None = None,
    push_credential_sid: str | None = None,
) -> app.Credentials:
    """The credentials that are named, for the account's default service or the given one.

    Without any name they are those of the first account. Raises CommandFailed when they cannot be read, or when the
    account has no such service or push credential.
    """

    async def read(installation: app.Installation) -> app.Credentials:
        credentials = await installation.credentials(account_sid, key_sid)
        if push_credential_sid is not None:
            await _require_push_credential(installation, credentials.account_sid, push_credential_sid)
        if service_sid is None:
            return credentials
        if not await installation.has_service(credentials.account_sid, service_sid):
            raise CommandFailed(f"--service {service_sid}: account {credentials.account_sid} has no such service")
        return msgspec.structs.replace(credentials, service_sid=service_sid)

    return at_installation(resolved, read)


async def _require_push_credential(installation: app.Installation, account_sid: str, sid: str) -> None:
    """A device is registered under the one in its token, and under none when there is no such."""
    async with installation.database.snapshot() as connection:
        mine = [each for each in await Credentials(connection).all() if each.account_sid == account_sid]
    if any(each.sid == sid for each in mine):
        return
    have = f"it has {', '.join(f'{each.sid} ({each.kind})' for each in mine)}" if mine else "it has none yet"
    raise CommandFailed(
        f"--push-credential {sid}: account {account_sid} has no such push credential; {have}"
        " (POST /v1/Credentials makes one)"
    )


def at_installation(resolved: Resolved, work: Callable[[app.Installation], Awaitable[R]], *, writes: bool = False) -> R:
    """What the work finds or does in the data folder, also while a server runs on it. Raises CommandFailed."""
    require_data_folder(resolved)

    async def do() -> R:
        async with app.open_installation(
            resolved.settings, resolved.bootstrap, migrate=False, writes=writes
        ) as installation:
            return await work(installation)

    try:
        return asyncio.run(do())
    except app.StartupFailure as failure:
        raise CommandFailed(str(failure)) from None
    except TertuliaError as refusal:
        raise CommandFailed(refusal.message) from None
