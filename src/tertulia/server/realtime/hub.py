"""Which connection of this node follows which object: publications in, bytes out.

Per object the hub keeps the last number it has sent, and its followers in three conditions:

* *live*: they have everything up to that number, and get the next event at once;
* *ahead*: their snapshot was newer than that number; they skip what they have already;
* *catching up*: being read to from the database; what happens meanwhile is kept for them.

Publications of one tick are delivered together, an event encoded once, one block of bytes for all live followers. A
gap in the numbers is repaired from the database, so nothing depends on a publication arriving.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Container, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from tertulia.server import observe
from tertulia.server.bus.base import (
    NODES,
    AccessEnded,
    Bus,
    EventPublished,
    Publication,
    ServiceGone,
    TypingPublished,
    UserGone,
    object_topic,
    user_topic,
)
from tertulia.server.storage.database import StorageError

log = logging.getLogger(__name__)

KEPT_WHILE_CATCHING_UP = 1000
"""Events kept for a follower that is being read to; when there are more, he is read to once more."""


class Missed(msgspec.Struct, frozen=True):
    """What happened to an object after some number, in order, and the number one then has."""

    events: Sequence[EventPublished]
    last: int


Repair = Callable[[str, int], Awaitable[Missed | None]]
"""What was missed of an object after a number; None when the object is no more."""

Encode = Callable[[str, bytes], bytes]
"""A notification of this type and payload, as one WebSocket frame."""


class Follower(Protocol):
    """A connection, as the hub sees it."""

    @property
    def identity(self) -> str: ...

    @property
    def service_sid(self) -> str: ...

    @property
    def takes_typing(self) -> bool: ...

    followed: set[str]
    """The objects it follows; kept by the hub."""

    def deliver(self, block: bytes) -> None: ...

    def revoke(self) -> None:
        """Its user or service is gone."""


class Caught:
    """What was published of an object while one follower was being read to."""

    __slots__ = ("events", "overflowed")

    def __init__(self) -> None:
        self.events: list[EventPublished] = []
        self.overflowed = False

    def keep(self, event: EventPublished) -> None:
        if len(self.events) < KEPT_WHILE_CATCHING_UP:
            self.events.append(event)
        else:
            self.overflowed = True

    def after(self, number: int) -> list[EventPublished] | None:
        """What was kept beyond ``number``, in order; None when not all of it is here."""
        found: list[EventPublished] = []
        for event in sorted(self.events, key=_number):
            if event.number > number:
                if not _continues(event, number):
                    return None
                found.append(event)
                number = event.number
        return None if self.overflowed else found


class _Entry:
    __slots__ = ("ahead", "catching", "gaps", "last", "live")

    def __init__(self) -> None:
        self.last: int | None = None
        self.live: dict[Follower, None] = {}
        self.ahead: dict[Follower, int] | None = None
        self.catching: dict[Follower, Caught] | None = None
        self.gaps = 0
        """Seen and not yet repaired; a repair is running while there are any."""

    @property
    def is_deserted(self) -> bool:
        return not self.live and not self.ahead and not self.catching


class Hub:
    """The connections of this node, and what they follow."""

    def __init__(
        self, bus: Bus, encode: Encode, repair: Repair, spawn: Callable[[Coroutine[Any, Any, None]], None]
    ) -> None:
        self._bus = bus
        self._encode = encode
        self._repair = repair
        self._spawn = spawn
        self._entries: dict[str, _Entry] = {}
        self._users: dict[tuple[str, str], set[Follower]] = {}
        self._pending: list[Publication] = []
        self._block: list[bytes] = []
        self._audience: Mapping[Follower, None] = {}
        bus.subscribe(NODES, self.receive)

    # --- connections

    def connect(self, follower: Follower) -> None:
        """A connection has become somebody's."""
        key = (follower.service_sid, follower.identity)
        others = self._users.get(key)
        if others is None:
            others = self._users[key] = set()
            self._bus.subscribe(user_topic(*key), self.receive)
        others.add(follower)

    def disconnect(self, follower: Follower) -> None:
        """It is gone, with all it followed."""
        for sid in tuple(follower.followed):
            self.leave(follower, sid)
        key = (follower.service_sid, follower.identity)
        others = self._users.get(key)
        if others is not None:
            others.discard(follower)
            if not others:
                del self._users[key]
                self._bus.unsubscribe(user_topic(*key), self.receive)

    def has(self, service_sid: str, identity: str) -> bool:
        """Somebody of this identity is connected."""
        return (service_sid, identity) in self._users

    def users_of(self, services: Container[str]) -> list[tuple[str, str]]:
        """Who is connected to these services: service and identity."""
        return [key for key in self._users if key[0] in services]

    # --- following

    def catch_up(self, follower: Follower, sid: str) -> Caught:
        """From now on keep the object's events for this follower, who is about to be read to."""
        entry = self._entries.get(sid)
        if entry is None:
            entry = self._entries[sid] = _Entry()
            self._bus.subscribe(object_topic(sid), self.receive)
        entry.live.pop(follower, None)
        if entry.ahead is not None:
            entry.ahead.pop(follower, None)
        if entry.catching is None:
            entry.catching = {}
        caught = entry.catching[follower] = Caught()
        if sid not in follower.followed:
            follower.followed.add(sid)
            observe.SUBSCRIPTIONS.inc()
        return caught

    def go_live(self, follower: Follower, sid: str, caught: Caught, number: int) -> bool:
        """The follower has everything up to ``number``; what was kept beyond it is delivered, then events as they come.

        False when he must be read to once more, or follows the object no longer.
        """
        entry = self._entries.get(sid)
        if entry is None or entry.catching is None or entry.catching.get(follower) is not caught:
            return False
        kept = caught.after(number)
        if kept is None:
            return False
        if kept:
            number = kept[-1].number
        if entry.last is not None and number < entry.last:
            # A repair has brought the others further.
            return False
        del entry.catching[follower]
        entry.catching = entry.catching or None
        for event in kept:
            follower.deliver(self._encode(event.message_type, event.body))
        if kept and kept[-1].ends_object:
            self.leave(follower, sid)
            return True
        if entry.last is None:
            entry.last = number
        if number > entry.last:
            if entry.ahead is None:
                entry.ahead = {}
            entry.ahead[follower] = number
        else:
            entry.live[follower] = None
        observe.REPLAYS.count += 1
        return True

    def leave(self, follower: Follower, sid: str) -> None:
        """The follower follows the object no longer."""
        if sid in follower.followed:
            follower.followed.discard(sid)
            observe.SUBSCRIPTIONS.dec()
        entry = self._entries.get(sid)
        if entry is None:
            return
        entry.live.pop(follower, None)
        if entry.ahead is not None:
            entry.ahead.pop(follower, None)
        if entry.catching is not None:
            entry.catching.pop(follower, None)
        if entry.is_deserted:
            self._forget(sid)

    def _forget(self, sid: str) -> None:
        del self._entries[sid]
        self._bus.unsubscribe(object_topic(sid), self.receive)

    # --- publications

    def receive(self, publication: Publication) -> None:
        """Keep a publication until the end of this tick; those of one commit batch are then delivered together."""
        if not self._pending:
            asyncio.get_running_loop().call_soon(self._deliver)
        self._pending.append(publication)

    def _deliver(self) -> None:
        pending, self._pending = self._pending, []
        newest: dict[str, int] = {}
        for publication in pending:
            if type(publication) is EventPublished and publication.supersedes:
                newest[publication.object_sid] = max(publication.number, newest.get(publication.object_sid, 0))
        run: list[EventPublished] = []
        for publication in pending:
            if type(publication) is EventPublished:
                # A document's content of the same tick is told once, its newest.
                if publication.supersedes and newest[publication.object_sid] != publication.number:
                    continue
                if run and run[0].object_sid != publication.object_sid:
                    self._deliver_run(run)
                    run = []
                run.append(publication)
                continue
            if run:
                self._deliver_run(run)
                run = []
            self._hand_out()
            self._react(publication)
        if run:
            self._deliver_run(run)
        self._hand_out()

    def _react(self, publication: Publication) -> None:
        if isinstance(publication, TypingPublished):
            self._deliver_typing(publication)
        elif isinstance(publication, AccessEnded):
            for follower in self._of_user(publication.service_sid, publication.identity):
                for sid in publication.object_sids:
                    self.leave(follower, sid)
        elif isinstance(publication, UserGone):
            self._revoke(self._of_user(publication.service_sid, publication.identity))
        elif isinstance(publication, ServiceGone):
            self._revoke([f for (sid, _), some in self._users.items() if sid == publication.service_sid for f in some])

    def _of_user(self, service_sid: str, identity: str) -> Iterable[Follower]:
        return tuple(self._users.get((service_sid, identity), ()))

    @staticmethod
    def _revoke(followers: Iterable[Follower]) -> None:
        for follower in followers:
            follower.revoke()

    def _deliver_run(self, run: list[EventPublished]) -> None:
        """Some events of one object, in order."""
        sid = run[0].object_sid
        entry = self._entries.get(sid)
        if entry is None:
            return
        if entry.catching is not None:
            for caught in entry.catching.values():
                for event in run:
                    caught.keep(event)
        if entry.last is None:
            return
        news = []
        for event in run:
            if event.number <= entry.last:
                continue
            if not _continues(event, entry.last):
                self._begin_repair(sid, entry)
                break
            news.append(event)
            entry.last = event.number
        if news:
            self._send(sid, entry, news)

    def _send(self, sid: str, entry: _Entry, news: list[EventPublished]) -> None:
        """To all live followers with what precedes it, if that goes to the very same ones; else after it.

        A message moves its conversation's list and document, which the same members follow: one block for both.
        """
        frames = [self._encode(event.message_type, event.body) for event in news]
        if self._block and self._audience.keys() != entry.live.keys():
            self._hand_out()
        self._audience = entry.live
        self._block += frames
        observe.SYNC_EVENTS.count += len(news)
        observe.DELIVERIES.count += len(news) * len(entry.live)
        if entry.ahead:
            self._hand_out()
            self._send_ahead(entry, news, frames)
        if news[-1].ends_object:
            self._hand_out()
            self._abandon(sid, entry)

    def _hand_out(self) -> None:
        """Before anything else happens to those it is for."""
        if not self._block:
            return
        frames, self._block = self._block, []
        block = frames[0] if len(frames) == 1 else b"".join(frames)
        for follower in self._audience:
            follower.deliver(block)

    @staticmethod
    def _send_ahead(entry: _Entry, news: list[EventPublished], frames: list[bytes]) -> None:
        assert entry.ahead is not None
        assert entry.last is not None
        for follower, floor in tuple(entry.ahead.items()):
            for event, frame in zip(news, frames, strict=True):
                if event.number > floor:
                    follower.deliver(frame)
            if entry.last >= floor:
                del entry.ahead[follower]
                entry.live[follower] = None
        if not entry.ahead:
            entry.ahead = None

    def _deliver_typing(self, typing: TypingPublished) -> None:
        entry = self._entries.get(typing.object_sid)
        if entry is None:
            return
        frame: bytes | None = None
        for follower in (*entry.live, *(entry.ahead or ())):
            if follower.takes_typing and follower.identity != typing.identity:
                if frame is None:
                    frame = self._encode("twilio.ipmsg.typing_indicator", typing.body)
                follower.deliver(frame)
                observe.TYPING.count += 1

    # --- gaps

    def _begin_repair(self, sid: str, entry: _Entry) -> None:
        entry.gaps += 1
        observe.FOLLOW_GAPS.count += 1
        if entry.gaps == 1:
            self._spawn(self._repair_gaps(sid, entry))

    async def _repair_gaps(self, sid: str, entry: _Entry) -> None:
        """Read what is missing from the database and send it as live events, until no gap is left."""
        while entry.gaps:
            known, after = entry.gaps, entry.last
            assert after is not None, "only an object with a last number has gaps"
            log.info("hub.gap", extra=observe.fields(object=sid, after=after))
            missed = await self._read(sid, after)
            if self._entries.get(sid) is not entry:
                return
            if missed is None:
                for caught in (entry.catching or {}).values():
                    caught.overflowed = True  # they read once more, and learn that it is gone
                self._abandon(sid, entry)
                return
            self._mend(sid, entry, missed)
            # What was published while we read may have come too late for the reading.
            entry.gaps = 1 if entry.gaps > known else 0

    def _mend(self, sid: str, entry: _Entry, missed: Missed) -> None:
        last = entry.last or 0
        news = [event for event in missed.events if event.number > last]
        entry.last = max(last, missed.last)
        for follower, number in tuple((entry.ahead or {}).items()):
            if number < entry.last:
                # What is needless after the others' number may be needed after his: the removal of what he knows.
                self._spawn(self._bring_up(follower, sid, self.catch_up(follower, sid), number))
        if news:
            self._send(sid, entry, news)
            self._hand_out()

    async def _bring_up(self, follower: Follower, sid: str, caught: Caught, number: int) -> None:
        """Read to one follower what came after his number, and let him go on with the others."""
        while True:
            missed = await self._read(sid, number)
            entry = self._entries.get(sid)
            if entry is None or entry.catching is None or entry.catching.get(follower) is not caught:
                return
            if missed is None:
                self.leave(follower, sid)
                return
            for event in missed.events:
                follower.deliver(self._encode(event.message_type, event.body))
            number = missed.last
            if self.go_live(follower, sid, caught, number):
                return
            caught = self.catch_up(follower, sid)

    async def _read(self, sid: str, after: int) -> Missed | None:
        """What was missed; tried again while the database is in trouble and anybody follows."""
        while sid in self._entries:
            try:
                return await self._repair(sid, after)
            except StorageError as trouble:
                log.warning("hub.repair_failed", extra=observe.fields(object=sid, why=str(trouble)))
                await asyncio.sleep(random.uniform(0.5, 1.5))  # noqa: S311 (spreads load, guards nothing)
        return None

    def _abandon(self, sid: str, entry: _Entry) -> None:
        """The object is no more. Who is being read to finds its end among what was kept for him."""
        for follower in (*entry.live, *(entry.ahead or ())):
            self.leave(follower, sid)


def _continues(event: EventPublished, number: int) -> bool:
    """Nothing is missed by who has everything up to ``number`` and gets this event next."""
    return event.number == number + 1 or event.supersedes or event.ends_object


def _number(event: EventPublished) -> int:
    return event.number
