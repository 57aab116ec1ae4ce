"""Timers go off: once for each transition, not before their time, and not when something has happened meanwhile."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tertulia.server.bootstrap import Bootstrap
from tertulia.server.clock import ManualClock
from tertulia.server.domain import callers
from tertulia.server.domain.accounts import UpdateAccount
from tertulia.server.domain.conversations import ApplyTimers, CreateConversation, DeleteConversation, UpdateConversation
from tertulia.server.domain.memberships import UpdateMembership
from tertulia.server.domain.messages import UpdateMessage
from tertulia.server.domain.participants import AddParticipant
from tertulia.server.domain.webhooks import ConfigureHooks
from tertulia.server.first_start import credentials_of, make_first_account
from tertulia.server.sealing import Sealer
from tertulia.server.storage.migrate import migrate
from tertulia.server.storage.sqlite import SqliteDatabase
from tertulia.wire.sids import SidSource

from .world import World, refused

PAIR = {"address": "+15550001111", "proxy_address": "+15550002222"}


async def state(world: World, sid: str) -> str:
    return (await world.queries.conversation(world.account, world.service, sid)).state


async def listen(world: World) -> None:
    """Hooks that hear of every transition."""
    await world.do(
        ConfigureHooks, post_url="https://hooks.test/", filters=("onConversationStateUpdated", "onConversationUpdated")
    )


async def transitions(world: World) -> list[tuple[str, str, str]]:
    """What receivers are owed: from, to, reason; in order."""
    async with world.database.snapshot() as connection:
        rows = await connection.rows("SELECT payload FROM outbox WHERE kind = 'CallWebhook' ORDER BY id")
    told = []
    for (payload,) in rows:
        job = msgspec.json.decode(payload)
        facts = dict(job["parameters"])
        assert job["event"] == "onConversationStateUpdated"
        told.append((facts["StateFrom"], facts["StateTo"], facts["Reason"]))
    return told


async def pass_minutes(world: World, minutes: float) -> None:
    """What is due by then happens."""
    world.clock.advance(timedelta(minutes=minutes))
    await world.run_due()


async def waiting(world: World) -> int:
    async with world.database.snapshot() as connection:
        return int(await connection.value("SELECT count(*) FROM outbox WHERE kind = 'MoveOnConversation'"))


async def test_idle_conversations_become_inactive_and_then_closed(world: World) -> None:
    await listen(world)
    room = await world.do(CreateConversation, inactive_timer="PT10M", closed_timer="PT30M")
    await pass_minutes(world, 9.99)
    assert await state(world, room.sid) == "active"
    await pass_minutes(world, 0.01)
    assert await state(world, room.sid) == "inactive"
    await pass_minutes(world, 19.99)
    assert await state(world, room.sid) == "inactive"
    await pass_minutes(world, 0.01)
    assert await state(world, room.sid) == "closed"
    await pass_minutes(world, 1000)
    assert await transitions(world) == [("active", "inactive", "TIMER"), ("inactive", "closed", "TIMER")]
    assert await waiting(world) == 0


async def test_a_timer_moves_the_date_and_takes_its_deadline_away(world: World) -> None:
    room = await world.do(CreateConversation, created_at=0, inactive_timer="PT1M", closed_timer="PT10M")
    await pass_minutes(world, 1)
    now = await world.queries.conversation(world.account, world.service, room.sid)
    assert (now.inactive_at, now.updated_at, now.state_at) == (None, world.clock.now(), world.clock.now())
    assert now.closed_at == room.closed_at


@pytest.mark.parametrize(
    "timers",
    [
        {"closed_timer": "PT10M"},
        {"closed_timer": "PT10M", "inactive_timer": "PT10M"},
        {"closed_timer": "PT10M", "inactive_timer": "PT20M"},
    ],
    ids=str,
)
async def test_it_closes_straight_from_active(world: World, timers: dict[str, str]) -> None:
    await listen(world)
    room = await world.do(CreateConversation, **timers)
    await pass_minutes(world, 10)
    assert await state(world, room.sid) == "closed"
    await pass_minutes(world, 60)
    assert await transitions(world) == [("active", "closed", "TIMER")]


async def test_with_an_inactive_timer_alone_it_stays_inactive_until_it_is_revived(world: World) -> None:
    await listen(world)
    room = await world.do(CreateConversation, inactive_timer="PT1M")
    await pass_minutes(world, 1)
    assert await waiting(world) == 0
    await pass_minutes(world, 1000)
    await world.send(room.sid, by=callers.account(world.account.account_sid, hooks=True))
    assert await state(world, room.sid) == "active"
    await pass_minutes(world, 1)
    assert await transitions(world) == [
        ("active", "inactive", "TIMER"),
        ("inactive", "active", "EVENT"),
        ("active", "inactive", "TIMER"),
    ]


async def test_a_new_participant_revives(world: World) -> None:
    await listen(world)
    room = await world.do(CreateConversation, state="inactive")
    by = callers.account(world.account.account_sid, hooks=True)
    await world.do(AddParticipant, by=by, conversation=room.sid, identity="ana")
    await world.do(AddParticipant, by=by, conversation=room.sid, identity="ben")
    assert await transitions(world) == [("inactive", "active", "EVENT")]


async def test_requests_say_that_they_did_it(world: World) -> None:
    await listen(world)
    room = await world.do(CreateConversation)
    by = callers.account(world.account.account_sid, hooks=True)
    for wanted in ("inactive", "inactive", "active", "closed"):
        await world.do(UpdateConversation, by=by, conversation=room.sid, state=wanted)
    async with world.database.snapshot() as connection:
        rows = await connection.rows("SELECT payload FROM outbox ORDER BY id")
    jobs = [msgspec.json.decode(payload) for (payload,) in rows]
    heard = [job["event"] for job in jobs]
    assert heard == ["onConversationUpdated", "onConversationStateUpdated"] * 3, "the state is told last"
    facts = [dict(job["parameters"]) for job in jobs[1::2]]
    assert [(one["StateFrom"], one["StateTo"], one["Reason"]) for one in facts] == [
        ("active", "inactive", "API"),
        ("inactive", "active", "API"),
        ("active", "closed", "API"),
    ]


async def test_activity_puts_it_off(world: World) -> None:
    await listen(world)
    room = await world.do(CreateConversation, inactive_timer="PT10M", closed_timer="PT30M")
    for _ in range(5):
        await pass_minutes(world, 9)
        await world.send(room.sid)
    await pass_minutes(world, 9)
    await world.add(room.sid, "ana")
    await pass_minutes(world, 9.99)
    assert await state(world, room.sid) == "active"
    await pass_minutes(world, 0.01)
    assert await state(world, room.sid) == "inactive"
    assert await transitions(world) == [("active", "inactive", "TIMER")]


async def test_edits_and_reading_put_nothing_off(world: World) -> None:
    room = await world.do(CreateConversation, inactive_timer="PT10M")
    await world.add(room.sid, "ana")
    message = await world.send(room.sid)
    await pass_minutes(world, 9)
    await world.do(UpdateConversation, conversation=room.sid, friendly_name="x")
    await world.do(UpdateMessage, conversation=room.sid, message=message.sid, body="x")
    await world.do(UpdateMembership, conversation=room.sid, user="ana", last_read_index=0)
    await pass_minutes(world, 1)
    assert await state(world, room.sid) == "inactive"


async def test_returning_to_active_starts_both_anew(world: World) -> None:
    room = await world.do(CreateConversation, inactive_timer="PT10M", closed_timer="PT30M")
    await pass_minutes(world, 29)
    await world.do(UpdateConversation, conversation=room.sid, state="active")
    await pass_minutes(world, 9)
    assert await state(world, room.sid) == "active"
    await pass_minutes(world, 1)
    assert await state(world, room.sid) == "inactive"
    await pass_minutes(world, 19)
    assert await state(world, room.sid) == "inactive"
    await pass_minutes(world, 1)
    assert await state(world, room.sid) == "closed"


@pytest.mark.parametrize("nothing", ["", "PT0S"])
async def test_a_timer_that_was_removed_does_not_go_off(world: World, nothing: str) -> None:
    room = await world.do(CreateConversation, inactive_timer="PT10M", closed_timer="PT30M")
    await world.do(UpdateConversation, conversation=room.sid, inactive_timer=nothing)
    await pass_minutes(world, 20)
    assert await state(world, room.sid) == "active"
    await world.do(UpdateConversation, conversation=room.sid, closed_timer=nothing)
    assert await waiting(world) == 0
    await pass_minutes(world, 1000)
    assert await state(world, room.sid) == "active"


async def test_a_timer_that_was_changed_goes_off_when_it_now_says(world: World) -> None:
    room = await world.do(CreateConversation, inactive_timer="PT10M")
    await pass_minutes(world, 5)
    await world.do(UpdateConversation, conversation=room.sid, inactive_timer="PT20M")
    await pass_minutes(world, 19)
    assert await state(world, room.sid) == "active"
    await world.do(UpdateConversation, conversation=room.sid, inactive_timer="PT2M")
    await pass_minutes(world, 2)
    assert await state(world, room.sid) == "inactive"
    await world.do(UpdateConversation, conversation=room.sid, closed_timer="PT10M")
    await pass_minutes(world, 10)
    assert await state(world, room.sid) == "closed"


async def test_the_accounts_timers_go_off_too(world: World) -> None:
    await world.do(UpdateAccount, default_inactive_timer="PT2M", default_closed_timer="PT20M")
    room = await world.do(CreateConversation)
    await pass_minutes(world, 2)
    assert await state(world, room.sid) == "inactive"


async def test_a_timer_closes_like_a_request(world: World) -> None:
    room = await world.do(CreateConversation, closed_timer="PT10M")
    for identity in ("ana", "ben"):
        await world.add(room.sid, identity)
    await world.do(AddParticipant, conversation=room.sid, **PAIR)
    other = await world.do(CreateConversation)
    world.told()
    await pass_minutes(world, 10)
    ends = ["document_removed ET", "map_removed MP", "list_removed ES"]
    assert world.told() == ["document_updated ET", "map_item_removed MC", "map_item_removed MC", *ends]
    await world.do(AddParticipant, conversation=other.sid, **PAIR)
    with refused(50377, 400):
        await world.send(room.sid)


async def test_a_timer_that_goes_off_makes_clients_see_the_state(world: World) -> None:
    room = await world.do(CreateConversation, inactive_timer="PT1M")
    await world.add(room.sid, "ana")
    world.told()
    await pass_minutes(world, 1)
    assert world.told() == ["document_updated ET"]


async def test_what_was_closed_or_deleted_leaves_no_timer(world: World) -> None:
    await listen(world)
    rooms = [await world.do(CreateConversation, closed_timer="PT10M") for _ in range(2)]
    assert await waiting(world) == 2
    await world.do(UpdateConversation, conversation=rooms[0].sid, state="closed")
    await world.do(DeleteConversation, conversation=rooms[1].sid)
    assert await waiting(world) == 0
    await pass_minutes(world, 10)
    assert await transitions(world) == []


# --- costs


@pytest.mark.parametrize("timers", [{}, {"inactive_timer": "PT10M", "closed_timer": "PT30M"}], ids=["without", "with"])
async def test_a_message_costs_no_statement_for_timers(world: World, timers: dict[str, str]) -> None:
    room = await world.do(CreateConversation, **timers)
    await world.add(room.sid, "ana")
    before = world.database.statements
    await world.send(room.sid, by=world.user("ana"))
    cost = world.database.statements - before
    plain = await world.conversation("ana")
    before = world.database.statements
    await world.send(plain.sid, by=world.user("ana"))
    assert cost == world.database.statements - before


# --- races


@pytest.mark.parametrize("message_first", [True, False])
async def test_a_message_beside_the_timer_wins_or_revives(world: World, message_first: bool) -> None:
    await listen(world)
    room = await world.do(CreateConversation, inactive_timer="PT10M")
    world.clock.advance(timedelta(minutes=10))
    deeds: list[Any] = [
        world.send(room.sid, by=callers.account(world.account.account_sid, hooks=True)),
        world.run_due(),
    ]
    await asyncio.gather(*(deeds if message_first else reversed(deeds)))
    assert await state(world, room.sid) == "active"
    told = await transitions(world)
    assert told in ([], [("active", "inactive", "TIMER"), ("inactive", "active", "EVENT")])
    await pass_minutes(world, 10)
    assert await state(world, room.sid) == "inactive"


async def test_a_message_that_commits_first_keeps_it_active(world: World) -> None:
    room = await world.do(CreateConversation, inactive_timer="PT10M", closed_timer="PT10M")
    world.clock.advance(timedelta(minutes=10))
    await world.send(room.sid)
    await world.engine.execute(callers.system(world.account.account_sid), ApplyTimers(conversation=room.sid))
    assert await state(world, room.sid) == "active"
    with_closing = await world.do(CreateConversation, closed_timer="PT10M")
    world.clock.advance(timedelta(minutes=10))
    await world.engine.execute(callers.system(world.account.account_sid), ApplyTimers(conversation=with_closing.sid))
    with refused(50377, 400):
        await world.send(with_closing.sid)


async def test_many_at_the_same_moment_all_go_off(world: World) -> None:
    await listen(world)
    rooms = [await world.do(CreateConversation, inactive_timer="PT1M") for _ in range(50)]
    await pass_minutes(world, 1)
    assert {await state(world, room.sid) for room in rooms} == {"inactive"}
    assert len(await transitions(world)) == 50


# --- restarts


async def open_world(file: Path, clock: ManualClock, sealer: Sealer) -> World:
    """A process on this file: what a restart leaves is in the database alone."""
    database = SqliteDatabase(file)
    await database.open()
    source = SidSource()
    await migrate(database, clock=clock)
    await make_first_account(
        database, sealer, Bootstrap(), clock, lambda prefix: source.new(prefix, clock.now(), os.urandom(10))
    )
    return World(database, clock, sealer, await credentials_of(database, sealer))


async def test_timers_survive_a_restart_after_their_time(tmp_path: Path) -> None:
    clock, sealer = ManualClock(), Sealer(b"\x02" * 32)
    world = await open_world(tmp_path / "db", clock, sealer)
    await listen(world)
    room = await world.do(CreateConversation, inactive_timer="PT10M", closed_timer="PT30M")
    await world.database.close()
    clock.advance(timedelta(minutes=10))
    world = await open_world(tmp_path / "db", clock, sealer)
    await world.run_due()
    assert await state(world, room.sid) == "inactive"
    await world.database.close()
    clock.advance(timedelta(days=10))
    world = await open_world(tmp_path / "db", clock, sealer)
    await world.run_due()
    await world.run_due()
    assert await state(world, room.sid) == "closed"
    assert await transitions(world) == [("active", "inactive", "TIMER"), ("inactive", "closed", "TIMER")]
    await world.database.close()


async def test_timers_of_before_the_outbox_go_off(world: World) -> None:
    """A database of a release without jobs has deadlines that nobody looks after; the migration promises them."""
    room = await world.do(CreateConversation, inactive_timer="PT10M", closed_timer="PT30M")
    closing = await world.do(CreateConversation, closed_timer="PT20M")
    await world.sql("DELETE FROM outbox")
    script = (Path(__file__).parents[2] / "src/tertulia/server/storage/migrations/0008_lifecycle.sql").read_text()
    statement = script[script.index("INSERT INTO outbox") : script.index(";")]
    await world.sql(statement)
    await pass_minutes(world, 10)
    assert (await state(world, room.sid), await state(world, closing.sid)) == ("inactive", "active")
    await pass_minutes(world, 20)
    assert (await state(world, room.sid), await state(world, closing.sid)) == ("closed", "closed")
