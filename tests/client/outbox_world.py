"""What an outbox meets, played: the network, the server and the disk, each of which can fail at every step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar, cast

import msgspec

from tertulia.client.connection import ClientRequest
from tertulia.client.errors import ConnectionLostError, NotConnectedError
from tertulia.client.events import Event
from tertulia.client.model.conversation import Conversation
from tertulia.client.model.message import Message, message_snapshot
from tertulia.client.model.payloads import MessageData
from tertulia.client.model.snapshots import MessageSnapshot
from tertulia.client.outbox import Outbox
from tertulia.client.store import OutboxRow
from tertulia.wire.requests import Reply, error_reply

T = TypeVar("T")
REPLAY_S = 600.0
START = 1_800_000_000.0


class Fate(StrEnum):
    """What becomes of a request."""

    DONE = "done"
    NOT_SENT = "not sent"
    REQUEST_LOST = "request lost"
    ANSWER_LOST = "answer lost"
    LATE = "given up by us, and still on its way until we send the next"
    LONG_WITHOUT_ANSWER = "answer lost, and the next attempt is eleven minutes later"
    LONG_WITHOUT_REQUEST = "request lost, and the next attempt is eleven minutes later"
    REFUSED = "refused"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    DONE_AND_UNAVAILABLE = "done, and something on the way says 504"
    DIES_BEFORE = "the process dies before the request is sent"
    DIES_AFTER = "the process dies before the answer comes"
    DIES_FOR_LONG = "the process dies before the answer comes, and is started eleven minutes later"


LONG = {Fate.LONG_WITHOUT_ANSWER, Fate.LONG_WITHOUT_REQUEST, Fate.DIES_FOR_LONG}
DEADLY = {Fate.DIES_BEFORE, Fate.DIES_AFTER, Fate.DIES_FOR_LONG}
UNDONE = {
    Fate.NOT_SENT,
    Fate.LATE,
    Fate.REQUEST_LOST,
    Fate.LONG_WITHOUT_REQUEST,
    Fate.THROTTLED,
    Fate.UNAVAILABLE,
    Fate.REFUSED,
}


class World:
    """What outlives a process: the server's conversations, the disk, time, and what is still to go wrong."""

    def __init__(
        self,
        fates: Sequence[Fate],
        deaths: Sequence[int],
        ahead_s: float,
        lag: int | None,
        replay_s: float = REPLAY_S,
        settings: Mapping[int, float] | None = None,
        *,
        sleeps: bool = False,
    ) -> None:
        self.fates = list(fates)
        self.deaths = set(deaths)
        self.ahead_s = ahead_s
        self.lag = lag
        """How many of the newest messages the client has not heard of; None is all."""
        self.replay_s = replay_s
        self.settings = settings or {}
        """At which looks at the device's clock it is set, and how far it is off from then on."""
        self.sleeps = sleeps
        """Whether the steady clock stands still while minutes pass."""
        self.slept_s = 0.0
        self.looks = 0
        self.off_s = 0.0
        self.on_its_way: list[ClientRequest] = []
        self.meanwhile: list[tuple[str, str, str]] = []
        """What is said while minutes pass: where, by whom, in which words."""
        self.now = START
        self.conversations: dict[str, list[MessageSnapshot]] = {}
        self.remembered: dict[str, tuple[float, bytes]] = {}
        self.refused: set[str] = set()
        self.disk: dict[str, OutboxRow] = {}
        self.facts: dict[str, bytes] = {}
        self.accepted: list[str] = []
        self.writes = 0

    def clock(self) -> float:
        """What the device believes."""
        self.looks += 1
        self.off_s = self.settings.get(self.looks, self.off_s)
        return self.now + self.off_s

    def pass_minutes(self) -> None:
        """Eleven, so that the server forgets what it answered."""
        self.now += 660
        self.slept_s += 660 * self.sleeps
        while self.meanwhile:
            self.say(*self.meanwhile.pop(0))

    def steady(self) -> float:
        """What nobody can set, and what may stand still."""
        return self.now - START - self.slept_s

    def deliver(self) -> None:
        """What was on its way gets there."""
        while self.on_its_way:
            self.take(self.on_its_way.pop(0))

    def take(self, request: ClientRequest) -> Reply:
        """The server does what is asked, or what it did when it was asked that before."""
        id = request.headers["X-Twilio-Mutation-Id"]
        at, answer = self.remembered.get(id, (0.0, b""))
        if self.now - at < self.replay_s:
            return Reply(201, answer)
        sid, wish = request.url.split("/")[-2], msgspec.json.decode(request.body)
        message = self.say(sid, "alice", wish["body"])
        answer = msgspec.json.encode({"index": message.index, "sid": message.sid, "date_created": message.date_created})
        self.remembered[id] = (self.now, answer)
        return Reply(201, answer)

    def say(self, sid: str, author: str, body: str) -> MessageSnapshot:
        """A message, whoever wrote it."""
        messages = self.conversations.setdefault(sid, [])
        created = datetime.fromtimestamp(self.now + self.ahead_s, UTC)
        data = MessageData(sid=f"IM{sid}{len(messages)}", author=author, text=body, timestamp=created)
        messages.append(message := message_snapshot(len(messages), data))
        return message


