"""Conversations: making, changing, closing, deleting."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from tertulia.server.domain.conversations import (
    Conversation,
    ConversationCreated,
    ConversationDeleted,
    ConversationFields,
    ConversationLeftClients,
    ConversationState,
    ConversationUpdated,
    CreateConversation,
    DeleteConversation,
    StateReason,
    SweepConversation,
    UpdateConversation,
    timer_s,
)
from tertulia.server.domain.errors import (
    CLOSED_TIMER_FORMAT,
    CLOSED_TIMER_SHORT,
    INACTIVE_TIMER_FORMAT,
    INACTIVE_TIMER_SHORT,
    RESOURCE_NOT_FOUND,
    UNIQUE_NAME_TAKEN,
)
from tertulia.server.domain.limits import CLOSED_TIMER_S, INACTIVE_TIMER_S
from tertulia.server.domain.permissions import Need, Permission
from tertulia.server.domain.services import Service
from tertulia.server.domain.webhooks import ScopedWebhook

from .remains import promise_sweep
from .rules import handles
from .scenes import ConversationScene, ServiceScene, in_conversation, in_service
from .transitions import record_transition
from .unit import Unit

_BY_CLIENTS = ("friendly_name", "unique_name", "attributes")
"""State, timers and dates are for the account alone (semantics 2.2)."""


@handles(
    CreateConversation,
    on=in_service,
    pre_hook="onConversationAdd",
    needs=(Need(any=Permission.CREATE_CONVERSATION),),
    clients_set=_BY_CLIENTS,
)
async def create_conversation(unit: Unit, command: CreateConversation, scene: ServiceScene) -> Conversation:
    conversation = await new_conversation(unit, command, scene.service)
    await unit.conversations.add(conversation)
    unit.record(ConversationCreated(conversation=conversation))
    return conversation


async def new_conversation(unit: Unit, command: ConversationFields, service: Service) -> Conversation:
    """The conversation that the command asks for, not kept yet. Raises 50353 when its unique name is taken."""
    account = await unit.accounts.get(service.account_sid)
    if account is None:
        raise RESOURCE_NOT_FOUND()
    unique_name = None if command.unique_name is UNSET else command.unique_name or None
    await _require_free(unit, service.sid, unique_name)
    inactive_after_s, closed_after_s = command.inactive_after_s, command.closed_after_s
    if inactive_after_s is UNSET:
        inactive_after_s = timer_s(
            account.default_inactive_timer, INACTIVE_TIMER_S, INACTIVE_TIMER_SHORT, INACTIVE_TIMER_FORMAT
        )
    if closed_after_s is UNSET:
        closed_after_s = timer_s(account.default_closed_timer, CLOSED_TIMER_S, CLOSED_TIMER_SHORT, CLOSED_TIMER_FORMAT)
    created_at = unit.now if command.created_at is UNSET else command.created_at
    messaging_service = account.default_messaging_service_sid
    return Conversation(
        sid=unit.new_sid("CH"),
        account_sid=account.sid,
        service_sid=service.sid,
        messaging_service_sid=command.messaging_service_sid or messaging_service,
        friendly_name=None if command.friendly_name is UNSET else command.friendly_name or None,
        unique_name=unique_name,
        attributes="{}" if command.attributes is UNSET else command.attributes,
        state=ConversationState.ACTIVE.value if command.state is UNSET else command.state,
        state_at=unit.now,
        created_by=unit.caller.author,
        creator_joined_at=None,
        email_address=None if command.email_address is UNSET else command.email_address or None,
        email_name=None if command.email_name is UNSET else command.email_name or None,
        created_at=created_at,
        updated_at=created_at if command.updated_at is UNSET else command.updated_at,
        inactive_after_s=inactive_after_s,
        closed_after_s=closed_after_s,
        inactive_at=None,
        closed_at=None,
        last_index=-1,
        newest_index=None,
        newest_at=None,
        message_count=0,
        participant_count=0,
        bound_count=0,
        group_key=None,
        webhook_count=0,
        document_event=0,
        messages_event=-1,
        roster_event=-1,
    ).armed(unit.now)


@handles(
    UpdateConversation,
    on=in_conversation,
    pre_hook="onConversationUpdate",
    needs=(
        Need(any=Permission.EDIT_CONVERSATION_NAME, when=("friendly_name", "unique_name")),
        Need(any=Permission.EDIT_CONVERSATION_ATTRIBUTES, when=("attributes",)),
    ),
    clients_set=_BY_CLIENTS,
)
async def update_conversation(unit: Unit, command: UpdateConversation, scene: ConversationScene) -> Conversation:
    before = scene.conversation
    before.require_open()
    conversation = _edited(before, command, unit.now)
    if conversation.unique_name != before.unique_name:
        await _require_free(unit, command.service, conversation.unique_name)
    if conversation == before:
        return before
    conversation = msgspec.structs.replace(
        conversation,
        updated_at=unit.now if command.updated_at is UNSET else command.updated_at,
        document_event=before.document_event + 1,
    )
    return await keep(unit, conversation, before, "API")


async def move(unit: Unit, before: Conversation, state: ConversationState, reason: StateReason) -> Conversation:
    """Bring a conversation into another state, and do what that entails."""
    conversation = msgspec.structs.replace(
        before.in_state(state, unit.now), updated_at=unit.now, document_event=before.document_event + 1
    )
    return await keep(unit, conversation, before, reason)


async def keep(unit: Unit, conversation: Conversation, before: Conversation, reason: StateReason) -> Conversation:
    """Write a changed conversation. Closing frees its pairs and its set, and its members' clients leave it."""
    if not conversation.is_open:
        conversation = msgspec.structs.replace(conversation, group_key=None)
    await unit.conversations.save(conversation, before)
    unit.record(ConversationUpdated(conversation=conversation, before=before))
    if not conversation.is_open:
        await unit.participants.free_pairs(conversation.sid)
        if before.is_listed:
            await leave_clients(unit, conversation)
    record_transition(unit, conversation, before, reason)
    return conversation


