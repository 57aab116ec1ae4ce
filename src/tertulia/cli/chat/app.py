"""The application: it hears the client's events and shows what they come to, and passes on what the user wants."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import ClassVar

from textual import events, on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message as Notice
from textual.timer import Timer
from textual.widgets import OptionList, TextArea

from tertulia.cli.failure import CommandFailed, because
from tertulia.cli.plain import plain_name
from tertulia.client import ClientState, Conversation, ConversationsClient, Message
from tertulia.client import events as told
from tertulia.client.errors import ConversationsError
from tertulia.client.pending import PendingMessage

from . import deeds, emptiness, names, reading, times
from .bars import NewsBar, NoticeBar, SplitBar
from .commands import NotUnderstood, Say, Wish, understood
from .composer import Composer
from .connection import Connectivity
from .help import Help
from .history import History
from .lines import Line
from .opening import Opening
from .overview import Overview
from .sidebar import Row, Sidebar
from .switcher import Switcher
from .timeline import Timeline

REDRAW_S = 0.03
"""What happens within this time is shown together."""


def _now() -> datetime:
    return datetime.now(UTC)


class Heard(Notice):
    """The client told something."""

    def __init__(self, event: told.Event) -> None:
        super().__init__()
        self.event = event


class ChatApp(App[None]):
    """One login, until the user ends it."""

    CSS_PATH = "styles.tcss"
    TITLE = "tertulia"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (80, "-wide")]  # noqa: RUF012 (no ClassVar in the base class)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+k", "switch", "go to", show=False, priority=True),
        Binding("ctrl+up", "step(-1)", show=False, priority=True),
        Binding("ctrl+down", "step(1)", show=False, priority=True),
        Binding("f1", "help", show=False),
    ]

    def __init__(
        self,
        client: ConversationsClient,
        first: str | None = None,
        clock: Callable[[], datetime] | None = None,
        why: Callable[[BaseException], str] = because,
    ) -> None:
        super().__init__()
        self.client = client
        self.failure: BaseException | None = None
        """Why it ended, unless the user wanted it to."""
        # Held, because a search would look into whatever page lies above them.
        self._top, self._title, self._typing = SplitBar(id="top"), SplitBar(id="title"), SplitBar(id="typing")
        self._sidebar, self._history = Sidebar(id="sidebar"), History(self._lines, id="history")
        self._news_bar, self._notice, self._composer = (
            NewsBar(id="news"),
            NoticeBar(id="notice"),
            Composer(id="composer"),
        )
        self._opening = Opening(client, first)
        self._why = why
        self._now = clock or _now
        self._timeline: Timeline | None = None
        self._overview = Overview(client)
        self._connectivity = Connectivity()
        self._news = 0
        self._redraw: Timer | None = None
        self._redraw_took_s = 0.0
        self._day = times.day(self._now())
        self._typed_at = 0.0
        self._is_loading = False
        self._reported: tuple[str, int] | None = None

    def compose(self) -> ComposeResult:
        yield self._top
        with Horizontal():
            yield self._sidebar
            with Vertical():
                yield self._title
                yield self._history
                yield self._news_bar
                yield self._typing
                yield self._notice
                yield self._composer

    def on_mount(self) -> None:
        self.client.on(told.Event, self._pass_on)
        self._composer.focus()
        self._show_top()
        self._show_title()
        self.set_interval(1, self._each_second)
        self.run_worker(self._begin(), exclusive=False)

    def _pass_on(self, event: told.Event) -> None:
        self.post_message(Heard(event))

    async def _begin(self) -> None:
        try:
            await self.client.start()
        except ConversationsError as error:
            self._end_with(CommandFailed(self._why(error)))
            return
        await self._attempt(self._open_named)

    async def _open_named(self) -> None:
        conversation = await self._opening.ask()
        if conversation is not None:
            self.open_conversation(conversation)

    def _open_first(self) -> None:
        conversation = self._opening.found(is_connected=self._connectivity.is_connected)
        if conversation is not None:
            self.open_conversation(conversation)

    # --- what the deeds need

    @property
    def timeline(self) -> Timeline | None:
        return self._timeline

    @property
    def chosen(self) -> Message | PendingMessage | None:
        key = self._history.chosen
        if self._timeline is None or key is None:
            return None
        return self._timeline.message(key) or self._timeline.pending(key)

    def tell(self, text: str, *, is_error: bool = False, stays: bool = False) -> None:
        self._notice.tell(text, is_error=is_error, stays=stays)

    def open_conversation(self, conversation: Conversation) -> None:
        """Show this one, from its newest message."""
        self._opening.is_over = True
        if self._timeline is not None and self._timeline.conversation is conversation:
            self._composer.focus()
            return
        self._timeline = timeline = Timeline(conversation, self.client.identity)
        self._news = 0
        if self._composer.edited is not None:
            self._composer.done()
        self._composer.focus()
        self._history.forget()
        self._changed()
        self.run_worker(self._load(timeline))

    def begin_edit(self, message: Message) -> None:
        self._history.choose_none()
        self._composer.change(message)

    def show_help(self) -> None:
        self.push_screen(Help(), lambda _: self._looked_at())

    # --- what the client tells

    @on(Heard)
    def _hear(self, heard: Heard) -> None:
        event, timeline = heard.event, self._timeline
        match event:
            case told.ConnectionStateChanged() | told.ConnectionErrorOccurred() | told.ClientReady():
                self._connectivity.hear(event)
                self._show_top()
                self._read()
                if timeline is not None and self._connectivity.is_connected and not timeline.is_loaded:
                    self.run_worker(self._load(timeline))
                if timeline is not None:
                    return  # what is shown is not different by that
            case told.TokenUpdateFailed():
                self.tell(f"no new token: {because(event.error)}", is_error=True, stays=True)
                return
            case told.TypingStarted() | told.TypingEnded():
                self._show_typing()
                return
            case told.MessageAdded() if timeline is not None and event.message.conversation is timeline.conversation:
                timeline.added(event.message, at_newest=self._history.is_at_newest)
                if not self._history.is_at_newest and not timeline.is_own(event.message):
                    self._news += 1
            case told.MessageUpdated() if timeline is not None and event.message.conversation is timeline.conversation:
                timeline.changed(event.message)
            case told.MessageRemoved() if timeline is not None and event.message.conversation is timeline.conversation:
                timeline.removed(event.message)
            case told.MessageFailed():
                self.tell(f"a message was refused: {because(event.error)}", is_error=True)
            case told.ConversationLeft() | told.ConversationRemoved():
                if timeline is not None and event.conversation is timeline.conversation:
                    self._timeline = None
            case _:
                pass
        self._changed()

    def _changed(self) -> None:
        """Something is different; it is shown soon, with what else comes until then."""
        if self._redraw is None:
            # With thousands of conversations showing takes its time, and keys have to come through in between.
            self._redraw = self.set_timer(max(REDRAW_S, 3 * self._redraw_took_s), self._show_all)

    def _show_all(self) -> None:
        self._redraw = None
        began = time.monotonic()
        self._show_known()
        self._redraw_took_s = time.monotonic() - began

    def _show_known(self) -> None:
        if not self._is_ready:
            return
        self._open_first()
        self._sidebar.show(self._rows())
        self._show_title()
        self._show_typing()
        if self._sees_newest:
            self._news = 0
        self._history.redraw()
        self._news_bar.count(self._news)
        self._read()

    def _rows(self) -> list[Row]:
        is_open = None if self._timeline is None else self._timeline.conversation
        return self._overview.rows(self._now(), is_open)

    def _lines(self, width: int) -> list[Line]:
        if self._timeline is None:
            return emptiness.lines(self.client, width)
        return self._timeline.lines(width, self._now())

    def _show_top(self) -> None:
        who = plain_name(self.client.identity) if self._is_ready else ""
        self._top.say_both(f"Tertulia  {who}", self._connectivity.words(self.client.retries_in))
        self._top.set_class(not self._connectivity.is_connected, "-away")
        self._top.set_class(self._connectivity.is_denied, "-denied")

    def _each_second(self) -> None:
        if not self._connectivity.is_connected:
            self._show_top()
        if (today := times.day(self._now())) != self._day:
            self._day = today
            self._changed()

    def _show_title(self) -> None:
        if self._timeline is None:
            self._title.say_both(emptiness.title(self.client), "")
            return
        conversation = self._timeline.conversation
        me = self.client.identity
        who = names.listed(names.others(conversation, me))
        closed = conversation.state is not None and conversation.state.current == "closed"
        self._title.say_both(
            names.of_conversation(conversation, me), f"with {who}" if who and not closed else "closed" if closed else ""
        )

    def _show_typing(self) -> None:
        who: list[str] = []
        if self._timeline is not None:
            participants = self._timeline.conversation.participants.values()
            me = self.client.identity
            who = sorted(names.of_participant(each) for each in participants if each.is_typing and each.identity != me)
        verb = "is" if len(who) == 1 else "are"
        hint = "e edit · Del take back · Esc return" if self.chosen is not None else ""
        self._typing.say_both(f"{names.listed(who)} {verb} typing …" if who else "", hint)

    # --- what the user wants

    async def on_event(self, event: events.Event) -> None:
        if self._is_writing(event):
            self.screen.set_focus(self._composer)
        await super().on_event(event)

    def _is_writing(self, event: events.Event) -> bool:
        """Whether somebody begins to write with the list or the messages in focus: it goes where one writes."""
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded or len(self.screen_stack) != 1:
            return False
        if isinstance(event, events.Key) and not event.is_printable:
            return False
        if self.focused is self._history:
            # A message that is chosen has keys of its own.
            return self._history.chosen is None
        return self.focused is self._sidebar

    @on(OptionList.OptionSelected, "#sidebar")
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self._go_to(event.option.id)

    def _go_to(self, sid: str | None) -> None:
        conversation = self.client.known_conversations.get(sid or "") if self._is_ready else None
        if conversation is not None:
            self.open_conversation(conversation)

    def action_switch(self) -> None:
        if self._is_ready and len(self.screen_stack) == 1:
            self.push_screen(Switcher(self._rows()), self._switched)

    def _switched(self, sid: str | None) -> None:
        self._go_to(sid)
        self._looked_at()

    def action_step(self, step: int) -> None:
        if not self._is_ready or len(self.screen_stack) > 1:
            return
        rows = self._rows()
        at = next((place for place, row in enumerate(rows) if row.is_open), None)
        if rows:
            self._go_to(rows[0 if at is None else (at + step) % len(rows)].sid)

    def action_help(self) -> None:
        if len(self.screen_stack) == 1:
            self.show_help()

    @on(Composer.Submitted)
    def _submitted(self, event: Composer.Submitted) -> None:
        edited, timeline = self._composer.edited, self._timeline
        try:
            meant = Say(event.text) if edited is not None else understood(event.text)
        except NotUnderstood as error:
            self.tell(str(error), is_error=True)
            return
        if meant is None:
            return
        if not self._is_ready:
            self.tell("not connected yet", is_error=True)
            return
        if isinstance(meant, Say):
            if timeline is None:
                self.tell(f"{deeds.NOTHING_OPEN}; your text stays here", is_error=True)
                return
            self._composer.done()
            if edited is not None:
                message = edited
                self._soon(lambda: message.edit(body=meant.text))
            else:
                self._history.to_newest()
                self._soon(lambda: timeline.conversation.post(meant.text))
            return
        self._composer.done()
        self._soon(lambda: deeds.do(meant, self))

    @on(TextArea.Changed, "#composer")
    def _typed(self) -> None:
        timeline = self._timeline
        if (
            not self._composer.text
            or self._composer.text.startswith("/")
            or self._composer.edited is not None
            or timeline is None
        ):
            return
        # The client tells the server seldom enough; here it only saves a task for each key.
        if (now := time.monotonic()) - self._typed_at >= 1:
            self._typed_at = now
            self.run_worker(self._tell_typing(timeline.conversation))

    async def _tell_typing(self, conversation: Conversation) -> None:
        # That it could not be shown is no reason to disturb who writes.
        with contextlib.suppress(ConversationsError):
            await conversation.typing()

    @on(Composer.WentUp)
    def _choose(self) -> None:
        self._history.focus()
        self._history.action_choose(-1)

    @on(History.Chose)
    def _chose(self) -> None:
        self._show_typing()

    @on(History.Left)
    def _write(self) -> None:
        self._composer.focus()

    @on(History.Wished)
    def _wish(self, event: History.Wished) -> None:
        wish = understood(f"/{event.command}")
        if isinstance(wish, Wish):
            self._soon(lambda: deeds.do(wish, self))

    @on(NewsBar.Pressed)
    def _show_news(self) -> None:
        self._history.to_newest()

    @on(History.TopReached)
    def _at_top(self) -> None:
        timeline = self._timeline
        if timeline is not None and timeline.has_older and not self._is_loading:
            self._is_loading = True
            self.run_worker(self._load_older(timeline))

    @on(History.Moved)
    def _moved(self) -> None:
        timeline = self._timeline
        if timeline is not None and timeline.is_cut and self._history.is_at_newest:
            self.run_worker(self._load(timeline))
        elif self._sees_newest:
            self._news = 0
            self._news_bar.count(0)
            self._read()

    @on(events.AppFocus)
    def _looked_at(self) -> None:
        self.call_later(self._read)  # when the page that lay above is gone

    # --- what takes time

    def _soon(self, work: Callable[[], Awaitable[object]]) -> None:
        self.run_worker(self._do(work))

    async def _do(self, work: Callable[[], Awaitable[object]]) -> None:
        if await self._attempt(work):
            self._changed()  # not all of it makes an event

    async def _attempt(self, work: Callable[[], Awaitable[object]]) -> bool:
        """Do it, and say why when it cannot be done. Whether it could."""
        try:
            await work()
            return True
        except (deeds.NotPossible, CommandFailed, ConversationsError, OSError) as error:
            self.tell(str(error) if isinstance(error, deeds.NotPossible) else self._why(error), is_error=True)
            return False

    async def _load(self, timeline: Timeline) -> None:
        # What could not be loaded is tried again when something happens, not because nothing has changed.
        if await self._attempt(timeline.load) and timeline is self._timeline and not timeline.is_cut:
            self._changed()

    async def _load_older(self, timeline: Timeline) -> None:
        try:
            is_here = await self._attempt(timeline.load_older)
        finally:
            self._is_loading = False
        if is_here and timeline is self._timeline:
            self._changed()

    def _read(self) -> None:
        """Move the read horizon if the newest message is in sight, and somebody looks."""
        timeline = self._timeline
        if timeline is None or not self._is_ready or not self._connectivity.is_connected:
            return
        if not self.app_focus or len(self.screen_stack) > 1 or not self._history.is_at_newest:
            return
        upto = reading.to_report(timeline.conversation, timeline.newest)
        if upto is not None and (timeline.conversation.sid, upto) != self._reported:
            self._reported = (timeline.conversation.sid, upto)
            self.run_worker(self._report(timeline.conversation, upto))

    async def _report(self, conversation: Conversation, upto: int) -> None:
        try:
            await conversation.advance_read_horizon(upto)
        except ConversationsError:
            # It is tried again when the connection is back, or with the next message.
            self._reported = None

    @property
    def _sees_newest(self) -> bool:
        """Whether the end of what is shown is in sight, and is the end of the conversation."""
        return self._timeline is not None and not self._timeline.is_cut and self._history.is_at_newest

    @property
    def _is_ready(self) -> bool:
        return self.client.state is ClientState.READY

    def _end_with(self, error: BaseException) -> None:
        self.failure = error
        self.exit(return_code=1)

    def _fatal_error(self) -> None:
        # Textual would print the values of local variables as well, among which a token may be.
        if self.failure is None:
            self.failure = sys.exception()
        self._close_messages_no_wait()
