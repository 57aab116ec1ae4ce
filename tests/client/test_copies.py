"""A copy ends as its original, whatever is repeated, replayed, overtaken or cut on the way (realtime 9.6, 9.7)."""

from __future__ import annotations

import tracemalloc
from collections import deque
from contextlib import ExitStack

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tertulia.client.sync.copies import MOST_HEARD, Copy, How, Key, Kind
from tertulia.client.sync.shapes import EventShape, ItemShape

from .shelf import Notes, Shelf, Told, open_copy

PAGE = 3


class Reading:
    """All items, page by page: begun now, each page as the server has it at some moment, taken in at a later one."""

    def __init__(self, copy: Copy, shelf: Shelf) -> None:
        self._copy = copy
        self._shelf = shelf
        self._context = ExitStack()
        self._since = self._context.enter_context(copy.reading())
        self._after: Key | None = None
        self._page: list[ItemShape] | None = None
        self.is_over = False

    def answer(self) -> None:
        """The server looks."""
        if self._page is None:
            self._page = self._shelf.page(self._after, PAGE)

    def lose(self) -> None:
        """The answer is lost with the connection; it is asked for again."""
        self._page = None

    def take(self) -> None:
        """The client gets to it."""
        if self._page is None or self.is_over:
            return
        page, self._page = self._page, None
        for item in page:
            now, _ = self._copy.load(item, self._since)
            if now is None:
                # Who is not given is not there, or is another by now.
                key = self._copy.key_of(item)
                assert key is not None
                held = self._shelf.items.get(key)
                assert held is None or held.created > item.last_event_id
        if len(page) < PAGE:
            self._context.close()
            self.is_over = True
        else:
            self._after = self._copy.key_of(page[-1])


class Play:
    """One copy, its server, and the line between them."""

    def __init__(self, kind: Kind, *, forgets: bool, from_state: bool) -> None:
        self.shelf = Shelf(kind)
        for key in "ab":
            self.shelf.put(key)
        self.opened_at = self.shelf.last
        self.notes = Notes(forgets=forgets)
        self.copy = open_copy(self.shelf, self.notes)
        self.readings = [] if forgets else [Reading(self.copy, self.shelf)]
        self.was_cut_in_replay = False
        self._from_state = from_state
        self._line: deque[tuple[str, Told | int]] = deque()
        self._delivered: list[tuple[str, Told]] = []
        self._is_listening = False

    def step(self, step: tuple[str, int]) -> None:
        name, number = step
        getattr(self, name)(number)

    def put(self, number: int) -> None:
        self._happens(self.shelf.put("abcd"[number % 4]))

    def change(self, number: int) -> None:
        if self.shelf.items:
            self._happens(self.shelf.change(self._key(number)))

    def remove(self, number: int) -> None:
        if self.shelf.items:
            self._happens(self.shelf.remove(self._key(number)))

    def establish(self, _: int) -> None:
        """Also while it is established, as happens after a while (realtime 9.4)."""
        for told in self.shelf.replay(self.copy.last_event_id, from_state=self._from_state):
            self._line.append(("replay", told))
        self._line.append(("established", self.shelf.last))
        self._is_listening = True

    def cut(self, _: int) -> None:
        self.was_cut_in_replay |= any(what == "established" for what, _ in self._line)
        self._line.clear()
        self._is_listening = self.copy.is_established = False
        for reading in self.readings:
            reading.lose()

    def hear(self, number: int) -> None:
        for _ in range(min(number + 1, len(self._line))):
            what, told = self._line.popleft()
            if isinstance(told, Told):
                self._delivered.append((what, told))
                self.copy.apply(told.type, told.event, replayed=what == "replay")
            else:
                self.copy.went_live(told)

    def hear_again(self, number: int) -> None:
        for what, told in self._delivered[-number - 1 :]:
            self.copy.apply(told.type, told.event, replayed=what == "replay")

    def read(self, _: int) -> None:
        self.readings.append(Reading(self.copy, self.shelf))

    def answer(self, number: int) -> None:
        if self.readings:
            self.readings[number % len(self.readings)].answer()

    def take(self, number: int) -> None:
        if self.readings:
            self.readings[number % len(self.readings)].take()

    def let_go(self, number: int) -> None:
        if self.notes.items:
            self.notes.let_go(list(self.notes.items)[number % len(self.notes.items)])

    def end(self) -> None:
        """The line holds at last, and everything that was asked for comes."""
        self.cut(0)
        self.establish(0)
        self.hear(10_000)
        for reading in self.readings:
            while not reading.is_over:
                reading.answer()
                reading.take()

    def _key(self, number: int) -> Key:
        return list(self.shelf.items)[number % len(self.shelf.items)]

    def _happens(self, told: Told) -> None:
        if self._is_listening:
            self._line.append(("live", told))


