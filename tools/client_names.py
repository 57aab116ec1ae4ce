"""What of the client library is for applications, and what only for itself; read from its files, nothing is imported.

For applications is what ``tertulia.client`` exports, every error and every event, and what the members of these give
or hold, and so on. Of a class, that is each member with a public name that is its own or comes from a base that is not
public itself, but for these:

* what the library tells its objects: the names that a base has which belongs to another part of the library (a
  follower of copies, a listener), or the protocol beside it;
* what takes something that is not for applications;
* what ``BETWEEN_MODULES`` names.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLIENT = ROOT / "src" / "tertulia" / "client"
PACKAGE = "tertulia.client"

WHOLE = ("events", "errors")
"""Modules that are imported from by name, besides the package itself."""

ALSO = ("dispatch.Emitter",)
"""A base that is told of once, instead of at each class that has it."""

FAMILIES = ("content.ContentData", "errors.ConversationsError")
"""Whoever gets one of these gets one of its kinds, wherever it stands."""

BETWEEN_MODULES = {"MessageDraft.body_of": "what a command says of it: asked by the modules that send"}
"""Members with a public name, since other modules of the library call them, that applications have no use for."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Name:
    """Something defined at the top of a module: a class, or a name for a type."""

    module: str
    name: str

    @property
    def node(self) -> ast.ClassDef | ast.Assign:
        return _tops(self.module)[self.name]

    @property
    def is_protocol(self) -> bool:
        return isinstance(self.node, ast.ClassDef) and any(ast.unparse(b) == "Protocol" for b in self.node.bases)


@dataclass(frozen=True)
class Member:
    """Something of a class: a method, a property, or an attribute."""

    owner: Name
    name: str
    node: ast.stmt
    text: str | None
    parameters: ast.arguments | None = None
    """Of what is called to make the object, for its attributes."""


def file_of(module: str) -> Path:
    path = CLIENT.joinpath(*module.split(".")) if module else CLIENT
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(file_of(module).read_text(encoding="utf-8"))


@cache
def modules() -> tuple[str, ...]:
    found = (path.relative_to(CLIENT).with_suffix("").parts for path in CLIENT.rglob("*.py"))
    return tuple(sorted(".".join(parts[:-1] if parts[-1] == "__init__" else parts) for parts in found))


@cache
def exported() -> tuple[str, ...]:
    """What ``tertulia.client`` exports."""
    for node in tree_of("").body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return tuple(ast.literal_eval(value))
    raise LookupError(f"{PACKAGE} has no __all__")


@cache
def resolved(module: str, name: str) -> Name | None:
    """What a name means in a module; None for what is not of this library."""
    if name in _tops(module):
        return Name(module, name)
    there = _imports(module).get(name)
    return None if there is None else resolved(*there)


@cache
def public() -> frozenset[Name]:
    """All that is for applications."""
    seeds = [resolved("", name) for name in exported()]
    seeds += [Name(module, name) for module in WHOLE for name in _tops(module) if name[0].isupper()]
    seeds += [Name(*each.rsplit(".", 1)) for each in ALSO]
    found = {name for name in seeds if name is not None}
    while True:
        further = {other for name in found for other in _led_to(name, found)} | _kinds(found)
        if further <= found:
            return frozenset(found)
        found |= further


def members(name: Name, known: frozenset[Name] | set[Name] | None = None) -> tuple[Member, ...]:
    """What applications use of a class, its own first."""
    known = public() if known is None else known
    own, told = _lineage(name, known)
    hidden = {member.name for base in told for member in _members_of(base)}
    hidden |= {each.partition(".")[2] for each in BETWEEN_MODULES if each.partition(".")[0] == name.name}
    found: dict[str, Member] = {}
    for each in own:
        for member in _members_of(each):
            if member.name not in hidden and not _is_closed(member, known):
                found.setdefault(member.name, member)
    # What a thing is called comes before all that is known of it.
    return tuple(sorted(found.values(), key=lambda member: member.name != "sid" or member.owner is name))


def constructor(name: Name) -> Function | None:
    """How applications make one; None where the library does, that is, of what only it has the parts."""
    init = _init(name)
    if init is None or name.module in WHOLE or name.name not in exported():
        return None
    takes, _ = types_of(Member(name, "__init__", init, None))
    for each in (each for annotation in takes for each in names_in(name.module, annotation)):
        is_ours = each not in public() or (each != name and _init(each) is not None and constructor(each) is None)
        if isinstance(each.node, ast.ClassDef) and is_ours:
            return None
    return init


def _init(name: Name) -> ast.FunctionDef | None:
    for node in name.node.body if isinstance(name.node, ast.ClassDef) else ():
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            return node
    return None


def parents(name: Name, known: frozenset[Name] | set[Name] | None = None) -> list[str]:
    """The bases that have a section of their own, or are none of this library."""
    known = public() if known is None else known
    found: dict[str, None] = {}
    own, _ = _lineage(name, known)
    for each in own:
        for base in _class(each).bases:
            what = resolved(each.module, ast.unparse(base).partition("[")[0])
            if what is None or what in known:
                found[ast.unparse(base)] = None
    return [base for base in found if base not in ("Protocol", "Exception")]


def names_in(module: str, node: ast.AST | None) -> Iterator[Name]:
    """The names of this library in an annotation or a value."""
    for inner in ast.walk(node) if node is not None else ():
        match inner:
            case ast.Name(id=name):
                what = resolved(module, name)
                if what is not None:
                    yield what
            case ast.Constant(value=str(text)) if text.isidentifier():
                what = resolved(module, text)
                if what is not None:
                    yield what


