"""Memberships: a user's read horizon and notification level in a conversation (semantics 6.1, 6.5)."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from tertulia.server.domain.memberships import LeaveConversation, Membership, UpdateMembership
from tertulia.server.domain.participants import Participant
from tertulia.server.domain.permissions import Need, Permission

from .horizon import moved
from .participants import remove_from, save_participant
from .rules import handles
from .scenes import MembershipScene, on_membership
from .unit import Unit


# Nobody is asked before: nothing that onParticipantUpdate tells would change but the date (UNVERIFIED, semantics 1.4).
@handles(
    UpdateMembership,
    on=on_membership,
    needs=(Need(any=Permission.EDIT_NOTIFICATION_LEVEL, when=("notification_level",)),),
)
async def update_membership(unit: Unit, command: UpdateMembership, scene: MembershipScene) -> Membership:
    scene.conversation.require_open()
    before = scene.participant
    participant = moved(before, scene.conversation, command.last_read_index, command.last_read_at, unit.now)
    if command.notification_level is not UNSET:
        participant = msgspec.structs.replace(participant, notification_level=command.notification_level)
    if participant != before:
        stamped = msgspec.structs.replace(participant, updated_at=unit.now)
        participant = await save_participant(unit, stamped, before, scene.conversation)
    return Membership(participant, scene.conversation, await _unread(unit, participant))


async def _unread(unit: Unit, participant: Participant) -> int | None:
    """Messages after a participant's horizon; None before the first reading (semantics 6.2)."""
    if participant.last_read_index is None:
        return None
    return await unit.memberships.unread(participant.conversation_sid, participant.last_read_index)


@handles(LeaveConversation, on=on_membership, for_clients=False)
async def leave_conversation(unit: Unit, command: LeaveConversation, scene: MembershipScene) -> None:
    scene.conversation.require_set_up()
    await remove_from(unit, scene.conversation, scene.participant)