BEGIN = ("establish", 0)


def steps(*names: str) -> st.SearchStrategy[list[tuple[str, int]]]:
    return st.lists(st.tuples(st.sampled_from(names), st.integers(0, 5)), max_size=40)


ANYTHING = ("put", "change", "remove", "establish", "cut", "hear", "hear_again", "read", "answer", "take")


@pytest.mark.parametrize("kind", [Kind.MAP, Kind.LIST])
@given(what=steps(*ANYTHING), from_state=st.booleans())
# Came and went after the object was opened, and before anybody listened.
@example(what=[("put", 2), ("answer", 0), ("take", 0), ("remove", 2), BEGIN, ("hear", 5)], from_state=True)
# The same, and the answer that has it comes late.
@example(what=[("put", 2), ("answer", 0), ("remove", 2), BEGIN, ("hear", 5), ("take", 0)], from_state=True)
# Read as it came, and changed before it was told.
@example(what=[("put", 2), ("answer", 0), ("take", 0), ("change", 2), BEGIN], from_state=True)
# Read, and changed behind others before the replay has come as far.
@example(
    what=[("put", 2), ("answer", 0), ("change", 0), ("change", 2), BEGIN, ("hear", 0), ("take", 0)], from_state=True
)
# Taken away and heard of, then given back, and read before that is heard.
@example(what=[("remove", 0), BEGIN, ("hear", 0), ("put", 0), ("answer", 0), ("take", 0)], from_state=False)
# Taken away and given back, and read before either is heard.
@example(what=[("remove", 0), ("put", 0), ("put", 0), ("answer", 0), ("take", 0)], from_state=False)
@settings(max_examples=300)
def test_who_has_read_everything_has_what_the_server_has(
    kind: Kind, what: list[tuple[str, int]], from_state: bool
) -> None:
    play = Play(kind, forgets=False, from_state=from_state)
    for step in what:
        play.step(step)
    play.end()
    assert play.notes.items == {key: held.number for key, held in play.shelf.items.items()}
    assert play.copy.last_event_id == play.shelf.last
    for key, held in play.shelf.items.items():
        if held.created > play.opened_at:
            times = play.notes.announced(key)
            # What was changed after it was added comes behind others, and a replay that is cut may know it as changed.
            assert times == 1 or (times == 0 and from_state and play.was_cut_in_replay)


@pytest.mark.parametrize("kind", [Kind.MAP, Kind.LIST])
@given(what=steps(*ANYTHING, "let_go"), from_state=st.booleans())
# An answer that was given before a change, and comes after it.
@example(
    what=[BEGIN, ("hear", 0), ("read", 0), ("answer", 0), ("change", 0), ("hear", 0), ("take", 0)], from_state=False
)
# Told as new, let go, and told once more.
@example(what=[BEGIN, ("hear", 0), ("put", 2), ("hear", 0), ("let_go", 0), ("hear_again", 0)], from_state=True)
@settings(max_examples=300)
def test_who_holds_a_part_has_it_as_the_server_has_it(
    kind: Kind, what: list[tuple[str, int]], from_state: bool
) -> None:
    play = Play(kind, forgets=True, from_state=from_state)
    for step in what:
        play.step(step)
    play.end()
    now = {key: held.number for key, held in play.shelf.items.items()}
    assert play.notes.items.items() <= now.items()
    for key, held in play.shelf.items.items():
        if held.created > play.opened_at:
            assert play.notes.announced(key) <= 1


