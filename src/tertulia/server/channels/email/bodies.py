"""The words of a mail, and its files (semantics 4.8, gateways 8.6). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tertulia.server.domain import limits
from tertulia.server.domain.channels import IncomingMedia
from tertulia.server.domain.media import MediaCategory

from .html_text import text_of
from .mime import Part
from .quoting import split

BODY_BYTES: Final = 5 << 20
"""Of what a mail says; of a longer one so much is read."""
_SIGNATURES: Final = frozenset(
    ("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature")
)


class Bodies:
    """The words of a mail, and its files."""

    def __init__(self, whole: Part) -> None:
        self.is_cut = False
        self._left = BODY_BYTES
        plain: list[str] = []
        pages: list[str] = []
        self._files: list[Part] = []
        for leaf in whole.leaves():
            is_body = leaf.disposition != "attachment" and leaf.filename is None
            if is_body and leaf.type == "text/plain":
                plain.append(self._text(leaf))
            elif is_body and leaf.type == "text/html":
                pages.append(self._text(leaf))
            elif leaf.type not in _SIGNATURES:
                self._files.append(leaf)
        self._html = "\n".join(pages)
        self._whole = "\n".join(text.rstrip("\n") for text in plain if text.strip())
        if not self._whole and self._html:
            self._whole = text_of(self._html)
        self.reply, self._history = split(self._whole)

    def _text(self, leaf: Part) -> str:
        text = leaf.text(self._left + 1)
        self.is_cut = self.is_cut or len(text) > self._left
        self._left = max(self._left - len(text), 0)
        return text

    def media(self) -> Iterator[IncomingMedia]:
        """The bodies: all of it where the message has not all of it, the page, the quotation; and then the files."""
        if self._history or len(self.reply.encode("utf-8", "replace")) > limits.MESSAGE_BODY:
            yield _body("text/plain", self._whole, MediaCategory.BODY)
        if self._html.strip():
            yield _body("text/html", self._html, MediaCategory.BODY)
        if self._history:
            yield _body("text/plain", self._history, MediaCategory.HISTORY)
        for number, leaf in enumerate(self._files, 1):
            charset = leaf.parameters.get("charset", "") if leaf.type.startswith("text/") else ""
            name = (leaf.filename or "").replace("\\", "/").rpartition("/")[2]
            data = leaf.data
            yield IncomingMedia(
                content_type=f"{leaf.type}; charset={charset}" if charset.replace("-", "").isalnum() else leaf.type,
                filename=name or _default_name(leaf, number),
                content=data,
                size=len(data),
            )


def _body(content_type: str, text: str, category: MediaCategory) -> IncomingMedia:
    data = text.encode("utf-8", "replace")[:BODY_BYTES]
    return IncomingMedia(content_type=content_type, content=data, size=len(data), category=category)


def _default_name(leaf: Part, number: int) -> str:
    endings = {"message/rfc822": "eml", "text/calendar": "ics", "text/html": "html", "text/plain": "txt"}
    ending = endings.get(leaf.type) or leaf.type.rpartition("/")[2].rpartition("+")[0] or leaf.type.rpartition("/")[2]
    return f"file-{number}.{ending}"
