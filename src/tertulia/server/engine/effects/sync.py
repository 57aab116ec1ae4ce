"""What clients see of a change: events of Sync objects, in the order the SDKs need (realtime 11, 15)."""

from __future__ import annotations

from tertulia.server.bus.base import AccessEnded, ServiceGone, UserGone
from tertulia.server.domain.conversations import (
    Conversation,
    ConversationLeftClients,
    ConversationUpdated,
)
from tertulia.server.domain.messages import Message, MessageAdded, MessageRemoved, MessageUpdated
from tertulia.server.domain.participants import (
    ParticipantAdded,
    ParticipantRemoved,
    ParticipantUpdated,
)
from tertulia.server.domain.receipts import ReceiptRecorded, ReceiptsExpected
from tertulia.server.domain.services import ServiceDeleted
from tertulia.server.domain.sync import ObjectKind, object_sid
from tertulia.server.domain.users import UserDeleted, UserUpdated
from tertulia.server.engine.rules import effect_of
from tertulia.server.engine.sync.document import DocumentView
from tertulia.server.engine.sync.memberships import membership_event, membership_removed
from tertulia.server.engine.sync.messages import MessagesView
from tertulia.server.engine.sync.roster import RosterView
from tertulia.server.engine.sync.user_info import UserInfoView
from tertulia.server.engine.unit import Unit


def _document_moved(unit: Unit, conversation: Conversation, before: Conversation) -> None:
    if conversation.document_event != before.document_event:
        unit.emit(DocumentView(conversation, unit.policy.base_url).updated(unit.now))


@effect_of(MessageAdded)
async def message_added(unit: Unit, change: MessageAdded) -> None:
    base_url = unit.policy.base_url
    unit.emit(MessagesView(change.conversation, base_url).added(change.message))
    unit.emit(DocumentView(change.conversation, base_url).updated(unit.now))


@effect_of(MessageUpdated)
async def message_updated(unit: Unit, change: MessageUpdated) -> None:
    unit.emit(MessagesView(change.conversation, unit.policy.base_url).updated(change.message))
    _document_moved(unit, change.conversation, change.before)


@effect_of(MessageRemoved)
async def message_removed(unit: Unit, change: MessageRemoved) -> None:
    if not change.conversation.is_listed:
        return  # cleaned up by REST after its objects have ended for clients (semantics 5.1)
    view = MessagesView(change.conversation, unit.policy.base_url)
    unit.emit(view.removed(change.message.index, change.conversation.messages_event, unit.now))
    _document_moved(unit, change.conversation, change.before)


@effect_of(ReceiptsExpected)
async def receipts_expected(unit: Unit, change: ReceiptsExpected) -> None:
    _delivery_moved(unit, change.message, change.conversation)


@effect_of(ReceiptRecorded)
async def receipt_recorded(unit: Unit, change: ReceiptRecorded) -> None:
    if change.message.delivery != change.message_before.delivery:
        _delivery_moved(unit, change.message, change.conversation)


def _delivery_moved(unit: Unit, message: Message, conversation: Conversation) -> None:
    # Of a closed conversation clients have nothing to update (semantics 5.1).
    if conversation.is_listed:
        unit.emit(MessagesView(conversation, unit.policy.base_url).updated(message, at=unit.now))


@effect_of(ConversationUpdated)
async def conversation_updated(unit: Unit, change: ConversationUpdated) -> None:
    _document_moved(unit, change.conversation, change.before)


@effect_of(ParticipantAdded)
async def participant_added(unit: Unit, change: ParticipantAdded) -> None:
    participant, base_url = change.participant, unit.policy.base_url
    _document_moved(unit, change.conversation, change.before)
    unit.emit(RosterView(change.conversation, base_url).added(participant))
    # The new member's map comes last: everything it points at can be read by then (realtime 11.3).
    if participant.listed_event is not None:
        unit.emit(membership_event(participant, base_url, added=True))


@effect_of(ParticipantUpdated)
async def participant_updated(unit: Unit, change: ParticipantUpdated) -> None:
    participant, before, base_url = change.participant, change.before, unit.policy.base_url
    unit.emit(RosterView(change.conversation, base_url).updated(participant))
    if participant.listed_event is not None and participant.listed_event != before.listed_event:
        unit.emit(membership_event(participant, base_url, added=before.listed_event is None))


@effect_of(ParticipantRemoved)
async def participant_removed(unit: Unit, change: ParticipantRemoved) -> None:
    participant, conversation = change.participant, change.conversation
    if not conversation.is_listed:
        return  # nobody follows it, nobody has it in his map
    # The leaver hears of himself in the roster, then his map loses the conversation, then he is cut off from it.
    view = RosterView(conversation, unit.policy.base_url)
    unit.emit(view.removed(participant.sid, conversation.roster_event, unit.now))
    if participant.user_sid is not None and change.listed_event is not None:
        unit.emit(membership_removed(participant.user_sid, conversation.sid, change.listed_event, unit.now))
    if participant.identity is not None:
        objects = tuple(object_sid(kind, conversation.sid) for kind in _FOLLOWED)
        unit.tell(AccessEnded(conversation.service_sid, participant.identity, objects))


_FOLLOWED = (ObjectKind.DOCUMENT, ObjectKind.MESSAGES, ObjectKind.ROSTER)


@effect_of(ConversationLeftClients)
async def conversation_left_clients(unit: Unit, change: ConversationLeftClients) -> None:
    # Members' maps first, then the objects: so that clients say "left" before "removed" (realtime 11.2).
    conversation, base_url = change.conversation, unit.policy.base_url
    for member in change.members:
        unit.emit(membership_removed(member.user_sid, conversation.sid, member.event, unit.now))
    for view in (
        DocumentView(conversation, base_url),
        RosterView(conversation, base_url),
        MessagesView(conversation, base_url),
    ):
        unit.emit(view.gone(unit.now))


@effect_of(UserUpdated)
async def user_updated(unit: Unit, change: UserUpdated) -> None:
    view = UserInfoView(change.user, unit.policy.base_url)
    for key in change.items:
        unit.emit(view.told(key))


@effect_of(UserDeleted)
async def user_deleted(unit: Unit, change: UserDeleted) -> None:
    # Others may follow his profile. His own map nobody else has, and his connections end with the last word.
    unit.emit(UserInfoView(change.user, unit.policy.base_url).gone(unit.now))
    unit.tell(UserGone(change.user.service_sid, change.user.identity))


@effect_of(ServiceDeleted)
async def service_deleted(unit: Unit, change: ServiceDeleted) -> None:
    unit.tell(ServiceGone(change.service.sid))