@given(what=steps("change", "establish", "cut", "hear", "hear_again", "overhear"), from_state=st.booleans())
@settings(max_examples=200)
def test_a_document_ends_as_the_server_has_it(what: list[tuple[str, int]], from_state: bool) -> None:
    play = DocumentPlay(from_state=from_state)
    for step in what:
        play.step(step)
    play.end()
    assert play.notes.content == play.shelf.last


class DocumentPlay(Play):
    def __init__(self, *, from_state: bool) -> None:
        super().__init__(Kind.LIST, forgets=True, from_state=from_state)
        self.shelf = Shelf(Kind.DOCUMENT)
        self.shelf.change("")
        self.notes = Notes()
        self.copy = open_copy(self.shelf, self.notes)

    def change(self, number: int) -> None:
        self._happens(self.shelf.change(""))

    def overhear(self, _: int) -> None:
        """An event that comes although nobody listens, out of order."""
        told = self.shelf.log[-1]
        self.copy.apply(told.type, told.event, replayed=False)


# --- one by one


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(Kind.MAP)


@pytest.fixture
def live(shelf: Shelf) -> Notes:
    """A copy of an empty map that hears every event, and has read all."""
    notes = Notes()
    open_copy(shelf, notes).went_live(shelf.last)
    return notes


def hear(notes: Notes, told: Told, *, replayed: bool = False) -> bool:
    return notes.copy.apply(told.type, told.event, replayed=replayed)


def test_what_comes_is_new_and_what_changes_is_not(shelf: Shelf, live: Notes) -> None:
    hear(live, shelf.put("a"))
    hear(live, shelf.change("a"))
    hear(live, shelf.remove("a"))
    assert live.told == [(How.ADDED, "a", 0), (How.UPDATED, "a", 1), (None, "a", -1)]


def test_what_was_read_before_its_event_is_still_told_as_new_as_it_is_by_now(shelf: Shelf, live: Notes) -> None:
    added, changed = shelf.put("a"), shelf.change("a")
    live.copy.load(shelf.item("a"))
    assert hear(live, added)
    assert not hear(live, changed)
    assert live.told == [(How.LOADED, "a", 1), (How.ADDED, "a", 1)]


def test_what_went_and_came_again_is_told_in_that_order_though_it_was_read_before(shelf: Shelf, live: Notes) -> None:
    hear(live, shelf.put("a"))
    went, came = shelf.remove("a"), shelf.put("a")
    live.copy.load(shelf.item("a"))
    hear(live, went)
    assert live.items == {}
    hear(live, came)
    assert live.told[-3:] == [(How.LOADED, "a", 2), (None, "a", -1), (How.ADDED, "a", 2)]


def test_a_removal_is_not_undone_by_an_answer_that_is_late(shelf: Shelf, live: Notes) -> None:
    hear(live, shelf.put("a"))
    with live.copy.reading() as since:
        answer = shelf.item("a")
        hear(live, shelf.remove("a"))
        assert live.copy.load(answer, since) == (None, False)
    assert live.items == {}


def test_an_answer_that_is_late_is_given_as_things_are_by_now(shelf: Shelf) -> None:
    notes = Notes(forgets=True)
    hear_all = open_copy(shelf, notes)
    hear_all.went_live(shelf.last)
    hear(notes, shelf.put("a"))
    notes.let_go("a")
    with hear_all.reading() as since:
        answer = shelf.item("a")
        hear(notes, shelf.change("a"))
        assert notes.items == {}
        now, was_news = hear_all.load(answer, since)
        assert was_news and now is not None and now.last_event_id == 1
    assert notes.items == {"a": 1}


def test_events_of_before_the_subscription_say_nothing_about_what_is_missing(shelf: Shelf) -> None:
    notes = Notes()
    copy = open_copy(shelf, notes)
    hear(notes, shelf.put("a"))
    assert notes.items == {"a": 0}
    # It was not told in order, so the next replay begins before it.
    assert copy.last_event_id == -1
    hear(notes, shelf.log[0], replayed=True)
    assert copy.last_event_id == 0
    assert notes.told == [(How.ADDED, "a", 0)]


def test_an_addition_of_what_is_known_is_a_change(shelf: Shelf, live: Notes) -> None:
    hear(live, shelf.put("a"))
    assert hear(live, Told("map_item_added", shelf.change("a").event))
    assert live.told[-1] == (How.UPDATED, "a", 1)


