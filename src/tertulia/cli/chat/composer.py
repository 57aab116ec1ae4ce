"""Where one writes: Enter sends, a pasted text keeps its lines."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message as Notice
from textual.widgets import TextArea

from tertulia.cli.plain import own_lines
from tertulia.client import Message


class Composer(TextArea):
    """A text of any number of lines, or a command."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+j,alt+enter,shift+enter", "new_line", "new line", show=False),
        Binding("escape", "give_up", "cancel", show=False),
    ]

    class Submitted(Notice):
        """The user has written this. It stays until ``done``."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class WentUp(Notice):
        """The user went above the first line."""

    def __init__(self, *, id: str) -> None:
        super().__init__(
            id=id,
            soft_wrap=True,
            tab_behavior="focus",
            highlight_cursor_line=False,
            placeholder="write a message, or /help",
            compact=True,
        )
        self.edited: Message | None = None
        """The message that is being changed, if one is."""

    def change(self, message: Message) -> None:
        """Change this message instead of writing a new one."""
        self.edited = message
        self.border_title = "editing; Escape gives up"
        self.add_class("-editing")
        self.text = "\n".join(own_lines(message.body or ""))
        self.move_cursor(self.document.end)
        self.focus()

    def done(self) -> None:
        """Begin with nothing."""
        self.edited = None
        self.border_title = None
        self.remove_class("-editing")
        self.text = ""

    def action_new_line(self) -> None:
        self.insert("\n")

    def action_give_up(self) -> None:
        if self.edited is not None:
            self.done()

    async def _on_key(self, event: events.Key) -> None:
        # Here and not as a binding of priority, which would overtake the keys that were pressed before.
        if event.key == "enter":
            self.post_message(self.Submitted(self.text))
        elif event.key == "up" and not self.text:
            self.post_message(self.WentUp())
        else:
            return
        event.stop()
        event.prevent_default()

    async def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.replace("\n".join(own_lines(event.text)), *self.selection)
        self.focus()
