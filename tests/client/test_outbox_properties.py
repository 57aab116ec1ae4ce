"""Whatever happens on the way, a message that was taken appears exactly once, and in its place.

The network, the server and the disk are played here, so that each can fail at every step: a request is lost, its answer
is lost, the process dies before or after anything is written, the server refuses or is busy, and minutes pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar, cast

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tertulia.client.connection import ClientRequest
from tertulia.client.draft import MessageDraft
from tertulia.client.errors import ConnectionLostError, NotConnectedError
from tertulia.client.events import Event
from tertulia.client.model.conversation import Conversation
from tertulia.client.model.message import Message, message_snapshot
from tertulia.client.model.payloads import MessageData
from tertulia.client.model.snapshots import MessageSnapshot
from tertulia.client.outbox import Outbox, PendingState
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
    LONG_WITHOUT_ANSWER = "answer lost, and the next attempt is eleven minutes later"
    LONG_WITHOUT_REQUEST = "request lost, and the next attempt is eleven minutes later"
    REFUSED = "refused"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    DONE_AND_UNAVAILABLE = "done, and something on the way says 504"
    DIES_BEFORE = "the process dies before the request is sent"
    DIES_AFTER = "the process dies before the answer comes"
    DIES_FOR_LONG = "the process dies before the answer comes, and is started eleven minutes later"


LATE = {Fate.LONG_WITHOUT_ANSWER, Fate.LONG_WITHOUT_REQUEST, Fate.DIES_FOR_LONG}
DEADLY = {Fate.DIES_BEFORE, Fate.DIES_AFTER, Fate.DIES_FOR_LONG}
UNDONE = {Fate.NOT_SENT, Fate.REQUEST_LOST, Fate.LONG_WITHOUT_REQUEST, Fate.THROTTLED, Fate.UNAVAILABLE, Fate.REFUSED}


class World:
    """What outlives a process: the server's conversations, the disk, time, and what is still to go wrong."""

    def __init__(self, fates: Sequence[Fate], deaths: Sequence[int], ahead_s: float, lag: int) -> None:
        self.fates = list(fates)
        self.deaths = set(deaths)
        self.ahead_s = ahead_s
        self.lag = lag
        self.now = START
        self.conversations: dict[str, list[MessageSnapshot]] = {}
        self.remembered: dict[str, tuple[float, bytes]] = {}
        self.refused: set[str] = set()
        self.disk: dict[str, OutboxRow] = {}
        self.facts: dict[str, bytes] = {}
        self.accepted: list[str] = []
        self.writes = 0

    def take(self, request: ClientRequest) -> Reply:
        """The server does what is asked, or what it did when it was asked that before."""
        id = request.headers["X-Twilio-Mutation-Id"]
        at, answer = self.remembered.get(id, (0.0, b""))
        if self.now - at < REPLAY_S:
            return Reply(201, answer)
        sid, wish = request.url.split("/")[-2], msgspec.json.decode(request.body)
        messages = self.conversations.setdefault(sid, [])
        created = datetime.fromtimestamp(self.now + self.ahead_s, UTC)
        data = MessageData(sid=f"IM{sid}{len(messages)}", author="alice", text=wish["body"], timestamp=created)
        messages.append(message := message_snapshot(len(messages), data))
        answer = msgspec.json.encode({"index": message.index, "sid": message.sid, "date_created": created})
        self.remembered[id] = (self.now, answer)
        return Reply(201, answer)


