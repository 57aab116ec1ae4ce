"""A message as lines: who, when, what, its files, and what has become of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from tertulia.cli.plain import plain, plain_lines, plain_name
from tertulia.client import Message

from . import times
from .lines import Key, Line, Piece, wrapped

if TYPE_CHECKING:
    from tertulia.client.pending import PendingMessage

INDENT = "  "
FILE_MARK = "▪"
EDITED = " (edited)"
NOBODY = "(nobody)"


def author_line(author: str | None, clock: str, *, is_own: bool, key: Key) -> Line:
    name = "you" if is_own else plain_name(author or NOBODY)
    return Line((Piece(name, "own" if is_own else "author"), Piece(f"  {clock}", "dim")), key)


def message_lines(message: Message, width: int) -> Iterator[Line]:
    """What it says and has attached; edited ones say so."""
    if message.subject:
        yield from _paragraph(message.subject, width, message.index, "subject")
    body = list(_paragraph(message.body, width, message.index)) if message.body else []
    if message.last_updated_by is not None:
        if body and cell_len(body[-1].text) + len(EDITED) <= width:
            body[-1] = Line((*body[-1].pieces, Piece(EDITED, "dim")), message.index)
        else:
            body.append(Line((Piece(f"{INDENT}{EDITED.strip()}", "dim"),), message.index))
    yield from body
    for media in message.media:
        yield _file_line(media.filename, media.content_type, media.size, width, message.index)
    if not body and not message.media and not message.subject:
        what = "from a template" if message.content_sid else "empty"
        yield Line((Piece(f"{INDENT}({what})", "dim"),), message.index)


def pending_lines(pending: PendingMessage, width: int, why: str | None) -> Iterator[Line]:
    """One that waits in the outbox; ``why`` it failed, if it has."""
    if pending.body:
        yield from _paragraph(pending.body, width, pending.id, "pending")
    for file in pending.media:
        yield _file_line(file.filename, file.content_type, file.size, width, pending.id)
    if why is None:
        yield Line((Piece(f"{INDENT}… waiting to be sent", "dim"),), pending.id)
    else:
        for text in wrapped(f"✗ not sent: {plain(why)} — /retry or /drop", max(2, width - len(INDENT))):
            yield Line((Piece(INDENT + text, "failed"),), pending.id)


def _paragraph(text: str, width: int, key: Key, style: str = "body") -> Iterator[Line]:
    for line in plain_lines(text):
        for part in wrapped(line, width - len(INDENT)):
            yield Line((Piece(INDENT + part, style),), key)


def _file_line(name: str | None, kind: str | None, size: int | None, width: int, key: Key) -> Line:
    about: Sequence[str] = [kind or "file", *([times.size(size)] if size is not None else [])]
    detail = plain(f"  {', '.join(about)}")
    shown = plain(name or "unnamed")
    room = max(8, width - len(INDENT) - 2 - cell_len(detail))
    if cell_len(shown) > room:
        shown = set_cell_size(shown, room - 1).rstrip() + "…"
    return Line((Piece(f"{INDENT}{FILE_MARK} {shown}", "file"), Piece(detail, "dim")), key)
