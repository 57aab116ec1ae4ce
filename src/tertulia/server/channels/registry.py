"""Which adapters are installed, and whether settings fit them.

Ours and those of others alike are found by the entry point group ``tertulia.channels``; each names an ``Adapter``. One
is loaded when a gateway of its name is first looked at: what it needs to run need not be installed for the others.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, inspect

from .base import Adapter
from .masking import MASK as MASK
from .masking import NotKnown, masked, unmasked

GROUP: Final = "tertulia.channels"
SIMULATOR: Final = "simulator"
"""Serves every address of accounts that have no sender of their own."""


SAID_CHARS: Final = 40
"""Longer values are not repeated when they do not fit."""


class NoAdapter(Exception):
    """There is no adapter of this name, or it cannot be loaded; the text says which there are, or what is missing."""


class BadSettings(Exception):
    """Settings that do not fit their adapter. The text names the setting, and shows no secret."""


class KnownSetting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting of an adapter, as the reference pages and the command line show it."""

    name: str
    type: Any
    default: Any
    """``msgspec.NODEFAULT`` where it has to be given."""
    description: str
    is_secret: bool
    unit: str | None = None
    choices: tuple[str, ...] = ()
    """Of a closed set."""
    masks: str = ""
    """How it is masked, of what is no secret as a whole (``masking``)."""
    limits: str = ""
    """In words."""

    @property
    def is_required(self) -> bool:
        return self.default is msgspec.NODEFAULT


def adapters() -> list[str]:
    """The names of those installed, sorted."""
    return sorted(_installed())


@cache
def adapter_of(name: str) -> Adapter:
    """The adapter of this name. Raises ``NoAdapter``."""
    installed = _installed()
    point = installed.get(name)
    if point is None:
        close = difflib.get_close_matches(name, installed, n=1)
        known = f"did you mean {close[0]}?" if close else f"installed are {', '.join(sorted(installed))}"
        raise NoAdapter(f"there is no adapter {name!r}; {known}")
    try:
        loaded = point.load()
    except ImportError as missing:
        if _is_ours(point):
            raise NoAdapter(
                f"adapter {name} needs {missing.name or 'a library'}; the extra `channels` brings it:"
                " pip install 'tertulia[channels]'"
            ) from missing
        raise NoAdapter(f"{_origin(point)} cannot be loaded: {missing}") from missing
    except (AttributeError, NameError, SyntaxError, TypeError, ValueError) as broken:
        raise NoAdapter(f"{_origin(point)} cannot be loaded: {type(broken).__name__}") from broken
    if not isinstance(loaded, Adapter):
        raise NoAdapter(f"{_origin(point)}: its entry point names no Adapter")
    if loaded.name != name:
        raise NoAdapter(f"{_origin(point)}: its Adapter calls itself {loaded.name!r}")
    return loaded


def _installed() -> Mapping[str, EntryPoint]:
    """Not kept: it is looked for when an adapter is first used, and when people ask."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        # Nobody takes the place of one of ours by having its name.
        if point.name not in found or _is_ours(point):
            found[point.name] = point
    return found


def _is_ours(point: EntryPoint) -> bool:
    return point.module.partition(".")[0] == __name__.partition(".")[0]


def _origin(point: EntryPoint) -> str:
    return f"adapter {point.name}" + (f" of the package {point.dist.name}" if point.dist is not None else "")


def known_settings(adapter: Adapter) -> list[KnownSetting]:
    """What can be set, in the adapter's order."""
    hints = get_type_hints(adapter.settings, include_extras=True)
    return [_known(field, hints[field.name]) for field in msgspec.structs.fields(adapter.settings)]


def _known(field: msgspec.structs.FieldInfo, hint: Any) -> KnownSetting:
    metas = [one for one in get_args(hint)[1:] if isinstance(one, Meta)] if get_origin(hint) is Annotated else []
    default = field.default
    if default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
        default = field.default_factory()
    return KnownSetting(
        name=field.name,
        type=hint,
        default=default,
        description=next((one.description for one in metas if one.description is not None), ""),
        is_secret=any((one.extra or {}).get("secret", False) for one in metas),
        unit=next((one.extra["unit"] for one in metas if one.extra and "unit" in one.extra), None),
        choices=_choices(hint),
        masks=next((one.extra["masks"] for one in metas if one.extra and "masks" in one.extra), ""),
        limits=", ".join(_limits(metas)),
    )


