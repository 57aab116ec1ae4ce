"""Who is connected to this node, told to the database once, however many connections he has (semantics 6.3).

Of users in services that show reachability this node remembers whether he is to be kept as connected, and whether he
is. Where the two differ a write is due: one at a time for each user, so that his coming and going never overtake each
other, and what has changed meanwhile is written after it. Nothing is written, and nobody remembered, for other
services.

A node counts as alive for a while after each beat. One that missed its beats has been given up by the others: it takes
a new name and reports everybody anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Container, Coroutine
from typing import Any, Final, Protocol

from tertulia.server import observe
from tertulia.server.bus.base import NODES, Bus, Publication, ReachabilityTurned, ServiceGone
from tertulia.server.clock import Clock
from tertulia.server.domain import callers
from tertulia.server.domain.errors import TertuliaError
from tertulia.server.domain.presence import ArriveUser, DepartUser
from tertulia.server.engine.engine import Engine
from tertulia.server.randomness import Randomness
from tertulia.server.storage.database import Database, StorageError
from tertulia.server.storage.presence import Nodes, Turns
from tertulia.wire.steps import Ending

from .deadlines import Deadlines

log = logging.getLogger(__name__)

GRACE_S: Final = 30
"""How long who has lost his connection may take to resume it before he is shown as offline."""
BEAT_S: Final = 20
ALIVE_S: Final = 60
"""How long after its last beat a node counts as alive."""
WRITES_AT_ONCE: Final = 8
LOOKS_PER_TICK: Final = 500
"""How many users of a service that is turned on or off are looked at before others have their turn."""
ENDPOINTS: Final = 32
"""How many lost connections of one user are remembered."""
LONGEST_WAIT_S: Final = 30
"""Between two attempts at a write."""

_SECOND_US: Final = 1_000_000
_AT_ONCE: Final = frozenset({Ending.LEFT, Ending.REPLACED, Ending.REVOKED})
"""Who ended like this does not come back to resume."""


class Connected(Protocol):
    """Who has connections to this node."""

    def has(self, service_sid: str, identity: str) -> bool: ...

    def users_of(self, services: Container[str]) -> list[tuple[str, str]]: ...


class _User:
    """One user, as far as he concerns this node."""

    __slots__ = ("_presence", "due_us", "failures", "identity", "is_busy", "lost", "retry_us", "service_sid", "written")

    def __init__(self, presence: Presence, service_sid: str, identity: str) -> None:
        self._presence = presence
        self.service_sid = service_sid
        self.identity = identity
        self.lost: dict[str, int] = {}
        """Endpoints whose connection was lost, each with the time until which it may come back."""
        self.written: bool | None = False
        """Whether the database has him as connected to this node; None: unknown."""
        self.is_busy = False
        """A write is waiting or under way."""
        self.failures = 0
        self.retry_us = 0
        self.due_us: int | None = None

    def tick(self, now_us: int) -> None:
        self._presence.look_at(self)


class Presence:
    """What this node reports of its connections."""

    def __init__(
        self,
        database: Database,
        engine: Engine,
        bus: Bus,
        clock: Clock,
        connected: Connected,
        deadlines: Deadlines,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._database = database
        self._engine = engine
        self._bus = bus
        self._clock = clock
        self._connected = connected
        self._deadlines = deadlines
        self._spawn = spawn
        self._randomness = Randomness()
        self._services: dict[str, str] = {}
        """Those that show reachability, each with its account."""
        self._knows_services = False
        self._users: dict[tuple[str, str], _User] = {}
        # Holds each user once at most, so no more than have come and, lately, gone.
        self._waiting: deque[_User] = deque()
        self._writers = 0
        self._node: str | None = None
        self._naming = asyncio.Lock()

    # --- connections

    def came(self, service_sid: str, identity: str, endpoint: str) -> None:
        """A connection has become somebody's; the endpoint is the one it had before it was lost, if it was."""
        if service_sid in self._services:
            user = self._user(service_sid, identity)
            user.lost.pop(endpoint, None)
            self.look_at(user)

    def went(self, service_sid: str, identity: str, endpoint: str, ending: Ending) -> None:
        """It has ended."""
        user = self._users.get((service_sid, identity))
        if user is None:
            return
        if ending not in _AT_ONCE:
            if len(user.lost) >= ENDPOINTS:
                del user.lost[next(iter(user.lost))]
            user.lost[endpoint] = self._clock.now() + GRACE_S * _SECOND_US
        elif ending is Ending.REVOKED:
            user.written = None  # he was deleted, perhaps, and what was known of him with him
        self.look_at(user)

    def _user(self, service_sid: str, identity: str) -> _User:
        key = (service_sid, identity)
        user = self._users.get(key)
        if user is None:
            user = self._users[key] = _User(self, service_sid, identity)
        return user

    def _is_here(self, user: _User) -> bool:
        """He is to be kept as connected."""
        if user.service_sid not in self._services:
            return False
        if user.lost:
            now = self._clock.now()
            user.lost = {endpoint: until for endpoint, until in user.lost.items() if until > now}
        return bool(user.lost) or self._connected.has(user.service_sid, user.identity)

    def look_at(self, user: _User) -> None:
        """Something about him has changed, or his time has come."""
        if user.is_busy:
            return
        is_here = self._is_here(user)
        if user.service_sid not in self._services:
            user.written = False  # the rows of the service go by themselves
        due = None
        if is_here == user.written:
            if not is_here:
                self._users.pop((user.service_sid, user.identity), None)
            elif not self._connected.has(user.service_sid, user.identity):
                due = max(user.lost.values())
        elif self._clock.now() < user.retry_us:
            due = user.retry_us
        else:
            user.is_busy = True
            self._waiting.append(user)
            if self._writers < WRITES_AT_ONCE:
                self._writers += 1
                self._spawn(self._write())
        self._deadlines.put(user, due)

    # --- writing

    async def _write(self) -> None:
        try:
            while self._waiting:
                await self._write_one(self._waiting.popleft())
        finally:
            self._writers -= 1

    async def _write_one(self, user: _User) -> None:
        is_here = self._is_here(user)
        before, user.written = user.written, is_here
        try:
            is_done = is_here == before or await self._report(user, is_here)
        except (StorageError, TertuliaError) as trouble:
            user.written = before if user.written is is_here else user.written
            user.failures += 1
            user.retry_us = self._clock.now() + self._wait_us(user.failures)
            log.warning("presence.not_written", extra=observe.fields(why=str(trouble), failures=user.failures))
        else:
            user.failures = user.retry_us = 0
            if not is_done:
                user.written = None
        user.is_busy = False
        self.look_at(user)

    def _wait_us(self, failures: int) -> int:
        """From half of it to all of it, so that not all who failed together try together."""
        longest = min(LONGEST_WAIT_S, 1 << min(failures - 1, 8)) * _SECOND_US
        return longest // 2 + int.from_bytes(self._randomness.draw(4)) % (longest // 2)

    async def _report(self, user: _User, is_here: bool) -> bool:
        """False when the node has to take another name first."""
        account = self._services.get(user.service_sid)
        if account is None:
            return True
        node, caller = await self._name(), callers.system(account)
        if not is_here:
            await self._engine.execute(caller, DepartUser(service=user.service_sid, identity=user.identity, node=node))
            return True
        is_alive = await self._engine.execute(
            caller, ArriveUser(service=user.service_sid, identity=user.identity, node=node)
        )
        if not is_alive:
            self._begin_anew(node)
        return is_alive

    # --- the node

    async def _name(self) -> str:
        """The node's name, which others know; taken when the first user is reported."""
        if self._node is None:
            async with self._naming:
                if self._node is None:
                    node = f"ND{self._randomness.draw(16).hex()}"
                    async with self._database.transaction() as connection:
                        await Nodes(connection).add(node, self._clock.now() + ALIVE_S * _SECOND_US)
                    self._node = node
        return self._node

    def _begin_anew(self, node: str) -> None:
        """The node was given up by this name: what it reported counts no more."""
        if self._node == node:
            log.warning("presence.given_up", extra=observe.fields(node=node))
            self._node = None
            self._spawn(self._reconsider(frozenset(self._services)))

    async def beat(self) -> None:
        """The node goes on living. A failing database is tried again with the next beat."""
        try:
            if not self._knows_services or not self._bus.reliable:
                await self._read_services()
            if (node := self._node) is not None:
                now = self._clock.now()
                async with self._database.transaction() as connection:
                    is_alive = await Nodes(connection).renew(node, now, now + ALIVE_S * _SECOND_US)
                if not is_alive:
                    self._begin_anew(node)
        except StorageError as trouble:
            log.warning("presence.no_beat", extra=observe.fields(why=str(trouble)))

    async def start(self) -> None:
        self._bus.subscribe(NODES, self.receive)
        await self.beat()

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            await asyncio.sleep(BEAT_S)
            await self.beat()

    async def stop(self) -> None:
        """The last beat: who does not come back elsewhere is shown as offline after the time anybody has for that."""
        if self._node is None:
            return
        try:
            now = self._clock.now()
            async with self._database.transaction() as connection:
                await Nodes(connection).renew(self._node, now, now + GRACE_S * _SECOND_US)
        except StorageError as trouble:
            log.warning("presence.no_beat", extra=observe.fields(why=str(trouble)))

    # --- services

    def receive(self, publication: Publication) -> None:
        if isinstance(publication, ReachabilityTurned):
            if publication.is_enabled:
                self._services[publication.service_sid] = publication.account_sid
            else:
                self._services.pop(publication.service_sid, None)
            self._spawn(self._reconsider({publication.service_sid}))
        elif isinstance(publication, ServiceGone):
            self._services.pop(publication.service_sid, None)

    async def _read_services(self) -> None:
        async with self._database.snapshot() as connection:
            services = await Turns(connection).services_on()
        turned = services.keys() ^ self._services.keys()
        self._services, self._knows_services = services, True
        if turned:
            self._spawn(self._reconsider(turned))

    async def _reconsider(self, services: Container[str]) -> None:
        """What was written of the users of these services is unsure: look at all of them, some at a time."""
        known = [key for key in self._users if key[0] in services]
        for at, key in enumerate([*known, *self._connected.users_of(services)], 1):
            user = self._users.get(key)
            if user is None and key[0] in self._services:
                user = self._user(*key)
            if user is not None:
                user.written = None
                self.look_at(user)
            if at % LOOKS_PER_TICK == 0:
                await asyncio.sleep(0)
