"""The lines that only tell: who and how connected, which conversation, who types, what happened."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from textual import events
from textual.content import Content
from textual.message import Message as Notice
from textual.timer import Timer
from textual.widgets import Static

from tertulia.cli.plain import plain

NOTICE_S = 12.0


class Bar(Static):
    """One line of text; never read as markup, and nothing in it is obeyed."""

    def __init__(self, *, id: str) -> None:
        super().__init__(markup=False, id=id)

    def say(self, text: str) -> None:
        self.update(Content(plain(text)))


class SplitBar(Bar):
    """A text on the left, and one on the right that is never cut."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._texts = ("", "")

    def say_both(self, left: str, right: str) -> None:
        self._texts = (left, right)
        self._fit()

    def on_resize(self, event: events.Resize) -> None:
        self._fit()

    def _fit(self) -> None:
        left, right = self._texts
        room = max(0, self.content_size.width - cell_len(right) - 1)
        self.say(set_cell_size(left, room) + " " + right)


class NoticeBar(Bar):
    """What the user has to know now; it goes by itself."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._timer: Timer | None = None

    def tell(self, text: str, *, is_error: bool = False, stays: bool = False) -> None:
        self.set_class(is_error, "-error")
        self.say(text)
        self.display = bool(text)
        if self._timer is not None:
            self._timer.stop()
        self._timer = None if stays or not text else self.set_timer(NOTICE_S, lambda: self.tell(""))


class NewsBar(Bar):
    """Says that there is something new below what is seen."""

    class Pressed(Notice):
        """The user wants to see it."""

    def count(self, messages: int) -> None:
        self.display = messages > 0
        plural = "message" if messages == 1 else "messages"
        self.say(f"↓ {messages} new {plural} below (End)")

    def on_click(self) -> None:
        self.post_message(self.Pressed())
