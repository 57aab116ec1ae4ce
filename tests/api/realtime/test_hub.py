"""What a node tells those who follow, when its bus loses, repeats and reorders (architecture 6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tertulia.server.bus.base import EventPublished
from tertulia.server.domain.conversations import DeleteConversation, UpdateConversation
from tertulia.server.domain.messages import DeleteMessage, UpdateMessage
from tertulia.server.domain.participants import RemoveParticipant
from tertulia.server.domain.sync import ObjectKind, object_sid
from tertulia.server.engine.typing import Typing
from tests.engine.world import World
from tests.properties.mirror import Mirror

from .following import AT_ONCE, DELIVER, HOLD, LOSE, REPEAT, Node, Reader


@pytest.fixture
async def node(world: World) -> AsyncIterator[Node]:
    node = Node(world)
    yield node
    await node.close()


class Room:
    def __init__(self, node: Node, sid: str) -> None:
        self.node, self.sid = node, sid
        self.document, self.messages, self.roster = (
            object_sid(kind, sid) for kind in (ObjectKind.DOCUMENT, ObjectKind.MESSAGES, ObjectKind.ROSTER)
        )

    async def say(self, *texts: str) -> list[str]:
        return [(await self.node.world.send(self.sid, text)).sid for text in texts]

    async def edit(self, message: str, body: str) -> None:
        world = self.node.world
        where: dict[str, Any] = {"service": world.service, "conversation": self.sid}
        await world.engine.execute(world.account, UpdateMessage(**where, message=message, body=body))

    async def remove(self, message: str) -> None:
        world = self.node.world
        where: dict[str, Any] = {"service": world.service, "conversation": self.sid}
        await world.engine.execute(world.account, DeleteMessage(**where, message=message))

    async def rename(self, name: str) -> None:
        world = self.node.world
        where: dict[str, Any] = {"service": world.service, "conversation": self.sid}
        await world.engine.execute(world.account, UpdateConversation(**where, friendly_name=name))


@pytest.fixture
async def room(node: Node) -> Room:
    return Room(node, (await node.world.conversation("ana", "ben", "eve")).sid)


def fates(of: str, *words: str) -> Callable[[EventPublished], str]:
    """What becomes of the next events of an object, one after the other; the rest is delivered."""
    waiting = list(words)
    return lambda event: waiting.pop(0) if event.object_sid == of and waiting else DELIVER


async def agrees(node: Node, reader: Reader, *sids: str) -> None:
    """The reader's copies are what is there."""
    await node.settle()
    for sid in sids:
        assert reader.mirrors[sid] == await node.present(sid)


# --- a bus that does its worst


@pytest.mark.parametrize(
    "words",
    [
        [LOSE],
        [LOSE, LOSE, LOSE],
        [DELIVER, LOSE, DELIVER, LOSE],
        [REPEAT, REPEAT],
        [LOSE, REPEAT],
        [HOLD],
        [HOLD, DELIVER],
        [HOLD, HOLD, DELIVER],
        [HOLD, LOSE, REPEAT, HOLD],
    ],
    ids=" ".join,
)
async def test_whatever_is_lost_is_repaired_when_a_later_number_is_seen(
    node: Node, room: Room, words: list[str]
) -> None:
    readers = [node.reader(identity) for identity in ("ana", "ben")]
    for reader in readers:
        await reader.follow(room.messages)
    node.bus.fate = fates(room.messages, *words)
    await room.say(*(f"message {n}" for n in range(len(words))))
    await node.settle()
    await room.say("the last")
    for reader in readers:
        await agrees(node, reader, room.messages)
        assert reader.numbers[room.messages] == list(range(len(words) + 1))
    await node.bus.release()
    for reader in readers:
        await agrees(node, reader, room.messages)


async def test_reordered_within_one_tick_is_repaired(node: Node, room: Room) -> None:
    reader = node.reader()
    await reader.follow(room.messages, room.document)
    node.bus.fate = lambda event: HOLD
    await room.say(*"abcd")
    await node.bus.release()
    await agrees(node, reader, room.messages, room.document)


async def test_the_newest_content_of_a_document_wins_in_whatever_order_it_comes(node: Node, room: Room) -> None:
    reader = node.reader()
    await reader.follow(room.document)
    node.bus.fate = lambda event: HOLD
    for name in "abc":
        await room.rename(name)
    await node.bus.release()
    await agrees(node, reader, room.document)
    assert reader.numbers[room.document] == [await _newest(node, room.document)]


