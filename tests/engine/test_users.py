"""Making, connecting, changing and deleting users (rest 11, semantics 3.3)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tertulia.server.bus.base import UserGone
from tertulia.server.domain.callers import identity as identity_of
from tertulia.server.domain.conversations import UpdateConversation
from tertulia.server.domain.permissions import RoleKind
from tertulia.server.domain.push import RegisterPush
from tertulia.server.domain.users import ConnectUser, CreateUser, DeleteUser, UpdateUser

from .world import World, refused


async def test_what_is_not_said_has_a_default(world: World) -> None:
    made = await world.do(CreateUser, identity="ana@example.com")
    service = await world.queries.service(world.account, world.service)
    assert (made.friendly_name, made.attributes, made.role_sid) == (None, "{}", service.default_user_role_sid)
    assert await world.queries.user(world.service, "ana@example.com") == made
    assert await world.queries.user(world.service, made.sid) == made


async def test_an_identity_is_one_user_of_a_service_and_its_case_counts(world: World) -> None:
    await world.do(CreateUser, identity="ana")
    with refused(50201, 409):
        await world.do(CreateUser, identity="ana")
    await world.do(CreateUser, identity="Ana")
    await (await world.in_new_service()).do(CreateUser, identity="ana")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"identity": ""}, 50204),
        ({"identity": "system"}, 50203),
        ({"identity": "US" + "0" * 32}, 50206),
        ({"identity": "MB" + "0" * 32}, 50206),
        ({"identity": "x" * 257}, 50207),
        ({"identity": "ana", "friendly_name": "x" * 257}, 50003),
        ({"identity": "ana", "attributes": ""}, 50304),
        ({"identity": "ana", "attributes": "[" * 65 + "]" * 65}, 50304),
        ({"identity": "ana", "attributes": f'"{"x" * 16383}"'}, 50303),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_user_that_cannot_be_is_refused(world: World, fields: dict[str, str], code: int) -> None:
    with refused(code, 400):
        await world.do(CreateUser, **fields)


async def test_a_users_role_is_one_of_the_services_own(world: World) -> None:
    right, wrong = await world.role(RoleKind.SERVICE), await world.role(RoleKind.CONVERSATION)
    foreign = await (await world.in_new_service()).role(RoleKind.SERVICE)
    await world.do(CreateUser, identity="ben")
    for sid, code in ((wrong.sid, 50105), (foreign.sid, 50100), ("RL" + "0" * 32, 50100)):
        with refused(code):
            await world.do(CreateUser, identity="ana", role_sid=sid)
        with refused(code):
            await world.do(UpdateUser, user="ben", role_sid=sid)
    assert (await world.do(CreateUser, identity="ana", role_sid=right.sid)).role_sid == right.sid
    assert (await world.do(UpdateUser, user="ben", role_sid=right.sid)).role_sid == right.sid


async def test_the_first_connection_makes_a_user_and_the_next_finds_him(world: World) -> None:
    first = await world.connect("ana")
    assert await world.connect("ana") == first


async def test_the_tokens_role_is_for_a_user_made_by_it(world: World) -> None:
    role, wrong = await world.role(RoleKind.SERVICE), await world.role(RoleKind.CONVERSATION)
    default = (await world.queries.service(world.account, world.service)).default_user_role_sid

    async def connect(name: str, role_sid: str) -> str:
        user = await world.do(ConnectUser, by=world.user(name), identity=name, deployment_role_sid=role_sid)
        return user.role_sid

    assert await connect("ana", role.sid) == role.sid
    assert await connect("ana", default) == role.sid
    assert await connect("ben", wrong.sid) == default
    assert await connect("cat", "RL" + "0" * 32) == default


async def test_a_service_of_another_account_takes_nobody(world: World) -> None:
    stranger = identity_of("AC" + "0" * 32, world.service, "ana")
    with refused(20403, 403):
        await world.do(ConnectUser, by=stranger, identity="ana")


async def test_an_update_moves_only_the_items_that_changed(world: World) -> None:
    made = await world.do(CreateUser, identity="ana", friendly_name="Ana")
    world.clock.advance(timedelta(seconds=1))
    world.told()
    renamed = await world.do(UpdateUser, user=made.sid, friendly_name="Anna")
    assert world.told() == ["map_item_updated MU"]
    assert (renamed.friendly_name_event, renamed.attributes_event, renamed.info_event) == (3, 1, 3)
    assert renamed.updated_at == world.clock.now()
    both = await world.do(UpdateUser, user="ana", friendly_name="", attributes="[]")
    assert world.told() == ["map_item_updated MU"] * 2
    assert (both.friendly_name, both.friendly_name_event, both.attributes_event, both.info_event) == (None, 4, 5, 5)
    role = await world.role(RoleKind.SERVICE)
    await world.do(UpdateUser, user="ana", role_sid=role.sid)
    assert world.told() == [], "clients do not see roles of users"
    assert await world.do(UpdateUser, user="ana", attributes="[]", role_sid=role.sid) is not None
    assert world.told() == []


@pytest.mark.parametrize("command", [UpdateUser, DeleteUser])
async def test_a_user_that_is_not_there(world: World, command: Any) -> None:
    await (await world.in_new_service()).do(CreateUser, identity="ana")
    for key in ("ana", "US" + "0" * 32):
        with refused(50200, 404):
            await world.do(command, user=key)
    with refused(20404, 404):
        await world.do(command, service="IS" + "0" * 32, user="ana")


# --- deleting


async def test_deleting_a_user_takes_his_participants_everywhere_and_leaves_his_messages(world: World) -> None:
    rooms = [await world.conversation("ana", "ben") for _ in range(2)]
    closed = await world.conversation("ana")
    message = await world.send(rooms[0].sid, by=world.user("ana"))
    await world.do(UpdateConversation, conversation=closed.sid, state="closed")
    await world.do(RegisterPush, by=world.user("ana"), kind="fcm", address="device")
    await world.do(DeleteUser, user="ana")
    with refused(50200, 404):
        await world.queries.user(world.service, "ana")
    for room, left in ((rooms[0], 1), (rooms[1], 1), (closed, 0)):
        assert (await world.queries.conversation(world.account, world.service, room.sid)).participant_count == left
    assert await world.queries.message(world.account, world.service, rooms[0].sid, message.sid) == message
    assert await world.count("push_registrations") == 0


async def test_the_word_that_a_user_is_gone_is_the_last(world: World) -> None:
    await world.conversation("ana", "ben")
    world.told()
    await world.do(DeleteUser, user="ana")
    heard = world.bus.heard[-1]
    assert isinstance(heard, UserGone)
    assert (heard.service_sid, heard.identity) == (world.service, "ana")
    assert world.told() == [
        "map_item_removed MP",
        "map_item_removed MC",
        "AccessEnded",
        "map_removed MU",
        "UserGone",
    ]


async def test_a_deleted_identity_that_connects_again_is_a_new_user(world: World) -> None:
    room = await world.conversation("ana")
    first = await world.queries.user(world.service, "ana")
    await world.do(DeleteUser, user="ana")
    second = await world.connect("ana")
    assert second.sid != first.sid
    with refused(50350, 404):
        await world.send(room.sid, by=world.user("ana"))


async def test_a_deleted_user_may_do_nothing_with_his_old_token(world: World) -> None:
    room = await world.conversation("ana")
    await world.do(DeleteUser, user="ana")
    with refused(50350, 404):
        await world.send(room.sid, by=world.user("ana"))
    with refused(50200, 404):
        await world.do(UpdateUser, by=world.user("ana"), user="ana", friendly_name="x")


@pytest.mark.parametrize("command", [CreateUser, DeleteUser])
async def test_clients_neither_make_nor_delete_users(world: World, command: Any) -> None:
    await world.connect("ana")
    fields = {"identity": "x"} if command is CreateUser else {"user": "ana"}
    with refused(50107, 403):
        await world.do(command, by=world.user("ana"), **fields)
