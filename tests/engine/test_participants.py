"""Adding, joining, changing and removing participants, and the pairs of numbers they hold."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tertulia.server.domain.conversations import (
    Conversation,
    CreateConversation,
    DeleteConversation,
    UpdateConversation,
)
from tertulia.server.domain.participants import (
    AddParticipant,
    JoinConversation,
    Participant,
    RemoveParticipant,
    UpdateParticipant,
)
from tertulia.server.domain.permissions import RoleKind
from tertulia.server.domain.services import Service

from .world import World, refused

ANN, BOB = "+15550001111", "+15550002222"
OURS, OTHER = "+15559990000", "+15559990001"


async def service(world: World) -> Service:
    return await world.queries.service(world.account, world.service)


async def again(world: World, room: Conversation) -> Conversation:
    return await world.queries.conversation(world.account, world.service, room.sid)


async def add_number(world: World, room: Conversation, address: str = ANN, proxy: str | None = OURS) -> Participant:
    return await world.do(AddParticipant, conversation=room.sid, address=address, proxy_address=proxy)


# --- kinds


@pytest.mark.parametrize(
    ("fields", "type_"),
    [
        ({"identity": "ana"}, None),
        ({"identity": "ana", "projected_address": OURS}, "sms"),
        ({"projected_address": OURS}, "sms"),
        ({"address": ANN}, "sms"),
        ({"address": ANN, "proxy_address": OURS}, "sms"),
        ({"address": f"whatsapp:{ANN}", "proxy_address": f"whatsapp:{OURS}"}, "whatsapp"),
        ({"address": "messenger:12", "proxy_address": "messenger:34"}, "messenger"),
        ({"address": "rcs:person", "proxy_address": "rcs:agent"}, "rcs"),
        ({"address": "ann@example.com", "proxy_address": "us@example.com", "email_level": "cc"}, "email"),
    ],
    ids=str,
)
async def test_every_kind_of_participant_is_kept(world: World, fields: dict[str, str], type_: str | None) -> None:
    room = await world.conversation()
    added = await world.do(AddParticipant, conversation=room.sid, **fields)
    assert {name: getattr(added, name) for name in fields} == fields
    assert added.binding.kind == type_
    assert added.kind == ("chat" if "identity" in fields else type_)
    assert (added.role_sid is None) == ("identity" not in fields)
    assert (await again(world, room)).participant_count == 1
    assert added == await world.queries.participant(world.account, world.service, room.sid, added.sid)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, 50204),
        ({"identity": ""}, 50204),
        ({"proxy_address": OURS}, 50204),
        ({"identity": "system"}, 50203),
        ({"identity": "US" + "a" * 32}, 50206),
        ({"identity": "MB" + "A" * 32}, 50206),
        ({"identity": "x" * 257}, 50207),
        ({"identity": "ana", "address": ANN}, 50211),
        ({"identity": "ana", "proxy_address": OURS}, 50211),
        ({"address": "nonsense", "proxy_address": OURS}, 50407),
        ({"address": "whatsapp:nonsense", "proxy_address": f"whatsapp:{OURS}"}, 50407),
        ({"address": "messenger:" + "1" * 247, "proxy_address": "messenger:2"}, 50407),
        ({"address": "+１５５５０００１１１１", "proxy_address": OURS}, 50407),
        ({"projected_address": "nonsense"}, 50407),
        ({"address": ANN, "proxy_address": "5"}, 50408),
        ({"address": ANN, "proxy_address": ANN}, 50409),
        ({"address": "", "proxy_address": OURS}, 50411),
        ({"address": ANN, "proxy_address": ""}, 50412),
        ({"address": ANN, "proxy_address": f"whatsapp:{OURS}"}, 50414),
        ({"address": ANN, "email_name": "Ann"}, 50420),
        ({"identity": "ana", "email_level": "to"}, 50420),
        ({"address": "ann@example.com", "email_level": "bcc"}, 50420),
        ({"address": "ann@example.com", "email_name": "x" * 257}, 50420),
        ({"projected_address": OURS, "proxy_address": OTHER}, 50441),
        ({"identity": "ana", "attributes": "{"}, 50304),
        ({"identity": "ana", "attributes": "[" * 65 + "]" * 65}, 50304),
        ({"identity": "ana", "attributes": f'"{"x" * 4095}"'}, 50303),
    ],
    ids=str,
)
async def test_a_participant_that_cannot_be_is_refused(world: World, fields: dict[str, str], code: int) -> None:
    room = await world.conversation()
    with refused(code, 400):
        await world.do(AddParticipant, conversation=room.sid, **fields)
    assert await again(world, room) == room


async def test_the_same_identity_is_added_once(world: World) -> None:
    room = await world.conversation("ana")
    with refused(50433, 409):
        await world.add(room.sid, "ana")
    with refused(50433, 409):
        await world.do(JoinConversation, by=world.user("ana"), conversation=room.sid)
    assert (await world.add(room.sid, "Ana")).identity == "Ana"


async def test_a_new_identity_becomes_a_user_with_the_services_role(world: World) -> None:
    room = await world.conversation()
    added = await world.add(room.sid, "ana")
    user = await world.queries.user(world.service, "ana")
    assert (user.sid, user.role_sid) == (added.user_sid, (await service(world)).default_user_role_sid)
    assert (user.friendly_name, user.attributes) == (None, "{}")


async def test_a_refused_addition_makes_no_user(world: World) -> None:
    room = await world.conversation()
    with refused(50100, 404):
        await world.add(room.sid, "ana", "RL" + "0" * 32)
    with refused(50200, 404):
        await world.queries.user(world.service, "ana")


# --- roles


async def test_each_gets_the_role_the_service_has_for_him(world: World) -> None:
    defaults, ana = await service(world), world.user("ana")
    await world.connect("ana")
    made = await world.do(CreateConversation, by=ana)
    joined = await world.do(JoinConversation, by=ana, conversation=made.sid)
    assert joined.role_sid == defaults.default_creator_role_sid
    assert (await world.add(made.sid, "ben")).role_sid == defaults.default_participant_role_sid
    # However often he comes.
    await world.do(RemoveParticipant, conversation=made.sid, participant="ana")
    assert (await world.add(made.sid, "ana")).role_sid == defaults.default_creator_role_sid


async def test_a_role_that_is_given_counts(world: World) -> None:
    room, role = await world.conversation(), await world.role(RoleKind.CONVERSATION)
    added = await world.add(room.sid, "ana", role.sid)
    assert added.role_sid == role.sid
    other = await world.role(RoleKind.CONVERSATION)
    changed = await world.do(UpdateParticipant, conversation=room.sid, participant="ana", role_sid=other.sid)
    assert changed.role_sid == other.sid
    number = await world.do(AddParticipant, conversation=room.sid, address=ANN, proxy_address=OURS, role_sid=role.sid)
    assert number.role_sid == role.sid


async def test_a_role_that_does_not_fit_is_refused(world: World) -> None:
    room = await world.conversation("ben")
    wrong = await world.role(RoleKind.SERVICE)
    foreign = await (await world.in_new_service()).role(RoleKind.CONVERSATION)
    for sid, code, status in ((wrong.sid, 50105, 400), (foreign.sid, 50100, 404), ("RL", 50100, 404)):
        with refused(code, status):
            await world.add(room.sid, "ana", sid)
        with refused(code, status):
            await world.do(UpdateParticipant, conversation=room.sid, participant="ben", role_sid=sid)


# --- limits


async def test_a_conversation_takes_a_thousand(world: World) -> None:
    room = await world.conversation()
    await world.sql("UPDATE conversations SET participant_count = 999")
    await world.add(room.sid, "ana")
    for fields in ({"identity": "ben"}, {"address": ANN, "proxy_address": OURS}):
        with refused(50417, 403):
            await world.do(AddParticipant, conversation=room.sid, **fields)
    await world.do(RemoveParticipant, conversation=room.sid, participant="ana")
    await world.add(room.sid, "ben")


async def test_fifty_of_them_may_be_on_channels(world: World) -> None:
    room = await world.conversation()
    for n in range(50):
        await add_number(world, room, f"+1555000{n:04}")
    with refused(50418, 403):
        await add_number(world, room, BOB)
    await world.add(room.sid, "ana")


async def test_a_user_is_in_a_thousand_conversations_that_are_not_closed(world: World) -> None:
    first = await world.conversation("ana")
    room = await world.conversation()
    columns = "account_sid, service_sid, identity, user_sid, attributes, created_at, updated_at, notification_level"
    await world.sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999)"
        f" INSERT INTO participants (sid, conversation_sid, {columns}, roster_created, roster_event)"
        f" SELECT 'MB' || i, 'CH' || i, {columns}, 0, 0 FROM participants, n WHERE identity = 'ana'"
    )
    names = ", ".join(f'"{name}"' for name in Conversation.__struct_fields__[1:])
    await world.sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999)"
        f" INSERT INTO conversations (sid, {names}) SELECT 'CH' || i, {names} FROM conversations, n WHERE sid = $1",
        room.sid,
    )
    with refused(50214, 403):
        await world.add(room.sid, "ana")
    with refused(50214, 403):
        await world.do(JoinConversation, by=world.user("ana"), conversation=room.sid)
    handed = await world.do(AddParticipant, conversation=room.sid, projected_address=OURS)
    with refused(50214, 403):
        await world.do(UpdateParticipant, conversation=room.sid, participant=handed.sid, identity="ana")
    await world.do(UpdateConversation, conversation=first.sid, state="closed")
    await world.add(room.sid, "ana")


# --- joining


async def test_only_a_user_joins(world: World) -> None:
    room = await world.conversation()
    with refused(50107, 403):
        await world.do(JoinConversation, conversation=room.sid)


async def test_a_closed_conversation_is_not_joined(world: World) -> None:
    room = await world.conversation()
    await world.connect("ana")
    await world.do(UpdateConversation, conversation=room.sid, state="closed")
    with refused(50377, 400):
        await world.do(JoinConversation, by=world.user("ana"), conversation=room.sid)


async def test_joining_notes_that_the_creator_has_come(world: World) -> None:
    await world.connect("ana")
    made = await world.do(CreateConversation, by=world.user("ana"))
    await world.add(made.sid, "ben")
    assert (await again(world, made)).creator_joined_at is None
    await world.do(JoinConversation, by=world.user("ana"), conversation=made.sid, attributes="[]")
    assert (await again(world, made)).creator_joined_at == world.clock.now()


@pytest.mark.parametrize("fields", [{"identity": "ana"}, {"address": ANN, "proxy_address": OURS}], ids=str)
async def test_a_new_participant_revives_the_conversation(world: World, fields: dict[str, str]) -> None:
    room = await world.do(CreateConversation, state="inactive")
    world.clock.advance(timedelta(seconds=1))
    await world.do(AddParticipant, conversation=room.sid, **fields)
    revived = await again(world, room)
    assert (revived.state, revived.state_at, revived.document_event) == ("active", world.clock.now(), 1)


# --- the pair of numbers (semantics 4.2)


async def test_a_pair_is_held_by_one_open_conversation_of_the_account(world: World) -> None:
    room, other = await world.conversation(), await (await world.in_new_service()).conversation()
    await add_number(world, room)
    holder = f"A binding for this participant and proxy address already exists in Conversation {room.sid}"
    for where in (room, await world.conversation(), other):
        with refused(50416, 409, holder):
            await world.do(
                AddParticipant,
                service=where.service_sid,
                conversation=where.sid,
                address=ANN,
                proxy_address=OURS,
            )


async def test_either_number_alone_is_free(world: World) -> None:
    room, other = await world.conversation(), await world.conversation()
    await add_number(world, room)
    await add_number(world, other, ANN, OTHER)
    await add_number(world, other, BOB, OURS)
    await add_number(world, await world.conversation(), OURS, ANN)


@pytest.mark.parametrize("end", ["removed", "closed", "deleted", "proxy removed", "proxy changed"])
async def test_a_pair_that_is_given_up_is_free(world: World, end: str) -> None:
    room = await world.conversation()
    held = await add_number(world, room)
    deeds: dict[str, tuple[Any, dict[str, Any]]] = {
        "removed": (RemoveParticipant, {"participant": held.sid}),
        "closed": (UpdateConversation, {"state": "closed"}),
        "deleted": (DeleteConversation, {}),
        "proxy removed": (UpdateParticipant, {"participant": held.sid, "proxy_address": None}),
        "proxy changed": (UpdateParticipant, {"participant": held.sid, "proxy_address": OTHER}),
    }
    command, fields = deeds[end]
    await world.do(command, conversation=room.sid, **fields)
    await add_number(world, await world.conversation())


async def test_an_inactive_conversation_keeps_its_pairs(world: World) -> None:
    room = await world.conversation()
    await add_number(world, room)
    await world.do(UpdateConversation, conversation=room.sid, state="inactive")
    with refused(50416, 409, room.sid):
        await add_number(world, await world.conversation())


async def test_a_pair_is_not_changed_into_one_that_is_held(world: World) -> None:
    room, other = await world.conversation(), await world.conversation()
    await add_number(world, room)
    held = await add_number(world, other, ANN, OTHER)
    with refused(50416, 409, room.sid):
        await world.do(UpdateParticipant, conversation=other.sid, participant=held.sid, proxy_address=OURS)
    without = await add_number(world, await world.conversation(), ANN, None)
    with refused(50416, 409, room.sid):
        await world.do(
            UpdateParticipant, conversation=without.conversation_sid, participant=without.sid, proxy_address=OURS
        )


# --- changing


@pytest.mark.parametrize(
    ("kind", "fields", "code"),
    [
        ({"address": ANN}, {"proxy_address": None}, 50440),
        ({"identity": "ana"}, {"proxy_address": None}, 50440),
        ({"identity": "ana"}, {"proxy_address": OURS}, 50441),
        ({"projected_address": OURS}, {"proxy_address": OTHER}, 50441),
        ({"identity": "ana"}, {"projected_address": None}, 50442),
        ({"address": ANN, "proxy_address": OURS}, {"projected_address": None}, 50442),
        ({"address": ANN, "proxy_address": OURS}, {"projected_address": OTHER}, 50443),
        ({"address": ANN}, {"identity": "ben"}, 50444),
        ({"identity": "ana"}, {"identity": "ben"}, 50444),
        ({"identity": "ana", "projected_address": OURS}, {"identity": "ben"}, 50444),
        ({"projected_address": OURS}, {"identity": "ben", "projected_address": None}, 50444),
        ({"projected_address": OURS}, {"projected_address": None}, 50204),
        ({"address": ANN}, {"proxy_address": ANN}, 50409),
        ({"address": ANN}, {"proxy_address": "5"}, 50408),
        ({"address": ANN}, {"proxy_address": ""}, 50412),
        ({"address": ANN}, {"proxy_address": f"whatsapp:{OURS}"}, 50414),
        ({"identity": "ana"}, {"projected_address": "5"}, 50407),
        ({"projected_address": OURS}, {"identity": ""}, 50204),
        ({"projected_address": OURS}, {"identity": "system"}, 50203),
        ({"identity": "ana"}, {"attributes": "{"}, 50304),
        ({"identity": "ana"}, {"last_read_index": -1}, 50421),
    ],
    ids=str,
)
async def test_a_change_that_does_not_fit_is_refused(
    world: World, kind: dict[str, str], fields: dict[str, Any], code: int
) -> None:
    room = await world.conversation()
    before = await world.do(AddParticipant, conversation=room.sid, **kind)
    with refused(code, 400):
        await world.do(UpdateParticipant, conversation=room.sid, participant=before.sid, **fields)
    assert await world.queries.participant(world.account, world.service, room.sid, before.sid) == before


async def test_addresses_come_and_go(world: World) -> None:
    room = await world.conversation()
    number = await add_number(world, room, ANN, None)
    changed = await world.do(UpdateParticipant, conversation=room.sid, participant=number.sid, proxy_address=OURS)
    assert (changed.proxy_address, changed.holds_pair) == (OURS, 1)
    again = await world.do(UpdateParticipant, conversation=room.sid, participant=number.sid, proxy_address=OURS)
    assert again == changed
    changed = await world.do(UpdateParticipant, conversation=room.sid, participant=number.sid, proxy_address=None)
    assert (changed.proxy_address, changed.holds_pair) == (None, None)
    ana = await world.add(room.sid, "ana")
    changed = await world.do(UpdateParticipant, conversation=room.sid, participant="ana", projected_address=OTHER)
    assert (changed.sid, changed.projected_address) == (ana.sid, OTHER)
    changed = await world.do(UpdateParticipant, conversation=room.sid, participant="ana", projected_address=None)
    assert changed.projected_address is None


async def test_a_number_is_handed_to_a_user(world: World) -> None:
    room = await world.conversation("ben")
    number = await world.do(AddParticipant, conversation=room.sid, projected_address=OURS)
    with refused(50433, 409):
        await world.do(UpdateParticipant, conversation=room.sid, participant=number.sid, identity="ben")
    handed = await world.do(UpdateParticipant, conversation=room.sid, participant=number.sid, identity="ana")
    assert (handed.sid, handed.identity) == (number.sid, "ana")
    assert handed.role_sid == (await service(world)).default_participant_role_sid
    mine = await world.queries.my_conversations(world.user("ana"), 10, None)
    assert [conversation.sid for _, conversation in mine.rows] == [room.sid]
    assert await world.do(UpdateParticipant, conversation=room.sid, participant="ana", identity="ana") == handed


async def test_a_number_handed_to_the_creator_ends_his_waiting(world: World) -> None:
    await world.connect("ana")
    made = await world.do(CreateConversation, by=world.user("ana"))
    number = await world.do(AddParticipant, conversation=made.sid, projected_address=OURS)
    handed = await world.do(UpdateParticipant, conversation=made.sid, participant=number.sid, identity="ana")
    assert handed.role_sid == (await service(world)).default_creator_role_sid
    assert (await again(world, made)).creator_joined_at == world.clock.now()


async def test_what_is_repeated_changes_nothing_and_tells_nobody(world: World) -> None:
    room = await world.conversation("ana")
    before = await world.queries.participant(world.account, world.service, room.sid, "ana")
    world.told()
    same = await world.do(
        UpdateParticipant, conversation=room.sid, participant="ana", attributes="{}", role_sid=before.role_sid
    )
    assert (same, world.told()) == (before, [])


async def test_dates_are_set_as_given(world: World) -> None:
    room = await world.conversation()
    added = await world.do(AddParticipant, conversation=room.sid, identity="ana", created_at=1_000_000)
    assert (added.created_at, added.updated_at) == (1_000_000, 1_000_000)
    changed = await world.do(
        UpdateParticipant, conversation=room.sid, participant="ana", created_at=2_000_000, updated_at=3_000_000
    )
    assert (changed.created_at, changed.updated_at) == (2_000_000, 3_000_000)
    changed = await world.do(UpdateParticipant, conversation=room.sid, participant="ana", attributes="[]")
    assert changed.updated_at == world.clock.now()


# --- removing


@pytest.mark.parametrize("by_sid", [True, False])
async def test_a_participant_is_removed_by_sid_or_identity_and_his_messages_stay(world: World, by_sid: bool) -> None:
    room = await world.conversation("ana", "ben")
    message = await world.send(room.sid, by=world.user("ana"))
    ana = await world.queries.participant(world.account, world.service, room.sid, "ana")
    await world.do(RemoveParticipant, conversation=room.sid, participant=ana.sid if by_sid else "ana")
    assert (await again(world, room)).participant_count == 1
    with refused(50432, 404):
        await world.queries.participant(world.account, world.service, room.sid, "ana")
    assert await world.queries.message(world.account, world.service, room.sid, message.sid) == message
    with refused(50432, 404):
        await world.do(RemoveParticipant, conversation=room.sid, participant="ana")
    with refused(50432, 404):
        await world.do(UpdateParticipant, conversation=room.sid, participant=ana.sid, attributes="[]")


async def test_who_comes_back_is_a_new_participant_who_has_read_nothing(world: World) -> None:
    room = await world.conversation("ana")
    await world.send(room.sid)
    first = await world.do(UpdateParticipant, conversation=room.sid, participant="ana", last_read_index=0)
    await world.do(RemoveParticipant, conversation=room.sid, participant="ana")
    second = await world.add(room.sid, "ana")
    assert second.sid != first.sid
    assert (first.last_read_index, second.last_read_index) == (0, None)


async def test_a_participant_of_another_conversation_is_not_found(world: World) -> None:
    room, other = await world.conversation("ana"), await world.conversation("ben")
    ben = await world.queries.participant(world.account, world.service, other.sid, "ben")
    with refused(50432, 404):
        await world.do(RemoveParticipant, conversation=room.sid, participant=ben.sid)
