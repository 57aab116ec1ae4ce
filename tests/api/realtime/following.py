"""One node without sockets: the real hub, the real reading from a real database, and a bus that may do its worst."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from tertulia.server.bus.base import EventPublished, Publication
from tertulia.server.bus.inprocess import InProcessBus
from tertulia.server.domain.sync import parse_object_sid
from tertulia.server.engine.sync.catalogue import Catalogue
from tertulia.server.engine.unit import Policy
from tertulia.server.realtime.follow import Following
from tertulia.server.realtime.hub import Hub
from tertulia.server.storage.database import Connection, StorageUnavailable
from tertulia.wire.sync import SubscriptionRequest
from tests.engine.world import BASE_URL, World
from tests.properties.mirror import Mirror, read_mirror

AT_ONCE = 8
LOSE, REPEAT, HOLD, DELIVER = "lose", "repeat", "hold", "deliver"


class FaultyBus(InProcessBus):
    """Loses, repeats and holds back events as it is told; what is held back comes later, out of order."""

    reliable = False

    def __init__(self) -> None:
        super().__init__()
        self.fate: Callable[[EventPublished], str] = lambda event: DELIVER
        self.held: list[Publication] = []
        self.said = 0

    async def publish(self, publications: Sequence[Publication]) -> None:
        for publication in publications:
            self.said += 1
            fate = self.fate(publication) if isinstance(publication, EventPublished) else DELIVER
            if fate == HOLD:
                self.held.append(publication)
                continue
            for _ in range({LOSE: 0, REPEAT: 2}.get(fate, 1)):
                await super().publish([publication])

    async def release(self) -> None:
        held, self.held = self.held, []
        await super().publish(held[::-1])


class Gate:
    """Somebody comes to it, and waits until it is opened."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()


