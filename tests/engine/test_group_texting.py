"""Group texting: when a conversation is one, and what it then demands (semantics 4.6)."""

from __future__ import annotations

from typing import Any

import pytest

from tertulia.server.domain.conversations import Conversation, DeleteConversation, UpdateConversation
from tertulia.server.domain.messages import SendMessage, UpdateMessage
from tertulia.server.domain.participants import AddParticipant, Participant, RemoveParticipant, UpdateParticipant
from tertulia.server.domain.users import DeleteUser
from tertulia.server.engine.unit import Policy

from .world import BASE_URL, World, refused

ANN, BOB, CYD, DAN = "+12025550001", "+12025550002", "+12025550003", "+12025550004"
OURS, OTHER = "+12025559990", "+12025559991"
GROUP: tuple[dict[str, Any], ...] = (
    {"address": ANN},
    {"address": BOB},
    {"identity": "ana", "projected_address": OURS},
)


async def add(world: World, room: Conversation, **fields: Any) -> Participant:
    return await world.do(AddParticipant, conversation=room.sid, **fields)


async def room_of(world: World, *members: dict[str, Any]) -> Conversation:
    room = await world.conversation()
    for fields in members:
        await add(world, room, **fields)
    return await again(world, room)


async def again(world: World, room: Conversation) -> Conversation:
    return await world.queries.conversation(world.account, world.service, room.sid)


@pytest.mark.parametrize(
    ("members", "numbers"),
    [
        (GROUP, {ANN, BOB, OURS}),
        (({"address": ANN}, {"address": BOB}, {"projected_address": OURS}), {ANN, BOB, OURS}),
        (({"address": ANN}, {"address": BOB}, {"address": CYD, "proxy_address": OURS}), {ANN, BOB, OURS}),
        (({"address": ANN}, {"address": CYD, "proxy_address": OTHER}, GROUP[2]), {ANN, OTHER, OURS}),
        (({"address": ANN}, {"address": BOB}, {"address": CYD, "proxy_address": OURS}, GROUP[2]), {ANN, BOB, OURS}),
        (GROUP[:2], None),
        (({"address": ANN}, {"address": BOB}, {"address": CYD}), None),
        (({"address": ANN, "proxy_address": OURS}, {"address": BOB, "proxy_address": OURS}, GROUP[2]), None),
        (({"address": ANN}, {"identity": "ana"}, {"identity": "ben"}), None),
    ],
    ids=[
        "chat",
        "gateway",
        "proxied",
        "proxied and chat",
        "one number for two",
        "two",
        "nobody of ours",
        "all proxied",
        "one bound",
    ],
)
@pytest.mark.owner_demand(25)
async def test_when_a_conversation_is_a_group_text(
    world: World, members: tuple[dict[str, Any], ...], numbers: set[str] | None
) -> None:
    room = await room_of(world, *members)
    assert (None if room.group_key is None else set(room.group_key.split())) == numbers


async def test_the_order_of_coming_makes_no_difference(world: World) -> None:
    await room_of(world, *GROUP)
    room = await room_of(world, *GROUP[:0:-1])
    with refused(50438, 409):
        await add(world, room, **GROUP[0])


@pytest.mark.owner_demand(25)
async def test_the_same_set_is_one_open_conversation_of_the_account(world: World) -> None:
    room = await room_of(world, *GROUP)
    other = await room_of(await world.in_new_service(), *GROUP[:2])
    with refused(50438, 409, f"Group MMS with given participant list already exists as Conversation {room.sid}"):
        await world.do(AddParticipant, service=other.service_sid, conversation=other.sid, **GROUP[2])


@pytest.mark.parametrize("end", ["closed", "deleted", "smaller", "larger"])
async def test_a_set_that_is_given_up_is_free(world: World, end: str) -> None:
    room = await room_of(world, *GROUP)
    if end == "closed":
        await world.do(UpdateConversation, conversation=room.sid, state="closed")
    elif end == "deleted":
        await world.do(DeleteConversation, conversation=room.sid)
    elif end == "smaller":
        await world.do(RemoveParticipant, conversation=room.sid, participant="ana")
        assert (await again(world, room)).group_key is None
    else:
        await add(world, room, address=CYD)
    await room_of(world, *GROUP)


