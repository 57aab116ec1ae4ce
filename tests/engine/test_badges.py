"""The number on icons: how many conversations have something unread (semantics 7.3)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tertulia.server.domain.conversations import Conversation, UpdateConversation
from tertulia.server.domain.memberships import UpdateMembership
from tertulia.server.domain.messages import DeleteMessage
from tertulia.server.domain.notices import SkipReason
from tertulia.server.domain.participants import RemoveParticipant
from tertulia.server.domain.push_content import PushKind
from tertulia.server.domain.users import DeleteUser
from tertulia.server.engine.push_queries import SWITCHED_OFF
from tertulia.server.push.service import Verdict
from tertulia.server.settings import PushSettings

from .telling import Telling
from .world import World


@pytest.fixture
async def telling(world: World) -> Telling:
    """New messages are told, with the number on the icon; Ben has one of Apple's devices and another."""
    telling = Telling(world, PushSettings())
    await telling.configure(new_message_enabled=True, badge_count_enabled=True)
    await telling.device("ben", "iPhone", kind="apn")
    await telling.device("ben", "Pixel")
    return telling


async def read(telling: Telling, room: Conversation, index: int | None, identity: str = "ben") -> None:
    await telling.world.do(UpdateMembership, conversation=room.sid, user=identity, last_read_index=index)


async def badges(telling: Telling) -> list[tuple[str, int | None]]:
    """What was sent since the last time, by address."""
    telling.world.clock.advance(timedelta(seconds=1))
    await telling.perform()
    sent = [(push.address, push.badge) for batch in telling.service.batches for push in batch.pushes]
    telling.service.forget()
    return sorted(sent)


async def badge(telling: Telling) -> int | None:
    """The number that the next message brings, which is in a conversation of its own."""
    room = await telling.world.conversation("ben")
    await telling.world.send(room.sid)
    numbers = [number for address, number in await badges(telling) if address == "iPhone"]
    await telling.world.do(RemoveParticipant, conversation=room.sid, participant="ben")
    return numbers[-1]


async def test_a_message_brings_the_number_to_apples_devices_alone(telling: Telling) -> None:
    room = await telling.world.conversation("ben")
    await telling.world.send(room.sid)
    assert await badges(telling) == [("Pixel", None), ("iPhone", 1)]


async def test_what_counts_are_conversations_with_something_unread(telling: Telling) -> None:
    world = telling.world
    empty, one, two, read_up, taken_back, closed, left = [await world.conversation("ana", "ben") for _ in range(7)]
    for room in (one, two, two, read_up, taken_back, closed, left):
        await world.send(room.sid, by=world.user("ana"))
    await read(telling, two, 0)
    await read(telling, read_up, 0)
    newest = await world.send(taken_back.sid)
    await read(telling, taken_back, 0)
    await world.do(DeleteMessage, conversation=taken_back.sid, message=newest.sid)
    await world.do(UpdateConversation, conversation=closed.sid, state="closed")
    await world.do(RemoveParticipant, conversation=left.sid, participant="ben")
    await badges(telling)
    assert (await world.queries.conversation(world.account, world.service, empty.sid)).newest_index is None
    assert await badge(telling) == 3, "the one never read in, the one half read, and the new one"


async def test_ones_own_messages_count_until_they_are_read(telling: Telling) -> None:
    world = telling.world
    room = await world.conversation("ben")
    message = await world.send(room.sid, by=world.user("ben"))
    await badges(telling)
    assert await badge(telling) == 2
    await read(telling, room, message.index)
    await badges(telling)
    assert await badge(telling) == 1


async def test_each_member_gets_his_own_number(telling: Telling) -> None:
    world = telling.world
    await telling.device("cleo", "cleo's", kind="apn")
    room, other = await world.conversation("ben", "cleo"), await world.conversation("cleo")
    await world.send(other.sid)
    await badges(telling)
    await world.send(room.sid)
    assert await badges(telling) == [("Pixel", None), ("cleo's", 2), ("iPhone", 1)]


@pytest.mark.owner_demand(8)
async def test_who_reads_on_sees_the_number_fall(telling: Telling) -> None:
    world = telling.world
    rooms = [await world.conversation("ben") for _ in range(2)]
    for room in rooms:
        await world.send(room.sid)
    await badges(telling)
    await read(telling, rooms[0], 0)
    assert await badges(telling) == [("iPhone", 1)]
    await read(telling, rooms[1], 0)
    assert await badges(telling) == [("iPhone", 0)]
    await read(telling, rooms[1], None)
    assert await badges(telling) == [("iPhone", 1)]


