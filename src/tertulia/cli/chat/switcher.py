"""Ctrl-K: type a part of a name, and go there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from .sidebar import Row

SHOWN = 50


class Switcher(ModalScreen[str | None]):
    """Gives the SID of the conversation that was chosen, None when none was."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+k", "dismiss(None)", "close", show=False),
        Binding("down", "move(1)", show=False, priority=True),
        Binding("up", "move(-1)", show=False, priority=True),
    ]

    def __init__(self, rows: Sequence[Row]) -> None:
        super().__init__()
        self._rows = rows

    def compose(self) -> ComposeResult:
        with Vertical(id="switcher"):
            yield Input(placeholder="go to conversation …", id="switcher-name")
            yield OptionList(id="switcher-found", markup=False)

    def on_mount(self) -> None:
        self._find("")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._find(event.value)

    @on(Input.Submitted)
    def _entered(self) -> None:
        option = self.query_one(OptionList).highlighted_option
        self.dismiss(None if option is None else option.id)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id)

    def action_move(self, step: int) -> None:
        found = self.query_one(OptionList)
        if found.option_count:
            found.highlighted = ((found.highlighted or 0) + step) % found.option_count

    def _find(self, typed: str) -> None:
        words = typed.casefold().split()
        rows = [row for row in self._rows if all(word in f"{row.name} {row.about}".casefold() for word in words)]
        found = self.query_one(OptionList)
        found.set_options(
            Option(
                Content.assemble(row.name, (f"  {row.unread} new" if row.unread else f"  {row.about}", "dim")),
                id=row.sid,
            )
            for row in rows[:SHOWN]
        )
        found.highlighted = 0 if rows else None