async def _newest(node: Node, sid: str) -> int:
    mirror = await node.present(sid)
    assert mirror is not None
    return mirror.last


async def test_a_repair_reads_once_however_many_wait_for_it(node: Node, room: Room) -> None:
    readers = [node.reader() for _ in range(50)]
    for reader in readers:
        await reader.follow(room.messages)
    node.bus.fate = fates(room.messages, LOSE)
    await room.say("lost")
    node.database.pauses = lambda: 5
    before = node.world.database.statements
    spent = -before
    await room.say("seen")
    spent += node.world.database.statements
    await node.settle()
    repair = node.world.database.statements - before - spent
    assert repair < 10
    assert all(reader.numbers[room.messages] == [0, 1] for reader in readers)


async def test_what_happens_during_a_repair_is_not_lost(node: Node, room: Room) -> None:
    reader = node.reader()
    await reader.follow(room.messages)
    node.bus.fate = fates(room.messages, LOSE, DELIVER, LOSE, DELIVER, REPEAT, LOSE, DELIVER)
    gate = node.database.gate()
    await room.say(*"ab")
    await gate.reached.wait()
    await room.say(*"cdefg")
    gate.opened.set()
    await agrees(node, reader, room.messages)
    assert reader.numbers[room.messages] == list(range(7))


async def test_a_repair_that_the_database_fails_is_tried_again(node: Node, room: Room) -> None:
    reader = node.reader()
    await reader.follow(room.messages)
    node.bus.fate = fates(room.messages, LOSE)
    await room.say("lost")
    node.database.failures = 1
    await room.say("seen")
    await agrees(node, reader, room.messages)
    assert reader.numbers[room.messages] == [0, 1]


async def test_a_repair_tells_who_was_ahead_what_he_alone_must_hear(node: Node, room: Room) -> None:
    """An item that came and went is nothing to those who never saw it; who has seen it must hear that it went."""
    behind, ahead = node.reader("ana"), node.reader("ben")
    await behind.follow(room.messages)
    node.bus.fate = lambda event: LOSE
    (sid,) = await room.say("short-lived")
    await ahead.follow(room.messages)
    assert list(ahead.mirrors[room.messages].items) == [0]
    await room.remove(sid)
    node.bus.fate = lambda event: DELIVER
    await room.say("seen")
    await agrees(node, behind, room.messages)
    await agrees(node, ahead, room.messages)
    await room.say("after it")
    await agrees(node, behind, room.messages)
    await agrees(node, ahead, room.messages)


async def test_one_who_is_ahead_hears_nothing_twice(node: Node, room: Room) -> None:
    behind, ahead = node.reader("ana"), node.reader("ben")
    await behind.follow(room.messages)
    node.bus.fate = lambda event: HOLD
    await room.say(*"abc")
    await ahead.follow(room.messages)
    node.bus.fate = lambda event: DELIVER
    held, node.bus.held = node.bus.held, []
    for publication in held:
        await node.bus.publish([publication])
        await node.settle()
    await room.say("d")
    await agrees(node, behind, room.messages)
    await agrees(node, ahead, room.messages)
    assert (behind.numbers[room.messages], ahead.numbers[room.messages]) == ([0, 1, 2, 3], [3])


async def test_one_who_has_read_less_than_a_repair_reads_once_more(node: Node, room: Room) -> None:
    """The repair, begun before he came, is further than he; nothing that was published tells him so."""
    other, reader = node.reader("ben"), node.reader()
    await other.follow(room.messages)
    node.bus.fate = fates(room.messages, LOSE, DELIVER, LOSE)
    steps = iter([2])  # the repair reads late, after all that is said here
    node.database.delays = lambda: next(steps, 0)
    await room.say("lost", "seen")
    await asyncio.sleep(0)
    async with catching_up(node, reader, room.messages):
        await room.say("lost as well")
        node.database.step()
        node.database.step()
        await until(lambda: other.numbers.get(room.messages) == [0, 1, 2])
    await agrees(node, reader, room.messages)
    assert reader.numbers[room.messages] == [2]


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_so():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0)


# --- catching up


