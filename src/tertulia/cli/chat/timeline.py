"""The messages of the open conversation: which are here, how older ones come, and all of them as lines."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from tertulia.client import Conversation, ConversationStatus, Message

from . import names, times
from .lines import Key, Line, right_aligned, rule
from .message_lines import author_line, message_lines, pending_lines

if TYPE_CHECKING:
    from tertulia.client.pending import PendingMessage

PAGE: Final = 50
MOST: Final = 500
"""How many messages are held at a time, however many come: those around what is seen."""
TOGETHER: Final = timedelta(minutes=5)
"""Messages of one author within this time stand under one name."""


class Timeline:
    """One conversation while it is open. Messages are live objects; lines of them are remembered until they change.

    It holds messages that follow each other, ``MOST`` of them at most. When there are more it lets the oldest go, which
    can be brought again, or the newest, if the user is up among the old: then it ``is_cut``, and takes nothing new
    until it is loaded again.
    """

    def __init__(self, conversation: Conversation, me: str) -> None:
        self.conversation = conversation
        self._me = me
        self._messages: dict[int, Message] = {}
        self._lines: dict[int, tuple[int, list[Line]]] = {}
        """By index: the width they were made for, and the lines."""
        self._first: int | None = None
        """From which index on everything is here; None before anything was loaded."""
        self._has_older = False
        self.is_cut = False
        self._new_from: int | None = None
        self._is_loading = False

    @property
    def is_loaded(self) -> bool:
        """Whether the newest messages are here."""
        return self._first is not None

    @property
    def has_older(self) -> bool:
        return self._has_older

    @property
    def newest(self) -> int | None:
        """The index of the newest message that is here."""
        return max(self._messages, default=None)

    def message(self, key: Key | None) -> Message | None:
        return self._messages.get(key) if isinstance(key, int) else None

    def pending(self, key: Key | None) -> PendingMessage | None:
        return next((each for each in self.conversation.pending_messages if each.id == key), None)

    def keys(self) -> list[Key]:
        """What can be chosen, in the order of the view."""
        return [*sorted(self._messages), *(each.id for each in self.conversation.pending_messages)]

    def newest_first(self) -> list[Message]:
        return [self._messages[index] for index in sorted(self._messages, reverse=True)]

    def is_own(self, message: Message) -> bool:
        return message.author == self._me

    async def load(self) -> None:
        """Bring the newest messages; until they are here, what was here or is known is. Raises errors of the client."""
        if self.conversation.status is not ConversationStatus.JOINED or self._is_loading:
            return
        known = self.conversation.loaded_messages
        if not self.is_loaded:
            self._take(known.values())
        self._is_loading = True
        try:
            page = await self.conversation.messages_page(PAGE)
        finally:
            self._is_loading = False
        horizon = self.conversation.last_read_message_index
        # Between the page and what was known before some may be missing; what came meanwhile is known by its events.
        self._first = first = page[-1].index if page else 0
        self._has_older, self.is_cut = page.has_next, False
        self._messages, self._lines = {}, {}
        self._take([*(known[index] for index in known if index >= first), *page])
        self._make_room(at_newest=True)
        unread = [index for index in self._messages if horizon is not None and index > horizon]
        self._new_from = min((index for index in unread if not self.is_own(self._messages[index])), default=None)

    async def load_older(self) -> None:
        """Bring the page before the oldest message. Raises errors of the client."""
        first = self._first
        if first is None or not self._has_older:
            return
        page = await self.conversation.messages_page(PAGE, anchor=first - 1)
        if self._first != first:
            return  # Loaded anew meanwhile, or older ones were let go: this page does not go with what is here.
        self._first = page[-1].index if page else 0
        self._has_older = page.has_next
        self._take(page)
        self._make_room(at_newest=False)

    def added(self, message: Message, *, at_newest: bool) -> None:
        """A new one, while the end of the conversation is seen, or not."""
        if not self.is_cut:
            self._take([message])
            self._make_room(at_newest=at_newest)

    def changed(self, message: Message) -> None:
        self._lines.pop(message.index, None)

    def removed(self, message: Message) -> None:
        self._forget(message.index)

    def _take(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self._messages[message.index] = message

    def _forget(self, index: int) -> None:
        self._messages.pop(index, None)
        self._lines.pop(index, None)

    def _make_room(self, *, at_newest: bool) -> None:
        too_many = len(self._messages) - MOST
        if too_many <= 0:
            return
        here = sorted(self._messages)
        for index in here[:too_many] if at_newest else here[-too_many:]:
            self._forget(index)
        if not at_newest:
            self.is_cut = True
        elif self.is_loaded:
            self._first, self._has_older = here[too_many], True

    # --- as lines

    def lines(self, width: int, now: datetime) -> list[Line]:
        """Everything from the oldest message that is here to what waits to be sent."""
        lines: list[Line] = []
        readers = self._readers()
        if self.is_loaded:
            beginning = "loading older messages …" if self.has_older else "the beginning"
            lines.append(rule(beginning, width, "dim"))
        shown_day: date | None = None
        before: Message | None = None
        for index in sorted(self._messages):
            message = self._messages[index]
            written = message.date_created
            if written is not None and times.day(written) != shown_day:
                shown_day = times.day(written)
                lines.append(rule(times.day_name(shown_day, times.day(now)), width, "day"))
                before = None
            if index == self._new_from:
                lines.append(rule("new", width, "new"))
                before = None
            if before is None or not _go_together(before, message):
                clock = "" if written is None else times.clock(written)
                lines.append(author_line(message.author, clock, is_own=self.is_own(message), key=index))
            lines += self._lines_of(message, width)
            if index in readers:
                lines.append(right_aligned(f"✓ read by {names.listed(readers[index])}", width, "dim", index))
                before = None
            else:
                before = message
        if self.is_cut:
            lines.append(rule("loading newer messages …", width, "dim"))
        for pending in self.conversation.pending_messages:
            why = None if pending.error is None else str(pending.error)
            lines.append(author_line(self._me, times.clock(pending.created_at), is_own=True, key=pending.id))
            lines += pending_lines(pending, width, why)
        return lines

    def _lines_of(self, message: Message, width: int) -> list[Line]:
        known = self._lines.get(message.index)
        if known is None or known[0] != width:
            known = self._lines[message.index] = width, list(message_lines(message, width))
        return known[1]

    def _readers(self) -> dict[int, list[str]]:
        """Who of the others has read up to which of the messages that are here."""
        readers: dict[int, list[str]] = defaultdict(list)
        here = sorted(self._messages)
        for participant in self.conversation.participants.values():
            horizon = participant.last_read_message_index
            if participant.identity == self._me or horizon is None:
                continue
            # Of removed messages it is the one before.
            place = bisect_right(here, horizon)
            if place:
                readers[here[place - 1]].append(names.of_participant(participant))
        return {index: sorted(who) for index, who in readers.items()}


def _go_together(before: Message, message: Message) -> bool:
    if before.author != message.author or before.date_created is None or message.date_created is None:
        return False
    began, written = map(times.in_utc_unless_told, (before.date_created, message.date_created))
    return written - began < TOGETHER
