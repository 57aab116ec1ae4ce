"""Writes the pages under docs/reference from the code itself; with ``--check``, fails when one is stale."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from tools import additions, channels_reference, client_reference, owner_demands

from tertulia.server.domain.errors import CATALOGUE
from tertulia.server.domain.permissions import (
    CONVERSATION_CREATOR,
    CONVERSATION_MEMBER,
    GRANTABLE,
    SERVICE_ADMIN,
    SERVICE_USER,
    Need,
    Permission,
    RoleKind,
)
from tertulia.server.engine import handlers as handlers
from tertulia.server.engine.rules import RULES
from tertulia.server.engine.scenes import in_installation
from tertulia.server.settable import BOOTSTRAP, KNOWN, SECTIONS, Known

FOLDER = Path(__file__).parents[1] / "docs" / "reference"

HEAD = """\
<!-- Written by tools/reference_pages.py (`make docs`); edit the sentences in src/tertulia/server/settings/. -->

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


ERRORS_HEAD = """\
<!-- Written by tools/reference_pages.py (`make docs`); edit the rows in src/tertulia/server/domain/errors.py. -->

# Errors

Every answer that is no success has a body of this shape, over REST and inside the socket:

```json
{"code": 50353, "message": "Conversation with provided unique name already exists", "more_info": "...", "status": 409}
```

Over REST, what the URL names and is not there is 20404 whatever it is; the client API has a code for each kind.

| code | status | what | what to do |
| --- | --- | --- | --- |
"""

PERMISSIONS_HEAD = """\
<!-- Written by tools/reference_pages.py (`make docs`) from the rules of the engine. -->

# Permissions

Account holders may do everything. A user may do what his service role or his role in the conversation grants; a
refusal is 403 with code 50107 and names what is missing.

| command | needs |
| --- | --- |
"""

GRANTS_HEAD = """\

## What roles may hold

The default roles of a new service that grant it, or *may* where a role of that kind can be made to.

| permission | service roles | conversation roles |
| --- | --- | --- |
"""

DEFAULT_ROLES = (SERVICE_ADMIN, SERVICE_USER, CONVERSATION_CREATOR, CONVERSATION_MEMBER)


def main() -> int:
    stale = [name for name, page in pages().items() if _present(name) != page]
    if "--check" not in sys.argv[1:]:
        for name in stale:
            (FOLDER / name).write_text(pages()[name], encoding="utf-8")
        return 0
    for name in stale:
        print(f"{name} is stale: make docs writes it anew")
    flaws = owner_demands.flaws(owner_demands.proofs())
    for flaw in flaws:
        print(flaw)
    return 1 if stale or flaws else 0


def pages() -> dict[str, str]:
    """Every page as it should be."""
    return {
        "settings.md": settings(),
        "errors.md": errors(),
        "permissions.md": permissions(),
        "additions.md": additions.page(),
        "channels.md": channels_reference.page(),
        "client.md": client_reference.page(),
        "owner-demands.md": owner_demands.page(),
    }


def _present(name: str) -> str | None:
    path = FOLDER / name
    return path.read_text(encoding="utf-8") if path.exists() else None


def settings() -> str:
    return "\n".join([HEAD, *(_section(name) for name in SECTIONS), BOOTSTRAP_HEAD.rstrip("\n"), *_bootstrap(), ""])


def errors() -> str:
    # Some codes stand for several things: a row for each, in the order of the catalogue.
    rows = sorted(CATALOGUE, key=lambda row: row.code)
    lines = [f"| {row.code} | {row.family.status} | {row.text} | {row.remedy} |" for row in rows]
    return "\n".join([ERRORS_HEAD.rstrip("\n"), *lines, ""])


def permissions() -> str:
    lines = []
    for command, rule in sorted(RULES.items(), key=lambda entry: entry[0].__name__):
        needs = "; ".join(map(_need, rule.needs)) or ("nothing" if rule.for_clients else "")
        others = "who runs the installation only" if rule.enter is in_installation else "account holders only"
        lines.append(f"| `{command.__name__}` | {needs if rule.for_clients else others} |")
    grants = [
        f"| `{permission}` | {_granted(permission, RoleKind.SERVICE)} | {_granted(permission, RoleKind.CONVERSATION)} |"
        for permission in Permission
    ]
    return "\n".join([PERMISSIONS_HEAD.rstrip("\n"), *lines, GRANTS_HEAD.rstrip("\n"), *grants, ""])


def _need(need: Need) -> str:
    names = f"`{need.any}`" if need.own is None else f"`{need.any}`, or `{need.own}` for one's own"
    return names + (f" (to set {', '.join(need.when)})" if need.when else "")


def _granted(permission: Permission, kind: RoleKind) -> str:
    if permission not in GRANTABLE[kind]:
        return ""
    roles = [role.friendly_name for role in DEFAULT_ROLES if role.kind is kind and permission in role.permissions]
    return ", ".join(roles) or "may"


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
