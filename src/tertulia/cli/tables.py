"""What commands print of the things they list and make: columns for people, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

Fact = str | None
"""What is not there is a dash for people, and null for programs."""


def print_one(facts: dict[str, Fact], *, as_json: bool) -> None:
    """One thing: a line per fact, or one JSON object."""
    if as_json:
        print(msgspec.json.encode(facts).decode())
        return
    width = max(map(len, facts))
    for name, fact in facts.items():
        print(f"{name:<{width}}  {_shown(fact)}")


def print_all(rows: Sequence[dict[str, Fact]], *, as_json: bool) -> None:
    """Several alike: a table with a head, or one JSON array. An empty table prints nothing, and says so beside."""
    if as_json:
        print(msgspec.json.encode(rows).decode())
        return
    if not rows:
        print("tertulia: there are none", file=sys.stderr)
        return
    lines = [list(rows[0]), *(list(map(_shown, row.values())) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


def _shown(fact: Fact) -> str:
    """In one line, and without anything that a terminal would obey: names are what somebody chose."""
    if not fact:
        return "-"
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in fact)


def time_of(microseconds: int | None) -> Fact:
    """A time as the API shows it."""
    if microseconds is None:
        return None
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
