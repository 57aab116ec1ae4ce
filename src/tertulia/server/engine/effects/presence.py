"""What follows for the reachability of users from devices that come and go, and from the choice of their service."""

from __future__ import annotations

from tertulia.server.bus.base import ReachabilityTurned
from tertulia.server.domain.credentials import CredentialDeleted, CredentialUpdated
from tertulia.server.domain.push import PushRegistered, PushRegistrationRemoved
from tertulia.server.domain.services import ServiceConfigured
from tertulia.server.engine.presence import recount_devices
from tertulia.server.engine.rules import effect_of
from tertulia.server.engine.unit import Unit


@effect_of(ServiceConfigured)
async def service_configured(unit: Unit, change: ServiceConfigured) -> None:
    service = change.service
    if service.reachability_enabled == change.before.reachability_enabled:
        return
    if service.reachability_enabled:
        # What nodes reported before it was turned off, if that is not all done yet; they report anew.
        await unit.presences.remove_of_service(service.sid)
    await unit.turns.begin(service.account_sid, service.sid)
    unit.tell(ReachabilityTurned(service.account_sid, service.sid, service.reachability_enabled))


@effect_of(PushRegistered)
async def push_registered(unit: Unit, change: PushRegistered) -> None:
    await recount_devices(unit, change.registration.service_sid, change.registration.identity)


@effect_of(PushRegistrationRemoved)
async def push_registration_removed(unit: Unit, change: PushRegistrationRemoved) -> None:
    await recount_devices(unit, change.registration.service_sid, change.registration.identity)


@effect_of(CredentialDeleted)
async def credential_deleted(unit: Unit, change: CredentialDeleted) -> None:
    # Whose devices stay without one is looked up in bounded steps.
    await unit.turns.begin_in_account(change.credential.account_sid)


@effect_of(CredentialUpdated)
async def credential_updated(unit: Unit, change: CredentialUpdated) -> None:
    if change.credential.kind != change.before.kind:
        await unit.turns.begin_in_account(change.credential.account_sid)
