"""``tertulia settings``: every setting in force, and where its value came from."""

from __future__ import annotations

import argparse

from tertulia.cli.call import resolve_settings


def run(options: argparse.Namespace) -> int:
    """Print one line per setting: name, value, source. Secrets are masked."""
    rows = resolve_settings(options).effective()
    name_width = max(len(row.name) for row in rows)
    value_width = max(len(row.value) for row in rows)
    for row in rows:
        print(f"{row.name:<{name_width}} = {row.value:<{value_width}}  # {row.source}")
    return 0
