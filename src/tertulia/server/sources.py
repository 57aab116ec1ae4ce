"""Where the values of settings come from: defaults, ``tertulia.toml``, environment variables, flags; each stronger than
the one before. What is unknown or does not fit is refused, with the nearest name that would do.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from tertulia.server.bootstrap import Bootstrap
from tertulia.server.settable import BOOTSTRAP, KNOWN, SECTIONS, Known
from tertulia.server.settings import ENVIRONMENT_PREFIX, Settings
from tertulia.wire.sids import is_sid

FILE_NAME = "tertulia.toml"


class SettingsError(Exception):
    """The settings cannot be used; the text is one line that names the setting, its source and the remedy."""


class Effective(Struct, frozen=True):
    """One setting as it is in force; a secret's value is masked."""

    name: str
    value: str
    source: str


class Resolved(Struct, frozen=True):
    """The settings in force and where each came from."""

    settings: Settings
    bootstrap: Bootstrap
    sources: dict[str, str]

    def effective(self) -> list[Effective]:
        """Every setting in the order of this file, as ``tertulia settings`` prints it."""
        return [
            Effective(known.name, self._shown(known), self.sources.get(known.name, "default"))
            for known in KNOWN.values()
        ]

    def _shown(self, known: Known) -> str:
        value = getattr(getattr(self.settings, known.section), known.field)
        if value is None:
            return "(unset)"
        return "***" if known.is_secret else msgspec.json.encode(value).decode()


def resolve(
    environment: Mapping[str, str], flags: Mapping[str, str | None] | None = None, config: Path | None = None
) -> Resolved:
    """The settings in force, from all sources.

    ``flags`` maps names such as ``server.port`` to what the command line gave; None means not given. ``config`` is
    a settings file named by the caller; without one, ``tertulia.toml`` in the data folder is read if it is there.
    Raises SettingsError for an unknown name, a value that does not fit, or a file that cannot be read.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    from_environment, bootstrap = _read_environment(environment)
    given = {name: value for name, value in (flags or {}).items() if value is not None}

    data = given.get("server.data") or from_environment.get("server.data") or KNOWN["server.data"].default
    for name, value, source in _read_file(config, Path(data)):
        values[name], sources[name] = _fit(KNOWN[name], value, source, strict=True), source
    for name, text in from_environment.items():
        source = KNOWN[name].variable
        values[name], sources[name] = _fit(KNOWN[name], text, source, strict=False), source
    for name, text in given.items():
        source = "--" + KNOWN[name].field.replace("_", "-")
        values[name], sources[name] = _fit(KNOWN[name], text, source, strict=False), source
    return Resolved(settings=_build(values, sources), bootstrap=bootstrap, sources=sources)


def settings_of(values: Mapping[str, object], source: str) -> Settings:
    """The defaults, and these values by the names of their settings, as texts or as what they are.

    Raises SettingsError for an unknown name or a value that does not fit, and names ``source``.
    """
    for name in values:
        if name not in KNOWN:
            raise SettingsError(f"{source}: unknown setting {name}{_suggestion(name, KNOWN)}")
    fitting = {name: _fit(KNOWN[name], value, source, strict=False) for name, value in values.items()}
    return _build(fitting, dict.fromkeys(fitting, source))


def _build(values: Mapping[str, Any], sources: Mapping[str, str]) -> Settings:
    sections: dict[str, Struct] = {}
    for section, struct in SECTIONS.items():
        chosen = {
            known.field: values[name] for name, known in KNOWN.items() if known.section == section and name in values
        }
        try:
            sections[section] = struct(**chosen)
        except ValueError as error:
            where = ", ".join(sources[f"{section}.{field}"] for field in chosen)
            raise SettingsError(f"section {section} ({where}): {error}") from None
    return msgspec.convert(sections, Settings)


def _fit(known: Known, value: object, source: str, *, strict: bool) -> Any:
    try:
        return msgspec.convert(value, known.type, strict=strict)
    except msgspec.ValidationError as error:
        expected = f"expected one of {', '.join(known.choices)}" if known.choices else _lower(str(error))
        got = "a value that is not shown" if known.is_secret else repr(value)
        raise SettingsError(f"{known.name} ({source}): {expected}, got {got}") from None


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _read_environment(environment: Mapping[str, str]) -> tuple[dict[str, str], Bootstrap]:
    """The settings and the bootstrap values among the variables; an empty variable counts as not set."""
    variables = {known.variable: known for known in (*KNOWN.values(), *BOOTSTRAP.values())}
    found: dict[str, str] = {}
    bootstrap: dict[str, str] = {}
    for variable, text in environment.items():
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        known = variables.get(variable)
        if known is None:
            raise SettingsError(f"unknown environment variable {variable}{_suggestion(variable, variables)}")
        if not text:
            continue
        if known.name in BOOTSTRAP:
            bootstrap[known.field] = _bootstrap_value(known, text)
        else:
            found[known.name] = text
    return found, Bootstrap(**bootstrap)


def _bootstrap_value(known: Known, text: str) -> str:
    if known.prefix is not None and not is_sid(text, known.prefix):
        raise SettingsError(f"{known.variable}: expected {known.prefix} and 32 hexadecimal digits, got {text!r}")
    if known.is_secret and not (text.isascii() and text.isalnum()):
        raise SettingsError(f"{known.variable}: expected letters and digits only")
    return text


def _read_file(config: Path | None, data: Path) -> Iterator[tuple[str, Any, str]]:
    path = config or data / FILE_NAME
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        if config is None:
            return
        raise SettingsError(f"{path}: there is no such file") from None
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {_lower(str(error))}") from None
    for section, entries in content.items():
        if section not in SECTIONS or not isinstance(entries, dict):
            raise SettingsError(f"{path}: unknown section [{section}]{_suggestion(section, SECTIONS)}")
        for field, value in entries.items():
            name = f"{section}.{field}"
            if name not in KNOWN:
                raise SettingsError(f"{path}: unknown setting {name}{_suggestion(name, KNOWN)}")
            if name == "server.data" and config is None:
                raise SettingsError(f"{path}: server.data cannot be set in a file that is found through it")
            yield name, value, str(path)


def _suggestion(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else "; `tertulia settings` lists all"
