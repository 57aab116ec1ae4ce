"""The reference page of what the account API answers beside the published operations, from the code."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_type_hints

import msgspec

from tertulia.server.domain.notices import SkipReason
from tertulia.server.domain.push_explained import NOT_PLANNED, OFF, WhyNot, nothing_known
from tertulia.server.rest import ADDITIONS
from tertulia.server.settings.push import PushSettings
from tertulia.server.web.operations import Operation

HEAD = """\
<!-- Written by tools/additions.py (`make docs`) from the operations outside of /v1. -->

# Additions to the account API

Operations of ours. They stand outside of `/v1`, so that nothing of ours can be taken for published; who may call them,
how errors look and how lists are paged (`meta`) is the same. What is unknown, and what another account has, is 404 with
code 20404. They are in `/openapi.json`, too.
"""

REASONS = """\
## Reasons

What `reason` may say where no device was meant to be told; otherwise it says what the push service said to the devices.
What to do about each stands in [Push notifications](../push.md#troubleshooting).
"""


def page() -> str:
    """The page as it should be."""
    lines = [HEAD]
    shown: list[type] = []
    for operation in ADDITIONS:
        lines += _operation(operation)
        shown += [shape for shape in _shapes(operation.answer) if shape not in shown]
    for shape in shown:
        lines += [f"## {shape.__name__}", "", *_members(shape), ""]
    lines += [REASONS]
    known = [*WhyNot, *SkipReason, *OFF.values(), *NOT_PLANNED.values(), nothing_known(PushSettings().log_days)]
    lines += [f"* {reason}" for reason in known]
    return "\n".join(lines) + "\n"


def _operation(operation: Operation) -> Iterator[str]:
    yield from (f"## {operation.method} {operation.path}", "", inspect.getdoc(operation.handler) or "", "")
    if operation.query is not None:
        names = (f"`{field.encode_name}`" for field in msgspec.structs.fields(operation.query))
        yield from (f"Query: {', '.join(names)}.", "")
    (listed,) = _listed(operation.answer)
    yield from (
        f"Answer: `meta`, and `{listed[0]}`, a list of [{listed[1].__name__}](#{listed[1].__name__.lower()}).",
        "",
    )


def _listed(answer: type) -> Iterator[tuple[str, type]]:
    for name, hint in get_type_hints(answer).items():
        for inner in get_args(hint):
            yield name, inner


def _shapes(answer: type) -> Iterator[type]:
    """What an answer lists, and what that lists in turn."""
    for _, inner in _listed(answer):
        if issubclass(inner, msgspec.Struct):
            yield inner
            yield from _shapes(inner)


def _members(shape: type) -> Iterator[str]:
    source = Path(inspect.getsourcefile(shape) or "").read_text(encoding="utf-8")
    node = next(
        node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == shape.__name__
    )
    for statement, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            text = ""
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                text = f": {' '.join(str(after.value.value).split())}".replace("``", "`")
            yield f"* `{statement.target.id}` ({ast.unparse(statement.annotation)}){text}"
