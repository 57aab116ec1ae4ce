"""Push registrations: keeping and forgetting devices (semantics 7.2)."""

from __future__ import annotations

from tertulia.server.domain.errors import NOT_PERMITTED
from tertulia.server.domain.limits import PUSH_REGISTRATIONS_OF_AN_IDENTITY
from tertulia.server.domain.push import PushRegistration, RegisterPush, RemovePush

from .rules import handles
from .scenes import AccountScene, in_account
from .unit import Unit


@handles(RegisterPush, on=in_account)
async def register_push(unit: Unit, command: RegisterPush, _scene: AccountScene) -> PushRegistration:
    caller = unit.caller
    if caller.identity is None or caller.service_sid is None:
        raise NOT_PERMITTED("Only a user's device can be registered")
    known = await unit.push_registrations.find_device(caller.service_sid, command.kind, command.address)
    registration = PushRegistration(
        sid=known.sid if known else unit.new_sid("BS"),
        account_sid=caller.account_sid,
        service_sid=caller.service_sid,
        identity=caller.identity,
        kind=command.kind,
        address=command.address,
        endpoint=caller.endpoint_id,
        credential_sid=caller.push_credential_sid,
        message_types=" ".join(command.message_types),
        created_at=known.created_at if known else unit.now,
        updated_at=unit.now,
    )
    if known is None:
        await unit.push_registrations.add(registration)
    else:
        await unit.push_registrations.save(registration)
    await unit.push_registrations.keep_newest(caller.service_sid, caller.identity, PUSH_REGISTRATIONS_OF_AN_IDENTITY)
    return registration


@handles(RemovePush, on=in_account)
async def remove_push(unit: Unit, command: RemovePush, _scene: AccountScene) -> None:
    caller = unit.caller
    if caller.service_sid is None:
        raise NOT_PERMITTED("Only a user's device can be forgotten")
    found: PushRegistration | None = None
    if command.sid is not None:
        found = await unit.push_registrations.get(command.sid)
    elif command.kind is not None and command.address is not None:
        found = await unit.push_registrations.find_device(caller.service_sid, command.kind, command.address)
    if found is not None and (found.service_sid, found.identity) == (caller.service_sid, caller.identity):
        await unit.push_registrations.remove(found.sid)