def test_what_came_and_went_between_opening_and_listening_does_not_stay(shelf: Shelf) -> None:
    notes = Notes()
    copy = open_copy(shelf, notes)
    with copy.reading() as since:
        shelf.put("a")
        copy.load(shelf.item("a"), since)
        again = shelf.item("a")
        shelf.remove("a")
        for told in shelf.replay(copy.last_event_id, from_state=True):
            hear(notes, told, replayed=True)
        assert notes.items == {"a": 0}
        assert copy.went_live(shelf.last) == ["a"]
        # Another answer of that time is of no more use.
        assert copy.load(again, since) == (None, False)
    assert notes.items == {}


def test_what_is_read_amid_a_replay_and_was_told_by_it_stays(shelf: Shelf) -> None:
    notes = Notes(forgets=True)
    copy = open_copy(shelf, notes)
    shelf.put("a")
    shelf.put("b")
    hear(notes, shelf.log[0], replayed=True)
    notes.let_go("a")
    with copy.reading() as since:
        copy.load(shelf.item("a"), since)
    hear(notes, shelf.log[1], replayed=True)
    assert copy.went_live(shelf.last) == []
    assert notes.items == {"a": 0, "b": 1}


def test_an_event_for_another_kind_of_object_changes_nothing(shelf: Shelf, live: Notes) -> None:
    hear(live, shelf.put("a"))
    assert not live.copy.apply("list_item_removed", EventShape(7, "then", item_index=0), replayed=False)
    assert not live.copy.apply("document_updated", EventShape(7, "then"), replayed=False)
    assert not live.copy.apply("map_item_removed", EventShape(7, "then", item_index=0), replayed=False)
    assert not live.copy.apply("map_item_updated", EventShape(8, "then", item_index=0), replayed=False)
    assert live.copy.load(ItemShape(msgspec.Raw(b"9"), 9, index=3)) == (None, False)
    assert live.items == {"a": 0}


def test_events_of_a_kind_that_is_not_known_count_and_say_nothing(shelf: Shelf, live: Notes) -> None:
    assert not live.copy.apply("map_context_updated", EventShape(4, "then"), replayed=False)
    assert live.copy.last_event_id == 4
    assert live.told == []


def test_a_server_that_was_set_back_is_followed_on_from_there(shelf: Shelf, live: Notes) -> None:
    for key in "abc":
        hear(live, shelf.put(key))
    hear(live, shelf.change("a"))
    shelf.forget_after(1)
    live.copy.fall_back(shelf.last)
    live.copy.went_live(shelf.last)
    assert live.copy.is_doubtful
    assert live.copy.doubtful() == ["a", "c"]
    assert hear(live, shelf.change("b"))
    with live.copy.reading() as since:
        live._newest.clear()
        for item in shelf.page(None, 10):
            live.copy.load(item, since)
    for missing in live.copy.doubtful():
        live.copy.gone(missing)
    assert live.items == {key: held.number for key, held in shelf.items.items()}


def test_what_is_read_ahead_of_its_events_does_not_pile_up() -> None:
    """Of a server whose events never come as far as its answers."""
    shelf = Shelf(Kind.LIST)
    notes = Notes(forgets=True)
    copy = open_copy(shelf, notes)
    copy.went_live(shelf.last)
    tracemalloc.start()
    for index in range(5000):
        copy.load(ItemShape(msgspec.Raw(b"7" + b" " * 10_000), 7, "then", None, index))
        notes.let_go(index)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 10_000_000


def test_a_read_that_is_overrun_says_so_and_the_next_is_as_any(shelf: Shelf, live: Notes) -> None:
    with live.copy.reading():
        for number in range(MOST_HEARD + 1):
            event = EventShape(number, "then", item_key=f"{number}")
            live.copy.apply("map_item_removed", event, replayed=False)
        told = [live.copy.is_overrun]
    told.append(live.copy.is_overrun)
    with live.copy.reading():
        hear(live, shelf.put("a"))
        told.append(live.copy.is_overrun)
    assert told == [True, False, False]


def test_what_a_copy_says_of_itself_holds_no_content(shelf: Shelf, live: Notes) -> None:
    hear(live, shelf.put("a"))
    assert repr(live.copy) == "<Copy map MP1 at 0>"
