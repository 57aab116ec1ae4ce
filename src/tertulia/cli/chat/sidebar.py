"""The conversations, the one with the newest message first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from textual import events
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option


class Row(NamedTuple):
    """A conversation as it stands in the list."""

    sid: str
    name: str
    when: str
    """Of its last message; empty without one."""
    unread: int
    is_muted: bool
    about: str
    """Shown while there is nothing else to say."""
    is_open: bool


class Sidebar(OptionList):
    """Enter or a click opens one."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, markup=False)
        self._rows: tuple[Row, ...] = ()

    def show(self, rows: Sequence[Row]) -> None:
        """These, in this order. What is highlighted stays so, wherever it stands now."""
        before, self._rows = self._rows, tuple(rows)
        if [row.sid for row in before] == [row.sid for row in rows]:
            for place, (old, new) in enumerate(zip(before, rows, strict=True)):
                if old != new:
                    self.replace_option_prompt_at_index(place, self._prompt(new))
        else:
            self._fill()

    def on_resize(self, event: events.Resize) -> None:
        self._fill()

    def _fill(self) -> None:
        highlighted = self.highlighted_option
        top = self.scroll_offset.y
        self.set_options(Option(self._prompt(row), id=row.sid) for row in self._rows)
        sids = [row.sid for row in self._rows]
        wanted = highlighted.id if highlighted is not None else None
        if wanted is None:
            wanted = next((row.sid for row in self._rows if row.is_open), None)
        if sids:
            self.highlighted = sids.index(wanted) if wanted in sids else 0
        if not self.has_focus:
            self.scroll_to(y=top, animate=False)

    def _prompt(self, row: Row) -> Content:
        width = max(8, self.scrollable_content_region.width - 2)
        mark = "▌" if row.is_open else " "
        name = _fitted(row.name, width - cell_len(row.when) - 2)
        news = [f"{row.unread} new"] if row.unread else []
        if row.is_muted:
            news.append("muted")
        detail = " · ".join(news) or row.about
        style = "bold" if row.unread and not row.is_muted else ""
        return Content.assemble(
            (mark, "$primary"),
            (name, style),
            " ",
            (row.when, "dim"),
            "\n",
            (mark, "$primary"),
            (_fitted(detail, width - 1), "$warning" if row.unread and not row.is_muted else "dim"),
        )


def _fitted(text: str, width: int) -> str:
    width = max(1, width)
    return set_cell_size(text, width) if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"
