"""``tertulia doctor``: looks at an installation from the outside and says what to do about what it finds."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import shutil
import stat
import sys
from collections.abc import Iterator, Sequence
from enum import StrEnum
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tertulia.cli.call import resolve_settings
from tertulia.cli.channel_opening import opened
from tertulia.cli.extras import remedy
from tertulia.cli.installation import url_of
from tertulia.cli.plain import plain
from tertulia.cli.urls import local_url
from tertulia.server import app
from tertulia.server.channels.base import NotNow
from tertulia.server.clock import SystemClock
from tertulia.server.outgoing import Outgoing
from tertulia.server.push.service import OpenCredential
from tertulia.server.push.usable import doubts, why_unusable
from tertulia.server.settings import Settings
from tertulia.server.sources import Resolved
from tertulia.server.storage.gateways import Gateways

ANSWER_WITHIN_S = 3.0
NOT_READY = "it is stopping (server.stopping in its log), or its database does not answer"
ANOTHER_PORT = "choose another port with --port, or PORT= with make"
LEAST_FREE_BYTES = 1 << 30
LEAST_OPEN_FILES = 4096


class Verdict(StrEnum):
    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """One thing that was looked at. What is not OK says what to do."""

    verdict: Verdict
    subject: str
    text: str


def run(options: argparse.Namespace) -> int:
    """Print one finding a line; 1 if any is a problem."""
    findings = list(examine(resolve_settings(options), options.url))
    for finding in findings:
        print(f"{finding.verdict:<8} {finding.subject:<12} {finding.text}")
    return 1 if any(finding.verdict is Verdict.PROBLEM for finding in findings) else 0


def examine(resolved: Resolved, url: str | None = None) -> Iterator[Finding]:
    """Everything there is to say about the installation these settings describe, and the server at this URL.

    Raises CommandFailed when the URL is none.
    """
    settings = resolved.settings
    data = Path(settings.server.data)
    chosen = len(resolved.sources)
    yield Finding(
        Verdict.OK, "settings", f"{chosen} set, the others at their defaults" if chosen else "all at their defaults"
    )
    yield from _parts()
    yield _open_files()
    if data.is_dir():
        yield _folder(data)
        yield _space(data)
        yield from _database(resolved)
    elif data.exists():
        yield Finding(Verdict.PROBLEM, "data", f"{data} is a file; choose a folder with --data, or DATA= with make")
    else:
        yield Finding(Verdict.NOTE, "data", f"no folder at {data} yet; `tertulia serve` makes it at its first start")
    yield _listening(settings, url_of(resolved, url))
    if settings.server.public_url is not None:
        yield _public(settings.server.public_url)


def _parts() -> Iterator[Finding]:
    for name, loss in (("uvloop", "the server uses more CPU"), ("websockets", "large messages cost more CPU")):
        if importlib.util.find_spec(name) is None:
            yield Finding(Verdict.NOTE, name, f"not installed: {loss}; {remedy('server')} brings it")


def _open_files() -> Finding:
    if sys.platform == "win32":
        return Finding(Verdict.OK, "open files", "not limited here")
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < LEAST_OPEN_FILES:
        remedy = f"raise it before many clients come: ulimit -n {LEAST_OPEN_FILES if hard < 0 else hard}"
        return Finding(Verdict.NOTE, "open files", f"limit of {soft}, one per connection; {remedy}")
    return Finding(Verdict.OK, "open files", f"limit of {soft if soft >= 0 else 'none'}")


def _folder(data: Path) -> Finding:
    if not os.access(data, os.W_OK | os.X_OK):
        return Finding(Verdict.PROBLEM, "data", f"{data} cannot be written; give it to the user that runs the server")
    if stat.S_IMODE(data.stat().st_mode) & 0o077:
        return Finding(Verdict.NOTE, "data", f"{data} is open to other users of this machine; chmod 700 {data}")
    return Finding(Verdict.OK, "data", str(data))


def _space(data: Path) -> Finding:
    free = shutil.disk_usage(data).free
    text = f"{free / (1 << 30):.1f} GiB free at {data}"
    if free < LEAST_FREE_BYTES:
        return Finding(Verdict.PROBLEM, "disk", f"{text}; writes fail when it is full, so make room")
    return Finding(Verdict.OK, "disk", text)


def _database(resolved: Resolved) -> Iterator[Finding]:
    async def look() -> tuple[list[str], list[OpenCredential], list[Finding]]:
        async with app.open_installation(resolved.settings, resolved.bootstrap, migrate=False) as installation:
            waiting = installation.plan()
            if waiting:
                return waiting, [], []
            installation.first_account()
            return [], await installation.push_credentials(), await _channels(installation)

    try:
        waiting, credentials, channels = asyncio.run(look())
    except app.StartupFailure as failure:
        yield Finding(Verdict.PROBLEM, "database", str(failure))
        return
    if waiting:
        yield Finding(Verdict.NOTE, "database", f"out of date, the next start migrates it: {', '.join(waiting)}")
        return
    yield Finding(Verdict.OK, "database", "opens, is up to date, and its secrets can be read")
    yield from _push(credentials)
    yield from channels


def _push(credentials: Sequence[OpenCredential]) -> Iterator[Finding]:
    """A note for each credential that cannot send, or not for long: who made it may not even want it to."""
    usable, now = 0, SystemClock().now()
    for credential in credentials:
        name = f', "{plain(credential.friendly_name)}"' if credential.friendly_name else ""
        place = f"{credential.sid} ({credential.kind}{name}) of {credential.account_sid}"
        why = why_unusable(credential, now)
        if why is not None:
            yield Finding(Verdict.NOTE, "push", f"{place} cannot send: {why}")
            continue
        usable += 1
        for doubt in doubts(credential, now):
            yield Finding(Verdict.NOTE, "push", f"{place}: {doubt}")
    if usable:
        yield Finding(Verdict.OK, "push", f"{usable} credential{'s' if usable > 1 else ''} that can send")


async def _channels(installation: app.Installation) -> list[Finding]:
    """A problem for each gateway that cannot be opened: people wait for what it should bring."""
    async with installation.database.snapshot() as connection:
        gateways = await Gateways(connection).all()
    usable, found = 0, []
    outgoing = Outgoing(installation.settings)
    try:
        for gateway in gateways:
            try:
                async with opened(installation, gateway, outgoing, callback_url=""):
                    usable += 1
            except NotNow as problem:
                place = f"{gateway.name} ({gateway.sid}, {gateway.adapter}) of {gateway.account_sid}"
                found.append(Finding(Verdict.PROBLEM, "channels", f"{place}: {problem.why}"))
    finally:
        await outgoing.close()
    if usable:
        text = f"{usable} gateway{'s' if usable > 1 else ''} can be opened; `tertulia channels check` asks providers"
        found.append(Finding(Verdict.OK, "channels", text))
    return found


def _listening(settings: Settings, base_url: str) -> Finding:
    # What others reach through a proxy has a finding of its own.
    url = local_url(settings) if base_url == settings.server.public_url else base_url
    if urlsplit(url).port == 0:
        return Finding(Verdict.NOTE, "port", "server.port is 0: every start listens elsewhere")
    status = _status_of(url + "/readyz")
    if status is None:
        return Finding(Verdict.NOTE, "server", f"nothing answers at {url}; `tertulia serve` starts it")
    if status == 200:
        return Finding(Verdict.OK, "server", f"ready at {url}")
    if status == 503:
        return Finding(Verdict.PROBLEM, "server", f"runs at {url} but is not ready: {NOT_READY}")
    return Finding(Verdict.PROBLEM, "port", f"another program answers at {url}; {ANOTHER_PORT}")


def _public(url: str) -> Finding:
    if _status_of(url + "/healthz") == 200:
        return Finding(Verdict.OK, "public url", f"reaches the server at {url}")
    return Finding(
        Verdict.PROBLEM, "public url", f"{url}/healthz does not answer from here; check the proxy and the name"
    )


def _status_of(url: str) -> int | None:
    """The status with which a GET is answered, or None when nothing answers in time."""
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    try:
        connection = kind(parts.hostname or "", parts.port, timeout=ANSWER_WITHIN_S)
        try:
            connection.request("GET", parts.path)
            return connection.getresponse().status
        finally:
            connection.close()
    except (OSError, HTTPException, ValueError):
        return None
