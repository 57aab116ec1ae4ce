"""The view of the messages: it shows lines, keeps its place when lines come and go, and lets one message be chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message as Notice
from textual.scroll_view import ScrollView
from textual.strip import Strip

from .lines import Key, Line

Source = Callable[[int], list[Line]]
"""The lines for a view of this width."""


class History(ScrollView, can_focus=True):
    """Draws only what is seen, so that it is as quick with ten thousand lines as with ten."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "choose(-1)", "choose", show=False),
        Binding("down", "choose(1)", "choose", show=False),
        Binding("pageup", "page_up", show=False),
        Binding("pagedown", "page_down", show=False),
        Binding("home", "scroll_home", show=False),
        Binding("end", "to_newest", show=False),
        Binding("e", "wish('edit')", show=False),
        Binding("delete", "wish('delete')", show=False),
        Binding("escape", "leave", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"history--{style}"
        for style in (
            *("body", "author", "own", "dim", "day", "new", "subject", "file", "pending", "failed"),
            "chosen",
        )
    }

    class TopReached(Notice):
        """There is nothing above any more."""

    class Moved(Notice):
        """Another part is seen, perhaps the newest."""

    class Chose(Notice):
        """Another message is chosen, or none."""

    class Left(Notice):
        """The user is done here."""

    class Wished(Notice):
        """The user wants something done with the chosen message."""

        def __init__(self, command: str) -> None:
            super().__init__()
            self.command = command

    def __init__(self, source: Source, *, id: str) -> None:
        super().__init__(id=id)
        self._source = source
        self._shown: list[Line] = []
        self._follows = True
        self.chosen: Key | None = None

    @property
    def is_at_newest(self) -> bool:
        """Whether the last line is seen."""
        return self.scroll_offset.y >= self._lowest

    @property
    def _lowest(self) -> int:
        return max(0, len(self._shown) - self.scrollable_content_region.height)

    @property
    def shown(self) -> list[Line]:
        return self._shown

    def redraw(self) -> None:
        """Show what there is now: the newest stays in sight if it was, else what is seen stays where it is."""
        width = self.scrollable_content_region.width
        if width < 1:
            return
        anchor = None if self._follows else self._anchor()
        self._shown = self._source(width)
        if self.chosen is not None and all(line.key != self.chosen for line in self._shown):
            self.chosen = None
        self.virtual_size = Size(width, len(self._shown))
        top = self._lowest if anchor is None else self._place_of(*anchor)
        self.scroll_to(y=top, animate=False, force=True)
        self.refresh()
        self._tell()

    def to_newest(self) -> None:
        self._follows = True
        self.scroll_to(y=self._lowest, animate=False, force=True)
        self._tell()

    def choose_none(self) -> None:
        self.chosen = None
        self.refresh()
        self.post_message(self.Chose())

    def forget(self) -> None:
        """Another conversation: begin at its newest message."""
        self.chosen = None
        self._follows = True

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        # Few lines stand at the bottom, next to where one writes.
        place = y + self.scroll_offset.y - max(0, self.scrollable_content_region.height - len(self._shown))
        if not 0 <= place < len(self._shown):
            return Strip.blank(width, self.rich_style)
        line = self._shown[place]
        chosen = line.key is not None and line.key == self.chosen
        ground = self.get_component_rich_style("history--chosen") if chosen else self.rich_style
        segments = [Segment(piece.text, self._style(piece.style, ground if chosen else None)) for piece in line.pieces]
        return Strip(segments).extend_cell_length(width, ground).crop(0, width)

    def _style(self, name: str, ground: Style | None) -> Style:
        style = self.get_component_rich_style(f"history--{name}")
        return style if ground is None else style + Style(bgcolor=ground.bgcolor)

    # --- moving

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self._follows = self.is_at_newest
            self._tell()

    def on_resize(self, event: events.Resize) -> None:
        self.redraw()

    def on_click(self, event: events.Click) -> None:
        place = event.y + self.scroll_offset.y - max(0, self.scrollable_content_region.height - len(self._shown))
        if 0 <= place < len(self._shown):
            self.chosen = self._shown[place].key
            self.refresh()
            self.post_message(self.Chose())

    def action_choose(self, step: int) -> None:
        keys = list(dict.fromkeys(line.key for line in self._shown if line.key is not None))
        if not keys:
            return
        at = keys.index(self.chosen) + step if self.chosen in keys else len(keys) - 1
        if at >= len(keys):
            self.chosen = None
            self.to_newest()
        else:
            self.chosen = keys[max(0, at)]
            self._bring_into_sight()
        self.refresh()
        self.post_message(self.Chose())
        if at <= 0:
            self.scroll_to(y=0, animate=False, force=True)
            self.post_message(self.TopReached())

    def action_page_up(self) -> None:
        self.scroll_to(y=self.scroll_offset.y - self._page, animate=False, force=True)
        if self.scroll_offset.y == 0:
            self.post_message(self.TopReached())

    def action_page_down(self) -> None:
        self.scroll_to(y=self.scroll_offset.y + self._page, animate=False, force=True)

    def action_to_newest(self) -> None:
        self.to_newest()

    def action_leave(self) -> None:
        self.choose_none()
        self.post_message(self.Left())

    def action_wish(self, command: str) -> None:
        if self.chosen is not None:
            self.post_message(self.Wished(command))

    @property
    def _page(self) -> int:
        return max(1, self.scrollable_content_region.height - 2)

    def _bring_into_sight(self) -> None:
        places = [place for place, line in enumerate(self._shown) if line.key == self.chosen]
        top, height = self.scroll_offset.y, self.scrollable_content_region.height
        if places[0] < top:
            self.scroll_to(y=places[0], animate=False, force=True)
        elif places[-1] >= top + height:
            self.scroll_to(y=places[-1] - height + 1, animate=False, force=True)

    def _anchor(self) -> tuple[Key, int] | None:
        """The first line in sight that belongs to something, as how far it is below the top."""
        top = self.scroll_offset.y
        for place in range(top, len(self._shown)):
            key = self._shown[place].key
            if key is not None:
                first = next(at for at, line in enumerate(self._shown) if line.key == key)
                return key, first - top
        return None

    def _place_of(self, key: Key, below: int) -> int:
        first = next((place for place, line in enumerate(self._shown) if line.key == key), None)
        return min(self._lowest, max(0, self.scroll_offset.y if first is None else first - below))

    def _tell(self) -> None:
        if self.scroll_offset.y <= 0:
            self.post_message(self.TopReached())
        self.post_message(self.Moved())
