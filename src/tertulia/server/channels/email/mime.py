"""A mail taken apart, within bounds (RFC 2045, 2046). Pure; linear in its length, whatever it holds.

No single call of it works on more than a few megabytes where that takes long: others of the process have their turn.

The parsers of the standard library go as deep as a mail says, and ask each of its lines for every boundary around it:
a small mail made for that holds them up for hours.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from .charsets import decoded, header_text, raw_text

DEEPEST: Final = 12
MOST_PARTS: Final = 200
HEAD_BYTES: Final = 256 << 10
HEADERS: Final = 1000
HEADER_CHARS: Final = 32 << 10
HEAD_LINES: Final = 5000
SCANS: Final = 4
"""Boundaries are looked for in so many times the bytes of a mail, parts within parts counted again."""
MISSES: Final = 10_000
"""Lines that begin as a boundary and are none."""
TAIL_BYTES: Final = 256
"""Of a boundary's line, that may follow it."""

_END_OF_HEAD: Final = re.compile(rb"\r?\n\r?\n")
_END_OF_BOUNDARY: Final = re.compile(rb"(--)?[ \t]*+(?:\r?\n|\Z)")
_NAME: Final = re.compile(rb"([!-9;-~]+)[ \t]*:")
_PARAMETER: Final = re.compile(
    r";\s*([A-Za-z0-9!#$&^_.+-]+?)(?:\*(\d{1,3}))?(\*)?\s*=\s*(?:\"((?:[^\"\\]|\\.)*+)\"|([^;\s\"]*+))", re.DOTALL
)
_NO_BASE64: Final = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))
_TYPE: Final = re.compile(r"\s*([A-Za-z0-9!#$&^_.+-]+)/([A-Za-z0-9!#$&^_.+-]+)")


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a mail, or all of it. Printed without content."""

    headers: tuple[tuple[str, str], ...]
    """Names in small letters, and their values as they stand there, unfolded."""
    type: str
    """Bare, in small letters."""
    parameters: dict[str, str]
    """Of the type."""
    content: bytes = b""
    """As it stands there; empty where there are parts."""
    parts: tuple[Part, ...] = ()
    is_cut: bool = False
    """It has more parts, or deeper ones, than are looked at."""

    def __repr__(self) -> str:
        return f"Part({self.type}, ***)"

    def header(self, name: str) -> str:
        """The first of this name; empty where there is none."""
        return next((value for known, value in self.headers if known == name), "")

    def all(self, name: str) -> list[str]:
        return [value for known, value in self.headers if known == name]

    @property
    def data(self) -> bytes:
        """What it holds, decoded."""
        encoding = self.header("content-transfer-encoding").strip().lower()
        if encoding == "base64":
            return _base64(self.content)
        if encoding == "quoted-printable":
            return binascii.a2b_qp(self.content)
        return self.content

    def text(self, most: int) -> str:
        """What so many of its bytes say, its lines ended by line feeds."""
        said = decoded(self.data[:most], self.parameters.get("charset"))
        return said.replace("\r\n", "\n").replace("\r", "\n")

    @property
    def disposition(self) -> str:
        return self.header("content-disposition").partition(";")[0].strip().lower()

    @property
    def filename(self) -> str | None:
        given = parameters_of(self.header("content-disposition")).get("filename") or self.parameters.get("name")
        return header_text(given).strip() or None if given else None

    def leaves(self) -> Iterator[Part]:
        """The parts that have no parts, in their order; what is attached as a whole mail is one."""
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()


class _Budget:
    def __init__(self, size: int) -> None:
        self.parts = MOST_PARTS
        self.bytes = size * SCANS
        self.misses = MISSES


def read(data: bytes) -> Part:
    """The mail. There is none that cannot be read; what is beyond the bounds stays together, or is left out."""
    return _part(data, 0, len(data), 0, _Budget(len(data)), "text/plain")


def head_of(data: bytes) -> Part:
    """The head alone, of a mail or of a report's group of fields, and what follows it as it stands there."""
    head, start = _head(data, 0, len(data))
    return Part(headers=tuple(_headers(head)), type="text/plain", parameters={}, content=data[start:])


