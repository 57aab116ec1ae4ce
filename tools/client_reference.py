"""The reference page of the client library, from its docstrings, read without importing anything."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLIENT = ROOT / "src" / "tertulia" / "client"

CHAPTERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("The client", ("client.py", "config.py")),
    ("Conversations", ("model/conversation.py", "model/reading.py", "model/reading_marks.py", "model/sending.py")),
    ("Messages", ("model/message.py", "draft.py")),
    ("Participants and users", ("model/participant.py", "model/user.py")),
    ("Listening", ("dispatch.py", "events.py")),
    ("Pages and states", ("paging.py", "states.py")),
    ("Values", ("model/snapshots.py",)),
    ("Files, templates, receipts", ("files.py", "media.py", "content.py", "receipts.py")),
    ("Push", ("push.py", "push_store.py")),
    ("Offline", ("outbox.py", "store.py", "sqlite_store.py")),
    ("Tokens", ("token_store.py",)),
    ("Errors", ("errors.py",)),
)

HEAD = """\
<!-- Written by tools/client_reference.py (`make docs`) from the docstrings of src/tertulia/client. -->

# The client library

Everything an application uses of `tertulia.client`. How it is used stands in [the tutorial](../client.md); who comes
from the JavaScript SDK finds his way by [the table of names](../client-from-javascript.md).
"""


def page() -> str:
    """The page as it should be."""
    lines = [HEAD]
    for title, files in CHAPTERS:
        lines += [f"## {title}", ""]
        for name in files:
            lines += _module(CLIENT / name)
    return "\n".join(lines).rstrip("\n") + "\n"


def _module(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    text = ast.get_docstring(tree)
    module = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
    if text:
        yield from (f"`{module}`: {text}", "")
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _class(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_told(node):
            yield from (f"### `{_signature(node)}`", "", ast.get_docstring(node) or "", "")


def _class(node: ast.ClassDef) -> Iterator[str]:
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    yield from (f"### `{node.name}`" + (f" ({bases})" if bases else ""), "")
    text = ast.get_docstring(node)
    if text:
        yield from (text, "")
    members = [*_fields(node), *_methods(node)]
    yield from members
    if members:
        yield ""


def _fields(node: ast.ClassDef) -> Iterator[str]:
    following = [*node.body[1:], None]
    for statement, after in zip(node.body, following, strict=True):
        text = _text(after)
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name)) if not name.startswith("_"):
                default = "" if statement.value is None else f" = {ast.unparse(statement.value)}"
                yield _entry(f"{name}: {ast.unparse(statement.annotation)}{default}", text)
            case ast.Assign(targets=[ast.Name(id=name)]) if not name.startswith("_"):
                yield _entry(f"{name} = {ast.unparse(statement.value)}", text)


def _methods(node: ast.ClassDef) -> Iterator[str]:
    for inner in node.body:
        if not isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) or not _is_told(inner):
            continue
        decorators = {ast.unparse(decorator) for decorator in inner.decorator_list}
        if "overload" in decorators:
            continue
        text = ast.get_docstring(inner)
        if "property" in decorators:
            returns = f": {ast.unparse(inner.returns)}" if inner.returns else ""
            yield _entry(f"{inner.name}{returns}", text)
        elif text:
            # A method without words of its own only says for a base class what another one does.
            yield _entry(_signature(inner), text)


def _entry(code: str, text: str | None) -> str:
    if not text:
        return f"* `{code}`"
    first, *rest = text.split("\n")
    return "\n".join([f"* `{code}` — {first}", *(f"  {line}".rstrip() for line in rest)])


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    arguments = ast.unparse(node.args).removeprefix("self, ").removeprefix("cls, ")
    arguments = "" if arguments in ("self", "cls") else arguments
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    prefix = "await " if isinstance(node, ast.AsyncFunctionDef) and not _is_generator(node) else ""
    return f"{prefix}{node.name}({arguments}){returns}"


def _is_generator(node: ast.AST) -> bool:
    return any(isinstance(inner, ast.Yield) for inner in ast.walk(node))


def _is_told(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return not node.name.startswith("_") and node.name not in TOLD_TO_OBJECTS


TOLD_TO_OBJECTS = frozenset(("document_changed", "item_changed", "item_removed", "object_removed"))
"""What the library tells its own objects; applications do not call it."""


def _text(node: ast.stmt | None) -> str | None:
    match node:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return text
    return None
