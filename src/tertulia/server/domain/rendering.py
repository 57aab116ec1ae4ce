"""What becomes of a template when a message is made from it: placeholders filled in, one type chosen (rest 13.2).

Placeholders are ``{{1}}`` or ``{{name}}``. A value is what the message brings for it, else the template's own; a
placeholder for which there is neither stays as it is (UNVERIFIED). Values are put in as they are: what looks like a
placeholder in one is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET

from . import limits
from .content import Content
from .content_types import SHOWN, TYPES, MediaContent, Types
from .errors import BODY_TOO_LONG, CONTENT_TYPE_UNSUPPORTED, TertuliaError
from .messages import check_body

RICH: Final = "application/x-vnd.com.twilio.rich."
"""What the content type of a rich body begins with; the type of the template follows, its slash turned into a dot."""

MEDIA: Final = "twilio/media"

_PLACEHOLDER: Final = re.compile(rf"\{{\{{([^{{}}]{{1,{limits.CONTENT_VARIABLE_KEY_CHARS}}})\}}\}}")
_encode: Final = msgspec.json.Encoder().encode


class Rendered(msgspec.Struct, frozen=True):
    """A message's text, and the richest type of the template with its values."""

    body: str | None
    """For whom cannot show the type; None where it has no words, such as a lone picture."""
    type: str
    data: str
    """``{"data": …}`` as JSON: what clients read of a rich body (client-commands 4.10)."""

    @property
    def content_type(self) -> str:
        return rich_content_type(self.type)


def rich_content_type(name: str) -> str:
    return RICH + name.replace("/", ".", 1)


def render(content: Content, variables: Mapping[str, str]) -> Rendered:
    """What a message made from the template shows.

    Raises 50542 when conversations can show none of the template's types, and 50504 when it becomes too long.
    """
    chosen = content.types.richest
    if chosen not in SHOWN:
        raise CONTENT_TYPE_UNSUPPORTED(f"The content has the types {', '.join(content.types.names)}; none can be sent")
    filler = _Filler({**content.variables, **variables})
    text = text_fallback(content.types)
    body = None if text is None else filler.fill(text)
    check_body(body)
    data = _encode({"data": filler.fill_all(msgspec.to_builtins(content.types.get(chosen)))})
    return Rendered(body or None, chosen, data.decode())


def media_urls(content: Content, variables: Mapping[str, str]) -> tuple[str, ...]:
    """Where the files of a template are that shows files, its placeholders filled in; none of another one."""
    part = content.types.media
    if not isinstance(part, MediaContent) or content.types.richest != MEDIA:
        return ()
    try:
        urls = _Filler({**content.variables, **variables}).fill_all(part.media)
    except TertuliaError:  # it has become too long since the message was made
        return ()
    return tuple(url for url in urls if url.startswith(("https://", "http://")))


def text_fallback(types: Types) -> str | None:
    """The words of a template for a channel that shows text alone, before its placeholders are filled in.

    They are those of ``twilio/text`` where there are some, else what the first other type has to say; None where no
    type has words.
    """
    for name in _SPOKEN:
        part = types.get(name)
        words = "" if part is None else _words(part)
        if words:
            return words
    return None


_SPOKEN: Final = ("twilio/text", *(name for name in TYPES if name != "twilio/text"))


def _words(part: object) -> str:
    """The body; of a card its title and subtitle; of a place its label, address and position."""
    body = getattr(part, "body", UNSET)
    if body is not UNSET:
        return str(body)
    lines = [getattr(part, name, UNSET) for name in ("title", "subtitle", "label", "address")]
    latitude, longitude = getattr(part, "latitude", UNSET), getattr(part, "longitude", UNSET)
    if latitude is not UNSET:
        lines.append(f"{latitude}, {longitude}")
    return "\n".join(str(line) for line in lines if line is not UNSET and line)


class _Filler:
    """Puts values in place of placeholders, and stops when it becomes too much: a few bytes can stand for many."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._left = limits.CONTENT_RENDERED_CHARS

    def fill(self, text: str) -> str:
        self._spend(text)
        return _PLACEHOLDER.sub(self._value, text) if "{{" in text else text

    def fill_all(self, value: Any) -> Any:
        """The same with every text filled in; names of members are none."""
        if isinstance(value, str):
            return self.fill(value)
        if isinstance(value, dict):
            return {name: self.fill_all(member) for name, member in value.items()}
        return [self.fill_all(each) for each in value] if isinstance(value, list | tuple) else value

    def _value(self, found: re.Match[str]) -> str:
        value = self._values.get(found[1], found[0])
        self._spend(value)
        return value

    def _spend(self, text: str) -> None:
        self._left -= len(text)
        if self._left < 0:
            raise BODY_TOO_LONG(f"The content becomes longer than {limits.CONTENT_RENDERED_CHARS} characters")
