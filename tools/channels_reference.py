"""The reference page of what can be set of each adapter of a channel, from the adapters themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from tertulia.server.channels.registry import KnownSetting, adapter_of, adapters, known_settings

PAGES: Final = Path(__file__).parents[1] / "docs" / "channels"

HEAD = """\
<!-- Written by tools/channels_reference.py (`make docs`); edit the sentences in the adapters' settings. -->

# Settings of channels

What a gateway is told, by its adapter: with `tertulia channels add` or by `Settings` of `/channels/Gateways`, see
[Configuration](../channels/configuration.md). `tertulia channels adapters` prints the same of what is installed, also
of adapters that others have written.
"""


def page() -> str:
    """The page as it should be."""
    return "\n".join([HEAD, *(line for name in adapters() if _is_ours(name) for line in _adapter(name))]) + "\n"


def _is_ours(name: str) -> bool:
    """Whoever writes the page may have others installed."""
    return adapter_of(name).settings.__module__.startswith("tertulia.")


def _adapter(name: str) -> Iterator[str]:
    adapter = adapter_of(name)
    yield from (f"## {name}", "")
    yield from ((inspect.getdoc(adapter.settings) or "").replace("``", "`"), "")
    about = f" More is in [its page](../channels/{name}.md)." if (PAGES / f"{name}.md").exists() else ""
    called = "calls us at its callback URL" if adapter.is_called else "is not given a callback URL"
    yield from (f"Serves {', '.join(sorted(adapter.kinds))}; its provider {called}.{about}", "")
    yield from (f"* `{one.name}` ({_facts(one)}): {one.description}" for one in known_settings(adapter))
    yield ""


def _facts(known: KnownSetting) -> str:
    facts = ["secret"] * known.is_secret
    facts.append("required" if known.is_required else _default(known))
    if known.choices:
        facts.append(f"one of {', '.join(f'`{choice}`' for choice in known.choices)}")
    if known.limits:
        facts.append(known.limits)
    return "; ".join(facts)


def _default(known: KnownSetting) -> str:
    if known.default in (None, "", (), {}):
        return "default: none"
    default = msgspec.to_builtins(known.default)
    shown = default if isinstance(default, str) else msgspec.json.encode(default).decode()
    return f"default: `{shown}`" + (f" {known.unit}" if known.unit else "")
