"""Roles (semantics 2)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tertulia.server.domain.participants import RemoveParticipant, UpdateParticipant
from tertulia.server.domain.permissions import GRANTABLE, Permission, RoleKind
from tertulia.server.domain.roles import CreateRole, DeleteRole, UpdateRole
from tertulia.server.domain.services import ConfigureService
from tertulia.server.domain.users import UpdateUser

from .world import World, refused

P = Permission


@pytest.mark.parametrize("kind", RoleKind)
async def test_a_role_holds_any_permission_of_its_kind(world: World, kind: RoleKind) -> None:
    granted = tuple(sorted(GRANTABLE[kind]))
    made = await world.do(CreateRole, friendly_name="r", kind=kind, permissions=(*granted, granted[0]))
    assert made.names == list(granted)
    assert await world.queries.role(world.service, made.sid) == made


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"friendly_name": ""}, 50000),
        ({"friendly_name": "x" * 65}, 50003),
        ({"kind": ""}, 50105),
        ({"kind": "channel"}, 50105),
        ({"permissions": ()}, 20001),
        ({"permissions": ("fly",)}, 50104),
        ({"permissions": (P.SEND_MESSAGE, P.CREATE_CONVERSATION)}, 50104),
        ({"kind": "service", "permissions": (P.SEND_MESSAGE,)}, 50104),
        ({"kind": "service", "permissions": (P.LEAVE_CONVERSATION,)}, 50104),
    ],
    ids=str,
)
async def test_a_role_that_cannot_be_is_refused(world: World, fields: dict[str, Any], code: int) -> None:
    good: dict[str, Any] = {"friendly_name": "r", "kind": "conversation", "permissions": (P.SEND_MESSAGE,)}
    with refused(code, 400):
        await world.do(CreateRole, **(good | fields))


async def test_an_update_replaces_the_whole_set(world: World) -> None:
    role = await world.role(RoleKind.CONVERSATION, P.SEND_MESSAGE, P.LEAVE_CONVERSATION)
    world.clock.advance(timedelta(seconds=1))
    changed = await world.do(UpdateRole, role=role.sid, permissions=(P.EDIT_OWN_MESSAGE,))
    assert (changed.names, changed.kind, changed.updated_at) == (["editOwnMessage"], role.kind, world.clock.now())
    for permissions, code in (((), 20001), (("fly",), 50104), ((P.JOIN_CONVERSATION,), 50104)):
        with refused(code, 400):
            await world.do(UpdateRole, role=role.sid, permissions=permissions)
    assert await world.queries.role(world.service, role.sid) == changed


async def test_a_role_of_another_service_is_not_found(world: World) -> None:
    foreign = await (await world.in_new_service()).role(RoleKind.SERVICE)
    for sid in (foreign.sid, "RL" + "0" * 32):
        with refused(20404, 404):
            await world.do(UpdateRole, role=sid, permissions=(P.CREATE_CONVERSATION,))
        with refused(20404, 404):
            await world.do(DeleteRole, role=sid)
        with refused(20404, 404):
            await world.queries.role(world.service, sid)


async def test_a_role_that_is_in_use_stays(world: World) -> None:
    room = await world.conversation("ana")
    of_users, of_members = await world.role(RoleKind.SERVICE), await world.role(RoleKind.CONVERSATION)
    await world.do(UpdateUser, user="ana", role_sid=of_users.sid)
    await world.do(UpdateParticipant, conversation=room.sid, participant="ana", role_sid=of_members.sid)
    default = await world.role(RoleKind.CONVERSATION)
    await world.do(ConfigureService, default_creator_role_sid=default.sid)
    for role in (of_users, of_members, default):
        with refused(20409, 409):
            await world.do(DeleteRole, role=role.sid)
    await world.do(RemoveParticipant, conversation=room.sid, participant="ana")
    await world.do(DeleteRole, role=of_members.sid)
    with refused(20404, 404):
        await world.do(DeleteRole, role=of_members.sid)


@pytest.mark.parametrize("command", [CreateRole, UpdateRole, DeleteRole])
async def test_clients_do_not_touch_roles(world: World, command: Any) -> None:
    await world.connect("ana")
    role = await world.role(RoleKind.SERVICE)
    fields: dict[Any, dict[str, Any]] = {
        CreateRole: {"friendly_name": "r", "kind": "service", "permissions": (P.CREATE_CONVERSATION,)},
        UpdateRole: {"role": role.sid, "permissions": (P.CREATE_CONVERSATION,)},
        DeleteRole: {"role": role.sid},
    }
    with refused(50107, 403):
        await world.do(command, by=world.user("ana"), **fields[command])
