"""What is followed gets established, and only that, whatever is lost, refused or interrupted (realtime 9.4, 9.5)."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tertulia.client.sync.copies import Copy
from tertulia.client.sync.shapes import EventShape, Failure
from tertulia.client.sync.subscriptions import LONGEST_PAUSE_S, Batch, Subscriptions

from .subscribing import Line, body

AFTER_AN_HOUR_S = 3600.0
SIDS = ["MP1", "MP2", "MP3", "MP4"]


class Server:
    """Answers batches in its own time. It follows what it was asked to, as long as the connection holds."""

    def __init__(self) -> None:
        self.there = set(SIDS)
        self.live: set[str] = set()
        self.says: deque[tuple[str, EventShape, int]] = deque()
        self.lasts = dict.fromkeys(SIDS, 0)

    def take(self, batch: Batch, whim: int) -> None:
        told = body(batch)
        for place, request in enumerate(told["requests"]):
            sid = request["object_sid"]
            event = EventShape(object_sid=sid, object_type="map")
            fate = (whim + place) % 4
            if told["action"] == "cancel":
                self.live.discard(sid)
                self._say("canceled", event, batch)
            elif sid not in self.there:
                event.error = Failure(404)
                self._say("failed", event, batch)
            elif fate == 1:
                event.error = Failure(500)
                self.live.discard(sid)
                self._say("failed", event, batch)
            elif fate == 2:
                event.replay_status = "interrupted"
                self.live.discard(sid)
                self._say("established", event, batch)
            else:
                event.replay_status, event.last_event_id = "completed", self.lasts[sid]
                self.live.add(sid)
                self._say("established", event, batch)

    def _say(self, what: str, event: EventShape, batch: Batch) -> None:
        self.says.append((what, event, batch.correlation_id))

    def lose(self) -> None:
        self.live.clear()
        self.says.clear()


class Play:
    """A client that follows and leaves, its server, and what may go wrong between them."""

    def __init__(self) -> None:
        self.line = Line()
        self.server = Server()
        self.followed: dict[str, Copy] = {}

    @property
    def subscriptions(self) -> Subscriptions:
        return self.line.subscriptions

    def follow(self, number: int) -> None:
        sid = SIDS[number % len(SIDS)]
        if sid not in self.followed:
            [self.followed[sid]] = self.line.follow(sid)

    def leave(self, number: int) -> None:
        copy = self.followed.pop(SIDS[number % len(SIDS)], None)
        if copy is not None:
            self.subscriptions.unfollow(copy)

    def vanish(self, number: int) -> None:
        self.server.there.discard(SIDS[number % len(SIDS)])

    def lose(self, _: int) -> None:
        self.server.lose()
        self.subscriptions.lost()

    def connect(self, _: int) -> None:
        self.server.lose()
        self.subscriptions.connected(self.line.now)

    def pass_time(self, number: int) -> None:
        self.line.pass_time((0.01, 0.1, 1.0, 20.0, 200.0, AFTER_AN_HOUR_S + 1)[number])

    def say(self, fate: int, whim: int = 0) -> None:
        """A batch is said, if there is one: to nobody, to one who is busy, or to one who does as he is told."""
        batch = self.line.batch()
        if batch is None:
            return
        if fate in (1, 2, 3):
            self.server.take(batch, whim)
        if fate in (0, 1):  # refused, or done, and the answer lost
            self.subscriptions.not_accepted(batch.correlation_id, self.line.now, (None, 503)[fate])
        elif fate == 4:
            self.subscriptions.not_accepted(batch.correlation_id, self.line.now, 400)
        elif batch.action == "establish":  # with 5 it is taken, and forgotten
            self.line.accept(batch, ttl_in_s=AFTER_AN_HOUR_S)

    def say_strangely(self, whim: int) -> None:
        self.say(2, whim)

    def hear(self, number: int) -> None:
        for _ in range(min(number + 1, len(self.server.says))):
            what, event, correlation_id = self.server.says.popleft()
            if what == "canceled":
                self.subscriptions.cancelled(event)
            elif what == "failed":
                gone = self.subscriptions.failed(event, correlation_id, self.line.now)
                if gone is not None:
                    del self.followed[gone.sid]
                    self.subscriptions.unfollow(gone)
            else:
                copy = self.subscriptions.established(event, correlation_id, self.line.now)
                if copy is not None:
                    assert self.followed[copy.sid] is copy
                    copy.went_live(event.last_event_id)

    def calm(self) -> None:
        """Nothing goes wrong any more."""
        for _ in range(200):
            self.hear(1000)
            deadline = self.subscriptions.deadline
            if deadline is None or (deadline > self.line.now + LONGEST_PAUSE_S * 1.3 and not self.server.says):
                return  # only the renewal is waited for
            self.line.now = max(self.line.now, deadline)
            self.say(3)
        pytest.fail("it does not come to rest")


STEPS = st.tuples(
    st.sampled_from(["follow", "leave", "vanish", "lose", "connect", "pass_time", "say", "say_strangely", "hear"]),
    st.integers(0, 5),
)


@given(st.lists(STEPS, max_size=60), st.booleans())
@example([("follow", 0), ("pass_time", 1), ("say", 3), ("leave", 0), ("pass_time", 1), ("say", 3)], False)
@settings(max_examples=200)
def test_in_the_end_everything_followed_is_live_or_gone_and_nothing_else(
    steps: list[tuple[str, int]], reconnects: bool
) -> None:
    play = Play()
    for name, number in steps:
        getattr(play, name)(number)
    if reconnects or not play.subscriptions.is_connected:
        play.connect(0)
    play.calm()
    assert all(copy.is_established for copy in play.followed.values())
    # What has vanished since it was established is told by an event of its own.
    assert play.server.live == set(play.followed)
    assert len(play.subscriptions) == len(play.followed)