class Process:
    """One life of the application: when it is over, whatever is under way never comes back."""

    identity = "alice"

    def __init__(
        self,
        world: World,
        *,
        is_kept: bool = True,
        settle_s: float = 0,
        rest_s: float = 0.0001,
        steady: Callable[[], float] | None = None,
    ) -> None:
        self.world = world
        self.replays_mutations_s = world.replay_s
        self.died = asyncio.Event()
        self.buried = asyncio.Event()
        self.outbox = Outbox(
            self,
            self,
            self,
            self if is_kept else None,
            self.emit,
            command_timeout=30,
            clock=world.clock,
            steady=steady or world.steady,
            settle_s=settle_s,
            rest_s=rest_s,
        )

    async def die(self) -> None:
        self.died.set()
        await self.buried.wait()
        raise asyncio.CancelledError

    async def end(self) -> None:
        """Nothing is left of it."""
        self.buried.set()
        await self.outbox.close()

    async def lives(self) -> None:
        if self.died.is_set():
            await self.die()

    # the network

    async def send(self, request: ClientRequest) -> Reply:
        await self.lives()
        world = self.world
        fate = world.fates.pop(0) if world.fates else Fate.DONE
        world.deliver()
        world.now += 0.01
        if fate is Fate.DIES_BEFORE:
            await self.die()
        if fate is Fate.LATE:
            world.on_its_way.append(request)
        if fate is Fate.NOT_SENT:
            raise NotConnectedError("not connected")
        if fate is Fate.REFUSED:
            body = msgspec.json.decode(request.body)["body"]
            if request.headers["X-Twilio-Mutation-Id"] not in world.remembered:
                world.refused.add(body)
                return error_reply(400, 50504, "too long")
        reply = None if fate in UNDONE and fate is not Fate.REFUSED else world.take(request)
        world.now += 0.01
        if fate in LONG:
            world.pass_minutes()
        if fate in DEADLY:
            await self.die()
        if fate in {
            Fate.LATE,
            Fate.REQUEST_LOST,
            Fate.LONG_WITHOUT_REQUEST,
            Fate.ANSWER_LOST,
            Fate.LONG_WITHOUT_ANSWER,
        }:
            self.outbox.lost()
            asyncio.get_running_loop().call_soon(self.outbox.connected)
            raise ConnectionLostError("lost")
        if fate is Fate.THROTTLED:
            return error_reply(429, 20429, "too often")
        if fate in {Fate.UNAVAILABLE, Fate.DONE_AND_UNAVAILABLE}:
            return error_reply(504, 0, "gateway timeout")
        assert reply is not None
        return reply

    async def get(self, url: str, kind: type[T]) -> T:
        raise AssertionError(url)

    async def upload_all(self, parts: Sequence[tuple[Any, str]]) -> Sequence[str]:
        raise AssertionError(parts)

    # the conversations

    def conversation(self, sid: str) -> Conversation | None:
        return None

    def messages_url(self, sid: str) -> str:
        return f"https://chat.example/Conversations/{sid}/Messages"

    def newest_index(self, sid: str) -> int | None:
        # Events come later than they are true.
        if self.world.lag is None:
            return None
        return max(-1, len(self.world.conversations.get(sid, ())) - 1 - self.world.lag)

    async def messages(self, sid: str, after: int | None) -> AsyncGenerator[Message, None]:
        there = self.world.conversations.get(sid, [])
        for snapshot in there[::-1] if after is None else there[after + 1 :]:
            yield Message(cast("Conversation", None), snapshot)

    async def message(self, sid: str, index: int) -> Message | None:
        return Message(cast("Conversation", None), self.world.conversations[sid][index])

    def emit(self, sid: str, event: Event) -> None:
        """Nobody listens."""

    # the disk

    async def write(self) -> None:
        await self.lives()
        self.world.writes += 1
        if self.world.writes in self.world.deaths:
            await self.die()
        await asyncio.sleep(0)
        await self.lives()

    def rows(self) -> list[OutboxRow]:
        return sorted(self.world.disk.values(), key=lambda row: row.place)

    async def add(self, row: OutboxRow, files: Sequence[bytes] = ()) -> None:
        await self.write()
        self.world.disk[row.id] = row
        self.world.accepted.append(msgspec.json.decode(row.content)["body"])
        await self.write()

    async def change(self, row: OutboxRow) -> None:
        await self.write()
        assert row.id in self.world.disk
        self.world.disk[row.id] = row
        await self.write()

    async def remove(self, id: str, fact: tuple[str, bytes] | None = None) -> None:
        await self.write()
        del self.world.disk[id]
        if fact is not None:
            self.world.facts[fact[0]] = fact[1]
        await self.write()

    def recall(self, name: str) -> bytes | None:
        return self.world.facts.get(name)

    async def file(self, id: str, number: int) -> bytes:
        raise AssertionError(id)
