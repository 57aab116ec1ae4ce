"""Services and the account above them (rest 3.1, 4, semantics 2.3)."""

from __future__ import annotations

from typing import Any

import pytest

from tertulia.server.bus.base import ServiceGone
from tertulia.server.domain.accounts import UpdateAccount
from tertulia.server.domain.callers import account
from tertulia.server.domain.permissions import RoleKind
from tertulia.server.domain.push import RegisterPush
from tertulia.server.domain.services import ConfigureService, CreateService, DeleteService
from tertulia.server.storage.paging import Page

from .world import World, refused


async def test_a_new_service_has_the_four_roles(world: World) -> None:
    made = await world.do(CreateService, friendly_name="second")
    roles = {role.friendly_name: role for role in await world.queries.roles(made.sid, Page(10))}
    assert set(roles) == {"service admin", "service user", "channel admin", "channel user"}
    assert made.default_user_role_sid == roles["service user"].sid
    assert made.default_creator_role_sid == roles["channel admin"].sid
    assert made.default_participant_role_sid == roles["channel user"].sid
    assert roles["channel user"].names == [
        "deleteOwnMessage",
        "editNotificationLevel",
        "editOwnMessage",
        "editOwnMessageAttributes",
        "editOwnParticipantAttributes",
        "leaveConversation",
        "sendMediaMessage",
        "sendMessage",
    ]
    assert not made.reachability_enabled


@pytest.mark.parametrize(("name", "code"), [("", 50000), ("x" * 257, 50003)])
async def test_a_service_has_a_name(world: World, name: str, code: int) -> None:
    with refused(code, 400):
        await world.do(CreateService, friendly_name=name)


async def test_default_roles_are_the_services_own_and_of_the_right_kind(world: World) -> None:
    right = {kind: (await world.role(kind)).sid for kind in RoleKind}
    foreign = await (await world.in_new_service()).role(RoleKind.SERVICE)
    for field, kind in (
        ("default_user_role_sid", RoleKind.SERVICE),
        ("default_participant_role_sid", RoleKind.CONVERSATION),
        ("default_creator_role_sid", RoleKind.CONVERSATION),
    ):
        wrong = next(sid for other, sid in right.items() if other != kind)
        for sid, code in ((wrong, 50105), (foreign.sid, 50100)):
            with refused(code):
                await world.do(ConfigureService, **{field: sid})
        changed = await world.do(ConfigureService, **{field: right[kind]})
        assert getattr(changed, field) == right[kind]


async def test_who_comes_later_gets_the_new_default(world: World) -> None:
    room = await world.conversation("ana")
    role = await world.role(RoleKind.CONVERSATION)
    await world.do(ConfigureService, default_participant_role_sid=role.sid, reachability_enabled=True)
    assert (await world.add(room.sid, "ben")).role_sid == role.sid
    ana = await world.queries.participant(world.account, world.service, room.sid, "ana")
    assert ana.role_sid != role.sid
    assert (await world.queries.service(world.account, world.service)).reachability_enabled


async def test_a_service_goes_with_everything_in_it(world: World) -> None:
    tables = ("messages", "participants", "conversations", "users", "roles", "push_registrations", "services")
    before = {table: await world.count(table) for table in tables}
    other = await world.in_new_service()
    room = await other.conversation("ana")
    await other.send(room.sid)
    await other.do(RegisterPush, by=other.user("ana"), kind="fcm", address="device")
    world.told()
    await other.do(DeleteService)
    assert world.bus.heard == [ServiceGone(other.service)]
    await world.run_due()
    assert {table: await world.count(table) for table in tables} == before
    again: Any
    for again in (DeleteService, ConfigureService):
        with refused(20404, 404):
            await other.do(again)


async def test_the_default_service_stays(world: World) -> None:
    with refused(20409, 409):
        await world.do(DeleteService)
    other = await world.in_new_service()
    await world.do(UpdateAccount, default_service=other.service)
    await world.do(DeleteService)
    with refused(20409, 409):
        await other.do(DeleteService)


async def test_another_accounts_service_is_not_there(world: World) -> None:
    stranger = account("AC" + "0" * 32)
    command: Any
    for command in (ConfigureService, DeleteService):
        with refused(20404, 404):
            await world.do(command, by=stranger)
    with refused(20404, 404):
        await world.queries.service(stranger, world.service)
    assert await world.queries.services(stranger, Page(10)) == []


@pytest.mark.parametrize(
    ("fields", "code", "status"),
    [
        ({"default_service": "IS" + "0" * 32}, 50050, 404),
        ({"default_messaging_service_sid": "MG"}, 50341, 400),
        ({"default_inactive_timer": "PT1S"}, 50375, 400),
        ({"default_closed_timer": "PT1S"}, 50376, 400),
        ({"default_inactive_timer": "x"}, 50379, 400),
        ({"default_closed_timer": "x"}, 50380, 400),
    ],
    ids=str,
)
async def test_a_bad_default_of_the_account_is_refused(
    world: World, fields: dict[str, Any], code: int, status: int
) -> None:
    before = await world.queries.account(world.account)
    with refused(code, status):
        await world.do(UpdateAccount, **fields)
    assert await world.queries.account(world.account) == before


async def test_the_accounts_defaults_are_kept_and_cleared(world: World) -> None:
    service = "MG" + "0" * 32
    kept = await world.do(UpdateAccount, default_messaging_service_sid=service, default_inactive_timer="PT5M")
    assert (kept.default_messaging_service_sid, kept.default_inactive_timer) == (service, "PT5M")
    assert (await world.conversation()).messaging_service_sid == service
    cleared = await world.do(UpdateAccount, default_messaging_service_sid="", default_inactive_timer="")
    assert (cleared.default_messaging_service_sid, cleared.default_inactive_timer) == (None, None)
    assert await world.do(UpdateAccount) == cleared


@pytest.mark.parametrize("command", [UpdateAccount, CreateService, ConfigureService, DeleteService])
async def test_clients_touch_neither_account_nor_services(world: World, command: Any) -> None:
    await world.connect("ana")
    with refused(50107, 403):
        fields = {"friendly_name": "x"} if command is CreateService else {}
        await world.do(command, by=world.user("ana"), **fields)
