"""Subscriptions with a clock and a server that says what a test wants."""

from __future__ import annotations

from typing import Any

import msgspec

from tertulia.client.sync.copies import Copy, Kind
from tertulia.client.sync.shapes import Accepted, EventShape, Failure
from tertulia.client.sync.subscriptions import Batch, Subscriptions

from .shelf import Notes

ESTIMATE_S = 10.0


def a_copy(sid: str, last: int = 0) -> Copy:
    return Copy(f"{sid}.name", Kind.MAP, sid, last, None, Notes())


class Line:
    """Subscriptions with a clock, as on a connection that holds until it is said to be lost."""

    def __init__(self) -> None:
        self.subscriptions = Subscriptions(1000, lambda: 0.5)
        self.now = 50.0
        self.subscriptions.connected(self.now)

    def follow(self, *sids: str, last: int = 0) -> list[Copy]:
        copies = [a_copy(sid, last) for sid in sids]
        for copy in copies:
            self.subscriptions.follow(copy, self.now)
        return copies

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    def batch(self) -> Batch | None:
        return self.subscriptions.next_batch(self.now)

    def due(self) -> Batch:
        """The next batch, when its time has come."""
        deadline = self.subscriptions.deadline
        assert deadline is not None
        self.now = max(self.now, deadline)
        batch = self.batch()
        assert batch is not None
        return batch

    def accept(self, batch: Batch, **terms: Any) -> None:
        answer = Accepted(estimated_delivery_in_ms=ESTIMATE_S * 1000, max_batch_size=1000)
        self.subscriptions.accepted(batch.correlation_id, msgspec.structs.replace(answer, **terms), self.now)

    def establish(self, batch: Batch, *sids: str, last: int = 0, status: str = "completed") -> list[Copy]:
        """The server says so; which of them are live by that."""
        found = []
        for sid in sids or requested(batch):
            event = EventShape(object_sid=sid, object_type="map", replay_status=status, last_event_id=last)
            copy = self.subscriptions.established(event, batch.correlation_id, self.now)
            if copy is not None:
                copy.went_live(last)
                found.append(copy)
        return found

    def fail(self, batch: Batch, sid: str, status: int) -> Copy | None:
        event = EventShape(object_sid=sid, object_type="map", error=Failure(status))
        return self.subscriptions.failed(event, batch.correlation_id, self.now)

    def settle(self, *sids: str) -> list[Copy]:
        """Objects that are followed, and live."""
        copies = self.follow(*sids)
        batch = self.due()
        self.accept(batch)
        self.establish(batch)
        return copies


def body(batch: Batch) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.json.decode(batch.body)
    return told


def requested(batch: Batch) -> list[str]:
    return [request["object_sid"] for request in body(batch)["requests"]]