async def test_a_badge_is_nothing_but_a_number(telling: Telling) -> None:
    room = await telling.world.conversation("ben")
    await telling.world.send(room.sid)
    await badges(telling)
    await read(telling, room, 0)
    telling.world.clock.advance(timedelta(seconds=1))
    await telling.perform()
    content = telling.content
    assert (content.kind, content.text, content.message_type) == (PushKind.BADGE, "", None)
    assert content == type(content)(kind=PushKind.BADGE)


async def test_who_reads_quickly_is_counted_once(telling: Telling) -> None:
    room = await telling.world.conversation("ben")
    for _ in range(5):
        await telling.world.send(room.sid)
    await badges(telling)
    for index in range(4):
        await read(telling, room, index)
    assert await telling.owed("CountBadge") == 1
    assert await telling.perform() == 0, "not before the second is over"
    await read(telling, room, 4)
    assert await badges(telling) == [("iPhone", 0)]


async def test_who_does_not_read_on_is_not_counted(telling: Telling) -> None:
    world = telling.world
    room = await world.conversation("ben")
    await world.send(room.sid)
    await read(telling, room, 0)
    await badges(telling)
    await read(telling, room, 0)
    await world.do(UpdateMembership, conversation=room.sid, user="ben", notification_level="muted")
    assert await telling.owed("CountBadge") == 0


async def test_who_never_stops_reading_is_counted_each_second(telling: Telling) -> None:
    room = await telling.world.conversation("ben")
    for _ in range(20):
        await telling.world.send(room.sid)
    await badges(telling)
    counted = 0
    for index in range(20):
        await read(telling, room, index)
        telling.world.clock.advance(timedelta(milliseconds=250))
        await telling.perform()
        counted = len(telling.service.batches)
    assert 4 <= counted <= 6


@pytest.mark.parametrize(
    "settings", [{"badge_count_enabled": False}, {"new_message_enabled": False}], ids=["badges", "messages"]
)
async def test_where_numbers_are_switched_off_there_are_none(telling: Telling, settings: dict[str, bool]) -> None:
    world = telling.world
    room = await world.conversation("ben")
    await world.send(room.sid)
    await badges(telling)
    await world.send(room.sid)
    await read(telling, room, 0)
    await telling.plan()
    world.clock.advance(timedelta(seconds=1))
    await telling.configure(**settings)
    assert (PushKind.BADGE, 1) not in [(batch.content.kind, 1) for batch in telling.service.batches]
    await badges(telling)
    await read(telling, room, 1)
    assert await telling.owed("CountBadge") == 0
    await world.send(room.sid)
    assert [number for _, number in await badges(telling) if number is not None] == []


async def test_numbers_switched_off_before_they_are_sent_are_not(telling: Telling) -> None:
    world = telling.world
    room = await world.conversation("ben")
    await world.send(room.sid)
    await badges(telling)
    await read(telling, room, 0)
    world.clock.advance(timedelta(seconds=1))
    await telling.plan()
    await telling.configure(badge_count_enabled=False)
    assert await badges(telling) == []
    assert (await telling.answers())["ben"] == SWITCHED_OFF


async def test_who_has_none_of_apples_devices_is_not_counted(telling: Telling) -> None:
    world = telling.world
    await telling.device("cleo", "cleo's")
    room = await world.conversation("cleo")
    await world.send(room.sid)
    await badges(telling)
    await read(telling, room, 0, "cleo")
    assert await badges(telling) == []
    assert [notice.kind for notice in await telling.notices()] == ["new_message"]


async def test_a_device_that_wants_no_messages_gets_no_number(telling: Telling) -> None:
    await telling.device("ben", "iPad", kind="apn", types=("added_to_conversation",))
    room = await telling.world.conversation("ben")
    await telling.world.send(room.sid)
    await badges(telling)
    await read(telling, room, 0)
    assert await badges(telling) == [("iPhone", 0)]
    assert SkipReason.UNWANTED in [one.answer for one in await telling.deliveries()]


async def test_who_is_deleted_before_he_is_counted_is_not(telling: Telling) -> None:
    world = telling.world
    room = await world.conversation("ben")
    await world.send(room.sid)
    await badges(telling)
    await read(telling, room, 0)
    await world.do(DeleteUser, user="ben")
    assert await badges(telling) == []


async def test_a_push_that_comes_late_brings_the_number_of_now(telling: Telling) -> None:
    """Not the one of when it was planned: what was read meanwhile would be unread again."""
    world = telling.world
    room = await world.conversation("ben")
    telling.service.say("iPhone", Verdict.LATER, after_s=600)
    await world.send(room.sid)
    await telling.perform()
    telling.service.said.clear()
    await read(telling, room, 0)
    world.clock.advance(timedelta(seconds=1))
    assert await badges(telling) == [("Pixel", None), ("iPhone", 0), ("iPhone", 1)]
    world.clock.advance(timedelta(seconds=600))
    assert await badges(telling) == [("iPhone", 0)]