def _part(data: bytes, begin: int, end: int, depth: int, budget: _Budget, default: str) -> Part:
    """The part between these two places of a mail: none is copied before it is known that it has no parts."""
    head, start = _head(data, begin, end)
    headers = tuple(_headers(head))
    typed = next((value for name, value in headers if name == "content-type"), "")
    found = _TYPE.match(typed)
    kind = f"{found[1]}/{found[2]}".lower() if found else default
    parameters = parameters_of(typed)
    if not kind.startswith("multipart/"):
        return Part(headers=headers, type=kind, parameters=parameters, content=data[start:end])
    boundary = parameters.get("boundary", "").rstrip(" ")
    is_spent = depth == DEEPEST or budget.bytes < end - start
    if not boundary or len(boundary) > 200 or is_spent:
        return Part(headers=headers, type="text/plain", parameters={}, content=data[start:end], is_cut=is_spent)
    budget.bytes -= end - start
    default = "message/rfc822" if kind == "multipart/digest" else "text/plain"
    parts: list[Part] = []
    is_cut = False
    for first, last in _pieces(data, start, end, boundary.encode("utf-8", "replace"), budget):
        if not budget.parts:
            is_cut = True
            break
        budget.parts -= 1
        parts.append(_part(data, first, last, depth + 1, budget, default))
    is_cut = is_cut or budget.misses < 0 or any(part.is_cut for part in parts)
    if not parts:  # it says that it has parts, and has none
        return Part(headers=headers, type="text/plain", parameters={}, content=data[start:end], is_cut=is_cut)
    return Part(headers=headers, type=kind, parameters=parameters, parts=tuple(parts), is_cut=is_cut)


def _head(data: bytes, begin: int, end: int) -> tuple[bytes, int]:
    """The head, and where what follows it begins."""
    for none in (b"\n", b"\r\n"):
        if data.startswith(none, begin, end):
            return b"", begin + len(none)
    found = _END_OF_HEAD.search(data, begin, min(begin + HEAD_BYTES, end))
    if found is None:
        return data[begin : min(begin + HEAD_BYTES, end)], end
    return data[begin : found.start()], found.end()


def _headers(head: bytes) -> Iterator[tuple[str, str]]:
    name, value = "", b""
    count = 0
    for line in head.split(b"\n", HEAD_LINES)[:HEAD_LINES]:
        line = line.rstrip(b"\r")
        if line[:1] in (b" ", b"\t"):
            if len(value) < HEADER_CHARS:
                value += line
            continue
        if name:
            yield name, raw_text(value)[:HEADER_CHARS].strip()
            count += 1
        found = _NAME.match(line)
        name = found[1].decode("ascii").lower() if found and count < HEADERS else ""
        value = line[found.end() :] if found else b""
    if name:
        yield name, raw_text(value)[:HEADER_CHARS].strip()


def _pieces(data: bytes, begin: int, end: int, boundary: bytes, budget: _Budget) -> Iterator[tuple[int, int]]:
    """Where what stands between the boundaries begins and ends; the last one may have no boundary behind it."""
    mark = b"--" + boundary
    start: int | None = None
    at = begin if data.startswith(mark, begin, end) else _next(data, mark, begin, end)
    while at >= 0:
        tail = at + len(mark)
        found = _END_OF_BOUNDARY.match(data, tail, min(tail + TAIL_BYTES, end))
        if found is None or (found.end() < end and data[found.end() - 1 : found.end()] != b"\n"):
            budget.misses -= 1
            if budget.misses < 0:
                break
            at = _next(data, mark, tail, end)
            continue
        if start is not None:
            last = at
            last -= 1 if data[last - 1 : last] == b"\n" else 0
            last -= 1 if data[last - 1 : last] == b"\r" else 0
            yield start, max(last, start)
        start = found.end()
        if found[1]:
            return
        # The end of its line may be what the next one needs before it.
        at = _next(data, mark, start - 1, end)
    if start is not None and start < end:
        yield start, end


def _next(data: bytes, mark: bytes, begin: int, end: int) -> int:
    """Where the next line begins that begins so; -1: none does."""
    found = data.find(b"\n" + mark, begin, end)
    return found + 1 if found >= 0 else -1


def parameters_of(value: str) -> dict[str, str]:
    """The parameters of a header, whole and decoded (RFC 2231); of two of one name the first."""
    plain: dict[str, str] = {}
    cut: dict[str, dict[int, tuple[bool, str]]] = {}
    for found in _PARAMETER.finditer(value):
        name = found[1].lower()
        text = re.sub(r"\\(.)", r"\1", found[4]) if found[4] is not None else found[5]
        if found[2] is None and found[3] is None:
            plain.setdefault(name, text)
        else:
            cut.setdefault(name, {}).setdefault(int(found[2] or 0), (found[3] is not None, text))
    for name, pieces in cut.items():
        plain[name] = _joined(pieces)
    return plain


def _joined(pieces: dict[int, tuple[bool, str]]) -> str:
    data, charset = b"", None
    for number, (is_escaped, text) in sorted(pieces.items()):
        if number == 0 and is_escaped and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        data += unquote_to_bytes(text) if is_escaped else text.encode("utf-8", "replace")
    return decoded(data, charset)


def _base64(data: bytes) -> bytes:
    """What there is of it; what is no base64 is passed over."""
    try:
        return binascii.a2b_base64(data)
    except ValueError:
        bare = data.translate(None, _NO_BASE64)
        bare = bare[: len(bare) - (len(bare) % 4 == 1)]
        return binascii.a2b_base64(bare + b"=" * (-len(bare) % 4))
