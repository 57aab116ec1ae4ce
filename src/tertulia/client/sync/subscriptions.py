"""Which objects are followed, and what has to be said to the server for that. No I/O (realtime 9.4, 9.5).

One batch is under way at a time: until all of it is settled, or the time the server has estimated is over. What is not
settled by then is asked for again. A lost connection ends all subscriptions; they are established anew from the last
event that each copy has.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from .copies import Copy
from .shapes import Accepted, EventShape

FIRST_BATCH: Final = 100
GATHER_S: Final = 0.05
"""How long more is waited for before a batch is sent."""
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 120.0
REPEATS_PER_OBJECT: Final = 3
"""How often an object that fails for a passing reason is asked for quickly, before it waits for longer."""


class Batch(msgspec.Struct, frozen=True):
    """What to say to the server."""

    action: Literal["establish", "cancel"]
    correlation_id: int
    body: bytes


class Subscriptions:
    """The subscriptions of one client, on whatever connection there is. ``now`` is monotonic seconds."""

    def __init__(self, first_correlation_id: int) -> None:
        self._correlation_id = first_correlation_id
        self._is_connected = False
        self._wanted: dict[str, Copy] = {}
        """To be established, in the order in which they were opened."""
        self._established: dict[str, Copy] = {}
        self._asked: dict[str, Copy] = {}
        """In the batch under way."""
        self._asked_id: int | None = None
        self._asked_until = 0.0
        self._cancelled: dict[str, str] = {}
        self._retried = 0
        self._ready_at = 0.0
        self._pause = FIRST_PAUSE_S
        self._max_batch = FIRST_BATCH
        self._renew_at: float | None = None
        self._renewing = False
        self._troubled: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._wanted) + len(self._asked) + len(self._established)

    @property
    def deadline(self) -> float | None:
        """When to look for a batch again; None when only something that happens can make one."""
        if not self._is_connected:
            return None
        if self._asked_id is not None:
            return self._asked_until
        if self._wanted or self._cancelled:
            return self._ready_at
        return self._renew_at

    def follow(self, copy: Copy, now: float) -> None:
        """Hear of this object from now on."""
        self._cancelled.pop(copy.sid, None)
        if not self._wanted and self._asked_id is None:
            self._ready_at = max(self._ready_at, now + GATHER_S)
        self._wanted[copy.sid] = copy

    def unfollow(self, copy: Copy) -> None:
        """Hear of it no more."""
        copy.is_established = False
        self._troubled.pop(copy.sid, None)
        if self._wanted.pop(copy.sid, None) is None:
            was_asked = self._asked.pop(copy.sid, None) is not None
            if (self._established.pop(copy.sid, None) is not None or was_asked) and self._is_connected:
                self._cancelled[copy.sid] = copy.kind.value

    def connected(self, now: float) -> None:
        """A new connection, on which nothing is followed yet."""
        self.lost()
        self._is_connected = True
        self._ready_at = now

    def lost(self) -> None:
        """All subscriptions have ended with the connection."""
        self._is_connected = False
        # In the order of before: the user's conversations come first.
        everything = {**self._established, **self._asked, **self._wanted}
        for copy in everything.values():
            copy.is_established = False
        self._wanted = everything
        self._established, self._asked, self._cancelled = {}, {}, {}
        self._asked_id, self._retried, self._renew_at, self._renewing = None, 0, None, False
        self._pause = FIRST_PAUSE_S
        self._troubled.clear()

    def next_batch(self, now: float) -> Batch | None:
        """What to say now, if anything."""
        if not self._is_connected:
            return None
        if self._asked_id is not None:
            if now < self._asked_until:
                return None
            self._ask_again()
        if self._renew_at is not None and now >= self._renew_at:
            self._wanted = {**self._established, **self._wanted}
            self._established, self._renew_at, self._renewing = {}, None, True
        if now < self._ready_at:
            return None
        if self._cancelled:
            return self._cancel()
        return self._establish(now) if self._wanted else None

    def accepted(self, correlation_id: int, answer: Accepted, now: float) -> None:
        """The server will see to the batch."""
        self._max_batch = max(1, min(answer.max_batch_size, 1000))
        self._pause = FIRST_PAUSE_S
        if answer.ttl_in_s is not None and answer.ttl_in_s > 0 and self._renew_at is None:
            self._renew_at = now + answer.ttl_in_s
        if self._asked_id == correlation_id:
            self._asked_until = now + max(answer.estimated_delivery_in_ms / 1000, 1.0)
            self._settle()

    def not_accepted(self, correlation_id: int, now: float) -> None:
        """It could not be said, or the server would not hear it: again later."""
        if self._asked_id == correlation_id:
            self._ask_again()
            self._ready_at = now + self._pause
            self._pause = min(self._pause * 2, LONGEST_PAUSE_S)

    def established(self, event: EventShape) -> Copy | None:
        """An object is live, or was replayed in part; gives it when it is live."""
        copy = self._asked.pop(event.object_sid or "", None)
        if copy is None:
            return None
        if event.replay_status == "interrupted":
            self._wanted = {copy.sid: copy, **self._wanted}
            self._settle()
            return None
        copy.is_established = True
        if event.last_event_id is not None:
            copy.last_event_id = max(copy.last_event_id, event.last_event_id)
        self._established[copy.sid] = copy
        self._troubled.pop(copy.sid, None)
        self._settle()
        return copy

    def failed(self, event: EventShape, now: float) -> Copy | None:
        """An object could not be followed; gives it when there is no such object (any more)."""
        copy = self._asked.pop(event.object_sid or "", None)
        if copy is None:
            return None
        if event.error is not None and event.error.status == 404:
            self._troubled.pop(copy.sid, None)
            self._settle()
            return copy
        times = self._troubled[copy.sid] = self._troubled.get(copy.sid, 0) + 1
        self._wanted[copy.sid] = copy
        self._ready_at = now + min(FIRST_PAUSE_S * 2.0 ** (times * REPEATS_PER_OBJECT), LONGEST_PAUSE_S)
        self._settle()
        return None

    def cancelled(self, correlation_id: int) -> None:
        """The server has cancelled; nothing waits for it."""
        if self._asked_id == correlation_id and not self._asked:
            self._asked_id = None

    def _establish(self, now: float) -> Batch:
        chosen = list(self._wanted.values())[: self._max_batch]
        for copy in chosen:
            del self._wanted[copy.sid]
        self._asked = {copy.sid: copy for copy in chosen}
        requests: list[dict[str, object]] = [
            {"object_sid": copy.sid, "object_type": copy.kind.value, "last_event_id": copy.last_event_id}
            for copy in chosen
        ]
        self._asked_until = now + 40.0
        return self._batch("establish", requests)

    def _cancel(self) -> Batch:
        chosen = list(self._cancelled.items())[: self._max_batch]
        for sid, _ in chosen:
            del self._cancelled[sid]
        batch = self._batch("cancel", [{"object_sid": sid, "object_type": kind} for sid, kind in chosen])
        # Nothing follows from its answer.
        self._asked_id = None
        return batch

    def _batch(self, action: Literal["establish", "cancel"], requests: list[dict[str, object]]) -> Batch:
        self._correlation_id += 1
        self._asked_id = self._correlation_id
        body: dict[str, object] = {
            "event_protocol_version": 4,
            "action": action,
            "correlation_id": self._correlation_id,
            "retried_requests": self._retried,
            "ttl_in_s": -1,
            "requests": requests,
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
        if not self._asked:
            self._asked_id = None
            self._retried = 0
