"""Writes docs/reference/settings.md from the settings themselves; with ``--check``, fails when it is stale."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from tertulia.server.settings import BOOTSTRAP, KNOWN, SECTIONS, Known

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "settings.md"

HEAD = """\
<!-- Written by tools/settings_page.py (`make docs`); edit the sentences in src/tertulia/server/settings.py. -->

# Settings

A server without any settings starts. A value comes from the strongest of these sources:

1. a flag of the command (`--host`, `--port`, `--data`),
2. an environment variable, `TERTULIA_<SECTION>_<NAME>`; an empty one counts as not set,
3. the file `tertulia.toml` in the data folder, or the one named with `--config`,
4. the default.

`tertulia settings` prints the values in force and where each came from, secrets masked. An unknown name, in the file or
among the `TERTULIA_` variables, is an error.

```toml
[server]
public_url = "https://chat.example.org"

[log]
format = "json"
```
"""

BOOTSTRAP_HEAD = """\
## First start

These environment variables fix what the first start makes in a new data folder; what is not fixed is drawn at random.
Later starts do not look at them. SIDs are the two letters and 32 hexadecimal digits, secrets are letters and digits.

| variable | |
| --- | --- |
"""


def main() -> int:
    page = render()
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page:
            print(f"{PAGE.name} is stale: make docs writes it anew")
            return 1
        return 0
    PAGE.write_text(page, encoding="utf-8")
    return 0


def render() -> str:
    """The page as it should be."""
    return "\n".join([HEAD, *(_section(name) for name in SECTIONS), BOOTSTRAP_HEAD.rstrip("\n"), *_bootstrap(), ""])


def _section(name: str) -> str:
    rows = [known for known in KNOWN.values() if known.section == name]
    lines = [f"## {name}", "", inspect.getdoc(SECTIONS[name]) or "", ""]
    for known in rows:
        lines += [f"### {known.name}", "", known.description, "", *_facts(known), ""]
    return "\n".join(lines)


def _facts(known: Known) -> Iterator[str]:
    yield f"* default: {_shown(known.default)}" + (f" {known.unit}" if known.unit and known.default is not None else "")
    if known.choices:
        yield "* one of: " + ", ".join(f"`{choice}`" for choice in known.choices)
    if known.limits:
        yield f"* allowed: {known.limits}"
    if known.is_secret:
        yield "* a secret: never printed"
    yield f"* variable: `{known.variable}`"


def _shown(value: object) -> str:
    return "unset" if value is None else f"`{value}`"


def _bootstrap() -> Iterator[str]:
    for known in BOOTSTRAP.values():
        yield f"| `{known.variable}` | {known.description} |"


if __name__ == "__main__":
    sys.exit(main())