def _choices(hint: Any) -> tuple[str, ...]:
    kinds = _kinds(hint)
    enumerated = [str(member.value) for kind in kinds if isinstance(kind, inspect.EnumType) for member in kind.cls]
    literal = [str(value) for kind in kinds if isinstance(kind, inspect.LiteralType) for value in kind.values]
    return (*enumerated, *literal)


def _limits(metas: Sequence[Meta]) -> Iterator[str]:
    for one in metas:
        for word, limit in (("above", one.gt), ("at least", one.ge), ("below", one.lt), ("at most", one.le)):
            if limit is not None:
                yield f"{word} {limit}"
        if one.max_length is not None:
            yield f"at most {one.max_length} characters"


def settings_of(adapter: Adapter, given: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> msgspec.Struct:
    """The settings in force. Texts stand for numbers and truths where these are wanted. Raises ``BadSettings``.

    Stars in a table that shows some stand for what is there in ``before``.
    """
    known = {one.name: one for one in known_settings(adapter)}
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            raise BadSettings(
                f"{adapter.name} has no setting {name!r}" + (f"; did you mean {close[0]}?" if close else "")
            )
    values: dict[str, Any] = {}
    for name, one in known.items():
        if name in given:
            values[name] = _fit(one, given[name], (before or {}).get(name))
        elif one.is_required:
            raise BadSettings(f"{name} is missing: {one.description}")
    try:
        return adapter.settings(**values)
    except ValueError as error:
        raise BadSettings(str(error)) from None


def require_allowed(adapter: Adapter, settings: msgspec.Struct, *, may_listen: bool) -> None:
    """Raises ``BadSettings`` for what account holders must not do by themselves: opening a port of this machine."""
    if adapter.listens_by is not None and getattr(settings, adapter.listens_by) is not None and not may_listen:
        raise BadSettings(f"{adapter.listens_by}: the operator lets no gateway listen (channels.may_listen)")


def _fit(known: KnownSetting, value: Any, before: Any) -> Any:
    if isinstance(value, str) and not _takes_text(known.type):
        # What a form or a command line brings for a list or a table is JSON.
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError:
            value = str(value)
    if known.masks:
        try:
            value = unmasked(value, before)
        except NotKnown:
            raise BadSettings(f"{known.name}: nobody knows what {MASK} stands for there") from None
    try:
        return msgspec.convert(value, known.type, strict=False)
    except msgspec.ValidationError as error:
        got = f", got {value!r}" if _may_be_said(known, value) else ""
        raise BadSettings(f"{known.name}: {str(error)[:1].lower()}{str(error)[1:]}{got}") from None


def _may_be_said(known: KnownSetting, value: Any) -> bool:
    """It is short, and where a number, a truth or a word of a few belongs: texts and tables may hold secrets."""
    is_short = isinstance(value, str | int | float) and len(str(value)) <= SAID_CHARS
    has_texts = any(isinstance(kind, inspect.StrType) for kind in _kinds(known.type))
    return is_short and not (known.is_secret or has_texts) and _takes_text(known.type)


def _takes_text(hint: Any) -> bool:
    structured = (inspect.ListType, inspect.VarTupleType, inspect.DictType)
    return not any(isinstance(kind, structured) for kind in _kinds(hint))


def _kinds(hint: Any) -> tuple[inspect.Type, ...]:
    """What a value may be, each without its rules."""
    info = inspect.type_info(hint)
    info = info.type if isinstance(info, inspect.Metadata) else info
    kinds = info.types if isinstance(info, inspect.UnionType) else (info,)
    return tuple(kind.type if isinstance(kind, inspect.Metadata) else kind for kind in kinds)


def shown(adapter: Adapter, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in force for an account holder's eyes: a secret that is set shows as stars.

    Also of settings that do not fit: what their adapter does not know, or no longer, shows as stars too.
    """
    known = {one.name: one for one in known_settings(adapter)}
    masked = {name: MASK for name in given if name not in known}
    return {**{name: _shown(one, given.get(name, one.default)) for name, one in known.items()}, **masked}


def _shown(known: KnownSetting, value: Any) -> Any:
    if value is msgspec.NODEFAULT:
        return None
    if known.is_secret:
        return MASK if value not in (None, "") else value
    return masked(msgspec.to_builtins(value), known.masks)
