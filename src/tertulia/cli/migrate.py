"""``tertulia migrate``: bring the database up to date, or only say what that would take."""

from __future__ import annotations

import argparse
import asyncio

from tertulia.cli.call import resolve_settings
from tertulia.cli.failure import CommandFailed
from tertulia.cli.installation import require_data_folder
from tertulia.server import app


def run(options: argparse.Namespace) -> int:
    """Print the steps, one a line, and take them unless ``--plan`` is given."""
    resolved = resolve_settings(options)
    require_data_folder(resolved)

    async def work() -> list[str]:
        async with app.open_installation(resolved.settings, resolved.bootstrap, migrate=False) as installation:
            steps = installation.plan()
        if steps and not options.plan:
            async with app.open_installation(resolved.settings, resolved.bootstrap, migrate=True):
                pass
        return steps

    try:
        steps = asyncio.run(work())
    except app.StartupFailure as failure:
        raise CommandFailed(str(failure)) from None
    for step in steps:
        print(f"would run {step}" if options.plan else f"ran {step}")
    if not steps:
        print("nothing to do: the database is up to date")
    return 0
