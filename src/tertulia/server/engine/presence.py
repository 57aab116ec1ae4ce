"""Presence: who is connected, as nodes report it, and what of it users are shown as (semantics 6.3).

Whatever decides here locks the users concerned first, so that two nodes which speak of one user do so one after the
other. Only nodes that are alive count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from tertulia.server.domain.presence import ArriveUser, DepartNode, DepartUser, SettleReachability, Turn
from tertulia.server.domain.users import REACHABILITY_ITEM, User, UserUpdated

from .rules import handles
from .scenes import AccountScene, ServiceScene, in_account, in_service
from .unit import Unit

STEP = 200
"""How many users one transaction brings in line at most."""


@handles(ArriveUser, on=in_account, for_clients=False)
async def arrive_user(unit: Unit, command: ArriveUser, _scene: AccountScene) -> bool:
    found = await unit.presences.subject(command.service, command.identity)
    if found is None:
        return True  # deleted meanwhile; his connections end
    user, is_enabled = found
    if not is_enabled:
        return True
    if not await unit.nodes.is_alive(command.node, unit.now):
        return False
    await unit.presences.add(command.service, command.identity, command.node)
    if user.is_online:
        return True
    notifiable = user.is_notifiable
    if notifiable is None:
        notifiable = await unit.push_registrations.has_active(command.service, command.identity) or None
    await _show(unit, [user], lambda _: (True, notifiable))
    return True


@handles(DepartUser, on=in_account, for_clients=False)
async def depart_user(unit: Unit, command: DepartUser, _scene: AccountScene) -> None:
    found = await unit.presences.subject(command.service, command.identity)
    await unit.presences.remove(command.service, command.identity, command.node)
    if found is not None and found[1] and found[0].is_online:
        await _depart(unit, command.service, [found[0]])


@handles(DepartNode, on=in_account, for_clients=False)
async def depart_node(unit: Unit, command: DepartNode, _scene: AccountScene) -> None:
    if await unit.nodes.is_alive(command.node, unit.now):
        return
    identities = await unit.presences.some_of_node(command.node, command.service, STEP)
    users = await unit.presences.users(command.service, identities)
    await unit.presences.remove_of(command.service, identities, command.node)
    service = await unit.services.find(unit.caller.account_sid, command.service)
    if service is not None and service.reachability_enabled:
        await _depart(unit, command.service, [user for user in users if user.is_online])


async def _depart(unit: Unit, service_sid: str, users: Sequence[User]) -> None:
    """Those of them who are connected nowhere any more are shown as such."""
    still = await unit.presences.connected(service_sid, [user.identity for user in users], unit.now)
    gone = [user for user in users if user.identity not in still]
    await _show(unit, gone, lambda user: (False, user.is_notifiable))


@handles(SettleReachability, on=in_service, for_clients=False)
async def settle_reachability(unit: Unit, command: SettleReachability, scene: ServiceScene) -> None:
    # The service is locked: what was chosen stays until this step is done.
    turn = await unit.turns.find(command.service)
    if turn is None:
        return
    is_done = await (_show_devices(unit, turn) if scene.service.reachability_enabled else _hide(unit, turn))
    if is_done:
        await unit.turns.end(command.service)


async def _show_devices(unit: Unit, turn: Turn) -> bool:
    """Who has devices is notifiable; who is connected is reported by his nodes. Whether everybody is done."""
    identities = await unit.push_registrations.identities(turn.service_sid, turn.reached, STEP)
    users = await unit.presences.users(turn.service_sid, identities)
    active = await unit.push_registrations.active_among(turn.service_sid, identities)
    await _show(unit, users, lambda user: (user.is_online, _notifiable(user, user.identity in active)))
    if len(identities) < STEP:
        return True
    await unit.turns.save(msgspec.structs.replace(turn, reached=identities[-1]))
    return False


async def _hide(unit: Unit, turn: Turn) -> bool:
    """Nothing is known of anybody any more. Whether everybody is done."""
    users = await unit.presences.shown(turn.service_sid, STEP)
    await _show(unit, users, lambda _: (None, None))
    identities = await unit.presences.some_of_service(turn.service_sid, STEP)
    await unit.presences.remove_of(turn.service_sid, identities)
    return len(users) < STEP and len(identities) < STEP


async def recount_devices(unit: Unit, service_sid: str, identity: str) -> None:
    """A device of a user was kept or forgotten: he is shown as notifiable or not."""
    found = await unit.presences.subject(service_sid, identity)
    if found is None or not found[1]:
        return
    has_active = await unit.push_registrations.has_active(service_sid, identity)
    await _show(unit, [found[0]], lambda user: (user.is_online, _notifiable(user, has_active)))


def _notifiable(user: User, has_active: bool) -> bool | None:
    """Who has never had a device is neither."""
    return has_active or (None if user.is_notifiable is None else False)


async def _show(unit: Unit, users: Sequence[User], state: Callable[[User], tuple[bool | None, bool | None]]) -> None:
    """Keep a new state of these users, and record it where it is new. One statement."""
    changed = []
    for user in users:
        online, notifiable = state(user)
        if (online, notifiable) == (user.is_online, user.is_notifiable):
            continue
        number = user.info_event + 1
        changed.append(
            msgspec.structs.replace(
                user,
                is_online=online,
                is_notifiable=notifiable,
                reachability_created=number if user.reachability_created is None else user.reachability_created,
                reachability_event=number,
                info_event=number,
                updated_at=unit.now,
            )
        )
    if changed:
        await unit.presences.show(changed)
    for user in changed:
        unit.record(UserUpdated(user=user, items=(REACHABILITY_ITEM,)))
