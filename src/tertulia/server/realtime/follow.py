"""How a connection comes to follow objects without a gap: catch up from the database, then live (realtime 9.4 to 9.7).

The follower is registered before the snapshot is read, so whatever commits in between is either in the snapshot or
kept for him: there is no moment in which an event could pass unseen.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Protocol

import msgspec

from tertulia.server import observe
from tertulia.server.bus.base import EventPublished
from tertulia.server.domain.callers import Caller
from tertulia.server.domain.sync import parse_object_sid
from tertulia.server.engine.sync.catalogue import MISSING, Catalogue
from tertulia.server.engine.sync.views import Replay, View
from tertulia.server.storage.database import Connection, Database, StorageError
from tertulia.wire import sync
from tertulia.wire.sync import Canceled, Established, ObjectEvent, SubscriptionFailed, SubscriptionRequest, SyncFailure

from .hub import Caught, Follower, Hub, Missed

log = logging.getLogger(__name__)

REPLAY_EVENTS = 500
"""About how many missed events are read at a time; the reader takes them before more are read."""
EVENTS_IN_A_FRAME = 50
FRAME_BYTES = 256 * 1024
"""About how much one notification of a replay holds; a single event may be more."""
SETTLED_IN_A_FRAME = 100


class Reader(Follower, Protocol):
    """A connection that is being read to."""

    @property
    def is_open(self) -> bool: ...

    def notify(self, message_type: str, body: bytes) -> None: ...

    async def let_read(self) -> None:
        """Returns when it has taken most of what was sent to it, or is gone; in bounded time."""


class _Read(msgspec.Struct, frozen=True):
    """What one snapshot says about one requested object."""

    request: SubscriptionRequest
    view: View | None
    replay: Replay | None


class Following:
    """Establishes and cancels subscriptions for the connections of a node."""

    def __init__(self, database: Database, hub: Hub, base_url: str, at_once: int) -> None:
        self._database = database
        self._hub = hub
        self._base_url = base_url
        # After a mass reconnect everybody catches up; nobody else must wait for them (architecture 16).
        self._turns = asyncio.Semaphore(at_once)

    def cancel(self, reader: Reader, correlation_id: int, requests: Sequence[SubscriptionRequest]) -> None:
        """The reader follows these objects no longer."""
        for request in requests:
            self._hub.leave(reader, request.object_sid)
        told = [Canceled(request.object_sid, request.object_type) for request in requests]
        _settle(reader, "subscription_canceled", correlation_id, told)

    async def establish(
        self, reader: Reader, caller: Caller, correlation_id: int, requests: Sequence[SubscriptionRequest]
    ) -> None:
        """Replay what the reader has missed of each object, in order of the requests, and go live with it.

        Objects that are absent or not visible fail with 404, which tells the client that they are gone (9.5).
        """
        # One subscription for an object, however often it is named.
        waiting = list({request.object_sid: request for request in requests}.values())
        caught = {request.object_sid: self._hub.catch_up(reader, request.object_sid) for request in waiting}
        try:
            while waiting and reader.is_open:
                waiting = await self._establish_some(reader, caller, correlation_id, waiting, caught)
        except StorageError as trouble:
            # Unanswered, they are asked for again after a while; a failure would be for good (9.5).
            log.warning("follow.failed", extra=observe.fields(why=str(trouble), objects=len(waiting)))
            for request in waiting:
                self._hub.leave(reader, request.object_sid)

    async def _establish_some(
        self,
        reader: Reader,
        caller: Caller,
        correlation_id: int,
        waiting: list[SubscriptionRequest],
        caught: dict[str, Caught],
    ) -> list[SubscriptionRequest]:
        """As many as one bounded reading holds; what is left to do."""
        read = await self._read(caller, waiting)
        left = waiting[len(read) :]
        failed: list[SubscriptionFailed] = []
        established: list[Established] = []
        for one in read:
            sid = one.request.object_sid
            if one.view is None:
                self._hub.leave(reader, sid)
                failed.append(_failure(one.request))
                continue
            number = one.view.last_event
            if one.replay is not None:
                await _send(reader, one.replay, correlation_id)
                number = one.replay.last
            if one.replay is None or one.replay.complete:
                established.append(Established(sid, one.view.type, "completed", number))
            else:
                left.append(SubscriptionRequest(sid, one.request.object_type, number))
        _settle(reader, "subscription_failed", correlation_id, failed)
        _settle(reader, "subscription_established", correlation_id, established)
        # Live events come after the word that they will (9.4).
        for settled in established:
            sid = settled.object_sid
            if not self._hub.go_live(reader, sid, caught[sid], settled.last_event_id) and reader.is_open:
                # Not all was kept for him, or his access has ended meanwhile; then he will hear that it failed.
                caught[sid] = self._hub.catch_up(reader, sid)
                left.append(SubscriptionRequest(sid, settled.object_type, settled.last_event_id))
        return left

    async def _read(self, caller: Caller, requests: Sequence[SubscriptionRequest]) -> list[_Read]:
        """As many of the requests as a bounded reading holds, at least one; all of it one snapshot."""
        with observe.REPLAYS_WAITING.track_inprogress():
            await self._turns.acquire()
        try:
            # The embedded database answers without a pause: those whose turn it is would all be read to in one go.
            await asyncio.sleep(0)
            async with self._database.snapshot() as connection:
                return await self._read_some(connection, caller, requests)
        finally:
            self._turns.release()

    async def _read_some(
        self, connection: Connection, caller: Caller, requests: Sequence[SubscriptionRequest]
    ) -> list[_Read]:
        read: list[_Read] = []
        left = REPLAY_EVENTS
        views = await Catalogue(connection, caller, self._base_url).open_many([r.object_sid for r in requests])
        for request in requests:
            sid, after = request.object_sid, request.last_event_id
            view, replay = views.get(sid), None
            if view is not None and after is not None and after < view.last_event:
                replay = await view.replay(connection, max(-1, after), REPLAY_EVENTS)
                left -= len(replay.events)
            read.append(_Read(request, view, replay))
            if left <= 0:
                break
        return read

    async def missed(self, sid: str, after: int) -> Missed | None:
        """For the hub's repairs: everything of an object after a number, as it would have been published."""
        name = parse_object_sid(sid)
        if name is None:
            return None
        events: list[ObjectEvent] = []
        async with self._database.snapshot() as connection:
            view = await Catalogue.open_for_system(connection, name, self._base_url)
            if view is None:
                return None
            while True:
                replay = await view.replay(connection, after, REPLAY_EVENTS)
                events.extend(replay.events)
                after = replay.last
                if replay.complete:
                    return Missed([published(event) for event in events], replay.last)