class HesitantDatabase:
    """The database of the world, which others may pass by: readers are kept waiting before and after they read."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.pauses: Callable[[], int] = lambda: 0
        """How many turns of the event loop a reading takes, before and after it."""
        self.delays: Callable[[], int] | None = None
        """How many steps of a story happen before a reading, and between it and its use."""
        self._step = 0
        self._delayed: list[tuple[int, asyncio.Future[None]]] = []
        self._gate: Gate | None = None
        self.failures = 0

    async def _delay(self) -> None:
        if self.delays is not None and (steps := self.delays()):
            future = asyncio.get_running_loop().create_future()
            self._delayed.append((self._step + steps, future))
            await future

    def step(self) -> None:
        """A step of the story has happened."""
        self._step += 1
        self._wake(self._step)

    def hurry(self) -> None:
        """From here on no reading waits for a step."""
        self.delays = None
        self._wake(1 << 60)

    def _wake(self, until: int) -> None:
        waiting, self._delayed = self._delayed, []
        for due, future in waiting:
            if due > until:
                self._delayed.append((due, future))
            elif not future.done():
                future.set_result(None)

    def gate(self) -> Gate:
        """The next to read waits behind it, with what he has read."""
        self._gate = Gate()
        return self._gate

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        return self._world.database.transaction()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        for _ in range(self.pauses()):
            await asyncio.sleep(0)
        await self._delay()
        if self.failures:
            self.failures -= 1
            raise StorageUnavailable("the disk is on fire")
        async with self._world.database.snapshot() as connection:
            yield connection
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.reached.set()
            await gate.opened.wait()
        await self._delay()
        for _ in range(self.pauses()):
            await asyncio.sleep(0)

    dialect = "sqlite"

    @property
    def statements(self) -> int:
        return self._world.database.statements

    @property
    def commits(self) -> int:
        return self._world.database.commits

    async def open(self) -> None: ...

    async def close(self) -> None: ...


class Reader:
    """A connection of somebody who follows objects, and his copy of each."""

    def __init__(self, node: Node, identity: str) -> None:
        self.node = node
        self.identity = identity
        self.service_sid = node.world.service
        self.takes_typing = True
        self.followed: set[str] = set()
        self.is_open = True
        self.mirrors: dict[str, Mirror] = {}
        self.told: list[dict[str, Any]] = []
        self.typists: list[str] = []
        self.numbers: dict[str, list[int]] = {}
        self.established: set[str] = set()
        node.hub.connect(self)

    # --- what the node does to it

    def deliver(self, block: bytes) -> None:
        assert self.is_open, "a block for somebody who is gone"
        for line in block.splitlines():
            message_type, _, text = line.partition(b" ")
            body = json.loads(text)
            if message_type == b"twilio.ipmsg.typing_indicator":
                self.typists.append(body["identity"])
                continue
            sid = _sid_of(body["event"])
            assert sid in self.established, "a live event before the word that it will come"
            self._apply(message_type.decode(), body)

    def notify(self, message_type: str, body: bytes) -> None:
        assert message_type == "twilio.sync.event"
        decoded = json.loads(body)
        if decoded["event_type"].startswith("subscription_"):
            self.told.append(decoded)
            for entry in decoded["events"]:
                if decoded["event_type"] == "subscription_established":
                    self.established.add(entry["object_sid"])
                    mirror = self.mirrors[entry["object_sid"]]
                    mirror.last = max(mirror.last, entry["last_event_id"])
                else:
                    self.established.discard(entry["object_sid"])
                    self.mirrors.pop(entry["object_sid"], None)
            return
        family = decoded["event_type"].partition("_")[0]
        for event in decoded["events"]:
            one = {"event_type": decoded["event_type"], "event_protocol_version": 4, "event": event}
            self._apply(f"com.twilio.rtd.cds.{family}", one)

    def _apply(self, message_type: str, body: dict[str, Any]) -> None:
        """A number twice or out of order fails here."""
        sid = _sid_of(body["event"])
        mirror = self.mirrors[sid]
        self.numbers.setdefault(sid, []).append(body["event"]["id"])
        mirror.apply_replayed(message_type, json.dumps(body).encode())
        if mirror.is_gone:
            self.established.discard(sid)

    async def let_read(self) -> None:
        """It reads at once."""

    def revoke(self) -> None:
        self.leave()

    # --- what its client does

    def leave(self) -> None:
        if self.is_open:
            self.is_open = False
            self.node.hub.disconnect(self)

    async def open(self, sid: str) -> None:
        """A copy of the object as it is now."""
        async with self.node.world.database.snapshot() as connection:
            mirror = await present(connection, sid)
            if mirror is not None:
                self.mirrors[sid] = mirror

    async def subscribe(self, *sids: str) -> None:
        """From where the copies stand."""
        requests = []
        for sid in sids:
            self.established.discard(sid)
            if sid not in self.mirrors:
                await self.open(sid)
            mirror = self.mirrors.setdefault(sid, Mirror(sid, "map", -1, {}))
            requests.append(SubscriptionRequest(sid, mirror.type, mirror.last))
        if not self.is_open:
            return
        caller = self.node.world.user(self.identity)
        await self.node.following.establish(self, caller, 1, requests)

    async def follow(self, *sids: str) -> None:
        for sid in sids:
            await self.open(sid)
        await self.subscribe(*sids)

    def cancel(self, *sids: str) -> None:
        self.node.following.cancel(self, 2, [SubscriptionRequest(sid) for sid in sids])


class Node:
    """A hub and its reading, on the world's database."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.bus = FaultyBus()
        self.database = HesitantDatabase(world)
        # What is done is told by this node's bus alone.
        self.world.engine = world.engine_with(Policy(base_url=BASE_URL), self.bus)
        self.tasks: set[asyncio.Task[None]] = set()
        self.failures: list[BaseException] = []
        self.hub = Hub(self.bus, encode, lambda sid, after: self.following.missed(sid, after), self.spawn)
        self.following = Following(self.database, self.hub, BASE_URL, AT_ONCE)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failures.append(error)

    def reader(self, identity: str = "ana") -> Reader:
        return Reader(self, identity)

    async def settle(self) -> None:
        """Until nothing is under way any more."""
        async with asyncio.timeout(10):
            for _ in range(3):
                await asyncio.sleep(0)
                while self.tasks:
                    await asyncio.wait(set(self.tasks))
        assert self.failures == []

    async def close(self) -> None:
        for task in tuple(self.tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def present(self, sid: str) -> Mirror | None:
        async with self.world.database.snapshot() as connection:
            return await present(connection, sid)

    @property
    def is_empty(self) -> bool:
        """Nothing is remembered of anybody, and no topic is listened to but the one for all nodes."""
        hub = self.hub
        return not hub._entries and not hub._users and not hub._pending and set(self.bus._receivers) == {"nodes"}


def encode(message_type: str, body: bytes) -> bytes:
    return message_type.encode() + b" " + body + b"\n"


def _sid_of(event: dict[str, Any]) -> str:
    sid: str = event.get("document_sid") or event.get("list_sid") or event["map_sid"]
    return sid


async def present(connection: Connection, sid: str) -> Mirror | None:
    """The object as a client that opens it now has it."""
    name = parse_object_sid(sid)
    assert name is not None
    view = await Catalogue.open_for_system(connection, name, BASE_URL)
    return None if view is None else await read_mirror(connection, view)
