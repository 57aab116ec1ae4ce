"""A conversation and its members by one request: held at once, visible all together, or not at all (semantics 4.6)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tertulia.server.domain import callers
from tertulia.server.domain.accounts import UpdateAccount
from tertulia.server.domain.conversation_with_participants import CreateConversationWithParticipants
from tertulia.server.domain.conversations import Conversation, DeleteConversation
from tertulia.server.domain.participants import AddParticipant
from tertulia.server.domain.webhooks import ConfigureHooks
from tertulia.server.jobs.setting_up import TRIES
from tertulia.server.storage.conversations import ConversationFilter
from tertulia.server.storage.paging import Page

from .world import World, refused

PAIR = {"address": "+15550001111", "proxy_address": "+15550002222"}
GROUP: tuple[dict[str, str], ...] = (
    {"address": "+12025550001"},
    {"address": "+12025550002"},
    {"identity": "ana", "projected_address": "+12025550003"},
)
EVENTS = ("onConversationAdded", "onConversationUpdated", "onConversationStateUpdated", "onParticipantAdded")


def wish(**fields: Any) -> AddParticipant:
    return AddParticipant(service="", conversation="", **fields)


async def make(world: World, *members: dict[str, str], by: Any = None, **fields: Any) -> Conversation:
    participants = tuple(wish(**member) for member in members)
    return await world.do(CreateConversationWithParticipants, by=by, participants=participants, **fields)


async def fetch(world: World, sid: str) -> Conversation:
    return await world.queries.conversation(world.account, world.service, sid)


async def owed(world: World) -> list[tuple[str, dict[str, str]]]:
    """Events that receivers are told of, in order, with their parameters."""
    async with world.database.snapshot() as connection:
        rows = await connection.rows("SELECT payload FROM outbox WHERE kind = 'CallWebhook' ORDER BY id")
    jobs = [msgspec.json.decode(payload) for (payload,) in rows]
    return [(job["event"], dict(job["parameters"])) for job in jobs]


async def test_without_members_it_is_a_plain_conversation(world: World) -> None:
    made = await make(world, friendly_name="nobody", inactive_timer="PT1M")
    assert (made.state, made.friendly_name, made.participant_count) == ("active", "nobody", 0)
    assert made.inactive_at == world.clock.now() + 60_000_000
    assert await world.count("outbox") == 1, "its timer"


async def test_members_are_let_in_all_at_once(world: World) -> None:
    made = await make(world, {"identity": "ana", "attributes": "[1]"}, PAIR, {"identity": "ben"}, unique_name="all")
    assert made.state == "initializing"
    assert await world.queries.participants(world.account, world.service, "all", Page(50)) == []
    for key in ("ana", "ben"):
        with refused(50432, 404):
            await world.queries.participant(world.account, world.service, made.sid, key)
        assert await world.queries.memberships(world.service, key, Page(50)) == []
        with refused(50350, 404):
            await world.queries.membership(world.service, key, made.sid)
        assert (await world.queries.my_conversations(world.user(key), 50, None)).rows == []
    assert await world.queries.memberships_of_address(world.service, PAIR["address"], Page(50)) == []
    listed = await world.queries.conversations(world.service, ConversationFilter(), Page(50))
    assert [one.state for one in listed] == ["initializing"]

    world.told()
    await world.run_due()
    assert world.told() == [
        *("map_item_added MP", "map_item_added MC"),
        "map_item_added MP",
        *("map_item_added MP", "map_item_added MC"),
    ]
    there = await world.queries.participants(world.account, world.service, made.sid, Page(50))
    assert [(one.identity, one.address, one.attributes) for one in there] == [
        ("ana", None, "[1]"),
        (None, PAIR["address"], "{}"),
        ("ben", None, "{}"),
    ]
    now = await fetch(world, made.sid)
    assert (now.state, now.participant_count, now.roster_event) == ("active", 3, 2)
    for key in ("ana", "ben"):
        assert len((await world.queries.my_conversations(world.user(key), 50, None)).rows) == 1
    assert len(await world.queries.memberships_of_address(world.service, PAIR["address"], Page(50))) == 1
    await world.send(made.sid, by=world.user("ana"))


async def test_maps_of_members_are_numbered_like_others(world: World) -> None:
    first = await world.conversation("ana")
    made = await make(world, {"identity": "ana"})
    between = await world.conversation("ana")
    await world.run_due()
    numbers = [
        (await world.queries.participant(world.account, world.service, room.sid, "ana")).listed_event
        for room in (first, between, made)
    ]
    assert numbers == [0, 1, 2]


async def test_its_timers_run_from_when_it_is_active(world: World) -> None:
    await world.do(UpdateAccount, default_closed_timer="PT10M")
    made = await make(world, {"identity": "ana"}, inactive_timer="PT1M")
    assert (made.inactive_at, made.closed_at) == (None, None)
    world.clock.advance(timedelta(seconds=30))
    await world.run_due()
    now = await fetch(world, made.sid)
    assert now.inactive_at == world.clock.now() + 60_000_000
    assert now.closed_at == world.clock.now() + 600_000_000
    world.clock.advance(timedelta(minutes=1))
    await world.run_due()
    assert (await fetch(world, made.sid)).state == "inactive"


# --- webhooks


async def test_receivers_hear_of_it_in_order_if_the_request_asked_for_hooks(world: World) -> None:
    await world.do(ConfigureHooks, post_url="https://hooks.test/", filters=EVENTS)
    by = callers.account(world.account.account_sid, hooks=True)
    await make(world, {"identity": "ana"}, PAIR, by=by)
    told = await owed(world)
    assert [(event, facts.get("State")) for event, facts in told] == [("onConversationAdded", "initializing")]
    await world.run_due()
    told = (await owed(world))[1:]
    assert [event for event, _ in told] == ["onParticipantAdded", "onParticipantAdded", "onConversationStateUpdated"]
    last = told[-1][1]
    assert (last["StateFrom"], last["StateTo"]) == ("initializing", "active")


async def test_else_they_hear_of_the_state_alone(world: World) -> None:
    await world.do(ConfigureHooks, post_url="https://hooks.test/", filters=EVENTS)
    await make(world, {"identity": "ana"})
    await world.run_due()
    assert [event for event, _ in await owed(world)] == ["onConversationStateUpdated"]


# --- what is refused: before anything is made


@pytest.mark.parametrize(
    ("members", "code", "status"),
    [
        ([{"identity": f"m{n}"} for n in range(11)], 50426, 400),
        ([{"identity": "ana"}, {"identity": "ana"}], 50433, 409),
        ([PAIR, PAIR], 50425, 409),
        ([{"identity": "ana"}, {}], 50204, 400),
        ([{"identity": "ana", "address": "+15550001111"}], 50211, 400),
        ([{"identity": "ana"}, {"address": "+15550001111", "proxy_address": "+15550001111"}], 50409, 400),
        ([{"identity": "ana", "attributes": "{"}], 50304, 400),
        ([{"identity": "ana", "role_sid": "RL" + "0" * 32}], 50100, 404),
        ([{"identity": "US" + "0" * 32}], 50206, 400),
        ([{"address": "+12025550001"}, {"address": "+12025550001"}, GROUP[2]], 50437, 409),
        ([GROUP[0], GROUP[1], GROUP[2], {"identity": "ben"}], 50434, 400),
        ([GROUP[0], {"address": "+4915112345678"}, GROUP[2]], 50435, 400),
    ],
    ids=str,
)
async def test_nothing_is_made_of_what_is_refused(
    world: World, members: list[dict[str, str]], code: int, status: int
) -> None:
    with refused(code, status):
        await make(world, *members, unique_name="free")
    for table in ("conversations", "participants", "users", "outbox"):
        assert await world.count(table) == 0, table
    await make(world, unique_name="free")


async def test_what_a_conversation_must_not_have_it_must_not_have_either(world: World) -> None:
    with refused(50384, 400):
        await make(world, {"identity": "ana"}, state="closed")
    with refused(50003, 400):
        await make(world, {"identity": "ana"}, friendly_name="x" * 257)
    await make(world, unique_name="taken")
    with refused(50353, 409):
        await make(world, {"identity": "ana"}, unique_name="taken")


async def test_ten_may_come_at_once(world: World) -> None:
    made = await make(world, *({"identity": f"m{n}"} for n in range(10)))
    await world.run_due()
    assert (await fetch(world, made.sid)).participant_count == 10


async def test_a_pair_is_held_from_the_answer_on(world: World) -> None:
    made = await make(world, PAIR)
    with refused(50425, 409, naming=made.sid):
        await make(world, {"identity": "ana"}, PAIR)
    other = await world.conversation()
    with refused(50416, 409, naming=made.sid):
        await world.do(AddParticipant, conversation=other.sid, **PAIR)
    await world.run_due()
    with refused(50425, 409, naming=made.sid):
        await make(world, PAIR)


async def test_the_set_of_a_group_text_is_held_from_the_answer_on(world: World) -> None:
    made = await make(world, *GROUP)
    with refused(50438, 409, naming=made.sid):
        await make(world, *reversed(GROUP))
    await world.run_due()
    assert (await fetch(world, made.sid)).state == "active"
    await world.do(DeleteConversation, conversation=made.sid)
    await make(world, *GROUP)


# --- when it fails


async def test_what_cannot_be_set_up_is_closed_and_gives_back_what_it_held(world: World) -> None:
    await world.do(ConfigureHooks, post_url="https://hooks.test/", filters=EVENTS)
    made = await make(world, {"identity": "ana"}, PAIR)
    # A database that refuses to let anybody in.
    await world.sql(
        "CREATE TRIGGER nobody BEFORE UPDATE OF listed_event ON participants WHEN NEW.listed_event IS NOT NULL"
        " BEGIN SELECT raise(ABORT, 'no'); END"
    )
    for _ in range(TRIES):
        assert (await fetch(world, made.sid)).state == "initializing"
        await world.run_due()
        world.clock.advance(timedelta(minutes=5))
    assert (await fetch(world, made.sid)).state == "closed"
    assert (await world.queries.my_conversations(world.user("ana"), 50, None)).rows == []
    ((event, facts),) = await owed(world)
    assert (event, facts["StateFrom"], facts["StateTo"]) == ("onConversationStateUpdated", "initializing", "closed")
    await world.sql("DROP TRIGGER nobody")
    await make(world, PAIR)
    await world.run_due()
    assert (await fetch(world, made.sid)).state == "closed"


async def test_the_log_says_why_it_was_closed(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await make(world, {"identity": "ana"})
    await world.sql(
        "CREATE TRIGGER nobody BEFORE UPDATE OF listed_event ON participants WHEN NEW.listed_event IS NOT NULL"
        " BEGIN SELECT raise(ABORT, 'no'); END"
    )
    for _ in range(TRIES):
        await world.run_due()
        world.clock.advance(timedelta(minutes=5))
    (record,) = [one for one in caplog.records if one.getMessage().startswith("conversation.setup_failed")]
    assert record.levelname == "ERROR"
    assert "50427" in str(record.__dict__)
