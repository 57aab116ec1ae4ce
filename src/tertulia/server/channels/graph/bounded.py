"""What strangers say, cut to what is kept: attributes of at most 4 KB, lines of words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

ATTRIBUTES_BYTES: Final = 3000
TEXT_CHARS: Final = 1000


def attributes(kind: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """Under the name of the channel; empty members are gone, and the largest ones where all are too much."""
    kept = {name: _cut(value) for name, value in said.items() if value not in (None, "", [], {})}
    sizes = {name: len(msgspec.json.encode(value)) for name, value in kept.items()}
    while kept and sum(sizes[name] + len(name) + 4 for name in kept) > ATTRIBUTES_BYTES:
        largest = max(kept, key=lambda name: sizes[name])
        del kept[largest]
    return {kind: kept} if kept else {}


def lines(*parts: str | None) -> str | None:
    """The parts that say something, below each other."""
    return "\n".join(part for part in parts if part) or None


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return value[:TEXT_CHARS]
    if isinstance(value, dict):
        return {name: _cut(each) for name, each in value.items() if each not in (None, "")}
    return value
