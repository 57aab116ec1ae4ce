"""Which objects are followed, and what has to be said to the server for that. No I/O (realtime 9.4, 9.5).

One batch is under way at a time: until all of it is settled, or the time the server has estimated is over. What is not
settled by then is asked for again. A lost connection ends all subscriptions; they are established anew from the last
event that each copy has.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Final, Literal

import msgspec

from .copies import Copy
from .shapes import Accepted, EventShape

FIRST_BATCH: Final = 100
LARGEST_BATCH: Final = 1000
GATHER_S: Final = 0.05
"""How long more is waited for before a batch is sent."""
FIRST_PAUSE_S: Final = 0.1
FIRST_REST_S: Final = 1.0
"""How long an object that fails is left alone at first."""
LONGEST_PAUSE_S: Final = 120.0
UNANSWERED_S: Final = 40.0
"""For a batch that nobody has confirmed."""
REMEMBERED_BATCHES: Final = 8
"""Answers to batches further back are those of nobody."""
MALFORMED: Final = frozenset((400, 413))
"""Answers that say that this batch will never do."""


class Batch(msgspec.Struct, frozen=True):
    """What to say to the server."""

    action: Literal["establish", "cancel"]
    correlation_id: int
    body: bytes


class _Asked(msgspec.Struct, frozen=True):
    copy: Copy
    after: int
    """The last event it had."""


class Subscriptions:
    """The subscriptions of one client, on whatever connection there is. ``now`` is monotonic seconds.

    An object that fails for a passing reason rests by itself, longer each time; the others do not wait for it.
    """

    def __init__(self, first_correlation_id: int, chance: Callable[[], float] = random.random) -> None:
        self._correlation_id = first_correlation_id
        self._chance = chance
        self.is_connected = False
        self._followed: dict[str, Copy] = {}
        """All of them, in the order in which they were opened: the user's conversations come first."""
        self._wanted: dict[str, Copy] = {}
        """Those to be established."""
        self._asked: dict[str, Copy] = {}
        """Those in the batch under way."""
        self._asked_id: int | None = None
        self._asked_until = 0.0
        self._batches: dict[int, dict[str, _Asked]] = {}
        """What was asked in which batch, and is not answered."""
        self._resting: dict[str, float] = {}
        """Those that failed, until when."""
        self._troubled: dict[str, int] = {}
        """How often in a row."""
        self._known_there: set[str] = set()
        """What the server may follow for us."""
        self._cancelled: dict[str, str] = {}
        """What it is to follow no more, with its kind."""
        self._cancelling: tuple[int, dict[str, str]] = (0, {})
        self._retried = 0
        self._ready_at = 0.0
        self._pause = FIRST_PAUSE_S
        self._max_batch = FIRST_BATCH
        self._renew_at: float | None = None
        self._renewing = False

    def __len__(self) -> int:
        return len(self._followed)

    @property
    def deadline(self) -> float | None:
        """When to look for a batch again; None when only something that happens can make one."""
        if not self.is_connected:
            return None
        if self._asked_id is not None:
            return self._asked_until
        if self._wanted or self._cancelled:
            return self._ready_at
        times = list(self._resting.values())
        if self._renew_at is not None:
            times.append(self._renew_at)
        return max(min(times), self._ready_at) if times else None

    # --- what is followed

    def follow(self, copy: Copy, now: float) -> None:
        """Hear of this object from now on."""
        self._cancelled.pop(copy.sid, None)
        if not self._wanted and self._asked_id is None:
            self._ready_at = max(self._ready_at, now + GATHER_S)
        self._followed[copy.sid] = copy
        self._want(copy)

    def unfollow(self, copy: Copy) -> None:
        """Hear of it no more."""
        if self._followed.get(copy.sid) is not copy:
            return
        sid = copy.sid
        del self._followed[sid]
        copy.is_established = False
        self._stop_asking(sid)
        self._troubled.pop(sid, None)
        if sid in self._known_there:
            self._cancelled[sid] = copy.kind.value
        self._settle()

    # --- the connection

    def connected(self, now: float) -> None:
        """A new connection, on which nothing is followed yet."""
        self.lost()
        self.is_connected = True
        self._ready_at = now

    def lost(self) -> None:
        """All subscriptions have ended with the connection."""
        self.is_connected = False
        for copy in self._followed.values():
            copy.is_established = False
        self._wanted = dict(self._followed)
        self._asked, self._asked_id = {}, None
        self._batches.clear()
        self._resting.clear()
        self._troubled.clear()
        self._known_there.clear()
        self._cancelled, self._cancelling = {}, (0, {})
        self._retried, self._pause = 0, FIRST_PAUSE_S
        self._renew_at, self._renewing = None, False

    # --- what to say

    def next_batch(self, now: float) -> Batch | None:
        """What to say now, if anything."""
        if not self.is_connected:
            return None
        if self._asked_id is not None:
            if now < self._asked_until:
                return None
            self._ask_again()
        for sid in [sid for sid, until in self._resting.items() if until <= now]:
            self._want(self._followed[sid])
        if self._renew_at is not None and now >= self._renew_at:
            self._renew_at, self._renewing = None, True
            self._wanted = {sid: copy for sid, copy in self._followed.items() if sid not in self._resting}
        if now < self._ready_at:
            return None
        if self._cancelled:
            return self._cancel()
        return self._establish(now) if self._wanted else None

    def accepted(self, correlation_id: int, answer: Accepted, now: float) -> None:
        """The server will see to the batch."""
        self._max_batch = max(1, min(answer.max_batch_size, LARGEST_BATCH))
        self._pause = FIRST_PAUSE_S
        if answer.ttl_in_s is not None and answer.ttl_in_s > 0 and self._renew_at is None:
            self._renew_at = now + max(answer.ttl_in_s, 1.0)
        if self._asked_id == correlation_id:
            self._asked_until = now + min(max(answer.estimated_delivery_in_ms / 1000, 1.0), LONGEST_PAUSE_S)

    def not_accepted(self, correlation_id: int, now: float, status: int | None = None) -> None:
        """It could not be said, or the server would not hear it (``status``): again later, in parts if need be."""
        if self._cancelling[0] == correlation_id:
            again = {sid: kind for sid, kind in self._cancelling[1].items() if sid not in self._followed}
            self._cancelled = {**again, **self._cancelled}
            self._pause_all(now)
        elif self._asked_id == correlation_id:
            alone = next(iter(self._asked.values())) if len(self._asked) == 1 else None
            size = len(self._asked)
            self._ask_again()
            if status not in MALFORMED:
                self._pause_all(now)
            elif alone is not None:
                self._rest(alone, now)
            else:
                self._max_batch = max(1, size // 2)

    # --- what the server answers

    def established(self, event: EventShape, correlation_id: float | None, now: float) -> Copy | None:
        """An object is live, or was replayed in part; gives it when it is live, and is to be told so."""
        sid = event.object_sid or ""
        asked = self._answered(sid, correlation_id)
        copy = self._followed.get(sid)
        if copy is None and asked is not None:
            # It was asked for before it was cancelled, and established after.
            self._cancelled[sid] = asked.copy.kind.value
        if copy is None or asked is None or asked.copy is not copy:
            return None
        self._stop_asking(sid)
        if event.replay_status == "interrupted":
            if event.last_event_id is not None:
                copy.last_event_id = max(copy.last_event_id, event.last_event_id)
            if copy.last_event_id > asked.after:
                self._want(copy, first=True)
            else:
                self._rest(copy, now)  # nothing came of it
            self._settle()
            return None
        if event.last_event_id is not None and event.last_event_id < asked.after:
            copy.fall_back(event.last_event_id)
        self._troubled.pop(sid, None)
        self._settle()
        return copy

    def failed(self, event: EventShape, correlation_id: float | None, now: float) -> Copy | None:
        """An object could not be followed; gives it when there is no such object (any more)."""
        sid = event.object_sid or ""
        asked = self._answered(sid, correlation_id)
        self._known_there.discard(sid)
        copy = self._followed.get(sid)
        if copy is None or (asked is not None and asked.copy is not copy):
            return None
        copy.is_established = False
        if asked is None:
            # Of its own accord, or long after: what holds is asked.
            if sid not in self._asked and sid not in self._resting:
                self._want(copy)
            return None
        self._stop_asking(sid)
        if event.error is not None and event.error.status == 404:
            self._settle()
            return copy
        self._rest(copy, now)
        self._settle()
        return None

    def cancelled(self, event: EventShape) -> None:
        """The server follows an object no more. If that should not be, it is asked for again."""
        sid = event.object_sid or ""
        self._known_there.discard(sid)
        copy = self._followed.get(sid)
        if copy is not None and copy.is_established:
            copy.is_established = False
            self._want(copy)

    # --- inside

    def _want(self, copy: Copy, *, first: bool = False) -> None:
        self._resting.pop(copy.sid, None)
        if first:
            self._wanted = {copy.sid: copy, **self._wanted}
        else:
            self._wanted[copy.sid] = copy

    def _rest(self, copy: Copy, now: float) -> None:
        times = self._troubled[copy.sid] = self._troubled.get(copy.sid, 0) + 1
        self._wanted.pop(copy.sid, None)
        self._resting[copy.sid] = now + self._spread(min(FIRST_REST_S * 2.0 ** min(times - 1, 10), LONGEST_PAUSE_S))

    def _pause_all(self, now: float) -> None:
        self._ready_at = now + self._spread(self._pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE_S)

    def _spread(self, seconds: float) -> float:
        """A fifth more or less, so that not everybody comes back at once."""
        return seconds * (0.8 + 0.4 * self._chance())

    def _stop_asking(self, sid: str) -> None:
        self._wanted.pop(sid, None)
        self._asked.pop(sid, None)
        self._resting.pop(sid, None)

    def _answered(self, sid: str, correlation_id: float | None) -> _Asked | None:
        """What this was said to. Other answers, such as those to somebody of before, count for nothing."""
        batch = self._batches.get(int(correlation_id)) if correlation_id is not None else None
        return batch.pop(sid, None) if batch is not None else None

    def _establish(self, now: float) -> Batch:
        chosen = list(self._wanted.values())[: self._max_batch]
        for copy in chosen:
            del self._wanted[copy.sid]
        self._asked = {copy.sid: copy for copy in chosen}
        self._known_there.update(self._asked)
        self._asked_until = now + UNANSWERED_S
        batch = self._batch(
            "establish",
            (
                {"object_sid": copy.sid, "object_type": copy.kind.value, "last_event_id": copy.last_event_id}
                for copy in chosen
            ),
        )
        self._asked_id = batch.correlation_id
        self._batches[batch.correlation_id] = {copy.sid: _Asked(copy, copy.last_event_id) for copy in chosen}
        if len(self._batches) > REMEMBERED_BATCHES:
            del self._batches[next(iter(self._batches))]
        return batch

    def _cancel(self) -> Batch:
        chosen = dict(list(self._cancelled.items())[: self._max_batch])
        for sid in chosen:
            del self._cancelled[sid]
            self._known_there.discard(sid)
        # Nothing waits for its answer.
        batch = self._batch("cancel", ({"object_sid": sid, "object_type": kind} for sid, kind in chosen.items()))
        self._cancelling = (batch.correlation_id, chosen)
        return batch

    def _batch(self, action: Literal["establish", "cancel"], requests: Iterable[dict[str, object]]) -> Batch:
        self._correlation_id += 1
        body: dict[str, object] = {
            "event_protocol_version": 4,
            "action": action,
            "correlation_id": self._correlation_id,
            "retried_requests": self._retried,
            "ttl_in_s": -1,
            "requests": list(requests),
        }
        if self._renewing and action == "establish":
            body["reason"] = "ttl"
            self._renewing = bool(self._wanted)
        return Batch(action, self._correlation_id, msgspec.json.encode(body))

    def _ask_again(self) -> None:
        self._retried = len(self._asked)
        self._wanted = {**self._asked, **self._wanted}
        self._asked, self._asked_id = {}, None

    def _settle(self) -> None:
        if self._asked_id is not None and not self._asked:
            self._asked_id = None
            self._retried = 0