def types_of(member: Member) -> tuple[list[ast.expr], ast.expr | None]:
    """Of what it takes, and of what it gives or holds."""
    match member.node:
        case ast.FunctionDef(args=arguments, returns=returns) | ast.AsyncFunctionDef(args=arguments, returns=returns):
            every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg)
            return [each.annotation for each in every if each is not None and each.annotation is not None], returns
        case ast.AnnAssign(annotation=annotation):
            return [], annotation
        case ast.Assign(value=value) if member.parameters is not None:
            return [], _told_by(member.parameters, member.name, value)
    return [], None


def _told_by(parameters: ast.arguments, name: str, value: ast.expr) -> ast.expr | None:
    """The type of an attribute that is what the constructor was given under this name."""
    used = {inner.id for inner in ast.walk(value) if isinstance(inner, ast.Name)}
    for each in (*parameters.args, *parameters.kwonlyargs):
        if each.arg == name and name in used:
            return each.annotation
    return None


def _led_to(name: Name, known: set[Name]) -> Iterator[Name]:
    """What somebody who has this comes upon."""
    if isinstance(name.node, ast.Assign):
        yield from names_in(name.module, name.node.value)
        return
    for member in members(name, known):
        takes, gives = types_of(member)
        yield from (each for each in names_in(member.owner.module, gives) if not each.name.startswith("_"))
        for annotation in takes:
            for each in names_in(member.owner.module, annotation):
                # Who implements a protocol is given what it takes.
                if name.is_protocol or isinstance(each.node, ast.Assign):
                    yield each


def _kinds(known: set[Name]) -> set[Name]:
    families = {Name(*each.rsplit(".", 1)) for each in FAMILIES} & known
    return {
        Name(module, name)
        for module in modules()
        for name, node in _tops(module).items()
        if isinstance(node, ast.ClassDef) and not name.startswith("_")
        if {resolved(module, ast.unparse(base)) for base in node.bases} & families
    }


def _lineage(name: Name, known: frozenset[Name] | set[Name]) -> tuple[list[Name], list[Name]]:
    """The class with the bases that are part of it, and those by which the library speaks to it."""
    own, told = [name], []
    for base in _class(name).bases:
        what = resolved(name.module, ast.unparse(base).partition("[")[0])
        if what is None or what in known:
            continue
        if name.is_protocol or (_folder(what) == _folder(name) and not what.name.startswith("_")):
            further, others = _lineage(what, known)
            own += [each for each in further if each not in own]
            told += others
        else:
            beside = [Name(what.module, other) for other in _tops(what.module)]
            told += [what, *(each for each in beside if each.is_protocol)]
    return own, told


def _members_of(name: Name) -> Iterator[Member]:
    body = _class(name).body
    for statement, after in zip(body, [*body[1:], None], strict=True):
        match statement:
            case ast.AnnAssign(target=ast.Name(id=field)) | ast.Assign(targets=[ast.Name(id=field)]):
                if not field.startswith("_"):
                    yield Member(name, field, statement, _text(after))
            case ast.FunctionDef(name="__init__", args=arguments):
                yield from _set_in(name, statement, arguments)
            case ast.FunctionDef(name=method) | ast.AsyncFunctionDef(name=method):
                decorators = {ast.unparse(decorator) for decorator in statement.decorator_list}
                if not method.startswith("_") and "overload" not in decorators and f"{method}.setter" not in decorators:
                    yield Member(name, method, statement, ast.get_docstring(statement))


def _set_in(name: Name, init: ast.FunctionDef, parameters: ast.arguments) -> Iterator[Member]:
    for statement, after in zip(init.body, [*init.body[1:], None], strict=True):
        match statement:
            case (
                ast.AnnAssign(target=ast.Attribute(value=ast.Name(id="self"), attr=attribute))
                | ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=attribute)])
            ) if not attribute.startswith("_"):
                yield Member(name, attribute, statement, _text(after), parameters)


def _is_closed(member: Member, known: frozenset[Name] | set[Name]) -> bool:
    """Whether it takes something of the library's own."""
    if member.owner.is_protocol:
        return False
    takes, gives = types_of(member)
    if not isinstance(member.node, Function):
        takes = [gives] if gives is not None and member.parameters is not None else []
    named = (each for annotation in takes for each in names_in(member.owner.module, annotation))
    return any(isinstance(each.node, ast.ClassDef) and each not in known for each in named)


def _class(name: Name) -> ast.ClassDef:
    assert isinstance(name.node, ast.ClassDef)
    return name.node


def _folder(name: Name) -> str:
    return name.module.rpartition(".")[0]


@cache
def _tops(module: str) -> dict[str, ast.ClassDef | ast.Assign]:
    found: dict[str, ast.ClassDef | ast.Assign] = {}
    for node in tree_of(module).body:
        match node:
            case ast.ClassDef(name=name):
                found[name] = node
            case ast.Assign(targets=[ast.Name(id=name)]) if name[0].isupper() and not name.isupper():
                found[name] = node
    return found


@cache
def _imports(module: str) -> dict[str, tuple[str, str]]:
    """Where names of this library come from: a module, and the name there."""
    is_package = file_of(module).name == "__init__.py"
    here = module.split(".") if module else []
    found: dict[str, tuple[str, str]] = {}
    for node in ast.walk(tree_of(module)):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level:
            up = node.level - 1 if is_package else node.level
            target = ".".join([*here[: len(here) - up], *([node.module] if node.module else [])])
        elif node.module is not None and f"{node.module}.".startswith(f"{PACKAGE}."):
            target = node.module.removeprefix(PACKAGE).removeprefix(".")
        else:
            continue
        if target in modules():
            found |= {alias.asname or alias.name: (target, alias.name) for alias in node.names}
    return found


def _text(node: ast.stmt | None) -> str | None:
    match node:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return text
    return None
