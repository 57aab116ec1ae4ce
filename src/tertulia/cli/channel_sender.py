"""``tertulia channels sender``: which addresses are ours, and which gateway serves them."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from msgspec import UNSET

from tertulia.cli.channels import account_of, executed, found
from tertulia.cli.installation import at_installation
from tertulia.cli.tables import Fact, print_one, time_of
from tertulia.server import app
from tertulia.server.domain.gateways import AddSender, RemoveSender, Sender, UpdateSender
from tertulia.server.sources import Resolved


def run(options: argparse.Namespace, resolved: Resolved) -> int:
    """Add, change or remove one."""

    async def do(installation: app.Installation) -> Sender | None:
        account = await account_of(installation, options.account)
        if getattr(options, "gateway", None) is not None:
            await found(installation, account, options.gateway)
        done: Sender | None = await executed(installation, _wish(options), account, f"sender {options.address}")
        return done

    sender = at_installation(resolved, do, writes=True)
    if sender is None:
        print("tertulia: removed; its address configuration, if it had one, went with it", file=sys.stderr)
    else:
        print_one(_facts(sender), as_json=options.json)
    return 0


def _wish(options: argparse.Namespace) -> Any:
    address = options.address
    if options.deed == "remove":
        return RemoveSender(address=address)
    if options.deed == "add":
        return AddSender(
            address=address,
            gateway=options.gateway,
            pool=options.pool or None,
            per_minute=options.per_minute or None,
        )
    return UpdateSender(
        address=address,
        gateway=UNSET if options.gateway is None else options.gateway,
        pool=UNSET if options.pool is None else options.pool or None,
        per_minute=UNSET if options.per_minute is None else options.per_minute or None,
    )


def _facts(sender: Sender) -> dict[str, Fact]:
    return {
        "account_sid": sender.account_sid,
        "address": sender.address,
        "type": sender.kind,
        "gateway_sid": sender.gateway_sid,
        "pool": sender.pool,
        "per_minute": None if sender.per_minute is None else str(sender.per_minute),
        "date_created": time_of(sender.created_at),
    }
