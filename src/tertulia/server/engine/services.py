"""Services: making one with its four roles, configuring, removing (rest 4, semantics 2.3)."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from tertulia.server.domain.errors import RESOURCE_NOT_FOUND, STATE_FORBIDS
from tertulia.server.domain.permissions import (
    CONVERSATION_CREATOR,
    CONVERSATION_MEMBER,
    SERVICE_ADMIN,
    SERVICE_USER,
    DefaultRole,
    RoleKind,
)
from tertulia.server.domain.roles import Role, RoleCreated
from tertulia.server.domain.services import (
    ConfigureService,
    CreateService,
    DeleteService,
    Service,
    ServiceConfigured,
    ServiceCreated,
    ServiceDeleted,
    SweepService,
)

from .remains import promise_sweep
from .roles import require_role
from .rules import handles
from .scenes import AccountScene, ServiceScene, in_account, in_service
from .unit import Unit


async def make_service(unit: Unit, sid: str, account_sid: str, friendly_name: str) -> Service:
    """Keep a new service with the four default roles wired into its configuration."""
    made = {
        default.friendly_name: await _make_role(unit, account_sid, sid, default)
        for default in (SERVICE_ADMIN, SERVICE_USER, CONVERSATION_CREATOR, CONVERSATION_MEMBER)
    }
    service = Service(
        sid=sid,
        account_sid=account_sid,
        friendly_name=friendly_name,
        default_user_role_sid=made[SERVICE_USER.friendly_name].sid,
        default_participant_role_sid=made[CONVERSATION_MEMBER.friendly_name].sid,
        default_creator_role_sid=made[CONVERSATION_CREATOR.friendly_name].sid,
        reachability_enabled=False,
        created_at=unit.now,
        updated_at=unit.now,
    )
    await unit.services.add(service)
    unit.record(ServiceCreated(service=service))
    return service


async def _make_role(unit: Unit, account_sid: str, service_sid: str, default: DefaultRole) -> Role:
    role = Role(
        sid=unit.new_sid("RL"),
        account_sid=account_sid,
        service_sid=service_sid,
        friendly_name=default.friendly_name,
        kind=default.kind.value,
        permissions=" ".join(default.permissions),
        created_at=unit.now,
        updated_at=unit.now,
    )
    await unit.roles.add(role)
    unit.record(RoleCreated(role=role))
    return role


@handles(CreateService, on=in_account, for_clients=False)
async def create_service(unit: Unit, command: CreateService, _scene: AccountScene) -> Service:
    return await make_service(unit, unit.new_sid("IS"), unit.caller.account_sid, command.friendly_name)


@handles(ConfigureService, on=in_service, for_clients=False)
async def configure_service(unit: Unit, command: ConfigureService, scene: ServiceScene) -> Service:
    before = scene.service
    changes: dict[str, object] = {}
    for field, kind in (
        ("default_user_role_sid", RoleKind.SERVICE),
        ("default_participant_role_sid", RoleKind.CONVERSATION),
        ("default_creator_role_sid", RoleKind.CONVERSATION),
    ):
        sid = getattr(command, field)
        if sid is not UNSET:
            await require_role(unit, before.sid, sid, kind)
            changes[field] = sid
    if command.reachability_enabled is not UNSET:
        changes["reachability_enabled"] = command.reachability_enabled
    service = msgspec.structs.replace(before, **changes)
    if service == before:
        return before
    service = msgspec.structs.replace(service, updated_at=unit.now)
    await unit.services.save(service)
    unit.record(ServiceConfigured(service=service, before=before))
    return service


@handles(DeleteService, on=in_service, for_clients=False)
async def delete_service(unit: Unit, command: DeleteService, scene: ServiceScene) -> None:
    account = await unit.accounts.get(unit.caller.account_sid)
    if account is None:
        raise RESOURCE_NOT_FOUND()
    if account.default_service_sid == scene.service.sid:
        raise STATE_FORBIDS("The default service of the account cannot be deleted")
    await unit.address_configurations.switch_off(scene.service.sid, unit.now)
    await unit.webhooks.remove_of_service(scene.service.sid)
    await unit.services.remove(scene.service.sid)
    promise_sweep(unit, SweepService(account_sid=scene.service.account_sid, service_sid=scene.service.sid))
    unit.record(ServiceDeleted(service=scene.service))
