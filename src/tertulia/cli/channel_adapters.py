"""``tertulia channels adapters``: what is installed, and what each adapter can be told."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from textwrap import wrap
from typing import Any, Final

import msgspec

from tertulia.cli.failure import CommandFailed
from tertulia.cli.tables import Fact, print_all
from tertulia.server.channels.registry import KnownSetting, NoAdapter, adapter_of, adapters, known_settings

_WIDTH: Final = 100


def print_adapters(options: argparse.Namespace) -> int:
    """All of them, or every setting of one."""
    if options.adapter is None:
        print_all([_row(name) for name in adapters()], as_json=options.json)
        return 0
    try:
        known = known_settings(adapter_of(options.adapter))
    except NoAdapter as problem:
        raise CommandFailed(str(problem)) from None
    if options.json:
        print(msgspec.json.encode([_whole(one) for one in known]).decode())
        return 0
    for one in known:
        print(f"{one.name} ({_facts(one)})")
        for line in wrap(one.description.replace("`", ""), _WIDTH - 4, break_long_words=False):
            print(f"    {line}")
    return 0


def set_facts(settings: Mapping[str, Any]) -> dict[str, Fact]:
    """What is set, for people: what is empty is not."""
    return {name: _text(value) for name, value in settings.items() if value not in (None, "", [], (), {})}


def _row(name: str) -> dict[str, Fact]:
    try:
        adapter = adapter_of(name)
    except NoAdapter as problem:
        return {"name": name, "serves": None, "is told": str(problem)}
    required = [one.name for one in known_settings(adapter) if one.is_required]
    return {"name": name, "serves": ", ".join(sorted(adapter.kinds)), "is told": ", ".join(required)}


def _facts(known: KnownSetting) -> str:
    facts = ["secret"] * known.is_secret
    if known.is_required:
        facts.append("required")
    elif known.default not in (None, "", (), {}):
        facts.append(f"default: {_text(known.default)}" + (f" {known.unit}" if known.unit else ""))
    else:
        facts.append("not set by default")
    if known.choices:
        facts.append(f"one of {', '.join(known.choices)}")
    if known.limits:
        facts.append(known.limits)
    return "; ".join(facts)


def _whole(known: KnownSetting) -> dict[str, Any]:
    return {
        "name": known.name,
        "is_required": known.is_required,
        "is_secret": known.is_secret,
        "default": None if known.is_required else msgspec.to_builtins(known.default),
        "unit": known.unit,
        "choices": list(known.choices) or None,
        "limits": known.limits or None,
        "description": known.description,
    }


def _text(value: Any) -> str:
    builtins = msgspec.to_builtins(value)
    return builtins if isinstance(builtins, str) else msgspec.json.encode(builtins).decode()
