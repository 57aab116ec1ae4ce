"""Making, changing, closing and deleting conversations, and the deadlines of their timers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tertulia.server.domain.accounts import UpdateAccount
from tertulia.server.domain.conversations import (
    Conversation,
    CreateConversation,
    DeleteConversation,
    UpdateConversation,
)
from tertulia.server.domain.memberships import LeaveConversation, UpdateMembership
from tertulia.server.domain.messages import DeleteMessage, UpdateMessage
from tertulia.server.domain.participants import AddParticipant, RemoveParticipant, UpdateParticipant
from tertulia.server.domain.users import UpdateUser

from .world import World, refused

MINUTE = 60_000_000


async def test_what_is_not_said_has_a_default(world: World) -> None:
    made = await world.do(CreateConversation)
    assert (made.friendly_name, made.unique_name, made.attributes, made.state) == (None, None, "{}", "active")
    assert (made.created_by, made.created_at, made.updated_at) == ("system", world.clock.now(), world.clock.now())
    assert (made.inactive_at, made.closed_at, made.newest_index, made.participant_count) == (None, None, None, 0)


async def test_the_dates_of_an_import_are_kept(world: World) -> None:
    made = await world.do(CreateConversation, created_at=5_000_000)
    assert (made.created_at, made.updated_at) == (5_000_000, 5_000_000)
    made = await world.do(CreateConversation, created_at=5_000_000, updated_at=6_000_000)
    assert (made.created_at, made.updated_at) == (5_000_000, 6_000_000)
    changed = await world.do(UpdateConversation, conversation=made.sid, updated_at=7_000_000)
    assert (changed.created_at, changed.updated_at) == (5_000_000, 7_000_000)


async def test_the_creator_is_no_participant(world: World) -> None:
    await world.connect("ana")
    made = await world.do(CreateConversation, by=world.user("ana"))
    assert (made.created_by, made.participant_count, made.creator_joined_at) == ("ana", 0, None)


async def test_a_unique_name_is_held_by_one_conversation_of_a_service(world: World) -> None:
    held = await world.do(CreateConversation, unique_name="café/1")
    with refused(50353, 409):
        await world.do(CreateConversation, unique_name="café/1")
    other = await world.do(CreateConversation, unique_name="Café/1")
    with refused(50353, 409):
        await world.do(UpdateConversation, conversation=other.sid, unique_name="café/1")
    await world.do(UpdateConversation, conversation=held.sid, unique_name="café/1")
    await (await world.in_new_service()).do(CreateConversation, unique_name="café/1")


@pytest.mark.parametrize("cleared", [None, ""])
async def test_a_unique_name_that_was_given_up_is_free(world: World, cleared: str | None) -> None:
    held = await world.do(CreateConversation, unique_name="name")
    assert (await world.do(UpdateConversation, conversation="name", unique_name=cleared)).unique_name is None
    await world.do(CreateConversation, unique_name="name")
    await world.do(DeleteConversation, conversation="name")
    assert (await world.do(UpdateConversation, conversation=held.sid, unique_name="name")).unique_name == "name"


@pytest.mark.parametrize(
    "cleared",
    [
        ("friendly_name", None),
        ("friendly_name", ""),
        ("messaging_service_sid", None),
        ("messaging_service_sid", ""),
        ("email_address", None),
        ("email_address", ""),
        ("email_name", ""),
    ],
    ids=str,
)
async def test_what_may_be_absent_is_cleared_by_nothing(world: World, cleared: tuple[str, str | None]) -> None:
    field, nothing = cleared
    made = await world.do(
        CreateConversation,
        friendly_name="name",
        messaging_service_sid="MG" + "a" * 32,
        email_address="room@example.com",
        email_name="Room",
    )
    assert getattr(made, field)
    changed = await world.do(UpdateConversation, conversation=made.sid, **{field: nothing})
    assert getattr(changed, field) is None
    bare = await world.do(CreateConversation, **{field: nothing})
    assert getattr(bare, field) is None


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"friendly_name": "x" * 257}, 50003),
        ({"unique_name": "x" * 257}, 50004),
        ({"unique_name": "CH" + "a" * 32}, 50390),
        ({"attributes": "{"}, 50304),
        ({"attributes": "[" * 65 + "]" * 65}, 50304),
        ({"attributes": f'"{"x" * 16383}"'}, 50303),
        ({"attributes": f'"{"é" * 8192}"'}, 50303),
        ({"state": ""}, 50374),
        ({"state": "asleep"}, 50378),
        ({"state": "initializing"}, 50378),
        ({"inactive_timer": "PT59S"}, 50375),
        ({"closed_timer": "PT9M59S"}, 50376),
        ({"inactive_timer": "5 minutes"}, 50379),
        ({"inactive_timer": "P1M"}, 50379),
        ({"closed_timer": "PT"}, 50380),
        ({"messaging_service_sid": "MG1"}, 50341),
        ({"email_address": "nobody"}, 20001),
        ({"email_name": "x" * 257}, 50003),
    ],
    ids=str,
)
async def test_a_bad_value_is_refused_on_creation_and_on_update(
    world: World, fields: dict[str, Any], code: int
) -> None:
    room = await world.do(CreateConversation)
    with refused(code, 400):
        await world.do(CreateConversation, **fields)
    with refused(code, 400):
        await world.do(UpdateConversation, conversation=room.sid, **fields)
    assert await world.queries.conversation(world.account, world.service, room.sid) == room


@pytest.mark.parametrize(
    "fields",
    [
        {"friendly_name": "x" * 256},
        {"unique_name": "x" * 256},
        {"unique_name": "ch" + "a" * 32},
        {"attributes": f'"{"x" * 16382}"'},
        {"attributes": "null"},
        {"inactive_timer": "PT60S"},
        {"closed_timer": "PT10M"},
        {"inactive_timer": "PT0S"},
        {"inactive_timer": "P1W"},
    ],
    ids=lambda fields: str(fields)[:40],
)
async def test_the_limit_itself_is_allowed(world: World, fields: dict[str, Any]) -> None:
    await world.do(CreateConversation, **fields)


async def test_nothing_is_created_closed(world: World) -> None:
    with refused(50384, 400):
        await world.do(CreateConversation, state="closed")


async def test_a_foreign_conversation_is_not_found(world: World) -> None:
    other = await world.in_new_service()
    room = await other.do(CreateConversation, unique_name="room")
    for key in (room.sid, "room", "CH" + "0" * 32):
        with refused(50350, 404):
            await world.do(UpdateConversation, conversation=key, friendly_name="x")


async def test_an_update_that_changes_nothing_tells_nobody(world: World) -> None:
    room = await world.do(CreateConversation, friendly_name="a", unique_name="b", attributes="[]")
    world.told()
    same = await world.do(
        UpdateConversation, conversation=room.sid, friendly_name="a", unique_name="b", attributes="[]", state="active"
    )
    assert same == room
    assert world.told() == []


async def test_an_update_moves_the_date_and_the_document(world: World) -> None:
    room = await world.do(CreateConversation)
    world.clock.advance(timedelta(seconds=5))
    changed = await world.do(UpdateConversation, conversation=room.sid, attributes="[1]")
    assert changed.updated_at == room.updated_at + 5_000_000
    assert (changed.document_event, changed.state_at) == (1, room.state_at)


# --- closed


CLOSED_REFUSES: list[tuple[Any, dict[str, Any]]] = [
    (UpdateConversation, {"friendly_name": "x"}),
    (UpdateConversation, {"state": "active"}),
    (UpdateConversation, {"closed_timer": "PT0S"}),
    (AddParticipant, {"identity": "ben"}),
    (AddParticipant, {"address": "+15550001111", "proxy_address": "+15550002222"}),
    (UpdateParticipant, {"participant": "ana", "attributes": "[]"}),
    (UpdateMembership, {"user": "ana", "notification_level": "muted"}),
    (UpdateMessage, {"body": "x"}),
]


@pytest.mark.parametrize(("command", "fields"), CLOSED_REFUSES, ids=str)
async def test_a_closed_conversation_is_not_written_to(world: World, command: Any, fields: dict[str, Any]) -> None:
    room = await world.conversation("ana")
    message = await world.send(room.sid)
    await world.do(UpdateConversation, conversation=room.sid, state="closed")
    with refused(50377, 400):
        where = {"message": message.sid} if command is UpdateMessage else {}
        await world.do(command, conversation=room.sid, **where, **fields)


async def test_a_late_write_of_a_members_client_is_refused_as_closed(world: World) -> None:
    room = await world.conversation("ana")
    message = await world.send(room.sid, by=world.user("ana"))
    await world.do(UpdateConversation, conversation=room.sid, state="closed")
    ana = world.user("ana")
    with refused(50377):
        await world.send(room.sid, by=ana)
    with refused(50377):
        await world.do(DeleteMessage, by=ana, conversation=room.sid, message=message.sid)
    with refused(50377):
        await world.do(RemoveParticipant, by=ana, conversation=room.sid, participant="ana")
    await world.connect("eve")
    with refused(50350):
        await world.send(room.sid, by=world.user("eve"))


async def test_a_closed_conversation_can_be_read_and_cleaned_up_by_the_account(world: World) -> None:
    room = await world.conversation("ana", "ben")
    message = await world.send(room.sid)
    await world.do(UpdateConversation, conversation=room.sid, state="closed")
    assert (await world.queries.conversation(world.account, world.service, room.sid)).state == "closed"
    world.told()
    await world.do(DeleteMessage, conversation=room.sid, message=message.sid)
    await world.do(RemoveParticipant, conversation=room.sid, participant="ana")
    await world.do(LeaveConversation, conversation=room.sid, user="ben")
    left = await world.queries.conversation(world.account, world.service, room.sid)
    assert (left.message_count, left.participant_count) == (0, 0)
    await world.do(DeleteConversation, conversation=room.sid)
    assert world.told() == [], "for clients it ended when it was closed"


async def test_closing_ends_timers_and_keeps_the_participants(world: World) -> None:
    room = await world.do(CreateConversation, inactive_timer="PT5M", closed_timer="PT1H")
    await world.add(room.sid, "ana")
    closed = await world.do(UpdateConversation, conversation=room.sid, state="closed")
    assert (closed.inactive_at, closed.closed_at, closed.participant_count) == (None, None, 1)
    assert (await world.queries.participant(world.account, world.service, room.sid, "ana")).listed_event is None


# --- deleting


async def test_deleting_takes_everything_along(world: World) -> None:
    room = await world.conversation("ana")
    message = await world.send(room.sid)
    await world.do(DeleteConversation, conversation=room.sid)
    for ask in (
        world.queries.conversation(world.account, world.service, room.sid),
        world.queries.message(world.account, world.service, room.sid, message.sid),
        world.queries.participant(world.account, world.service, room.sid, "ana"),
    ):
        with refused(50350, 404):
            await ask
    await world.run_due()
    for table in ("messages", "participants", "conversations"):
        assert await world.count(table) == 0
    with refused(50350, 404):
        await world.do(DeleteConversation, conversation=room.sid)


# --- timers (semantics 5.2)


def deadlines(room: Conversation, start: int) -> tuple[float | None, float | None]:
    """Of becoming inactive and of closing, in minutes after the start."""

    def minutes(at: int | None) -> float | None:
        return None if at is None else (at - start) / MINUTE

    return minutes(room.inactive_at), minutes(room.closed_at)


class Timed:
    """A conversation made at minute 0 with timers of 10 and of 30 minutes; deeds happen ten minutes apart."""

    def __init__(self, world: World, room: Conversation) -> None:
        self.world, self.sid, self.start = world, room.sid, room.created_at

    async def at(self, minute: int, **fields: Any) -> tuple[float | None, float | None]:
        self.world.clock.advance(timedelta(microseconds=self.start + minute * MINUTE - self.world.clock.now()))
        if fields:
            await self.world.do(UpdateConversation, conversation=self.sid, **fields)
        return deadlines(
            await self.world.queries.conversation(self.world.account, self.world.service, self.sid), self.start
        )


@pytest.fixture
async def timed(world: World) -> Timed:
    return Timed(world, await world.do(CreateConversation, inactive_timer="PT10M", closed_timer="PT30M"))


async def test_both_deadlines_count_from_creation(timed: Timed) -> None:
    assert await timed.at(0) == (10, 30)


async def test_the_real_time_counts_whatever_date_an_import_gives(world: World) -> None:
    made = await world.do(CreateConversation, created_at=0, inactive_timer="PT10M", closed_timer="PT30M")
    assert deadlines(made, world.clock.now()) == (10, 30)


async def test_a_message_starts_both_anew(timed: Timed) -> None:
    await timed.at(5)
    await timed.world.send(timed.sid)
    assert await timed.at(5) == (15, 35)


async def test_a_new_participant_starts_both_anew(timed: Timed) -> None:
    await timed.at(5)
    await timed.world.add(timed.sid, "ana")
    assert await timed.at(5) == (15, 35)


async def test_an_edit_starts_nothing_anew(timed: Timed) -> None:
    message = await timed.world.send(timed.sid)
    await timed.world.add(timed.sid, "ana")
    assert await timed.at(5, friendly_name="x") == (10, 30)
    await timed.world.do(UpdateMessage, conversation=timed.sid, message=message.sid, body="x")
    await timed.world.do(UpdateMembership, conversation=timed.sid, user="ana", last_read_index=0)
    await timed.world.do(UpdateUser, user="ana", friendly_name="x")
    await timed.world.do(RemoveParticipant, conversation=timed.sid, participant="ana")
    assert await timed.at(5) == (10, 30)


async def test_inactive_keeps_the_deadline_of_closing(timed: Timed) -> None:
    assert await timed.at(5, state="inactive") == (None, 30)


async def test_returning_to_active_starts_both_anew(timed: Timed) -> None:
    await timed.at(5, state="inactive")
    assert await timed.at(8, state="active") == (18, 38)


async def test_a_message_revives_and_starts_both_anew(timed: Timed) -> None:
    await timed.at(5, state="inactive")
    await timed.at(8)
    await timed.world.send(timed.sid)
    revived = await timed.world.queries.conversation(timed.world.account, timed.world.service, timed.sid)
    assert (revived.state, revived.state_at) == ("active", timed.world.clock.now())
    assert await timed.at(8) == (18, 38)


async def test_a_timer_set_later_counts_from_its_setting(timed: Timed) -> None:
    assert await timed.at(5, inactive_timer="PT20M") == (25, 30)
    assert await timed.at(6, closed_timer="PT1H") == (25, 66)
    await timed.at(7, state="inactive")
    assert await timed.at(8, closed_timer="PT20M", inactive_timer="PT5M") == (None, 28)
    assert await timed.at(9, state="active") == (14, 29)


@pytest.mark.parametrize("nothing", ["", "PT0S", "P0D"])
async def test_a_timer_is_removed_by_nothing(timed: Timed, nothing: str) -> None:
    assert await timed.at(5, inactive_timer=nothing) == (None, 30)
    assert await timed.at(6, closed_timer=nothing) == (None, None)
    await timed.world.send(timed.sid)
    assert await timed.at(6) == (None, None)


async def test_an_inactive_one_made_so_waits_only_for_its_closing(world: World) -> None:
    made = await world.do(CreateConversation, state="inactive", inactive_timer="PT10M", closed_timer="PT30M")
    assert deadlines(made, world.clock.now()) == (None, 30)


async def test_the_accounts_defaults_are_for_new_conversations_alone(world: World) -> None:
    old = await world.do(CreateConversation)
    await world.do(UpdateAccount, default_inactive_timer="PT2M", default_closed_timer="PT20M")
    made = await world.do(CreateConversation)
    assert deadlines(made, world.clock.now()) == (2, 20)
    named = await world.do(CreateConversation, inactive_timer="PT3M", closed_timer="")
    assert deadlines(named, world.clock.now()) == (3, None)
    assert (await world.do(UpdateConversation, conversation=old.sid, friendly_name="x")).inactive_at is None
    await world.do(UpdateAccount, default_inactive_timer="", default_closed_timer="PT0S")
    assert deadlines(await world.do(CreateConversation), world.clock.now()) == (None, None)


async def test_users_get_the_accounts_timers_too(world: World) -> None:
    await world.do(UpdateAccount, default_inactive_timer="PT2M")
    await world.connect("ana")
    made = await world.do(CreateConversation, by=world.user("ana"))
    assert deadlines(made, world.clock.now()) == (2, None)
