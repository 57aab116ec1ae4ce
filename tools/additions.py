"""The reference page of what the account API answers beside the published operations, from the code."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from tertulia.server.domain.notices import SkipReason
from tertulia.server.domain.push_explained import NOT_PLANNED, OFF, WhyNot, nothing_known
from tertulia.server.rest import ADDITIONS
from tertulia.server.settings.push import PushSettings
from tertulia.server.web.operations import Operation
from tertulia.server.web.paging import Meta
from tertulia.wire.requests import Reply

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
    for shape in sorted(shown, key=_name):
        lines += [f"## {_name(shape)}", "", *_members(shape), ""]
    lines += [REASONS]
    known = [*WhyNot, *SkipReason, *OFF.values(), *NOT_PLANNED.values(), nothing_known(PushSettings().log_days)]
    lines += [f"* {reason}" for reason in known]
    return "\n".join(lines) + "\n"


def _operation(operation: Operation) -> Iterator[str]:
    yield from (f"## {operation.method} {operation.path}", "", _prose(inspect.getdoc(operation.handler) or ""), "")
    if operation.query is not None:
        yield from (*_parameters("Query", operation.query), "")
    if operation.form is not None:
        yield from (*_parameters("Form" if operation.body == "form" else "JSON", operation.form), "")
    if operation.body == "stream":
        yield from ("Body: the bytes, with their `Content-Type`.", "")
    yield from (f"Answer: {_answer(operation)}.", "")


def _parameters(kind: str, form: type[msgspec.Struct]) -> Iterator[str]:
    rows = list(_rows(form))
    if any(facts for _, facts in rows):
        yield from (f"{kind}:", "", *(f"* `{name}`{facts}" for name, facts in rows))
    else:
        yield f"{kind}: {', '.join(f'`{name}`' for name, _ in rows)}."


def _rows(form: type[msgspec.Struct]) -> Iterator[tuple[str, str]]:
    """Each parameter, and what is to be said of it: nothing of a text that may be left out."""
    (schema,), _ = msgspec.json.schema_components([form])
    _, components = msgspec.json.schema_components([form], ref_template="{name}")
    described = components.get(schema.get("$ref", "").rpartition("/")[2], schema)
    required = set(described.get("required", ()))
    docs = {name: text for name, _, text in _documented(form)}
    for field in msgspec.structs.fields(form):
        words = [_worded(described["properties"][field.encode_name])]
        words += ["required"] * (field.encode_name in required)
        text = docs.get(field.encode_name)
        facts = f" ({', '.join(words)})" if words != ["text"] else ""
        yield field.encode_name, facts + (f": {text}" if text else "")


def _worded(schema: dict[str, Any]) -> str:
    """What a parameter is, in words."""
    if "anyOf" in schema:
        return _worded(next(one for one in schema["anyOf"] if one.get("type") != "null"))
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if schema["type"] == "array":
        return f"{_worded(schema['items'])}, may be repeated"
    name: str = schema["type"]
    return {"string": "text", "integer": "whole number"}.get(name, name)


def _answer(operation: Operation) -> str:
    shape = operation.answer
    if shape is None:
        return f"{operation.status}, and no body"
    if shape is Reply:
        return "the bytes"
    listed = _listed(shape)
    if listed is None:
        return _link(shape)
    name, inner, has_meta = listed
    return f"{'`meta`, and ' if has_meta else ''}`{name}`, a list of {_link(inner)}"


def _listed(shape: type) -> tuple[str, type, bool] | None:
    """Of a struct that is a list and nothing else: its name there, what it is of, whether it comes in pages."""
    hints = get_type_hints(shape)
    has_meta = hints.pop("meta", None) is not None
    if len(hints) != 1:
        return None
    ((name, hint),) = hints.items()
    return (name, get_args(hint)[0], has_meta) if get_origin(hint) is list else None


def _link(shape: type) -> str:
    return f"[{_name(shape)}](#{_name(shape).lower()})" if issubclass(shape, msgspec.Struct) else f"`{shape.__name__}`"


def _name(shape: type) -> str:
    return shape.__name__.removesuffix("View")


def _shapes(shape: Any) -> Iterator[type]:
    """The structs that an answer is made of; what a list is made of stands in its operation."""
    if isinstance(shape, type) and issubclass(shape, msgspec.Struct) and shape not in (Meta, Reply):
        if _listed(shape) is None:
            yield shape
        for hint in get_type_hints(shape).values():
            yield from _shapes(hint)
    for inner in get_args(shape):
        yield from _shapes(inner)


def _members(shape: type) -> Iterator[str]:
    for name, annotation, text in _documented(shape):
        yield f"* `{name}` ({annotation})" + (f": {text}" if text else "")


def _documented(shape: type) -> Iterator[tuple[str, str, str]]:
    """Name on the wire, annotation and sentence of each field, with those that it has from its bases."""
    names = {field.name: field.encode_name for field in msgspec.structs.fields(shape)}
    for one in reversed([one for one in shape.__mro__ if one.__module__.startswith("tertulia.")]):
        tree = ast.parse(Path(inspect.getsourcefile(one) or "").read_text(encoding="utf-8"))
        node = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == one.__name__)
        for statement, after in zip(node.body, [*node.body[1:], None], strict=True):
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                is_said = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                text = _prose(str(after.value.value)) if is_said else ""  # type: ignore[union-attr]
                yield names[statement.target.id], ast.unparse(statement.annotation), text


def _prose(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n")).replace("``", "`")
