"""The reference page of the client library, from its docstrings, read without importing anything."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator

from tools.client_names import (
    PACKAGE,
    Member,
    Name,
    constructor,
    exported,
    members,
    parents,
    public,
    tree_of,
    types_of,
)

CHAPTERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("The client", ("client", "config")),
    ("Conversations", ("model.conversation",)),
    ("Messages", ("model.message", "draft", "attributes")),
    ("Participants and users", ("model.participant", "model.user")),
    ("Listening", ("dispatch", "events")),
    ("Pages and states", ("paging", "states")),
    ("Values", ("model.snapshots", "model.payloads")),
    ("Files, templates, receipts", ("files", "media", "content", "receipts")),
    ("Push", ("push", "push_store")),
    ("Offline", ("pending", "sqlite_store", "store", "sync.kept", "sync.copies", "sync.shapes")),
    ("Tokens", ("token_store",)),
    ("Errors", ("errors",)),
)

INTRODUCED = ("dispatch", "events", "paging", "states", "model.snapshots", "store", "errors")
"""Modules that say something about all that is in them."""

HEAD = """\
<!-- Written by tools/client_reference.py (`make docs`) from the docstrings of src/tertulia/client. -->

# The client library

Everything an application uses of `tertulia.client`. How it is used stands in [the tutorial](../client.md); who comes
from the JavaScript SDK finds his way by [the table of names](../client-from-javascript.md).

What is here is imported from `tertulia.client`, unless its section names another place. `await` stands before coroutine
functions, `async with` before what is a block. A struct is made of its fields, each by its name (and in this order,
unless it says *by name only*); `...` in place of a value means that what is not given stays as it is.
An *Emitter* can be [listened to](#listening) besides.
"""

OF_THE_SPECIFICATION = re.compile(r"\s\((?:client-commands|object-model|realtime|rest|semantics)\s[^()]*\)")
"""References that are for who works on the library."""


def page() -> str:
    """The page as it should be."""
    homeless = {name.module for name in public()} - {module for _, names in CHAPTERS for module in names}
    if homeless:
        raise LookupError(f"no chapter of CHAPTERS has {', '.join(sorted(homeless))}")
    lines = [HEAD]
    for title, modules in CHAPTERS:
        lines += [f"## {title}", ""]
        for module in modules:
            lines += _module(module)
    return OF_THE_SPECIFICATION.sub("", "\n".join(lines)).rstrip("\n") + "\n"


def _module(module: str) -> Iterator[str]:
    text = ast.get_docstring(tree_of(module))
    if text and module in INTRODUCED:
        yield from (text, "")
    named = {name.name: name for name in public() if name.module == module}
    body = tree_of(module).body
    for node, after in zip(body, [*body[1:], None], strict=True):
        match node:
            case ast.ClassDef(name=name) if name in named:
                yield from _class(named[name])
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in named:
                yield from (f"### `{name}`", "", *_where(named[name]), f"`{name} = {_code(value)}`", "")
                match after:
                    case ast.Expr(value=ast.Constant(value=str(words))):
                        yield from (words, "")


def _class(name: Name) -> Iterator[str]:
    node = name.node
    assert isinstance(node, ast.ClassDef)
    bases = parents(name)
    is_by_name = any(each.arg == "kw_only" and ast.unparse(each.value) == "True" for each in node.keywords)
    kind = ", ".join([*bases, *(["by name only"] if is_by_name else [])])
    yield from (f"### `{name.name}`" + (f" ({kind})" if kind else ""), "", *_where(name))
    text = ast.get_docstring(node)
    if text:
        yield from (text, "")
    made = constructor(name)
    entries = [f"* `{name.name}({_arguments(made.args)})`"] if made is not None else []
    entries += [_entry(_told(member), member.text or _promised(member)) for member in members(name)]
    if entries:
        yield from (*entries, "")


def _promised(member: Member) -> str | None:
    """What a protocol says of it that the class keeps without naming it."""
    have = {each.name: _parameters(each) for each in members(member.owner)}
    for name in sorted(public(), key=lambda name: name.name):
        wanted = {each.name: each for each in members(name)} if name.is_protocol else {}
        if member.name in wanted and have.items() >= {each: _parameters(wanted[each]) for each in wanted}.items():
            return wanted[member.name].text
    return None


def _parameters(member: Member) -> tuple[str, ...]:
    match member.node:
        case ast.FunctionDef(args=arguments) | ast.AsyncFunctionDef(args=arguments):
            return tuple(each.arg for each in (*arguments.args, *arguments.kwonlyargs))
    return ()


def _where(name: Name) -> Iterator[str]:
    if name.name not in exported():
        yield from (f"From `{PACKAGE}.{name.module}`.", "")


def _told(member: Member) -> str:
    match member.node:
        case ast.AnnAssign(annotation=annotation, value=value) if member.parameters is None:
            return f"{member.name}: {_code(annotation)}" + ("" if value is None else f" = {_code(value)}")
        case ast.Assign(value=value) if member.parameters is None:
            return f"{member.name} = {_code(value)}"
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return _function(member.owner, member.node)
    _, holds = types_of(member)
    return member.name if holds is None else f"{member.name}: {_code(holds)}"


def _function(owner: Name, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
    if "property" in decorators:
        return f"{node.name}: {_code(node.returns)}" if node.returns else node.name
    returns = f" -> {_code(node.returns)}" if node.returns else ""
    prefix = "await " if isinstance(node, ast.AsyncFunctionDef) and not _is_generator(node) else ""
    if any("contextmanager" in decorator for decorator in decorators):
        prefix, returns = "async with ", ""
    whose = f"{owner.name}." if decorators & {"classmethod", "staticmethod"} else ""
    return f"{prefix}{whose}{node.name}({_arguments(node.args)}){returns}"


def _arguments(arguments: ast.arguments) -> str:
    text = _code(arguments)
    return "" if text in ("self", "cls") else text.removeprefix("self, ").removeprefix("cls, ")


def _code(node: ast.AST) -> str:
    text = ast.unparse(node)
    text = re.sub(r" \| msgspec\.UnsetType|msgspec\.UnsetType \| ", "", text)
    text = re.sub(r"=(?:_UNSET|msgspec\.UNSET)\b", "=...", text)
    return re.sub(r"msgspec\.field\(default_factory=(\w+)\)", lambda made: {"dict": "{}"}.get(made[1], made[0]), text)


def _entry(code: str, text: str | None) -> str:
    if not text:
        return f"* `{code}`"
    first, *rest = inspect.cleandoc(text).split("\n")
    return "\n".join([f"* `{code}` — {first}", *(f"  {line}".rstrip() for line in rest)])


def _is_generator(node: ast.AST) -> bool:
    return any(isinstance(inner, ast.Yield) for inner in ast.walk(node))
