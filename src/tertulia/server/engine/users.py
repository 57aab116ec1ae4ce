"""Users: making, connecting, changing, removing (rest 11, semantics 3.3)."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from tertulia.server.domain.errors import SERVICE_NOT_PERMITTED, USER_EXISTS
from tertulia.server.domain.permissions import Need, Permission, RoleKind
from tertulia.server.domain.users import (
    ATTRIBUTES_ITEM,
    FRIENDLY_NAME_ITEM,
    ConnectUser,
    CreateUser,
    DeleteUser,
    SweepUser,
    UpdateUser,
    User,
    UserDeleted,
    UserUpdated,
)

from .newcomers import make_user
from .remains import leave_some, promise_sweep
from .roles import require_role
from .rules import handles
from .scenes import AccountScene, ServiceScene, UserScene, in_account, in_service, on_leaving_user, on_user
from .unit import Unit

LEFT_AT_ONCE = 50
"""Conversations that a deleted user leaves with his deletion; the others follow in steps."""


@handles(CreateUser, on=in_service, for_clients=False)
async def create_user(unit: Unit, command: CreateUser, scene: ServiceScene) -> User:
    if await unit.users.find(command.service, command.identity) is not None:
        raise USER_EXISTS()
    if command.role_sid is not None:
        await require_role(unit, command.service, command.role_sid, RoleKind.SERVICE)
    return await make_user(
        unit,
        scene.service,
        command.identity,
        friendly_name=command.friendly_name or None,
        attributes=command.attributes,
        role_sid=command.role_sid,
    )


@handles(ConnectUser, on=in_account)
async def connect_user(unit: Unit, command: ConnectUser, _scene: AccountScene) -> User:
    service = await unit.services.find(unit.caller.account_sid, command.service)
    if service is None:
        raise SERVICE_NOT_PERMITTED()
    user = await unit.users.find(command.service, command.identity)
    if user is not None:
        return user
    role_sid = command.deployment_role_sid
    if role_sid is not None:
        # A role that is gone or of the wrong kind must not lock the user out: he gets the default.
        role = await unit.roles.find(service.sid, role_sid)
        role_sid = role_sid if role is not None and role.kind == RoleKind.SERVICE else None
    return await make_user(unit, service, command.identity, role_sid=role_sid)


@handles(
    UpdateUser,
    on=on_user,
    pre_hook="onUserUpdate",
    needs=(
        Need(
            any=Permission.EDIT_ANY_USER_INFO, own=Permission.EDIT_OWN_USER_INFO, when=("friendly_name", "attributes")
        ),
    ),
    clients_set=("friendly_name", "attributes"),
)
async def update_user(unit: Unit, command: UpdateUser, scene: UserScene) -> User:
    before = scene.user
    if command.role_sid is not UNSET:
        await require_role(unit, before.service_sid, command.role_sid, RoleKind.SERVICE)
    edited = msgspec.structs.replace(
        before,
        friendly_name=before.friendly_name if command.friendly_name is UNSET else command.friendly_name or None,
        attributes=before.attributes if command.attributes is UNSET else command.attributes,
        role_sid=before.role_sid if command.role_sid is UNSET else command.role_sid,
    )
    if edited == before:
        return before
    user, items, number = msgspec.structs.replace(edited, updated_at=unit.now), [], before.info_event
    if user.friendly_name != before.friendly_name:
        number += 1
        user = msgspec.structs.replace(user, friendly_name_event=number, info_event=number)
        items.append(FRIENDLY_NAME_ITEM)
    if user.attributes != before.attributes:
        number += 1
        user = msgspec.structs.replace(user, attributes_event=number, info_event=number)
        items.append(ATTRIBUTES_ITEM)
    await unit.users.save(user)
    unit.record(UserUpdated(user=user, items=tuple(items)))
    return user


@handles(DeleteUser, on=on_leaving_user, for_clients=False)
async def delete_user(unit: Unit, command: DeleteUser, scene: UserScene) -> None:
    user = scene.user
    await leave_some(unit, user.sid, LEFT_AT_ONCE, is_gone=False)
    await unit.push_registrations.remove_of_identity(user.service_sid, user.identity)
    await unit.presences.remove_of(user.service_sid, [user.identity])
    await unit.users.remove(user)
    if await unit.memberships.of_user(user.sid, 1):
        promise_sweep(unit, SweepUser(account_sid=user.account_sid, user_sid=user.sid))
    unit.record(UserDeleted(user=user))
