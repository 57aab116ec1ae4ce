"""Participants: adding, joining, changing, removing (rest 8, semantics 4.1, 4.2, 5.4)."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from tertulia.server.domain import limits
from tertulia.server.domain.conversations import Conversation
from tertulia.server.domain.errors import (
    CONVERSATION_NOT_FOUND,
    NOT_PERMITTED,
    TOO_MANY_ON_CHANNELS,
    TOO_MANY_PARTICIPANTS,
)
from tertulia.server.domain.participants import (
    AddParticipant,
    JoinConversation,
    NotificationLevel,
    Participant,
    ParticipantAdded,
    ParticipantRemoved,
    ParticipantUpdated,
    RemoveParticipant,
    UpdateParticipant,
)
from tertulia.server.domain.permissions import Need, Permission, RoleKind
from tertulia.server.domain.services import Service
from tertulia.server.domain.sync import ObjectKind, object_sid
from tertulia.server.domain.users import User

from .bindings import changed_binding
from .gateways import require_ours
from .groups import grouped, left
from .horizon import moved
from .newcomers import require_user, role_of
from .pairs import require_free_pair
from .roles import require_role
from .rules import handles
from .scenes import ConversationScene, ParticipantScene, at_the_door, in_conversation, on_participant
from .transitions import record_transition
from .unit import Unit


@handles(
    AddParticipant,
    on=in_conversation,
    pre_hook="onParticipantAdd",
    needs=(
        Need(any=Permission.ADD_PARTICIPANT, when=("identity",)),
        Need(any=Permission.ADD_NON_CHAT_PARTICIPANT, when=("address", "proxy_address", "projected_address")),
    ),
    clients_set=(
        "identity",
        "address",
        "proxy_address",
        "projected_address",
        "email_name",
        "email_level",
        "attributes",
    ),
)
async def add_participant(unit: Unit, command: AddParticipant, scene: ConversationScene) -> Participant:
    return await _add(unit, command, scene.conversation)


@handles(
    JoinConversation,
    on=at_the_door,
    pre_hook="onParticipantAdd",
    needs=(Need(any=Permission.JOIN_CONVERSATION),),
)
async def join_conversation(unit: Unit, command: JoinConversation, scene: ConversationScene) -> Participant:
    if unit.caller.identity is None:
        raise NOT_PERMITTED("Only a user can join a conversation")
    wish = AddParticipant(
        service=command.service,
        conversation=command.conversation,
        identity=unit.caller.identity,
        attributes=command.attributes,
    )
    return await _add(unit, wish, scene.conversation)


async def _add(unit: Unit, command: AddParticipant, before: Conversation) -> Participant:
    before.require_open()
    if before.participant_count >= limits.PARTICIPANTS:
        raise TOO_MANY_PARTICIPANTS()
    service = await unit.services.find(before.account_sid, before.service_sid)
    if service is None:
        raise CONVERSATION_NOT_FOUND()
    await require_ours(
        unit, before.account_sid, command.proxy_address, command.projected_address, theirs=command.address
    )
    user: User | None = None
    number: int | None = None
    if command.identity is not None:
        user = await require_user(unit, service, before, command.identity)
        number = await unit.users.advance_conversations(user.sid)
    else:
        await _require_room_on_channels(unit, command, before)
    participant = newcomer(
        unit,
        command,
        before,
        user_sid=user.sid if user else None,
        role_sid=await role_for(unit, command, service, before),
        number=number,
    )
    revived = before.revived(unit.now).joined_by(command.identity, unit.now)
    conversation = msgspec.structs.replace(
        revived,
        roster_event=participant.roster_event,
        participant_count=before.participant_count + 1,
        bound_count=before.bound_count + participant.is_bound,
        document_event=before.document_event + (revived.state != before.state),
    )
    await unit.participants.add(participant)
    conversation = await grouped(unit, conversation, bound=participant.binding.kind is not None)
    await unit.conversations.save(conversation, before)
    unit.record(ParticipantAdded(conversation=conversation, before=before, participant=participant, user=user))
    record_transition(unit, conversation, before, "EVENT")
    return participant


def newcomer(
    unit: Unit,
    command: AddParticipant,
    conversation: Conversation,
    *,
    user_sid: str | None,
    role_sid: str | None,
    number: int | None,
) -> Participant:
    """The participant that the command asks for, next in the roster; ``number`` is that of his own map's item."""
    created_at = unit.now if command.created_at is UNSET else command.created_at
    return Participant(
        sid=unit.new_sid("MB"),
        account_sid=conversation.account_sid,
        service_sid=conversation.service_sid,
        conversation_sid=conversation.sid,
        identity=command.identity,
        user_sid=user_sid,
        role_sid=role_sid,
        attributes=command.attributes,
        address=command.address,
        proxy_address=command.proxy_address,
        projected_address=command.projected_address,
        email_name=command.email_name,
        email_level=command.email_level,
        holds_pair=1 if command.proxy_address is not None else None,
        created_at=created_at,
        updated_at=created_at if command.updated_at is UNSET else command.updated_at,
        last_read_index=None,
        last_read_at=None,
        notification_level=NotificationLevel.DEFAULT.value,
        roster_created=conversation.roster_event + 1,
        roster_event=conversation.roster_event + 1,
        listed_created=number,
        listed_event=number,
    )


