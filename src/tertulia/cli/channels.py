"""``tertulia channels``: gateways and senders of an installation, also while a server runs on it."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import Any

import msgspec

from tertulia.cli.call import resolve_settings
from tertulia.cli.channel_adapters import print_adapters, set_facts
from tertulia.cli.channel_settings import given_settings
from tertulia.cli.failure import CommandFailed
from tertulia.cli.installation import at_installation, url_of
from tertulia.cli.tables import Fact, print_all, print_one, time_of
from tertulia.server import app
from tertulia.server.channels.registry import NoAdapter, adapter_of
from tertulia.server.domain.errors import NotFound
from tertulia.server.domain.gateways import AddGateway, Gateway, RemoveGateway, Sender, UpdateGateway
from tertulia.server.engine.gateway_directory import GatewayDirectory
from tertulia.server.sources import Resolved
from tertulia.server.storage.accounts import Accounts
from tertulia.server.storage.gateways import Gateways, Senders

UNSET = msgspec.UNSET
SOON = "a running server opens it within seconds"


class Shown(msgspec.Struct, frozen=True):
    """A gateway as ``list`` prints it."""

    gateway: Gateway
    settings: dict[str, Any]
    senders: list[Sender]


def run(options: argparse.Namespace) -> int:
    """See the functions: one for each deed. Secrets go in, and are never printed."""
    if options.what == "adapters":
        return print_adapters(options)
    resolved = resolve_settings(options)
    if options.what in ("check", "sender"):
        # Each imports what it needs.
        return int(importlib.import_module(f"tertulia.cli.channel_{options.what}").run(options, resolved))
    return {"list": _list, "add": _add, "set": _set, "remove": _remove}[options.what](options, resolved)


def _add(options: argparse.Namespace, resolved: Resolved) -> int:
    settings = given_settings(options, options.adapter)

    async def make(installation: app.Installation) -> Shown:
        account = await account_of(installation, options.account)
        wish = AddGateway(name=options.gateway, adapter=options.adapter, settings=settings)
        return Shown(await installation.execute(wish, account), {}, [])

    made = at_installation(resolved, make, writes=True).gateway
    print_one(_facts(made, resolved), as_json=options.json)
    _say_where(made, resolved)
    _say(f"{SOON}; `tertulia channels sender add ADDRESS --gateway {made.name}` says what it serves")
    return 0


def _set(options: argparse.Namespace, resolved: Resolved) -> int:
    async def change(installation: app.Installation) -> Gateway:
        account = await account_of(installation, options.account)
        before = await found(installation, account, options.gateway)
        settings = {**given_settings(options, before.adapter), **dict.fromkeys(options.unset)}
        wish = UpdateGateway(gateway=before.sid, name=options.new_name or UNSET, settings=settings)
        return await installation.execute(wish, account)

    print_one(_facts(at_installation(resolved, change, writes=True), resolved), as_json=options.json)
    _say(SOON)
    return 0


def _remove(options: argparse.Namespace, resolved: Resolved) -> int:
    async def remove(installation: app.Installation) -> None:
        account = await account_of(installation, options.account)
        gateway = await found(installation, account, options.gateway)
        await installation.execute(RemoveGateway(gateway=gateway.sid), account)

    at_installation(resolved, remove, writes=True)
    _say("removed; a running server closes it within seconds")
    return 0


def _list(options: argparse.Namespace, resolved: Resolved) -> int:
    async def read(installation: app.Installation) -> list[Shown]:
        account = await account_of(installation, options.account)
        directory = GatewayDirectory(installation.database, installation.sealer)
        if options.gateway is not None:
            await found(installation, account, options.gateway)
        async with installation.database.snapshot() as connection:
            gateways = await Gateways(connection).of_account(account)
            senders = await Senders(connection).of_account(account)
        return [
            Shown(one, directory.shown(one), [sender for sender in senders if sender.gateway_sid == one.sid])
            for one in gateways
            if options.gateway in (None, one.sid, one.name)
        ]

    shown = at_installation(resolved, read)
    if options.json:
        print(msgspec.json.encode([_whole(one, resolved) for one in shown]).decode())
    elif options.gateway is None:
        print_all([_row(one) for one in shown], as_json=False)
    else:
        for one in shown:
            print_one(_everything(one, resolved), as_json=False)
    if not shown:
        _say("until the account has a sender, its messages go to simulated phones")
    return 0


async def account_of(installation: app.Installation, sid: str | None) -> str:
    """The account's SID; without any the first one's. Raises CommandFailed."""
    first = installation.first_account()
    if sid is None:
        return first
    async with installation.database.snapshot() as connection:
        if await Accounts(connection).get(sid) is None:
            raise CommandFailed(f"there is no account {sid}")
    return sid


async def found(installation: app.Installation, account_sid: str, key: str) -> Gateway:
    """The account's gateway of this name or SID. Raises CommandFailed."""
    async with installation.database.snapshot() as connection:
        gateway = await Gateways(connection).find(account_sid, key)
    if gateway is None:
        raise CommandFailed(f"there is no gateway {key}; `tertulia channels list` prints those there are")
    return gateway


async def executed(installation: app.Installation, wish: Any, account_sid: str, what: str) -> Any:
    """Do it; what it is about, where it is not there, is named. Raises CommandFailed."""
    try:
        return await installation.execute(wish, account_sid)
    except NotFound:
        raise CommandFailed(f"there is no {what}") from None


def callback_url(resolved: Resolved, gateway_sid: str) -> str:
    """Where the gateway's provider is to reach the server."""
    url = resolved.settings.server.public_url or url_of(resolved, None)
    return f"{url.rstrip('/')}/callbacks/{gateway_sid}"


def _facts(gateway: Gateway, resolved: Resolved) -> dict[str, Fact]:
    return {
        "gateway_sid": gateway.sid,
        "account_sid": gateway.account_sid,
        "name": gateway.name,
        "adapter": gateway.adapter,
        "callback_url": callback_url(resolved, gateway.sid) if is_called(gateway) else None,
        "date_created": time_of(gateway.created_at),
    }


def is_called(gateway: Gateway) -> bool:
    """Its provider calls us, as far as is known."""
    try:
        return adapter_of(gateway.adapter).is_called
    except NoAdapter:
        return True


def _row(shown: Shown) -> dict[str, Fact]:
    gateway = shown.gateway
    return {
        "name": gateway.name,
        "gateway_sid": gateway.sid,
        "adapter": gateway.adapter,
        "senders": ", ".join(sender.address for sender in shown.senders),
    }


def _everything(shown: Shown, resolved: Resolved) -> dict[str, Fact]:
    return {
        **_facts(shown.gateway, resolved),
        **{f"setting {name}": fact for name, fact in set_facts(shown.settings).items()},
        **{f"sender {sender.address}": _way(sender) for sender in shown.senders},
    }


def _way(sender: Sender) -> str:
    rate = f"{sender.per_minute} a minute" if sender.per_minute is not None else "at the usual rate"
    return rate if sender.pool is None else f"{rate}, of pool {sender.pool}"


def _whole(shown: Shown, resolved: Resolved) -> dict[str, Any]:
    return {
        **_facts(shown.gateway, resolved),
        "settings": shown.settings,
        "senders": [
            {"address": one.address, "type": one.kind, "pool": one.pool, "per_minute": one.per_minute}
            for one in shown.senders
        ],
    }


def _say_where(gateway: Gateway, resolved: Resolved) -> None:
    if is_called(gateway):
        _say(f"tell its provider to call {callback_url(resolved, gateway.sid)}")


def _say(text: str) -> None:
    print(f"tertulia: {text}", file=sys.stderr)
