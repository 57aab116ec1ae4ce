"""``tertulia channels check``: whether providers can be reached and believe us, asked by this process itself."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import msgspec

from tertulia.cli.channel_opening import opened
from tertulia.cli.channels import account_of, callback_url, found
from tertulia.cli.installation import at_installation
from tertulia.cli.plain import plain
from tertulia.server import app
from tertulia.server.channels.base import Finding, NotNow
from tertulia.server.channels.checking import examined
from tertulia.server.domain.gateways import Gateway
from tertulia.server.outgoing import Outgoing
from tertulia.server.sources import Resolved
from tertulia.server.storage.gateways import Gateways


def run(options: argparse.Namespace, resolved: Resolved) -> int:
    """Print what was found; 1 if any of it is bad. Nothing is sent, and nothing that comes in is taken."""

    async def look(installation: app.Installation) -> list[tuple[str, Finding]]:
        account = await account_of(installation, options.account)
        if options.gateway is not None:
            gateways = [await found(installation, account, options.gateway)]
        else:
            async with installation.database.snapshot() as connection:
                gateways = await Gateways(connection).of_account(account)
        outgoing = Outgoing(installation.settings)
        try:
            return [
                (gateway.name, finding)
                for gateway in gateways
                for finding in await _findings(installation, gateway, outgoing, callback_url(resolved, gateway.sid))
            ]
        finally:
            await outgoing.close()

    findings = at_installation(resolved, look)
    if options.json:
        rows = [{"gateway": name, **msgspec.to_builtins(finding)} for name, finding in findings]
        print(msgspec.json.encode(rows).decode())
    elif not findings:
        print("tertulia: there are no gateways", file=sys.stderr)
    else:
        _print(findings)
    return 0 if all(finding.is_good for _, finding in findings) else 1


async def _findings(
    installation: app.Installation, gateway: Gateway, outgoing: Outgoing, url: str
) -> Sequence[Finding]:
    try:
        async with opened(installation, gateway, outgoing, url) as channel:
            return await examined(channel, gateway.adapter, url)
    except NotNow as problem:
        return [Finding(is_good=False, what=problem.why, remedy=f"`tertulia channels set {gateway.name}` mends it")]


def _print(findings: Sequence[tuple[str, Finding]]) -> None:
    width = max(len(name) for name, _ in findings)
    for name, finding in findings:
        text = finding.what if finding.remedy is None else f"{finding.what}; {finding.remedy}"
        print(f"{'ok' if finding.is_good else 'problem':<8} {name:<{width}}  {plain(text)}")
