"""Push registrations: keeping, renewing and forgetting devices (semantics 7.2)."""

from __future__ import annotations

import logging

from tertulia.server import observe
from tertulia.server.domain.errors import NOT_PERMITTED, RESOURCE_NOT_FOUND
from tertulia.server.domain.limits import PUSH_REGISTRATIONS_OF_AN_IDENTITY
from tertulia.server.domain.push import (
    DeletePush,
    ForgetUnusedPush,
    NotePushUse,
    PushRegistered,
    PushRegistration,
    PushRegistrationRemoved,
    RegisterPush,
    RemovePush,
    message_types,
    spelled,
)

from .rules import handles
from .scenes import AccountScene, ServiceScene, in_account, in_service
from .unit import Unit

log = logging.getLogger(__name__)


@handles(RegisterPush, on=in_account)
async def register_push(unit: Unit, command: RegisterPush, _scene: AccountScene) -> PushRegistration:
    caller = unit.caller
    if caller.identity is None or caller.service_sid is None:
        raise NOT_PERMITTED("Only a user's device can be registered")
    on_device = await unit.push_registrations.of_device(
        caller.service_sid, caller.identity, command.kind, command.address
    )
    known = next((one for one in on_device if one.identity == caller.identity), None)
    for other in on_device:
        # Who used the device before must not read on it what the next one gets. Nobody needs it twice.
        if other is not known and (unit.policy.push_single_owner or other.identity == caller.identity):
            await _remove(unit, other)
    registration = PushRegistration(
        sid=known.sid if known else unit.new_sid("BS"),
        account_sid=caller.account_sid,
        service_sid=caller.service_sid,
        identity=caller.identity,
        kind=command.kind,
        address=spelled(command.kind, command.address),
        endpoint=caller.endpoint_id,
        credential_sid=caller.push_credential_sid,
        message_types=message_types(command.message_types),
        created_at=known.created_at if known else unit.now,
        updated_at=unit.now,
        used_at=unit.now,
    )
    if known is None:
        await unit.push_registrations.add(registration)
        for dropped in await unit.push_registrations.keep_newest(
            caller.service_sid, caller.identity, PUSH_REGISTRATIONS_OF_AN_IDENTITY
        ):
            unit.record(PushRegistrationRemoved(registration=dropped))
    else:
        await unit.push_registrations.save(registration, known)
    if known is None or known.credential_sid != registration.credential_sid:
        unit.record(PushRegistered(registration=registration))
    if not await unit.push_registrations.is_active(registration.sid):
        # Clients repeat a refused registration without end, so it is taken and said here (client-commands 4.11).
        log.info(
            "push.registration_inactive",
            extra=observe.fields(
                registration=registration.sid, kind=command.kind, credential=caller.push_credential_sid
            ),
        )
    return registration


@handles(RemovePush, on=in_account)
async def remove_push(unit: Unit, command: RemovePush, _scene: AccountScene) -> None:
    caller = unit.caller
    if caller.service_sid is None or caller.identity is None:
        raise NOT_PERMITTED("Only a user's device can be forgotten")
    found: list[PushRegistration] = []
    if command.sid is not None:
        by_sid = await unit.push_registrations.find(caller.service_sid, command.sid)
        found = [by_sid] if by_sid is not None else []
    elif command.kind is not None and command.address is not None:
        found = await unit.push_registrations.of_device(
            caller.service_sid, caller.identity, command.kind, command.address
        )
    for one in found:
        if one.identity == caller.identity:
            await _remove(unit, one)


@handles(DeletePush, on=in_service, for_clients=False)
async def delete_push(unit: Unit, command: DeletePush, scene: ServiceScene) -> None:
    found = await unit.push_registrations.find(scene.service.sid, command.registration)
    if found is None:
        raise RESOURCE_NOT_FOUND()
    await _remove(unit, found)


@handles(NotePushUse, on=in_account)
async def note_push_use(unit: Unit, _command: NotePushUse, _scene: AccountScene) -> None:
    caller = unit.caller
    if caller.service_sid is None or caller.identity is None or caller.endpoint_id is None:
        raise NOT_PERMITTED("Only a user's device is used")
    await unit.push_registrations.note_use(caller.service_sid, caller.identity, caller.endpoint_id, unit.now)


@handles(ForgetUnusedPush, on=in_account, for_clients=False)
async def forget_unused_push(unit: Unit, command: ForgetUnusedPush, _scene: AccountScene) -> int:
    gone = await unit.push_registrations.remove_unused(unit.caller.account_sid, command.before, command.limit)
    for registration in gone:
        unit.record(PushRegistrationRemoved(registration=registration))
    return len(gone)


async def _remove(unit: Unit, registration: PushRegistration) -> None:
    await unit.push_registrations.remove(registration.sid)
    unit.record(PushRegistrationRemoved(registration=registration))