class Process:
    """One life of the application: when it is over, whatever is under way never comes back."""

    replays_mutations_s = REPLAY_S
    identity = "alice"

    def __init__(self, world: World) -> None:
        self.world = world
        self.died = asyncio.Event()
        self.outbox = Outbox(
            self, self, self, self, self.emit, command_timeout=30, clock=lambda: world.now, settle_s=0, rest_s=0.0001
        )

    async def die(self) -> None:
        self.died.set()
        await asyncio.Event().wait()

    async def lives(self) -> None:
        if self.died.is_set():
            await self.die()

    # the network

    async def send(self, request: ClientRequest) -> Reply:
        await self.lives()
        world = self.world
        fate = world.fates.pop(0) if world.fates else Fate.DONE
        world.now += 0.01
        if fate is Fate.DIES_BEFORE:
            await self.die()
        if fate is Fate.NOT_SENT:
            raise NotConnectedError("not connected")
        if fate is Fate.REFUSED:
            body = msgspec.json.decode(request.body)["body"]
            if request.headers["X-Twilio-Mutation-Id"] not in world.remembered:
                world.refused.add(body)
                return error_reply(400, 50504, "too long")
        reply = None if fate in UNDONE and fate is not Fate.REFUSED else world.take(request)
        world.now += 0.01
        if fate in LATE:
            world.now += 660
        if fate in DEADLY:
            await self.die()
        if fate in {Fate.REQUEST_LOST, Fate.LONG_WITHOUT_REQUEST, Fate.ANSWER_LOST, Fate.LONG_WITHOUT_ANSWER}:
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
        return max(-1, len(self.world.conversations.get(sid, ())) - 1 - self.world.lag)

    async def messages(self, sid: str, after: int | None) -> AsyncIterator[Message]:
        assert after is not None
        for snapshot in self.world.conversations.get(sid, [])[after + 1 :]:
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


async def live(world: World, to_write: list[tuple[str, str]]) -> None:
    """One process: it takes up what is there, writes what is to be written, and runs until all is sent or it dies."""
    process = Process(world)
    outbox = process.outbox
    outbox.restore()
    outbox.connected()

    async def write_and_wait() -> None:
        while to_write:
            sid, body = to_write.pop(0)
            await outbox.put(sid, MessageDraft(body=body))
        while len(outbox):
            waiting = outbox.pending()
            if all(message.state is PendingState.FAILED for message in waiting):
                for message in waiting:
                    await message.retry()
            await asyncio.sleep(0.0002)

    work = asyncio.ensure_future(write_and_wait())
    death = asyncio.ensure_future(process.died.wait())
    await asyncio.wait({work, death}, return_when=asyncio.FIRST_COMPLETED)
    work.cancel()
    death.cancel()
    await asyncio.gather(work, death, return_exceptions=True)
    await outbox.close()
    if work.done() and not work.cancelled():
        work.result()


@settings(max_examples=300, deadline=None)
@given(
    fates=st.lists(st.sampled_from(Fate), max_size=14),
    deaths=st.lists(st.integers(1, 40), max_size=4, unique=True),
    bodies=st.lists(st.tuples(st.sampled_from(["CHa", "CHb"]), st.sampled_from(["ok", "hm"])), min_size=1, max_size=6),
    are_unlike=st.booleans(),
    ahead_s=st.sampled_from([0.0, 30.0, -30.0]),
    lag=st.integers(0, 2),
)
def test_every_message_that_was_taken_arrives_once_and_in_order(
    fates: list[Fate],
    deaths: list[int],
    bodies: list[tuple[str, str]],
    are_unlike: bool,
    ahead_s: float,
    lag: int,
) -> None:
    to_write = [
        (sid, f"{sid} {body} {number}" if are_unlike else f"{sid} {body}") for number, (sid, body) in enumerate(bodies)
    ]
    world = World(fates, deaths, ahead_s, lag)

    async def lives() -> None:
        for _ in range(len(fates) + len(deaths) + 1):
            await asyncio.wait_for(live(world, to_write), 5)
            if not to_write and not world.disk:
                return
        raise AssertionError("it never ended")

    asyncio.run(lives())
    for sid in ("CHa", "CHb"):
        there = [str(message.body) for message in world.conversations.get(sid, [])]
        taken = [body for body in world.accepted if body.startswith(sid)]
        assert sorted(there) == sorted(taken)
        # Who was refused has lost his place.
        assert [body for body in there if body not in world.refused] == [
            body for body in taken if body not in world.refused
        ]
