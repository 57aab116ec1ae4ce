"""Lines of the history, as values: pieces of text, each in a style, none of them wider than the view."""

from __future__ import annotations

from typing import NamedTuple

from rich.cells import cell_len
from textual.content import Content

Key = int | str
"""What a line belongs to: the index of a message, or the id of one that waits."""


class Piece(NamedTuple):
    text: str
    style: str = "body"
    """Names the component class ``history--STYLE``."""


class Line(NamedTuple):
    pieces: tuple[Piece, ...]
    key: Key | None = None

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)


def wrapped(text: str, width: int) -> list[str]:
    """A plain text in lines of at most so many cells, broken between words where there are any."""
    if not text:
        return [""]
    return [line.plain.rstrip() for line in Content(text).wrap(max(2, width))]


def rule(text: str, width: int, style: str) -> Line:
    """A line across the view with a text in its middle."""
    label = f" {text} "
    left = max(2, (width - cell_len(label)) // 2)
    right = max(2, width - cell_len(label) - left)
    return Line((Piece("─" * left + label + "─" * right, style),))


def right_aligned(text: str, width: int, style: str, key: Key | None) -> Line:
    return Line((Piece(" " * max(0, width - cell_len(text)) + text, style),), key)
