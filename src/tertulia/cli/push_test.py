"""``tertulia push test``: whether somebody's devices can be reached, as their push services say it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tertulia.cli.call import resolve_settings
from tertulia.cli.failure import CommandFailed
from tertulia.cli.installation import at_installation, require_data_folder
from tertulia.cli.push_why import device_facts
from tertulia.cli.tables import print_all
from tertulia.server import app
from tertulia.server.domain.errors import NotFound
from tertulia.server.domain.notices import Delivery, DeliveryState, SkipReason, TestPush
from tertulia.server.rest.push_explained import DeviceView
from tertulia.server.storage.notices import Notices
from tertulia.server.storage.services import Services

LOOK_S = 0.1


def run(options: argparse.Namespace) -> int:
    """Send a test, wait until it has ended, print each device; 0 only when a push service took it for one of them.

    With ``--json`` devices are as ``push why`` and ``GET /push/...`` show them.
    """
    resolved = resolve_settings(options)
    folder = require_data_folder(resolved)
    if not app.is_served(folder):
        raise CommandFailed(
            f"no server is running on {folder} that would send it; `tertulia serve --data {folder}` starts one"
        )
    devices = at_installation(resolved, lambda installation: _tell(installation, options), writes=True)
    if not devices:
        raise CommandFailed(
            f"{options.identity} has no device registered: a client of his has to register one first, with a token that"
            f" names the push credential (`tertulia token {options.identity} --push-credential CR...` prints one)"
        )
    if options.json:
        print(msgspec.json.encode([DeviceView.of(device) for device in devices]).decode())
    else:
        print_all([device_facts(device) for device in devices], as_json=False)
    remark = _remark(devices, options.wait, folder)
    if remark is not None:
        print(f"tertulia: {remark}", file=sys.stderr)
    return 0 if any(device.state == DeliveryState.SENT for device in devices) else 1


async def _tell(installation: app.Installation, options: argparse.Namespace) -> Sequence[Delivery]:
    account_sid, service_sid = await _service(installation, options.service)
    try:
        notice = await installation.execute(TestPush(service=service_sid, user=options.identity), account_sid)
    except NotFound as refusal:
        raise CommandFailed(
            f"there is no user {options.identity} in service {service_sid}: one comes to be who connects, or takes part"
            " in a conversation"
        ) from refusal
    ends_at = asyncio.get_running_loop().time() + options.wait
    while True:
        async with installation.database.snapshot() as connection:
            devices = await Notices(connection).deliveries(notice.sid)
        is_waiting = any(device.state == DeliveryState.WAITING for device in devices)
        if not is_waiting or asyncio.get_running_loop().time() >= ends_at:
            return devices
        await asyncio.sleep(LOOK_S)


async def _service(installation: app.Installation, sid: str | None) -> tuple[str, str]:
    """The account and the service: the named one, else the default one of the first account."""
    first = installation.first_account()
    if sid is None:
        accounts = {account.sid: account for account in await installation.accounts()}
        return first, accounts[first].default_service_sid
    async with installation.database.snapshot() as connection:
        service = await Services(connection).get(sid)
    if service is None:
        raise CommandFailed(f"there is no service {sid}: --service takes the SID (IS...) of a chat service")
    return service.account_sid, service.sid


def _remark(devices: Sequence[Delivery], waited_s: int, folder: Path) -> str | None:
    """What to do about it, where the table does not say so by itself."""
    states = [device.state for device in devices]
    if DeliveryState.WAITING in states:
        if not app.is_served(folder):
            return "the server has stopped; what waits is sent when it starts again"
        return f"not all of it ended within {waited_s} s; the server goes on trying"
    if DeliveryState.SENT in states:
        return None
    if all(device.answer == SkipReason.INACTIVE for device in devices):
        return (
            "nothing was sent: make a credential of that type, name it in the token (push_credential_sid), "
            "and have the client register again"
        )
    if all(device.state == DeliveryState.GONE for device in devices):
        return (
            "nothing was sent: the push service knows no such device any more, so its registration is removed;"
            " the client has to register again"
        )
    return "nothing was sent: the answer of each device says why"