def published(event: ObjectEvent) -> EventPublished:
    return EventPublished(
        event.object_sid, event.number, event.message_type, sync.live_body(event), event.supersedes, event.ends_object
    )


async def _send(reader: Reader, replay: Replay, correlation_id: int) -> None:
    """The events in order, as few notifications as their types allow, no faster than they are read."""
    for event_type, run in groupby(replay.events, key=_event_type):
        events = [event.event for event in run]
        for start in range(0, len(events), EVENTS_IN_A_FRAME):
            for body in _bodies(event_type, correlation_id, events[start : start + EVENTS_IN_A_FRAME]):
                await reader.let_read()
                reader.notify(sync.REPLAY_EVENT, body)


def _bodies(event_type: str, correlation_id: int, events: Sequence[sync.Event]) -> Iterator[bytes]:
    """One notification, or as many as keep it from being too large to wait for a slow reader."""
    body = sync.replay_body(event_type, correlation_id, events)
    if len(body) <= FRAME_BYTES or len(events) == 1:
        yield body
        return
    half = len(events) // 2
    yield from _bodies(event_type, correlation_id, events[:half])
    yield from _bodies(event_type, correlation_id, events[half:])


def _settle(
    reader: Reader, event_type: str, correlation_id: int, told: Sequence[Established | Canceled | SubscriptionFailed]
) -> None:
    for start in range(0, len(told), SETTLED_IN_A_FRAME):
        body = sync.subscription_body(event_type, correlation_id, told[start : start + SETTLED_IN_A_FRAME])
        reader.notify(sync.REPLAY_EVENT, body)


def _failure(request: SubscriptionRequest) -> SubscriptionFailed:
    row = MISSING.get(request.object_type) or MISSING["map"]
    return SubscriptionFailed(request.object_sid, request.object_type, SyncFailure(404, row.code, row.text))


def _event_type(event: ObjectEvent) -> str:
    return event.event_type
