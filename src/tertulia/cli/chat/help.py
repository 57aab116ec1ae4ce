"""The page of keys and commands."""

from __future__ import annotations

from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from .commands import COMMANDS

KEYS: Final = (
    ("Enter", "send; open the conversation that is marked"),
    ("Ctrl-J, Alt-Enter", "a new line"),
    ("Tab, Shift-Tab", "to the next part: conversations, messages, writing"),
    ("Ctrl-K", "go to a conversation by name"),
    ("Ctrl-Up, Ctrl-Down", "the conversation above, below"),
    ("Up in an empty line", "choose a message: then e edits, Delete takes back"),
    ("PageUp, PageDown, End", "older, newer, newest messages"),
    ("Escape", "back to writing"),
    ("Ctrl-Q", "end"),
)


class Help(ModalScreen[None]):
    """Any of its keys closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q,f1", "dismiss(None)", "close", show=False)]

    def compose(self) -> ComposeResult:
        rows = [("Keys", ""), *KEYS, ("", ""), ("Commands", ""), *((each.usage, each.what) for each in COMMANDS)]
        rows += [("//…", "a text that begins with a slash"), ("", ""), ("Escape closes this page.", "")]
        width = max(len(left) for left, right in rows if right) + 2
        text = Content("\n").join(
            Content.assemble((left.ljust(width), "bold" if right else "bold underline"), right)
            if right
            else Content.assemble((left, "bold"))
            for left, right in rows
        )
        with VerticalScroll(id="help"):
            yield Static(text, markup=False)
