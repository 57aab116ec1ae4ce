"""Changing a participant's addresses, and handing a number to another user (semantics 4.1, rest 8)."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from tertulia.server.domain.conversations import Conversation
from tertulia.server.domain.errors import (
    IDENTITY_MISSING,
    IDENTITY_NOT_ADDABLE,
    NO_PROJECTED_TO_REMOVE,
    NO_PROXY_TO_REMOVE,
    PROJECTED_NEEDS_CHAT,
    PROXY_NEEDS_ADDRESS,
    RESOURCE_NOT_FOUND,
)
from tertulia.server.domain.participants import Participant, UpdateParticipant

from .gateways import require_ours
from .newcomers import require_user, role_of
from .pairs import require_free_pair
from .unit import Unit


async def changed_binding(
    unit: Unit, before: Participant, command: UpdateParticipant, conversation: Conversation
) -> Participant:
    """The participant with the command's addresses and identity; repeating what is there changes nothing."""
    participant = _with_projected(await _with_proxy(unit, before, command), command)
    if participant.binding != before.binding:
        participant.binding.check()
        await require_ours(
            unit,
            before.account_sid,
            participant.proxy_address if participant.proxy_address != before.proxy_address else None,
            participant.projected_address if participant.projected_address != before.projected_address else None,
        )
    participant = await _with_identity(unit, participant, command, conversation)
    if not participant.is_chat and participant.binding.kind is None:
        raise IDENTITY_MISSING("Without its number nobody could be reached: remove the participant")
    return participant


async def _with_proxy(unit: Unit, participant: Participant, command: UpdateParticipant) -> Participant:
    proxy = command.proxy_address
    if proxy is UNSET or (proxy is not None and proxy == participant.proxy_address):
        return participant
    if proxy is None:
        if participant.proxy_address is None:
            raise NO_PROXY_TO_REMOVE()
        return msgspec.structs.replace(participant, proxy_address=None, holds_pair=None)
    if participant.address is None:
        raise PROXY_NEEDS_ADDRESS()
    changed = msgspec.structs.replace(participant, proxy_address=proxy, holds_pair=1)
    changed.binding.check()
    await require_free_pair(unit, participant.account_sid, participant.address, proxy)
    return changed


def _with_projected(participant: Participant, command: UpdateParticipant) -> Participant:
    projected = command.projected_address
    if projected is UNSET or (projected is not None and projected == participant.projected_address):
        return participant
    if projected is None:
        if participant.projected_address is None:
            raise NO_PROJECTED_TO_REMOVE()
    elif participant.address is not None:
        raise PROJECTED_NEEDS_CHAT()
    return msgspec.structs.replace(participant, projected_address=projected)


async def _with_identity(
    unit: Unit, participant: Participant, command: UpdateParticipant, conversation: Conversation
) -> Participant:
    identity = command.identity
    if identity is UNSET or identity == participant.identity:
        return participant
    if participant.identity is not None or participant.projected_address is None:
        raise IDENTITY_NOT_ADDABLE()
    service = await unit.services.find(participant.account_sid, participant.service_sid)
    if service is None:
        raise RESOURCE_NOT_FOUND()
    user = await require_user(unit, service, conversation, identity)
    return msgspec.structs.replace(
        participant,
        identity=identity,
        user_sid=user.sid,
        role_sid=participant.role_sid or role_of(service, conversation, identity),
    )
