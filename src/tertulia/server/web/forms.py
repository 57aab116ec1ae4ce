"""Bodies and queries into structs.

A ``Form`` is the parameters of an operation: its fields are named as on the wire, in PascalCase; a dotted name is given
with ``field(name="Timers.Inactive", default=UNSET)``. A parameter that is absent leaves ``UNSET``.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Generic, TypeVar
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import UNSET, Meta, UnsetType, inspect

from tertulia.server.domain.errors import BAD_PARAMETER, Row, TertuliaError
from tertulia.server.domain.values import parse_date

from .odd_json import mended

S = TypeVar("S", bound=msgspec.Struct)

Folded = Annotated[str, Meta(extra={"fold": True})]
"""An enumerated value: its case does not count, and lower case is what the handler sees (rest 1.3)."""

_ONE: Final = 0
_FOLDED: Final = 1
_MANY: Final = 2


class Form(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Parameters of a form or a query."""


class Tolerant(msgspec.Struct, frozen=True):
    """A JSON body that is taken when it is well-formed at all, whatever characters and members stand in it."""


def one_of(*values: str) -> Any:
    """Names the values of a ``Folded`` parameter for the description; the command checks them, with its own codes."""
    return Meta(extra_json_schema={"enum": list(values)})


def described(schema: dict[str, Any]) -> Any:
    """How our description shows a parameter that is read as text."""
    return Meta(extra_json_schema=schema)


def moment(text: str | UnsetType, failure: Row, name: str | None = None) -> int | UnsetType:
    """The date a parameter holds, in microseconds; an absent one stays absent. ``name`` is said in the failure."""
    return UNSET if text is UNSET else parse_date(text, failure, name)


def split(body: bytes) -> dict[str, list[str]]:
    """The parameters of a form: a plus is a space, repeated names keep their order. Raises 20001 for a NUL."""
    fields: dict[str, list[str]] = {}
    text = body.decode("utf-8", "replace")
    encoded = "%" in text or "+" in text
    for pair in text.split("&"):
        name, _, value = pair.partition("=")
        if encoded:
            name, value = _decoded(name), _decoded(value)
        known = fields.get(name)
        if known is None:
            fields[name] = [value]
        else:
            known.append(value)
    return fields


def _decoded(text: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    return unquote_to_bytes(text).decode("utf-8", "replace") if "%" in text else text


_NUL_IN_JSON: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""An escaped NUL; behind an odd number of backslashes it would be a text about one."""


class Reader(Generic[S]):
    """Makes structs of one type out of what a request carries. Parameters the type does not have are ignored."""

    def __init__(self, form: type[S]) -> None:
        self._form = form
        info = inspect.type_info(form)
        assert isinstance(info, inspect.StructType)
        self._kinds = {field.encode_name: _kind(field.type) for field in info.fields}
        self._required = tuple(field.encode_name for field in info.fields if field.required)
        self._is_tolerant = issubclass(form, Tolerant)
        self._decode_json = msgspec.json.Decoder(form).decode

    def of_form(self, body: bytes) -> S:
        """From a form. Raises 20001 for what is missing or does not fit."""
        return self._read(split(body), " in the post body")

    def of_query(self, query: dict[str, list[str]]) -> S:
        """From a query string. Raises 20001 for what is missing or does not fit."""
        return self._read(query, "")

    def of_json(self, body: bytes) -> S:
        """From a JSON object; no body is an empty one. Raises 20001 for what is missing or does not fit."""
        if b"\\u0000" in body and _NUL_IN_JSON.search(body):
            if not self._is_tolerant:
                raise BAD_PARAMETER("The body contains a NUL character")
            body = mended(body)
        try:
            return self._decode_json(body or b"{}")
        except msgspec.ValidationError as error:
            raise _unfit(error) from None
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            if self._is_tolerant and (other := mended(body)) != body:
                return self.of_json(other)
            raise BAD_PARAMETER(f"Invalid parameters: {_fault(error)}") from None

    def _read(self, fields: dict[str, list[str]], where: str) -> S:
        data: dict[str, str | list[str]] = {}
        kinds = self._kinds
        for name, values in fields.items():
            kind = kinds.get(name)
            if kind is None:
                continue
            value = values[-1]
            if kind == _MANY:
                data[name] = [] if len(values) == 1 and not value else values  # one empty value: the empty list
            else:
                data[name] = value.lower() if kind == _FOLDED else value
            if "\0" in value:
                raise BAD_PARAMETER(f"Parameter {name} contains a NUL character")
        for name in self._required:
            if name not in data:
                raise BAD_PARAMETER(f"Missing required parameter {name}{where}")
        try:
            return msgspec.convert(data, self._form, strict=False)
        except msgspec.ValidationError as error:
            raise _unfit(error) from None


def _kind(type_: inspect.Type) -> int:
    options = type_.types if isinstance(type_, inspect.UnionType) else (type_,)
    for option in options:
        if isinstance(option, inspect.ListType):
            return _MANY
        if isinstance(option, inspect.Metadata) and (option.extra or {}).get("fold"):
            return _FOLDED
    return _ONE


def _fault(error: Exception) -> str:
    """What is wrong with a body that cannot be read, in words of ours: the decoder's are for who reads our code."""
    if isinstance(error, UnicodeError):
        return "The body is not UTF-8"
    if isinstance(error, RecursionError):
        return "The body is nested too deeply"
    return "The body is not JSON, or holds half of a character"


_IN_WORDS: Final = re.compile(r"Expected `(int|bool)(?: \| null)?`, got `\w+`")
_WORDS: Final = {"int": "Expected a whole number", "bool": "Expected true or false"}
"""Who sent a form does not know our types."""


def _unfit(error: Exception) -> TertuliaError:
    """20001 that says where and why, never which value was sent."""
    why, _, where = str(error).partition(" - at `$")
    if (match := _IN_WORDS.fullmatch(why)) is not None:
        why = _WORDS[match.group(1)]
    name = where.rstrip("`").lstrip(".")
    return BAD_PARAMETER(f"Invalid parameter {name}: {why}" if name else f"Invalid parameters: {why}")