def _edited(before: Conversation, command: UpdateConversation, now: int) -> Conversation:
    """The conversation with the command's values; an empty name, address or SID is none."""
    state = before.state if command.state is UNSET else command.state
    edited = msgspec.structs.replace(
        before,
        friendly_name=before.friendly_name if command.friendly_name is UNSET else command.friendly_name or None,
        unique_name=before.unique_name if command.unique_name is UNSET else command.unique_name or None,
        attributes=before.attributes if command.attributes is UNSET else command.attributes,
        messaging_service_sid=before.messaging_service_sid
        if command.messaging_service_sid is UNSET
        else command.messaging_service_sid or None,
        email_address=before.email_address if command.email_address is UNSET else command.email_address or None,
        email_name=before.email_name if command.email_name is UNSET else command.email_name or None,
        created_at=before.created_at if command.created_at is UNSET else command.created_at,
        updated_at=before.updated_at if command.updated_at is UNSET else command.updated_at,
        state=state,
        state_at=before.state_at if state == before.state else now,
    )
    return _with_timers(edited, before, command, now)


def _with_timers(edited: Conversation, before: Conversation, command: UpdateConversation, now: int) -> Conversation:
    """Returning to active starts both timers anew; setting one starts that one (semantics 5.2)."""
    inactive = before.inactive_after_s if command.inactive_after_s is UNSET else command.inactive_after_s
    closed = before.closed_after_s if command.closed_after_s is UNSET else command.closed_after_s
    edited = msgspec.structs.replace(edited, inactive_after_s=inactive, closed_after_s=closed)
    fresh = edited.armed(now)
    if edited.state == ConversationState.ACTIVE and before.state != ConversationState.ACTIVE:
        return fresh
    # A timer that was not named keeps its deadline, unless the state no longer has it.
    return msgspec.structs.replace(
        edited,
        inactive_at=fresh.inactive_at
        if command.inactive_timer is not UNSET or fresh.inactive_at is None
        else before.inactive_at,
        closed_at=fresh.closed_at if command.closed_timer is not UNSET or fresh.closed_at is None else before.closed_at,
    )


async def _require_free(unit: Unit, service_sid: str, unique_name: str | None) -> None:
    if unique_name is not None and await unit.conversations.find(service_sid, unique_name) is not None:
        raise UNIQUE_NAME_TAKEN()


async def leave_clients(unit: Unit, conversation: Conversation) -> None:
    """Members' clients lose the conversation: its item goes from every map (semantics 5.1)."""
    members = await unit.participants.unlist(conversation.sid, unit.now)
    unit.record(ConversationLeftClients(conversation=conversation, members=members))


@handles(
    DeleteConversation,
    on=in_conversation,
    pre_hook="onConversationRemove",
    needs=(Need(any=Permission.DELETE_CONVERSATION),),
)
async def delete_conversation(unit: Unit, command: DeleteConversation, scene: ConversationScene) -> None:
    conversation = scene.conversation
    if unit.caller.is_identity:
        conversation.require_open()
    if conversation.is_listed:
        await leave_clients(unit, conversation)
    webhooks: tuple[ScopedWebhook, ...] = ()
    if conversation.webhook_count:
        webhooks = tuple(await unit.webhooks.of_conversation(conversation.sid))
        await unit.webhooks.remove_of_conversation(conversation.sid)
    await unit.conversations.remove(conversation)
    if conversation.last_index >= 0:
        promise_sweep(unit, SweepConversation(account_sid=conversation.account_sid, conversation_sid=conversation.sid))
    unit.record(ConversationDeleted(conversation=conversation, webhooks=webhooks))
