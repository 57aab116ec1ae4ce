"""Roles: making, changing, removing (semantics 2)."""

from __future__ import annotations

import msgspec

from tertulia.server.domain.errors import RESOURCE_NOT_FOUND, ROLE_MISSING, ROLE_TYPE, ROLE_UNKNOWN, STATE_FORBIDS
from tertulia.server.domain.permissions import RoleKind
from tertulia.server.domain.roles import (
    CreateRole,
    DeleteRole,
    Role,
    RoleCreated,
    RoleDeleted,
    RoleUpdated,
    UpdateRole,
    check_permissions,
)

from .rules import handles
from .scenes import ServiceScene, in_service
from .unit import Unit


@handles(CreateRole, on=in_service, for_clients=False)
async def create_role(unit: Unit, command: CreateRole, scene: ServiceScene) -> Role:
    role = Role(
        sid=unit.new_sid("RL"),
        account_sid=scene.service.account_sid,
        service_sid=scene.service.sid,
        friendly_name=command.friendly_name,
        kind=command.kind,
        permissions=" ".join(dict.fromkeys(command.permissions)),
        created_at=unit.now,
        updated_at=unit.now,
    )
    await unit.roles.add(role)
    unit.record(RoleCreated(role=role))
    return role


@handles(UpdateRole, on=in_service, for_clients=False)
async def update_role(unit: Unit, command: UpdateRole, scene: ServiceScene) -> Role:
    role = await _find(unit, scene, command.role)
    check_permissions(RoleKind(role.kind), command.permissions)
    changed = msgspec.structs.replace(
        role, permissions=" ".join(dict.fromkeys(command.permissions)), updated_at=unit.now
    )
    await unit.roles.save(changed)
    unit.record(RoleUpdated(role=changed))
    return changed


@handles(DeleteRole, on=in_service, for_clients=False)
async def delete_role(unit: Unit, command: DeleteRole, scene: ServiceScene) -> None:
    role, service = await _find(unit, scene, command.role), scene.service
    defaults = (service.default_user_role_sid, service.default_participant_role_sid, service.default_creator_role_sid)
    if role.sid in defaults:
        raise STATE_FORBIDS("The role is a default of the service")
    if await unit.roles.is_assigned(role.sid):
        raise STATE_FORBIDS("The role is assigned to a user or a participant")
    await unit.roles.remove(role)
    unit.record(RoleDeleted(role=role))


async def _find(unit: Unit, scene: ServiceScene, sid: str) -> Role:
    role = await unit.roles.find(scene.service.sid, sid)
    if role is None:
        raise RESOURCE_NOT_FOUND()
    return role


async def require_role(unit: Unit, service_sid: str, sid: str, kind: RoleKind) -> None:
    """The service has this role, of this kind; else 50103, 50100 or 50105."""
    if not sid:
        raise ROLE_MISSING()
    role = await unit.roles.find(service_sid, sid)
    if role is None:
        raise ROLE_UNKNOWN()
    if role.kind != kind:
        raise ROLE_TYPE(f"The role is of type {role.kind}, one of type {kind} is needed")