@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.parametrize("words", [[LOSE], [LOSE, LOSE], [HOLD], [DELIVER, LOSE], [REPEAT, HOLD]], ids=" ".join)
async def test_a_loss_while_one_catches_up_is_repaired(node: Node, room: Room, words: list[str], others: int) -> None:
    """Between the reading and the first live event, also when nobody else follows who could notice."""
    for _ in range(others):
        await node.reader("eve").follow(room.messages)
    reader = node.reader()
    node.bus.fate = fates(room.messages, *words)
    async with catching_up(node, reader, room.messages):
        await room.say(*words)
        await node.bus.release()
        await room.say("the last")
    await agrees(node, reader, room.messages)
    await room.say("seen")
    await agrees(node, reader, room.messages)
    assert reader.numbers[room.messages] == list(range(len(words) + 2))


@asynccontextmanager
async def catching_up(node: Node, reader: Reader, sid: str) -> AsyncIterator[None]:
    """What happens inside happens between the reader's reading and his first live event."""
    await reader.open(sid)
    gate = node.database.gate()
    catching = asyncio.create_task(reader.subscribe(sid))
    await gate.reached.wait()
    yield
    gate.opened.set()
    await catching
    await node.settle()


async def test_more_than_can_be_kept_for_one_who_catches_up_is_read_once_more(
    node: Node, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tertulia.server.realtime.hub.KEPT_WHILE_CATCHING_UP", 3)
    reader, other = node.reader(), node.reader("ben")
    await other.follow(room.messages)
    async with catching_up(node, reader, room.messages):
        await room.say(*"abcdefgh")
        (entry,) = node.hub._entries.values()
        (caught,) = (entry.catching or {}).values()
        assert len(caught.events) == 3
    for one in (reader, other):
        await agrees(node, one, room.messages)
        assert one.numbers[room.messages] == list(range(8))


async def test_a_database_in_trouble_leaves_a_batch_unanswered_and_nothing_behind(
    node: Node, room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    """realtime 9.5: the client asks again after a while; a failure would be for good."""
    reader = node.reader()
    await reader.open(room.messages)
    node.database.failures = 1
    await reader.subscribe(room.messages)
    assert reader.told == []
    assert [record.message for record in caplog.records if record.levelname != "INFO"] == ["follow.failed"]
    assert not node.hub._entries
    await reader.subscribe(room.messages)
    await room.say("seen")
    await agrees(node, reader, room.messages)


async def test_access_that_ends_while_one_catches_up_is_told_as_a_failure(node: Node, room: Room) -> None:
    reader = node.reader()
    world = node.world
    where = {"service": world.service, "conversation": room.sid}
    async with catching_up(node, reader, room.messages):
        await world.engine.execute(world.account, RemoveParticipant(**where, participant="ana"))
    await room.say("secret")
    await node.settle()
    assert reader.numbers == {}
    assert reader.told[-1]["event_type"] == "subscription_failed"
    assert not node.hub._entries


async def test_access_that_ends_and_begins_again_meanwhile_loses_nothing(node: Node, room: Room) -> None:
    reader = node.reader()
    world = node.world
    where = {"service": world.service, "conversation": room.sid}
    async with catching_up(node, reader, room.messages):
        await world.engine.execute(world.account, RemoveParticipant(**where, participant="ana"))
        await world.add(room.sid, "ana")
    await room.say("seen")
    await agrees(node, reader, room.messages)


async def test_when_all_return_at_once_others_get_their_turn_between_them(node: Node, room: Room) -> None:
    """However many are read to, no more than a few of them between two turns of the event loop."""
    await room.say(*(f"message {n}" for n in range(30)))
    readers = [node.reader(identity) for identity in ("ana", "ben", "eve") for _ in range(40)]
    for reader in readers:
        reader.mirrors[room.messages] = Mirror(room.messages, "list", -1, {})
    returning = [asyncio.create_task(reader.subscribe(room.messages)) for reader in readers]
    steps, before = [], 0
    while not all(task.done() for task in returning):
        await asyncio.sleep(0)
        done = sum(bool(reader.established) for reader in readers)
        steps.append(done - before)
        before = done
    assert sum(steps) == len(readers)
    assert max(steps) <= AT_ONCE
    for reader in readers:
        await agrees(node, reader, room.messages)


# --- the end of an object


async def delete(node: Node, room: Room) -> None:
    world = node.world
    await world.engine.execute(world.account, DeleteConversation(service=world.service, conversation=room.sid))


async def test_the_end_of_an_object_is_told_once_and_the_object_forgotten(node: Node, room: Room) -> None:
    readers = [node.reader(identity) for identity in ("ana", "ben")]
    for reader in readers:
        await reader.follow(room.document, room.messages, room.roster)
    await delete(node, room)
    await node.settle()
    for reader in readers:
        assert all(reader.mirrors[sid].is_gone for sid in (room.document, room.messages, room.roster))
        assert reader.followed == set()
    assert not node.hub._entries


async def test_the_end_is_told_also_when_what_came_before_it_was_lost(node: Node, room: Room) -> None:
    reader = node.reader()
    await reader.follow(room.messages)
    node.bus.fate = fates(room.messages, LOSE)
    await room.say("lost")
    await delete(node, room)
    await node.settle()
    assert reader.mirrors[room.messages].is_gone
    assert not node.hub._entries


@pytest.mark.parametrize("others", [0, 1])
async def test_one_who_catches_up_while_the_object_ends_hears_of_it(node: Node, room: Room, others: int) -> None:
    for _ in range(others):
        await node.reader("ben").follow(room.messages)
    reader = node.reader()
    async with catching_up(node, reader, room.messages):
        await room.say("once")
        await delete(node, room)
    assert room.messages not in reader.mirrors or reader.mirrors[room.messages].is_gone
    assert reader.followed == set()
    assert not node.hub._entries


async def test_an_object_that_ends_during_a_repair_is_let_go(node: Node, room: Room) -> None:
    reader = node.reader()
    await reader.follow(room.messages)
    node.bus.fate = fates(room.messages, LOSE, DELIVER, DELIVER, LOSE)
    gate = node.database.gate()
    await room.say("lost", "seen")
    await gate.reached.wait()
    await room.say("too late for the reading")
    await room.say("and this")
    await delete(node, room)
    gate.opened.set()
    await node.settle()
    assert reader.followed == set()
    assert not node.hub._entries


# --- nothing is left behind


async def test_when_everybody_has_left_nothing_is_left(node: Node, room: Room) -> None:
    readers = [node.reader(identity) for identity in ("ana", "ana", "ben", "eve")]
    for reader in readers:
        await reader.follow(room.document, room.messages, room.roster)
    absent = node.reader()
    absent.mirrors["ES" + "0" * 32] = next(iter(readers[0].mirrors.values()))
    await absent.subscribe("ES" + "0" * 32)
    readers[0].cancel(room.document, room.messages)
    readers[1].cancel(room.document, room.messages, room.roster, "nonsense")
    await room.say("hello")
    await node.settle()
    for reader in (*readers, absent):
        reader.leave()
    await node.settle()
    assert node.is_empty


async def test_one_who_leaves_while_he_catches_up_leaves_nothing(node: Node, room: Room) -> None:
    reader = node.reader()
    async with catching_up(node, reader, room.messages):
        await room.say(*"abc")
        reader.leave()
    await room.say("d")
    await node.settle()
    assert node.is_empty


async def test_one_who_leaves_during_a_repair_leaves_nothing(node: Node, room: Room) -> None:
    reader = node.reader()
    await reader.follow(room.messages)
    node.bus.fate = fates(room.messages, LOSE)
    node.database.pauses = lambda: 100
    await room.say("lost", "seen")
    await asyncio.sleep(0)
    reader.leave()
    await node.settle()
    assert node.is_empty


async def test_nothing_is_read_or_encoded_for_what_nobody_follows(node: Node, room: Room) -> None:
    reader = node.reader()
    await reader.follow(room.roster)
    node.bus.fate = fates(room.messages, LOSE)
    await room.say("lost", "seen")
    await node.settle()
    assert set(node.hub._entries) == {room.roster}


# --- typing


async def test_typing_goes_to_the_others_who_are_live(node: Node, room: Room) -> None:
    ana, ben, eve = (node.reader(identity) for identity in ("ana", "ben", "eve"))
    for reader in (ana, ben):
        await reader.follow(room.messages)
    eve.takes_typing = False
    await eve.follow(room.messages)
    await Typing(node.world.database, node.bus, 5).typing(node.world.user("ana"), room.sid)
    await node.settle()
    assert (ana.typists, ben.typists, eve.typists) == ([], ["ana"], [])