async def test_a_chat_member_needs_a_number(world: World) -> None:
    room = await room_of(world, *GROUP)
    with refused(50434, 400):
        await world.add(room.sid, "ben")
    await add(world, room, identity="ben", projected_address=OTHER)
    with refused(50434, 400):
        await world.do(UpdateParticipant, conversation=room.sid, participant="ben", projected_address=None)
    unfinished = await room_of(world, {"identity": "cat"}, *GROUP[:1], {"projected_address": OTHER})
    with refused(50434, 400):
        await add(world, unfinished, address=CYD)


@pytest.mark.parametrize(
    "number", ["+442071838750", "+1202555", "whatsapp:+12025550003", "+18005550001", "+18885550001"]
)
async def test_only_long_codes_of_north_america_take_part(world: World, number: str) -> None:
    room = await room_of(world, *GROUP)
    with refused(50435, 400):
        await add(world, room, address=number)
    assert (await again(world, room)).participant_count == 3


async def test_people_who_would_all_be_seen_as_one_number_are_no_group(world: World) -> None:
    room = await room_of(world, *({"address": who, "proxy_address": OURS} for who in (BOB, CYD)))
    with refused(50435, 400, "its phones would show 2 numbers"):
        await add(world, room, address=ANN)


async def test_nobody_takes_part_by_himself_and_by_a_number_of_ours(world: World) -> None:
    room = await room_of(world, *GROUP)
    with refused(50437, 409):
        await add(world, room, address=ANN, proxy_address=OTHER)


async def test_a_number_takes_part_once(world: World) -> None:
    room = await room_of(world, *GROUP)
    for fields in ({"address": ANN}, {"projected_address": OURS}, {"identity": "ben", "projected_address": OURS}):
        with refused(50437, 409):
            await add(world, room, **fields)


async def test_ten_take_part(world: World) -> None:
    room = await room_of(world, *GROUP)
    for n in range(7):
        await add(world, room, address=f"+1202555010{n}")
    with refused(50436, 403):
        await add(world, room, address=CYD)


async def test_how_many_take_part_is_the_operators_choice(world: World) -> None:
    room = await room_of(world, *GROUP)
    policy = Policy(base_url=BASE_URL, group_text_participants=3)
    world.engine = world.engine_with(policy)
    with refused(50436, 403):
        await add(world, room, address=CYD)


@pytest.mark.owner_demand(25)
async def test_only_members_write_in_a_group_text(world: World) -> None:
    room = await room_of(world, *GROUP, {"projected_address": OTHER})
    for author in ("system", "eve", CYD):
        with refused(50513, 400):
            await world.do(SendMessage, conversation=room.sid, author=author, body="hi")
    with refused(50513, 400):
        await world.send(room.sid)
    for author in ("ana", ANN, OTHER):
        assert (await world.do(SendMessage, conversation=room.sid, author=author, body="hi")).participant_sid
    message = await world.send(room.sid, by=world.user("ana"))
    with refused(50513, 400):
        await world.do(UpdateMessage, conversation=room.sid, message=message.sid, author="eve")


async def test_a_number_is_handed_from_one_agent_to_the_next(world: World) -> None:
    room = await room_of(world, *GROUP[:2], {"projected_address": OURS})
    members = await room_of(world, *GROUP[:1], {"projected_address": OTHER})
    number = await add(world, members, address=CYD)
    assert number.identity is None
    key = room.group_key
    gateway = await add(world, room, projected_address=OTHER)
    handed = await world.do(UpdateParticipant, conversation=room.sid, participant=gateway.sid, identity="ana")
    assert handed.identity == "ana"
    assert (await again(world, room)).group_key == f"{key} {OTHER}"


async def test_a_change_of_number_moves_the_set(world: World) -> None:
    first = await room_of(world, *GROUP)
    second = await room_of(world, *GROUP[:2], {"identity": "ana", "projected_address": OTHER})
    with refused(50438, 409, first.sid):
        await world.do(UpdateParticipant, conversation=second.sid, participant="ana", projected_address=OURS)
    await world.do(UpdateParticipant, conversation=first.sid, participant="ana", projected_address=DAN)
    await world.do(UpdateParticipant, conversation=second.sid, participant="ana", projected_address=OURS)


async def test_the_deletion_of_a_user_is_not_held_up_by_his_groups(world: World) -> None:
    await room_of(world, *GROUP[:2], {"projected_address": OURS})
    both = {"identity": "ben", "projected_address": OTHER}, {"projected_address": OURS}
    room = await room_of(world, *GROUP[:2], *both)
    await world.do(DeleteUser, user="ben")
    assert (await again(world, room)).group_key is None, "the set is the other conversation's"
