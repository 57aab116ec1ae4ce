"""Retention: off unless somebody asks for it; what goes is seen to go (semantics 5.5)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tertulia.server.domain import callers
from tertulia.server.domain.conversations import CreateConversation, UpdateConversation
from tertulia.server.domain.messages import SendMessage
from tertulia.server.domain.retention import ChooseRetention
from tertulia.server.domain.services import DeleteService
from tertulia.server.domain.webhooks import ConfigureHooks
from tertulia.server.jobs.retention import BITE, RetentionTrimmer
from tertulia.server.settings import RetentionSettings
from tertulia.server.storage.paging import Page

from .world import World, refused

WEEK = RetentionSettings(messages_days=7, closed_conversations_days=7)


def trimmer(world: World, settings: RetentionSettings = WEEK) -> RetentionTrimmer:
    return RetentionTrimmer(world.database, world.engine, world.clock, settings, pause_s=0)


async def bodies(world: World, sid: str) -> list[str | None]:
    found = await world.queries.messages(world.account, world.service, sid, Page(1000))
    return [message.body for message in found]


async def test_everything_is_kept_for_good_unless_somebody_says_otherwise(world: World) -> None:
    room = await world.conversation("ana")
    await world.send(room.sid)
    await world.do(UpdateConversation, conversation=room.sid, state="closed")
    world.clock.advance(timedelta(days=20_000))
    assert await trimmer(world, RetentionSettings()).trim() == 0
    assert await bodies(world, room.sid) == ["hello"]


async def test_messages_go_at_their_age_and_members_see_it(world: World) -> None:
    room = await world.conversation("ana")
    await world.send(room.sid, "old")
    world.clock.advance(timedelta(days=6))
    await world.send(room.sid, "new")
    world.clock.advance(timedelta(days=1))
    assert await trimmer(world).trim() == 0, "not before"
    world.clock.advance(timedelta(seconds=1))
    world.told()
    assert await trimmer(world).trim() == 1
    assert world.told() == ["list_item_removed ES"]
    assert await bodies(world, room.sid) == ["new"]
    now = await world.queries.conversation(world.account, world.service, room.sid)
    assert (now.message_count, now.last_index, now.newest_index, now.state) == (1, 1, 1, "active")


async def test_the_last_message_is_forgotten_too(world: World) -> None:
    room = await world.conversation("ana")
    await world.send(room.sid)
    world.clock.advance(timedelta(days=8))
    world.told()
    assert await trimmer(world).trim() == 1
    assert world.told() == ["list_item_removed ES", "document_updated ET"]
    now = await world.queries.conversation(world.account, world.service, room.sid)
    assert (now.newest_index, now.newest_at, now.message_count) == (None, None, 0)
    assert (await world.send(room.sid)).index == 1, "an index is never given again"


async def test_many_go_in_bites(world: World) -> None:
    room = await world.conversation("ana")
    for _ in range(BITE * 2 + 5):
        await world.send(room.sid)
    world.clock.advance(timedelta(days=8))
    await world.send(room.sid, "new")
    before = world.database.commits
    assert await trimmer(world).trim() == BITE * 2 + 5
    assert world.database.commits - before >= 3
    assert await bodies(world, room.sid) == ["new"]


async def test_an_old_date_behind_a_new_one_waits_for_its_turn(world: World) -> None:
    room = await world.conversation()
    await world.send(room.sid, "new")
    await world.do(SendMessage, conversation=room.sid, body="imported", created_at=0)
    assert await trimmer(world).trim() == 0
    world.clock.advance(timedelta(days=8))
    assert await trimmer(world).trim() == 2


async def test_closed_conversations_go_when_they_have_been_closed_for_long(world: World) -> None:
    old, new, active = [await world.conversation("ana") for _ in range(3)]
    await world.do(UpdateConversation, conversation=old.sid, state="closed")
    world.clock.advance(timedelta(days=5))
    await world.do(UpdateConversation, conversation=new.sid, state="closed")
    world.clock.advance(timedelta(days=3))
    only = RetentionSettings(closed_conversations_days=7)
    assert await trimmer(world, only).trim() == 1
    with refused(50350, 404):
        await world.queries.conversation(world.account, world.service, old.sid)
    for kept in (new, active):
        await world.queries.conversation(world.account, world.service, kept.sid)


async def test_receivers_of_webhooks_hear_nothing_of_it(world: World) -> None:
    await world.do(
        ConfigureHooks, post_url="https://hooks.test/", filters=("onMessageRemoved", "onConversationRemoved")
    )
    room, closed = await world.conversation(), await world.conversation()
    await world.send(room.sid)
    await world.do(UpdateConversation, conversation=closed.sid, state="closed")
    world.clock.advance(timedelta(days=8))
    assert await trimmer(world).trim() == 2
    async with world.database.snapshot() as connection:
        assert await connection.rows("SELECT kind FROM outbox WHERE kind = 'CallWebhook'") == []


async def test_a_service_may_choose_for_itself(world: World) -> None:
    other = await world.in_new_service()
    rooms = [await world.conversation(), await other.conversation()]
    await world.send(rooms[0].sid)
    await other.send(rooms[1].sid)
    by = callers.operator()
    await world.do(ChooseRetention, by=by, messages_days=0)
    await other.do(ChooseRetention, by=by, messages_days=3)
    world.clock.advance(timedelta(days=4))
    assert await trimmer(world).trim() == 1
    assert await bodies(world, rooms[0].sid) == ["hello"]
    assert await bodies(other, rooms[1].sid) == []
    world.clock.advance(timedelta(days=100))
    assert await trimmer(world).trim() == 0, "0 is for good, whatever the settings say"
    chosen = await world.do(ChooseRetention, by=by, messages_days=None)
    assert (chosen.messages_days, chosen.closed_conversations_days) == (None, None)
    assert await trimmer(world).trim() == 1


@pytest.mark.parametrize("days", [-1, 36_501])
async def test_a_choice_has_to_make_sense(world: World, days: int) -> None:
    with refused(20001, 400):
        await world.do(ChooseRetention, by=callers.operator(), messages_days=days)
    with refused(20404, 404):
        await world.do(ChooseRetention, by=callers.operator(), service="IS" + "0" * 32, messages_days=1)


async def test_accounts_do_not_choose(world: World) -> None:
    with refused(20006, 403):
        await world.do(ChooseRetention, messages_days=1)


async def test_it_is_looked_at_once_an_hour(world: World) -> None:
    room = await world.conversation()
    await world.send(room.sid)
    trim = trimmer(world).trim
    assert await trim() == 0
    world.clock.advance(timedelta(days=8))
    assert await trim() == 1
    await world.do(SendMessage, conversation=room.sid, body="imported", created_at=0)
    assert await trim() == 0
    world.clock.advance(timedelta(hours=1))
    assert await trim() == 1


async def test_the_choice_goes_with_its_service(world: World) -> None:
    other = await world.in_new_service()
    await other.do(ChooseRetention, by=callers.operator(), messages_days=3)
    await other.do(DeleteService)
    assert await world.count("retention") == 0


async def test_timers_count_from_what_was_said_not_from_its_removal(world: World) -> None:
    room = await world.do(CreateConversation, inactive_timer="P10D")
    await world.send(room.sid)
    world.clock.advance(timedelta(days=8))
    await trimmer(world).trim()
    world.clock.advance(timedelta(days=2))
    await world.run_due()
    assert (await world.queries.conversation(world.account, world.service, room.sid)).state == "inactive"
