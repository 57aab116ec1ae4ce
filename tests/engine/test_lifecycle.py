"""What each state lets whom do (semantics 5.1), and deletion: gone at once, removed in steps."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from tertulia.server.domain import callers
from tertulia.server.domain.conversation_with_participants import (
    ActivateConversation,
    CreateConversationWithParticipants,
)
from tertulia.server.domain.conversations import (
    Conversation,
    CreateConversation,
    DeleteConversation,
    RemoveConversationRemains,
    SweepConversation,
    UpdateConversation,
)
from tertulia.server.domain.memberships import LeaveConversation, UpdateMembership
from tertulia.server.domain.messages import DeleteMessage, SendMessage, UpdateMessage
from tertulia.server.domain.participants import (
    AddParticipant,
    JoinConversation,
    RemoveParticipant,
    UpdateParticipant,
)
from tertulia.server.domain.services import DeleteService
from tertulia.server.domain.users import DeleteUser
from tertulia.server.domain.webhooks import CreateScopedWebhook
from tertulia.server.jobs.lifecycle import lifecycle_performers
from tertulia.server.jobs.sweeping import BITE, BITES
from tertulia.server.jobs.worker import Worker
from tertulia.server.storage.database import Connection
from tertulia.server.storage.paging import Page

from .world import World, refused

PAIR = {"address": "+15550001111", "proxy_address": "+15550002222"}
GROUP = (
    {"address": "+12025550001"},
    {"address": "+12025550002"},
    {"identity": "x", "projected_address": "+12025550003"},
)
WEBHOOK = {"target": "webhook", "url": "https://hooks.test/", "filters": ("onMessageAdded",)}


def numbers(first: int, last: str) -> str:
    """For a statement that makes many rows of one."""
    series = f"SELECT {first} UNION ALL SELECT value + 1 FROM numbers WHERE value < {last}"
    return f"WITH RECURSIVE numbers (value) AS ({series}) "


async def crowd(world: World, user_sid: str) -> None:
    """One participant of a user becomes a thousand."""
    await world.sql(
        numbers(1, "999") + "INSERT INTO participants SELECT 'MB' || printf('%032d', value), account_sid, service_sid,"
        " conversation_sid, NULL, user_sid, role_sid, attributes, address, proxy_address, projected_address,"
        " email_name, email_level, holds_pair, created_at, updated_at, last_read_index, last_read_at,"
        " notification_level, 100 + value, 100 + value, NULL, NULL FROM participants, numbers WHERE user_sid = $1",
        user_sid,
    )


async def state(world: World, sid: str) -> str:
    return (await world.queries.conversation(world.account, world.service, sid)).state


# --- closed, beside what test_conversations.py says


@pytest.mark.parametrize(
    ("command", "fields"),
    [
        (SendMessage, {"body": "x"}),
        (UpdateConversation, {"friendly_name": "x"}),
        (UpdateConversation, {"attributes": "[]"}),
        (AddParticipant, {"identity": "eve"}),
        (UpdateParticipant, {"participant": "ana", "attributes": "[]"}),
        (RemoveParticipant, {"participant": "ana"}),
        (UpdateMembership, {"user": "ana", "last_read_index": 0}),
        (UpdateMembership, {"user": "ana", "notification_level": "muted"}),
        (DeleteConversation, {}),
    ],
    ids=str,
)
async def test_whatever_a_members_client_writes_late_is_refused_as_closed(
    world: World, command: Any, fields: dict[str, Any]
) -> None:
    room = await world.conversation()
    everything = " ".join(
        (
            "sendMessage editConversationName editConversationAttributes addParticipant editOwnParticipantAttributes",
            "leaveConversation editNotificationLevel deleteConversation",
        )
    )
    role = await world.role("conversation", *everything.split())
    await world.add(room.sid, "ana", role.sid)
    await world.do(UpdateConversation, conversation=room.sid, state="closed")
    with refused(50377, 400):
        await world.do(command, by=world.user("ana"), conversation=room.sid, **fields)


async def test_nobody_can_join_what_is_closed(world: World) -> None:
    room = await world.conversation("ana")
    await world.do(UpdateConversation, conversation=room.sid, state="closed")
    await world.connect("eve")
    with refused(50377, 400):
        await world.do(JoinConversation, by=world.user("eve"), conversation=room.sid)


async def test_a_closed_conversation_takes_no_webhooks(world: World) -> None:
    room = await world.conversation("ana")
    await world.do(UpdateConversation, conversation=room.sid, state="closed")
    with refused(50377, 400):
        await world.do(CreateScopedWebhook, conversation=room.sid, **WEBHOOK)


async def test_what_is_closed_does_not_count_to_a_users_thousand_and_stays_in_his_history(world: World) -> None:
    room = await world.conversation("ana")
    user = await world.queries.user(world.service, "ana")
    await crowd(world, user.sid)
    with refused(50214, 403):
        await world.conversation("ana")
    await world.do(UpdateConversation, conversation=room.sid, state="closed")
    await world.conversation("ana")
    listed = await world.queries.memberships(world.service, "ana", Page(2000))
    assert room.sid in {one.conversation.sid for one in listed}


async def test_the_pair_and_the_set_of_what_is_closed_are_free(world: World) -> None:
    room, group = await world.conversation(), await world.conversation()
    await world.do(AddParticipant, conversation=room.sid, **PAIR)
    for member in GROUP:
        await world.do(AddParticipant, conversation=group.sid, **member)
    for closing in (room, group):
        await world.do(UpdateConversation, conversation=closing.sid, state="closed")
    again = await world.conversation()
    await world.do(AddParticipant, conversation=again.sid, **PAIR)
    other = await world.conversation()
    for member in GROUP:
        await world.do(AddParticipant, conversation=other.sid, **member)


async def test_closing_ends_the_documents_of_clients_which_were_away(world: World) -> None:
    room = await world.conversation("ana")
    await world.do(UpdateConversation, conversation=room.sid, state="closed")
    with refused(50350, 404):
        await world.queries.visible_conversation(world.user("ana"), room.sid)
    assert (await world.queries.my_conversations(world.user("ana"), 50, None)).rows == []


# --- inactive


async def test_everything_works_in_an_inactive_conversation_and_only_activity_revives_it(world: World) -> None:
    room = await world.conversation("ana")
    message = await world.send(room.sid)
    await world.do(UpdateConversation, conversation=room.sid, state="inactive")
    await world.do(UpdateConversation, conversation=room.sid, friendly_name="x")
    await world.do(UpdateMessage, conversation=room.sid, message=message.sid, body="x")
    await world.do(UpdateParticipant, conversation=room.sid, participant="ana", attributes="[]")
    await world.do(UpdateMembership, by=world.user("ana"), conversation=room.sid, user="ana", last_read_index=0)
    await world.do(DeleteMessage, conversation=room.sid, message=message.sid)
    assert await state(world, room.sid) == "inactive"
    assert (await world.queries.my_conversations(world.user("ana"), 50, None)).rows
    await world.send(room.sid, by=world.user("ana"))
    assert await state(world, room.sid) == "active"


async def test_an_inactive_conversation_holds_its_pair(world: World) -> None:
    room, other = await world.conversation(), await world.conversation()
    await world.do(AddParticipant, conversation=room.sid, **PAIR)
    await world.do(UpdateConversation, conversation=room.sid, state="inactive")
    with refused(50416, 409, naming=room.sid):
        await world.do(AddParticipant, conversation=other.sid, **PAIR)


@pytest.mark.parametrize("wanted", ["active", "inactive", "closed"])
async def test_clients_cannot_change_the_state(world: World, wanted: str) -> None:
    room = await world.conversation("ana")
    with refused(50107, 403):
        await world.do(UpdateConversation, by=world.user("ana"), conversation=room.sid, state=wanted)
    with refused(50107, 403):
        await world.do(CreateConversation, by=world.user("ana"), state=wanted)


# --- initializing


@pytest.fixture
async def setting_up(world: World) -> Conversation:
    """A conversation whose members are not let in yet."""
    return await world.do(CreateConversationWithParticipants, participants=(wish(identity="ana"), wish(**PAIR)))


def wish(**fields: Any) -> AddParticipant:
    return AddParticipant(service="", conversation="", **fields)


@pytest.mark.parametrize(
    ("command", "fields"),
    [
        (SendMessage, {"body": "x"}),
        (UpdateConversation, {"friendly_name": "x"}),
        (UpdateConversation, {"state": "active"}),
        (UpdateConversation, {"state": "closed"}),
        (UpdateConversation, {"inactive_timer": "PT1M"}),
        (AddParticipant, {"identity": "eve"}),
        (UpdateParticipant, {"participant": "ana", "attributes": "[]"}),
        (RemoveParticipant, {"participant": "ana"}),
        (LeaveConversation, {"user": "ana"}),
        (UpdateMembership, {"user": "ana", "notification_level": "muted"}),
        (CreateScopedWebhook, WEBHOOK),
    ],
    ids=str,
)
async def test_a_conversation_that_is_set_up_is_not_written_to(
    world: World, setting_up: Conversation, command: Any, fields: dict[str, Any]
) -> None:
    with refused(50386, 409):
        await world.do(command, conversation=setting_up.sid, **fields)


async def test_for_users_it_is_not_there_yet(world: World, setting_up: Conversation) -> None:
    deed: Any
    for deed in (SendMessage, DeleteConversation, JoinConversation):
        fields = {"body": "x"} if deed is SendMessage else {}
        with refused(50350, 404):
            await world.do(deed, by=world.user("ana"), conversation=setting_up.sid, **fields)
    with refused(50350, 404):
        await world.queries.visible_conversation(world.user("ana"), setting_up.sid)


async def test_it_counts_to_a_users_thousand(world: World, setting_up: Conversation) -> None:
    user = await world.queries.user(world.service, "ana")
    async with world.database.snapshot() as connection:
        assert await connection.value("SELECT count(*) FROM participants WHERE user_sid = $1", user.sid) == 1
    await crowd(world, user.sid)
    with refused(50214, 403):
        await world.conversation("ana")


async def test_it_can_be_deleted_and_its_pair_is_free(world: World, setting_up: Conversation) -> None:
    await world.do(DeleteConversation, conversation=setting_up.sid)
    await world.run_due()
    with refused(50350, 404):
        await state(world, setting_up.sid)
    other = await world.conversation()
    await world.do(AddParticipant, conversation=other.sid, **PAIR)


async def test_activating_twice_or_another_one_does_nothing(world: World, setting_up: Conversation) -> None:
    await world.run_due()
    active = await world.queries.conversation(world.account, world.service, setting_up.sid)
    world.told()
    await world.do(ActivateConversation, conversation=setting_up.sid)
    await world.do(ActivateConversation, conversation="CH" + "0" * 32)
    await world.do(ActivateConversation, by=callers.system("AC" + "0" * 32), conversation=setting_up.sid)
    assert await world.queries.conversation(world.account, world.service, setting_up.sid) == active
    assert world.told() == []


async def test_a_member_who_is_deleted_meanwhile_is_not_let_in(world: World, setting_up: Conversation) -> None:
    await world.do(DeleteUser, user="ana")
    await world.run_due()
    now = await world.queries.conversation(world.account, world.service, setting_up.sid)
    assert (now.state, now.participant_count) == ("active", 1)


# --- deletion in steps


MANY = 20_000


async def fill_room(connection: Connection, sid: str, account_sid: str, service_sid: str, count: int) -> None:
    """Messages that would take a minute to send."""
    await connection.execute(
        numbers(0, "$4 - 1") + 'INSERT INTO messages (conversation_sid, "index", sid, account_sid, service_sid, author,'
        " attributes, created_at, updated_at, created_event, event)"
        " SELECT $1, value, 'IM' || printf('%08d', value) || substr($1, 11), $2, $3, 'system', '{}', 0, 0, value, value"
        " FROM numbers",
        sid,
        account_sid,
        service_sid,
        count,
    )
    await connection.execute(
        "UPDATE conversations SET last_index = $2 - 1, newest_index = $2 - 1, newest_at = 0, message_count = $2,"
        " messages_event = $2 - 1 WHERE sid = $1",
        sid,
        count,
    )


async def fill(connection: Connection, room: Conversation, count: int) -> None:
    await fill_room(connection, room.sid, room.account_sid, room.service_sid, count)


@pytest.fixture
async def full(world: World) -> Conversation:
    room = await world.do(CreateConversation, unique_name="full")
    await world.add(room.sid, "ana")
    await world.do(AddParticipant, conversation=room.sid, **PAIR)
    await world.do(CreateScopedWebhook, conversation=room.sid, **WEBHOOK)
    async with world.database.transaction() as connection:
        await fill(connection, room, MANY)
    return room


async def test_the_answer_comes_before_the_messages_are_gone(world: World, full: Conversation) -> None:
    before = world.database.statements
    await world.do(DeleteConversation, conversation="full")
    assert world.database.statements - before < 15
    assert await world.count("messages") == MANY
    for key in (full.sid, "full"):
        with refused(50350, 404):
            await world.queries.conversation(world.account, world.service, key)
        with refused(50350, 404):
            await world.queries.messages(world.account, world.service, key, Page(50))
        with refused(50350, 404):
            await world.send(key)
    assert await world.queries.memberships(world.service, "ana", Page(50)) == []
    assert (await world.count("participants"), await world.count("scoped_webhooks")) == (0, 0)
    again = await world.do(CreateConversation, unique_name="full")
    await world.do(AddParticipant, conversation=again.sid, **PAIR)
    await world.run_due()
    assert await world.count("messages") == 0
    assert await state(world, again.sid) == "active"


async def test_others_write_between_the_steps(world: World, full: Conversation) -> None:
    busy = await world.conversation("ana")
    await world.do(DeleteConversation, conversation=full.sid)
    seen: list[int] = []

    async def write() -> None:
        while not sweep.done():
            await world.send(busy.sid, by=world.user("ana"))
            async with world.database.snapshot() as connection:
                seen.append(
                    await connection.value("SELECT count(*) FROM messages WHERE conversation_sid = $1", full.sid)
                )

    sweep = asyncio.create_task(world.run_due())
    await write()
    await sweep
    steps = MANY // BITE
    assert len(set(seen)) > steps / 2, "others had their turn after most of the steps"
    assert all(before - after <= 3 * BITE for before, after in itertools.pairwise(seen))


async def test_long_work_is_promised_anew_so_that_no_attempt_outlives_its_lease(world: World) -> None:
    room = await world.conversation()
    async with world.database.transaction() as connection:
        await fill(connection, room, BITE * BITES + 1)
    await world.do(DeleteConversation, conversation=room.sid)
    assert await world.run_due() == 2
    assert await world.count("messages") == 0


async def test_what_was_interrupted_goes_on(world: World, full: Conversation) -> None:
    await world.do(DeleteConversation, conversation=full.sid)
    worker = Worker(world.database, world.clock, lifecycle_performers(world.engine, sweep_pause_s=0), grace_s=0)
    running = asyncio.create_task(worker.run())
    while await world.count("messages") > MANY // 2:  # noqa: ASYNC110 (what it waits for is in the database)
        await asyncio.sleep(0)
    await worker.stop()
    await running
    assert 0 < await world.count("messages") <= MANY // 2
    await world.run_due()
    assert await world.count("messages") == 0
    assert await world.count("outbox") == 0


async def test_what_is_there_is_never_swept(world: World) -> None:
    room = await world.conversation("ana")
    await world.send(room.sid)
    system = callers.system(world.account.account_sid)
    assert await world.engine.execute(system, RemoveConversationRemains(conversation=room.sid, most=100)) == 0
    assert await world.count("messages") == 1


async def test_an_empty_conversation_leaves_nothing_to_sweep(world: World) -> None:
    room = await world.conversation("ana")
    await world.do(DeleteConversation, conversation=room.sid)
    async with world.database.snapshot() as connection:
        kinds = await connection.rows("SELECT kind FROM outbox")
    assert (SweepConversation.__name__,) not in kinds


async def test_tombstones_of_its_messages_go_too(world: World) -> None:
    room = await world.conversation("ana")
    for _ in range(3):
        message = await world.send(room.sid)
        await world.do(DeleteMessage, conversation=room.sid, message=message.sid)
    await world.do(DeleteConversation, conversation=room.sid)
    await world.run_due()
    async with world.database.snapshot() as connection:
        left = await connection.rows("SELECT substr(object_sid, 1, 2) FROM tombstones")
    assert left == [("MC",)], "that of the member's map stays: his clients have to learn it"


# --- services


async def test_nothing_beneath_a_deleted_service_can_be_reached_while_it_is_removed(world: World) -> None:
    other = await world.in_new_service()
    room = await other.conversation("ana", "ben")
    message = await other.send(room.sid)
    await other.do(AddParticipant, conversation=room.sid, **PAIR)
    await other.do(DeleteService)
    assert await other.count("messages") == 1
    with refused(50350, 404):
        await other.queries.conversation(other.account, other.service, room.sid)
    with refused(50350, 404):
        await other.send(room.sid)
    with refused(50350, 404):
        await other.send(room.sid, by=other.user("ana"))
    with refused(50350, 404):
        await other.queries.visible_message(other.user("ana"), room.sid, message.sid)
    with refused(50200, 404):
        await other.queries.user(other.service, "ana")
    with refused(50200, 404):
        await other.queries.my_conversations(other.user("ana"), 50, None)
    with refused(20403, 403):
        await other.connect("ana")
    with refused(20404, 404):
        await other.do(CreateConversation)


async def test_pairs_and_sets_of_a_deleted_service_are_free_at_once(world: World) -> None:
    other = await world.in_new_service()
    there, group = await other.conversation(), await other.conversation()
    await other.do(AddParticipant, conversation=there.sid, **PAIR)
    for member in GROUP:
        await other.do(AddParticipant, conversation=group.sid, **member)
    await other.do(DeleteService)
    here, same = await world.conversation(), await world.conversation()
    await world.do(AddParticipant, conversation=here.sid, **PAIR)
    for member in GROUP:
        await world.do(AddParticipant, conversation=same.sid, **member)
    await world.run_due()
    now = await world.queries.conversation(world.account, world.service, same.sid)
    assert (now.participant_count, now.group_key is not None) == (3, True)


async def test_a_service_is_removed_in_steps(world: World) -> None:
    other = await world.in_new_service()
    rooms = [await other.conversation("ana") for _ in range(60)]
    async with world.database.transaction() as connection:
        for room in rooms[:2]:
            await fill(connection, room, 1000)
    mine = await world.conversation("ana")
    await world.send(mine.sid)
    await other.do(DeleteService)
    commits = world.database.commits
    await world.run_due()
    assert world.database.commits - commits > 10
    counts = {table: await world.count(table) for table in ("messages", "conversations", "participants", "users")}
    assert counts == {"messages": 1, "conversations": 1, "participants": 1, "users": 1}


async def test_timers_of_a_deleted_service_do_not_go_off(world: World) -> None:
    other = await world.in_new_service()
    await other.do(CreateConversation, inactive_timer="PT1M")
    await other.do(DeleteService)
    await world.sql("UPDATE outbox SET due_at = 0 WHERE kind = 'MoveOnConversation'")
    world.told()
    await world.run_due()
    assert world.told() == []


# --- users


async def test_a_user_of_many_conversations_is_gone_at_once_and_leaves_them_in_steps(world: World) -> None:
    rooms = [await world.conversation("ana", "ben") for _ in range(120)]
    user = await world.queries.user(world.service, "ana")
    await world.do(DeleteUser, user="ana")
    with refused(50200, 404):
        await world.queries.user(world.service, "ana")
    async with world.database.snapshot() as connection:
        left = await connection.value("SELECT count(*) FROM participants WHERE user_sid = $1", user.sid)
    assert 0 < left < 120
    # Who comes back with this identity is somebody else, also where the former one is still being taken out.
    await world.connect("ana")
    for room in rooms:
        with refused(50350, 404):
            await world.send(room.sid, by=world.user("ana"))
        with refused(50350, 404):
            await world.queries.visible_conversation(world.user("ana"), room.sid)
    with refused(50002, 409):
        await world.add(rooms[-1].sid, "ana")
    world.told()
    await world.run_due()
    told = world.told()
    assert set(told) == {"map_item_removed MP", "AccessEnded"}
    assert told.count("map_item_removed MP") == left
    for room in rooms:
        now = await world.queries.conversation(world.account, world.service, room.sid)
        assert now.participant_count == 1
    await world.add(rooms[-1].sid, "ana")
