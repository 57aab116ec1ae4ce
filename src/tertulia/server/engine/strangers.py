"""Somebody writes to us whom we do not know: a conversation is made for him (semantics 4.4, 1.6)."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from tertulia.server.domain.address_configurations import AddressConfiguration, AutoCreation
from tertulia.server.domain.addresses import EMAIL, check_address
from tertulia.server.domain.arrivals import Arrival, ArrivalContent, OpenForStranger
from tertulia.server.domain.attachments import parts_text
from tertulia.server.domain.conversations import (
    Conversation,
    ConversationCreated,
    ConversationState,
    CreateConversation,
    Opening,
)
from tertulia.server.domain.errors import (
    ADDRESS_EMPTY,
    BAD_ADDRESS,
    GROUP_REFUSED,
    RESOURCE_NOT_FOUND,
)
from tertulia.server.domain.participants import AddParticipant, Participant, ParticipantAdded
from tertulia.server.domain.services import Service
from tertulia.server.domain.webhooks import ScopedWebhook

from .arrivals import waiting, write
from .attachments import attachable
from .conversations import new_conversation
from .groups import grouped
from .pairs import require_free_pair
from .participants import newcomer
from .rules import handles
from .scenes import ServiceScene, in_service
from .transitions import record_transition
from .unit import Unit


@handles(OpenForStranger, on=in_service, pre_hook="onConversationAdd", for_clients=False, for_channels=True)
async def open_for_stranger(unit: Unit, command: OpenForStranger, scene: ServiceScene) -> str | None:
    arrival = await waiting(unit, command.arrival)
    if arrival is None or arrival.content is None:
        return None
    configuration = await _configuration(unit, arrival, scene.service)
    check_address(arrival.sender, ADDRESS_EMPTY, BAD_ADDRESS)
    if arrival.group_key is None:
        await require_free_pair(unit, arrival.account_sid, arrival.sender, arrival.recipient)
    empty = await _empty(unit, command, arrival, scene.service)
    conversation, members = await _with_members(unit, arrival, arrival.content, empty)
    if arrival.group_key is not None:
        conversation = await grouped(unit, conversation, bound=True)
        if conversation.group_key != arrival.group_key:
            raise GROUP_REFUSED()
    webhook = _webhook(unit, configuration, conversation)
    conversation = msgspec.structs.replace(conversation, webhook_count=0 if webhook is None else 1)
    active = conversation.in_state(ConversationState.ACTIVE, unit.now).armed(unit.now)
    await unit.conversations.add(active)
    if webhook is not None:
        await unit.webhooks.add(webhook)
    opening = await _opening(unit, command, arrival, scene.service)
    before = msgspec.structs.replace(empty, webhook_count=active.webhook_count)
    unit.record(ConversationCreated(conversation=before, opening=opening))
    for member in members:
        unit.record(ParticipantAdded(conversation=active, before=active, participant=member, user=None))
    record_transition(unit, active, before, "EVENT")
    return await write(unit, command, arrival, active, author=arrival.sender, participant_sid=members[0].sid)


async def _configuration(unit: Unit, arrival: Arrival, service: Service) -> AddressConfiguration:
    """What the address says of strangers, as long as that sends them into this service; else 20404."""
    found = await unit.address_configurations.find(arrival.account_sid, arrival.recipient, lock=True)
    if found is None or not found.auto_enabled:
        raise RESOURCE_NOT_FOUND("The address makes no conversations for strangers")
    where = found.auto_service_sid
    if where is None:
        account = await unit.accounts.get(arrival.account_sid)
        where = account.default_service_sid if account is not None else None
    if where != service.sid:
        raise RESOURCE_NOT_FOUND("The address makes conversations for strangers in another service")
    return found


async def _empty(unit: Unit, command: OpenForStranger, arrival: Arrival, service: Service) -> Conversation:
    """The conversation without anybody in it; of a group it is being set up still (semantics 1.6)."""
    named = arrival.sender if command.friendly_name is UNSET else command.friendly_name
    is_mail = arrival.kind == EMAIL
    wish = CreateConversation(
        service=service.sid,
        friendly_name=named,
        email_address=arrival.recipient if is_mail else UNSET,
    )
    conversation = await new_conversation(unit, wish, service)
    if arrival.group_key is None:
        return conversation
    return conversation.in_state(ConversationState.INITIALIZING, unit.now)


async def _with_members(
    unit: Unit, arrival: Arrival, content: ArrivalContent, empty: Conversation
) -> tuple[Conversation, list[Participant]]:
    """The conversation with its members, who are kept; whoever wrote is the first of them."""
    conversation, members = empty, []
    for wish in await _wishes(unit, arrival, content, empty):
        member = newcomer(unit, wish, conversation, user_sid=None, role_sid=None, number=None)
        await unit.participants.add(member)
        members.append(member)
        conversation = msgspec.structs.replace(
            conversation,
            roster_event=member.roster_event,
            participant_count=conversation.participant_count + 1,
            bound_count=conversation.bound_count + member.is_bound,
        )
    return conversation, members


async def _wishes(
    unit: Unit, arrival: Arrival, content: ArrivalContent, conversation: Conversation
) -> list[AddParticipant]:
    """Who takes part: the person over our number; in a group all of them, and our numbers for themselves."""
    attributes = "{}"
    if content.profile_name is not None:
        attributes = msgspec.json.encode({"name": content.profile_name}).decode()
    is_mail = arrival.kind == EMAIL
    who = AddParticipant(
        service=conversation.service_sid,
        conversation=conversation.sid,
        address=arrival.sender,
        proxy_address=arrival.recipient if arrival.group_key is None else None,
        attributes=attributes,
        email_name=content.profile_name if is_mail else None,
        email_level="to" if is_mail else None,
    )
    if arrival.group_key is None:
        return [who]
    wishes = [who]
    for number in (arrival.recipient, *content.others):
        is_ours = number == arrival.recipient or await unit.senders.find(arrival.account_sid, number) is not None
        wishes.append(
            AddParticipant(
                service=conversation.service_sid,
                conversation=conversation.sid,
                address=None if is_ours else number,
                projected_address=number if is_ours else None,
            )
        )
    return wishes


def _webhook(unit: Unit, configuration: AddressConfiguration, conversation: Conversation) -> ScopedWebhook | None:
    """What the configuration gives every conversation that it makes."""
    if configuration.auto_kind is AutoCreation.DEFAULT:
        return None
    is_flow = configuration.auto_kind is AutoCreation.STUDIO
    return ScopedWebhook(
        sid=unit.new_sid("WH"),
        account_sid=conversation.account_sid,
        service_sid=conversation.service_sid,
        conversation_sid=conversation.sid,
        target="studio" if is_flow else "webhook",
        url=None if is_flow else configuration.webhook_url,
        method=configuration.webhook_method or "POST",
        filters="onMessageAdded" if is_flow else configuration.webhook_filters or "",
        triggers=(),
        flow_sid=configuration.flow_sid,
        replay_after=None,
        retry_count=configuration.retry_count,
        created_at=unit.now,
        updated_at=unit.now,
    )


async def _opening(unit: Unit, command: OpenForStranger, arrival: Arrival, service: Service) -> Opening:
    files = await attachable(unit, service.sid, command.media_sids) if command.media_sids else ()
    is_group = arrival.group_key is not None
    reached = [number for number in (arrival.group_key or "").split() if number != arrival.sender]
    return Opening(
        # UNVERIFIED (semantics 1.4): several in one parameter are joined by commas.
        address=",".join(reached) if is_group else arrival.sender,
        proxy_address=None if is_group else arrival.recipient,
        author_address=arrival.sender if is_group else None,
        body=command.body,
        media=parts_text(files),
    )
