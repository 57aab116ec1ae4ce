"""The first file of a form, as it comes; nothing of it is kept (RFC 7578)."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import Final

import msgspec

from tertulia.server.domain.errors import BAD_PARAMETER

_FORM_BYTES: Final = 64 << 10
"""What may come before the file: other fields, headers."""


class FormFile(msgspec.Struct, frozen=True):
    """A file of a form."""

    filename: str | None
    content_type: str | None
    content: AsyncIterator[bytes]


async def first_file(body: AsyncIterator[bytes], content_type: str) -> FormFile:
    """The first part of the form that is a file, else 20001. Its content is to be read to its end.

    Browsers send a file's name with it; a field without one is none. What follows the file is read, and dropped.
    """
    reading = _Reading(content_type)
    before = 0
    while not reading.is_in_file:
        piece = await anext(body, None)
        if piece is None or reading.has_ended:
            raise BAD_PARAMETER("The form has no file")
        before += len(piece)
        reading.feed(piece)
        if before > _FORM_BYTES and not reading.is_in_file:
            raise BAD_PARAMETER("The form has too much before its file")
    return FormFile(reading.filename, reading.content_type, _content(reading, body))


async def _content(reading: _Reading, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    dropped = 0
    while True:
        while reading.data:
            yield reading.data.popleft()
        piece = await anext(body, None)
        if piece is None:
            break
        if not reading.is_in_this_part:
            dropped += len(piece)
            if dropped > _FORM_BYTES:
                raise BAD_PARAMETER("The form has too much after its file")
        reading.feed(piece)
    if not reading.has_ended:
        raise BAD_PARAMETER("The form is cut off")


class _Reading:
    """What the parser has told so far."""

    def __init__(self, content_type: str) -> None:
        # Late: only forms need it.
        from python_multipart.multipart import MultipartParser, parse_options_header

        self._options = parse_options_header
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary or len(boundary) > 200:
            raise BAD_PARAMETER("The form has no boundary")
        self.is_in_file = False
        """Its first file has begun."""
        self.is_in_this_part = False
        """It has not ended."""
        self.has_ended = False
        self.filename: str | None = None
        self.content_type: str | None = None
        self.data: deque[bytes] = deque()
        self._name = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begins,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_ends,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._part_data,
                "on_part_end": self._part_ends,
                "on_end": self._end,
            },
        )

    def feed(self, piece: bytes) -> None:
        from python_multipart.exceptions import FormParserError

        try:
            self._parser.write(piece)
        except FormParserError:
            raise BAD_PARAMETER("The form is malformed") from None

    def _part_begins(self) -> None:
        self._headers = {}

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_ends(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _headers_end(self) -> None:
        if self.is_in_file:
            return
        _, options = self._options(self._headers.get(b"content-disposition", b""))
        name = options.get(b"filename")
        if name is None:
            return
        self.is_in_file = self.is_in_this_part = True
        self.filename = _unescaped(name.decode("utf-8", "replace")) or None
        self.content_type = self._headers.get(b"content-type", b"").decode("latin-1") or None

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self.is_in_this_part:
            self.data.append(data[start:end])

    def _part_ends(self) -> None:
        self.is_in_this_part = False

    def _end(self) -> None:
        self.has_ended = True


def _unescaped(name: str) -> str:
    """As browsers write names: quotes and line breaks percent-encoded, and nothing else (WHATWG HTML, 4.10.21.8)."""
    return name.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
