"""Headers that name people, read without believing that anybody wrote them by the rules (RFC 5322). Pure."""

from __future__ import annotations

import contextlib
import re
from typing import Final, NamedTuple

from .charsets import header_text

MOST: Final = 100
_ADDRESS: Final = re.compile(r"[^@\s<>\",;:()\x00-\x1f\x7f]{1,64}@[^@\s<>\",;:()\x00-\x1f\x7f]{1,255}")


class Named(NamedTuple):
    name: str | None
    address: str
    """Its domain in small letters, and as people spell it."""


def named_in(raw: str) -> list[Named]:
    """Those that a header names, in its order; what is no address is passed over."""
    found: list[Named] = []
    words: list[str] = []
    inside: list[str] = []
    angle = quoted = escaped = False
    comment = 0
    for char in f"{raw},":
        target = inside if angle else words
        if escaped:
            escaped = False
            if not comment:
                target.append(char)
        elif char == "\\" and (quoted or comment):
            escaped = True
        elif quoted:
            if char == '"':
                quoted = False
            else:
                target.append(char)
        elif char == "(":
            comment += 1
        elif comment:
            comment -= char == ")"
        elif char == '"':
            quoted = True
        elif char == "<":
            angle, inside = True, []
        elif char == ">":
            angle = False
        elif char in ",;" and not angle:
            _add(found, "".join(words), "".join(inside))
            words, inside = [], []
            if len(found) == MOST:
                break
        elif char == ":" and not angle:  # the name of a group
            words = []
        else:
            target.append(char)
    else:
        if angle or quoted or comment:
            _add(found, "".join(words), "".join(inside))
    return found


def shown(address: str) -> str:
    """The address as people spell it."""
    local, _, domain = address.rpartition("@")
    domain = domain.lower()
    if "xn--" in domain:
        with contextlib.suppress(UnicodeError):
            domain = domain.encode("ascii").decode("idna")
    return f"{local}@{domain}"


def _add(found: list[Named], words: str, inside: str) -> None:
    text = (inside or words).strip()
    if _ADDRESS.fullmatch(text):
        name = header_text(words) if inside else ""
        found.append(Named(name or None, shown(text)))