async def _require_room_on_channels(unit: Unit, command: AddParticipant, conversation: Conversation) -> None:
    if await unit.participants.on_channels(conversation.sid) >= limits.CHANNEL_PARTICIPANTS:
        raise TOO_MANY_ON_CHANNELS()
    if command.address is not None and command.proxy_address is not None:
        await require_free_pair(unit, conversation.account_sid, command.address, command.proxy_address)


async def role_for(unit: Unit, command: AddParticipant, service: Service, conversation: Conversation) -> str | None:
    """The role given, else the one the service has for such a participant; nobody on a channel has one unless given."""
    if command.role_sid is not None:
        await require_role(unit, service.sid, command.role_sid, RoleKind.CONVERSATION)
        return command.role_sid
    return None if command.identity is None else role_of(service, conversation, command.identity)


@handles(
    UpdateParticipant,
    on=on_participant,
    pre_hook="onParticipantUpdate",
    needs=(
        Need(
            any=Permission.EDIT_ANY_PARTICIPANT_ATTRIBUTES,
            own=Permission.EDIT_OWN_PARTICIPANT_ATTRIBUTES,
            when=("attributes",),
        ),
    ),
    clients_set=("attributes",),
)
async def update_participant(unit: Unit, command: UpdateParticipant, scene: ParticipantScene) -> Participant:
    scene.conversation.require_open()
    before = scene.participant
    if command.role_sid is not UNSET:
        await require_role(unit, before.service_sid, command.role_sid, RoleKind.CONVERSATION)
    edited = await changed_binding(unit, before, command, scene.conversation)
    edited = moved(edited, scene.conversation, command.last_read_index, command.last_read_at, unit.now)
    edited = msgspec.structs.replace(
        edited,
        attributes=edited.attributes if command.attributes is UNSET else command.attributes,
        role_sid=edited.role_sid if command.role_sid is UNSET else command.role_sid,
        created_at=edited.created_at if command.created_at is UNSET else command.created_at,
        updated_at=edited.updated_at if command.updated_at is UNSET else command.updated_at,
    )
    if edited == before:
        return before
    stamped = msgspec.structs.replace(
        edited, updated_at=unit.now if command.updated_at is UNSET else command.updated_at
    )
    return await save_participant(unit, stamped, before, scene.conversation)


async def save_participant(
    unit: Unit, edited: Participant, before: Participant, conversation_before: Conversation
) -> Participant:
    """Write a changed participant under new numbers: of the roster, and of his own map if his side of it changed."""
    conversation = msgspec.structs.replace(
        conversation_before.joined_by(edited.identity, unit.now),
        roster_event=conversation_before.roster_event + 1,
        bound_count=conversation_before.bound_count + edited.is_bound - before.is_bound,
    )
    participant = msgspec.structs.replace(edited, roster_event=conversation.roster_event)
    side = (before.user_sid, before.last_read_index, before.notification_level)
    if participant.user_sid is not None and side != (
        participant.user_sid,
        participant.last_read_index,
        participant.notification_level,
    ):
        number = await unit.users.advance_conversations(participant.user_sid)
        created = participant.listed_created if before.user_sid is not None else number
        participant = msgspec.structs.replace(participant, listed_created=created, listed_event=number)
    await unit.participants.save(participant, before)
    if participant.binding != before.binding or participant.is_chat != before.is_chat:
        conversation = await grouped(unit, conversation, bound=True)
    await unit.conversations.save(conversation, conversation_before)
    unit.record(ParticipantUpdated(conversation=conversation, participant=participant, before=before))
    return participant


@handles(
    RemoveParticipant,
    on=on_participant,
    pre_hook="onParticipantRemove",
    needs=(Need(any=Permission.REMOVE_PARTICIPANT, own=Permission.LEAVE_CONVERSATION),),
)
async def remove_participant(unit: Unit, command: RemoveParticipant, scene: ParticipantScene) -> None:
    if unit.caller.is_identity:
        scene.conversation.require_open()
    scene.conversation.require_set_up()
    await remove_from(unit, scene.conversation, scene.participant)


async def remove_from(unit: Unit, before: Conversation, participant: Participant) -> None:
    """Take a participant out of a conversation, leaving tombstones in the roster and in his own map."""
    conversation = msgspec.structs.replace(
        before,
        roster_event=before.roster_event + 1,
        participant_count=before.participant_count - 1,
        bound_count=before.bound_count - participant.is_bound,
    )
    await unit.participants.remove(participant)
    if conversation.is_open:
        conversation = await left(unit, conversation, bound=participant.binding.kind is not None)
    await unit.conversations.save(conversation, before)
    roster = object_sid(ObjectKind.ROSTER, before.sid)
    await unit.tombstones.add(roster, participant.sid, participant.roster_created, conversation.roster_event, unit.now)
    number: int | None = None
    if participant.user_sid is not None and participant.listed_created is not None:
        number = await unit.users.advance_conversations(participant.user_sid)
        own_map = object_sid(ObjectKind.CONVERSATIONS, participant.user_sid)
        await unit.tombstones.add(own_map, before.sid, participant.listed_created, number, unit.now)
    unit.record(ParticipantRemoved(conversation=conversation, participant=participant, listed_event=number))
