"""Making a conversation together with its participants: accepted at once, let in by a job (rest 5.4, semantics 4.6)."""

from __future__ import annotations

import msgspec

from tertulia.server.domain.conversation_with_participants import (
    AbandonConversation,
    ActivateConversation,
    CreateConversationWithParticipants,
    SetUpConversation,
)
from tertulia.server.domain.conversations import Conversation, ConversationCreated, ConversationState
from tertulia.server.domain.errors import BINDING_TAKEN, MEMBER_BINDING_TAKEN, TertuliaError
from tertulia.server.domain.participants import AddParticipant, Participant, ParticipantAdded
from tertulia.server.domain.services import Service

from .conversations import move, new_conversation
from .gateways import require_ours
from .groups import grouped
from .newcomers import require_user
from .pairs import require_free_pair
from .participants import newcomer, role_for
from .rules import handles
from .scenes import AccountScene, ServiceScene, in_account, in_service
from .transitions import record_transition
from .unit import Unit


@handles(CreateConversationWithParticipants, on=in_service, pre_hook="onConversationAdd", for_clients=False)
async def create_conversation_with_participants(
    unit: Unit, command: CreateConversationWithParticipants, scene: ServiceScene
) -> Conversation:
    conversation = await new_conversation(unit, command, scene.service)
    if command.participants:
        conversation = conversation.in_state(ConversationState.INITIALIZING, unit.now)
    await unit.conversations.add(conversation)
    if command.participants:
        conversation = await _reserve(unit, command, scene.service, conversation)
        unit.enqueue(
            SetUpConversation(
                account_sid=conversation.account_sid, conversation_sid=conversation.sid, hooks=unit.caller.hooks
            )
        )
    unit.record(ConversationCreated(conversation=conversation))
    return conversation


async def _reserve(
    unit: Unit, command: CreateConversationWithParticipants, service: Service, empty: Conversation
) -> Conversation:
    """The conversation with its members in it: they hold their pairs and its set, and nobody sees them yet."""
    conversation, is_bound = empty, False
    for wish in command.participants:
        participant = await _member(unit, wish, service, conversation)
        await unit.participants.add(participant)
        is_bound = is_bound or participant.binding.kind is not None
        conversation = msgspec.structs.replace(
            conversation,
            roster_event=participant.roster_event,
            participant_count=conversation.participant_count + 1,
            bound_count=conversation.bound_count + participant.is_bound,
        )
    conversation = await grouped(unit, conversation, bound=is_bound)
    await unit.conversations.save(conversation, empty)
    return conversation


async def _member(unit: Unit, wish: AddParticipant, service: Service, conversation: Conversation) -> Participant:
    await require_ours(unit, conversation.account_sid, wish.proxy_address, wish.projected_address, theirs=wish.address)
    user_sid = None
    if wish.identity is not None:
        user_sid = (await require_user(unit, service, conversation, wish.identity)).sid
    elif wish.address is not None and wish.proxy_address is not None:
        try:
            await require_free_pair(unit, conversation.account_sid, wish.address, wish.proxy_address)
        except TertuliaError as refusal:
            if refusal.code != BINDING_TAKEN.code:
                raise
            raise MEMBER_BINDING_TAKEN(refusal.message) from None
    role_sid = await role_for(unit, wish, service, conversation)
    return newcomer(unit, wish, conversation, user_sid=user_sid, role_sid=role_sid, number=None)


@handles(ActivateConversation, on=in_account, for_clients=False)
async def activate_conversation(unit: Unit, command: ActivateConversation, _scene: AccountScene) -> None:
    before = await _being_set_up(unit, command.conversation)
    if before is None:
        return
    # Nobody has had its document yet, so there is nothing to number.
    conversation = before.in_state(ConversationState.ACTIVE, unit.now).armed(unit.now)
    await unit.conversations.save(conversation, before)
    members = await unit.participants.enlist(conversation.sid)
    users = await unit.users.among(
        conversation.service_sid, [member.user_sid for member in members if member.user_sid is not None]
    )
    for member in members:
        user = users.get(member.user_sid) if member.user_sid is not None else None
        unit.record(ParticipantAdded(conversation=conversation, before=conversation, participant=member, user=user))
    # UNVERIFIED (semantics 4.6): the reason; a request has asked for it.
    record_transition(unit, conversation, before, "API")


@handles(AbandonConversation, on=in_account, for_clients=False)
async def abandon_conversation(unit: Unit, command: AbandonConversation, _scene: AccountScene) -> None:
    before = await _being_set_up(unit, command.conversation)
    if before is not None:
        await move(unit, before, ConversationState.CLOSED, "API")


async def _being_set_up(unit: Unit, sid: str) -> Conversation | None:
    """The conversation, locked; None when it is another one, or gone."""
    conversation = await unit.conversations.get(sid, lock=True)
    if conversation is None or conversation.account_sid != unit.caller.account_sid:
        return None
    return conversation if conversation.state == ConversationState.INITIALIZING else None
