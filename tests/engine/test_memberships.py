"""Read horizon, unread messages, notification level (semantics 6.1, 6.2, 6.5)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec import UNSET

from tertulia.server.domain.conversations import Conversation, UpdateConversation
from tertulia.server.domain.memberships import LeaveConversation, Membership, UpdateMembership
from tertulia.server.domain.messages import DeleteMessage, Message
from tertulia.server.domain.participants import UpdateParticipant
from tertulia.server.storage.paging import Page

from .world import World, refused


class Reader:
    """Ana in a room with five messages."""

    def __init__(self, world: World, room: Conversation, messages: list[Message]) -> None:
        self.world, self.room, self.messages = world, room, messages

    async def read(self, index: int | None, **fields: Any) -> Membership:
        where = {"by": self.world.user("ana"), "conversation": self.room.sid, "user": "ana"}
        return await self.world.do(UpdateMembership, last_read_index=index, **where, **fields)

    async def remove(self, *indexes: int) -> None:
        for index in indexes:
            await self.world.do(DeleteMessage, conversation=self.room.sid, message=self.messages[index].sid)


@pytest.fixture
async def ana(world: World) -> Reader:
    room = await world.conversation("ana", "ben")
    messages = [await world.send(room.sid) for _ in range(5)]
    return Reader(world, room, messages)


async def test_nothing_is_read_until_somebody_says_so(ana: Reader) -> None:
    await ana.world.send(ana.room.sid, by=ana.world.user("ana"))
    mine = await ana.world.queries.my_conversation(ana.world.user("ana"), ana.room.sid)
    assert (mine.participant.last_read_index, mine.participant.last_read_at, mine.unread) == (None, None, None)


@pytest.mark.parametrize(
    ("said", "index", "unread"), [(0, 0, 4), (3, 3, 1), (4, 4, 0), (9, 4, 0), (10**15, 4, 0), (None, None, None)]
)
@pytest.mark.owner_demand(20)
async def test_the_answer_tells_what_is_left(
    ana: Reader, said: int | None, index: int | None, unread: int | None
) -> None:
    moved = await ana.read(said)
    assert (moved.participant.last_read_index, moved.unread) == (index, unread)
    assert moved.participant.last_read_at == (None if said is None else ana.world.clock.now())
    assert (await ana.world.queries.my_conversation(ana.world.user("ana"), ana.room.sid)).unread == unread


async def test_the_horizon_moves_backwards_too(ana: Reader) -> None:
    await ana.read(4)
    assert (await ana.read(1)).unread == 3
    cleared = await ana.read(None)
    assert (cleared.participant.last_read_index, cleared.participant.last_read_at) == (None, None)


async def test_removed_messages_are_not_counted(ana: Reader) -> None:
    await ana.read(0)
    await ana.remove(2, 4)
    mine = await ana.world.queries.my_conversation(ana.world.user("ana"), ana.room.sid)
    assert mine.unread == 2


async def test_the_horizon_is_clipped_to_the_newest_message_there_is(ana: Reader) -> None:
    await ana.remove(4)
    assert (await ana.read(4)).participant.last_read_index == 3


async def test_without_messages_the_horizon_stays_none(ana: Reader) -> None:
    empty = await ana.world.conversation("ana")
    moved = await ana.world.do(UpdateMembership, conversation=empty.sid, user="ana", last_read_index=3)
    assert (moved.participant.last_read_index, moved.participant.last_read_at, moved.unread) == (None, None, None)
    await ana.remove(0, 1, 2, 3, 4)
    assert (await ana.read(2)).participant.last_read_index is None


async def test_at_most_a_thousand_are_counted(ana: Reader) -> None:
    columns = "account_sid, service_sid, author, attributes, created_at, updated_at, created_event, event"
    await ana.world.sql(
        "WITH RECURSIVE n(i) AS (SELECT 5 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)"
        f' INSERT INTO messages (conversation_sid, "index", sid, {columns})'
        f" SELECT conversation_sid, i, 'IM' || i, {columns} FROM messages, n WHERE sid = $1",
        ana.messages[0].sid,
    )
    assert (await ana.read(0)).unread == 1000


async def test_a_time_may_be_given(ana: Reader) -> None:
    assert (await ana.read(2, last_read_at=77_000_000)).participant.last_read_at == 77_000_000
    ana.world.clock.advance(timedelta(seconds=1))
    later = await ana.read(UNSET, last_read_at=78_000_000)  # type: ignore[arg-type]
    assert (later.participant.last_read_index, later.participant.last_read_at) == (2, 78_000_000)


async def test_a_time_without_an_index_says_nothing_to_who_has_read_nothing(ana: Reader) -> None:
    same = await ana.read(UNSET, last_read_at=78_000_000)  # type: ignore[arg-type]
    assert (same.participant.last_read_index, same.participant.last_read_at) == (None, None)


async def test_the_same_index_again_tells_nobody(ana: Reader) -> None:
    first = await ana.read(2)
    ana.world.told()
    ana.world.clock.advance(timedelta(seconds=1))
    assert (await ana.read(2)).participant == first.participant
    assert ana.world.told() == []


async def test_the_roster_and_the_own_map_hear_of_it(ana: Reader) -> None:
    ana.world.told()
    await ana.read(2)
    assert ana.world.told() == ["map_item_updated MP", "map_item_updated MC"]
    await ana.world.do(UpdateParticipant, conversation=ana.room.sid, participant="ana", last_read_index=3)
    assert ana.world.told() == ["map_item_updated MP", "map_item_updated MC"]
    await ana.read(UNSET, last_read_at=1_000_000)  # type: ignore[arg-type]
    assert ana.world.told() == ["map_item_updated MP"], "the own map does not show the time"


async def test_a_negative_index_is_refused(ana: Reader) -> None:
    with refused(50421, 400):
        await ana.read(-1)


@pytest.mark.parametrize("level", ["muted", "default"])
async def test_the_notification_level_is_the_users_own(ana: Reader, level: str) -> None:
    where = {"conversation": ana.room.sid, "user": "ana"}
    await ana.world.do(UpdateMembership, notification_level={"muted": "default", "default": "muted"}[level], **where)
    ana.world.told()
    changed = await ana.world.do(UpdateMembership, by=ana.world.user("ana"), notification_level=level, **where)
    assert changed.participant.notification_level == level
    assert ana.world.told() == ["map_item_updated MP", "map_item_updated MC"]


@pytest.mark.parametrize("level", ["", "loud", "Muted"])
async def test_another_level_is_refused(ana: Reader, level: str) -> None:
    with refused(50210, 400):
        await ana.world.do(UpdateMembership, conversation=ana.room.sid, user="ana", notification_level=level)


async def test_the_account_may_do_it_for_a_user_by_sid_too(ana: Reader) -> None:
    user = await ana.world.queries.user(ana.world.service, "ana")
    changed = await ana.world.do(UpdateMembership, conversation=ana.room.sid, user=user.sid, last_read_index=1)
    assert changed.unread == 3


async def test_of_users_and_conversations_that_are_not_there(ana: Reader) -> None:
    with refused(50200, 404):
        await ana.world.do(UpdateMembership, conversation=ana.room.sid, user="nobody", last_read_index=1)
    other = await ana.world.conversation("ben")
    for conversation in (other.sid, "CH" + "0" * 32):
        with refused(50350, 404):
            await ana.world.do(UpdateMembership, conversation=conversation, user="ana", last_read_index=1)
        with refused(50350, 404):
            await ana.world.do(LeaveConversation, conversation=conversation, user="ana")
    with refused(20404, 404):
        foreign = "IS" + "0" * 32
        await ana.world.do(UpdateMembership, service=foreign, conversation=other.sid, user="ana", last_read_index=1)


async def test_ending_a_membership_is_leaving(ana: Reader) -> None:
    await ana.world.do(LeaveConversation, conversation=ana.room.sid, user="ana")
    with refused(50350, 404):
        await ana.world.queries.my_conversation(ana.world.user("ana"), ana.room.sid)
    with refused(50107, 403):
        await ana.world.do(LeaveConversation, by=ana.world.user("ben"), conversation=ana.room.sid, user="ben")


async def test_present_and_historical_conversations_are_listed_for_the_account(ana: Reader) -> None:
    other = await ana.world.conversation("ana")
    await ana.world.do(UpdateConversation, conversation=ana.room.sid, state="closed")
    await ana.world.do(UpdateConversation, conversation=other.sid, state="inactive")
    listed = await ana.world.queries.memberships(ana.world.service, "ana", Page(10))
    assert [one.conversation.state for one in listed] == ["closed", "inactive"]
    mine = await ana.world.queries.my_conversations(ana.world.user("ana"), 10, None)
    assert [conversation.sid for _, conversation in mine.rows] == [other.sid]
