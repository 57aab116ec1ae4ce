"""Where a command takes place: the things it concerns, found and locked, if its caller may see them (semantics 2.4).

A scene also says what the caller is granted there, and whether the thing concerned is his own. What an identity does
not see does not exist for him: the same error, before any permission is looked at.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

import msgspec

from tertulia.server.domain.callers import Caller, CallerKind
from tertulia.server.domain.conversations import Conversation, ConversationState
from tertulia.server.domain.errors import (
    ACCESS_DENIED,
    CONVERSATION_NOT_FOUND,
    MESSAGE_NOT_FOUND,
    NOT_A_PARTICIPANT,
    PARTICIPANT_NOT_FOUND,
    RESOURCE_NOT_FOUND,
    USER_NOT_FOUND,
)
from tertulia.server.domain.messages import Message
from tertulia.server.domain.participants import Participant
from tertulia.server.domain.permissions import Permission
from tertulia.server.domain.services import Service
from tertulia.server.domain.users import User
from tertulia.server.storage.participants import Participants

from .unit import Unit

NOTHING: frozenset[str] = frozenset()


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    granted: frozenset[str] = NOTHING
    """Permissions of an identity's roles here; not looked at for other callers."""
    own: bool = False
    """What is concerned belongs to the caller: his message, his participant, his user."""


class AccountScene(Scene, frozen=True, kw_only=True):
    """The caller's own account."""


class InstallationScene(Scene, frozen=True, kw_only=True):
    """All accounts."""


class ServiceScene(Scene, frozen=True, kw_only=True):
    service: Service


class ConversationScene(Scene, frozen=True, kw_only=True):
    conversation: Conversation
    seat: Participant | None = None
    """The calling user's participant; None for other callers."""


class MessageScene(ConversationScene, frozen=True, kw_only=True):
    message: Message


class ParticipantScene(ConversationScene, frozen=True, kw_only=True):
    participant: Participant


class UserScene(Scene, frozen=True, kw_only=True):
    user: User


class MembershipScene(ConversationScene, frozen=True, kw_only=True):
    participant: Participant


class InService(Protocol):
    @property
    def service(self) -> str: ...


class InConversation(InService, Protocol):
    @property
    def conversation(self) -> str: ...


class OnMessage(InConversation, Protocol):
    @property
    def message(self) -> str: ...


class OnParticipant(InConversation, Protocol):
    @property
    def participant(self) -> str: ...


class OnUser(InService, Protocol):
    @property
    def user(self) -> str: ...


class OnMembership(InConversation, OnUser, Protocol): ...


@lru_cache(maxsize=1024)
def names(permissions: str) -> frozenset[str]:
    """Those that a text lists. Remembered: an installation has few roles, and each command of a user asks."""
    return frozenset(permissions.split())


async def in_account(_unit: Unit, _command: object) -> AccountScene:
    """Anything that concerns the account, or the caller himself."""
    return AccountScene()


async def in_installation(unit: Unit, _command: object) -> InstallationScene:
    """What is above the accounts is open to the system alone."""
    if unit.caller.kind is not CallerKind.SYSTEM:
        raise ACCESS_DENIED("This is open to the operator of the installation alone")
    return InstallationScene()


async def in_service(unit: Unit, command: InService) -> ServiceScene:
    service = await unit.services.lock(unit.caller.account_sid, command.service)
    if service is None:
        raise RESOURCE_NOT_FOUND()
    granted = NOTHING
    if unit.caller.identity is not None:
        granted = names(await unit.roles.permissions_of_user(command.service, unit.caller.identity))
    return ServiceScene(service=service, granted=granted)


def requires_visible(caller: Caller, conversation: Conversation | None, service_sid: str) -> Conversation:
    """The conversation, if there is one of this caller's account and service; else 50350."""
    if (
        conversation is None
        or conversation.account_sid != caller.account_sid
        or conversation.service_sid != service_sid
        or (caller.is_identity and conversation.state == ConversationState.INITIALIZING)
    ):
        raise CONVERSATION_NOT_FOUND()
    return conversation


async def take_seat(
    participants: Participants, caller: Caller, conversation: Conversation
) -> tuple[Participant | None, frozenset[str]]:
    """An identity's participant and permissions in a conversation.

    Who is none gets 50350, as if it did not exist; only its creator, until he has joined once, gets 50430.
    """
    if caller.identity is None:
        return None, NOTHING
    found = await participants.seat(conversation.sid, caller.identity)
    if found is None:
        if is_waiting_creator(caller, conversation):
            raise NOT_A_PARTICIPANT()
        raise CONVERSATION_NOT_FOUND()
    return found[0], names(found[1])


def is_waiting_creator(caller: Caller, conversation: Conversation) -> bool:
    """The user who made it and has not yet been a participant (semantics 2.4)."""
    return (
        caller.identity is not None
        and conversation.creator_joined_at is None
        and conversation.created_by == caller.identity
        and conversation.is_open
    )


async def in_conversation(unit: Unit, command: InConversation) -> ConversationScene:
    found = await unit.conversations.find(command.service, command.conversation, lock=True)
    conversation = requires_visible(unit.caller, found, command.service)
    seat, granted = await take_seat(unit.participants, unit.caller, conversation)
    return ConversationScene(conversation=conversation, seat=seat, granted=granted)


async def at_the_door(unit: Unit, command: InConversation) -> ConversationScene:
    """A conversation its caller need not be in: to join it. Without that permission it is not there (semantics 2.4)."""
    found = await unit.conversations.find(command.service, command.conversation, lock=True)
    conversation = requires_visible(unit.caller, found, command.service)
    granted = NOTHING
    if unit.caller.identity is not None:
        granted = names(await unit.roles.permissions_of_user(command.service, unit.caller.identity))
        if Permission.JOIN_CONVERSATION not in granted and not is_waiting_creator(unit.caller, conversation):
            await take_seat(unit.participants, unit.caller, conversation)
    return ConversationScene(conversation=conversation, granted=granted)


async def on_message(unit: Unit, command: OnMessage) -> MessageScene:
    scene = await in_conversation(unit, command)
    message = await unit.messages.find(scene.conversation.sid, command.message)
    if message is None:
        raise MESSAGE_NOT_FOUND()
    own = unit.caller.identity is not None and message.author == unit.caller.identity
    return MessageScene(
        conversation=scene.conversation, seat=scene.seat, granted=scene.granted, message=message, own=own
    )


async def on_participant(unit: Unit, command: OnParticipant) -> ParticipantScene:
    scene = await in_conversation(unit, command)
    participant = await unit.participants.find(scene.conversation.sid, command.participant)
    if participant is None:
        raise PARTICIPANT_NOT_FOUND()
    own = unit.caller.identity is not None and participant.identity == unit.caller.identity
    return ParticipantScene(
        conversation=scene.conversation, seat=scene.seat, granted=scene.granted, participant=participant, own=own
    )


async def on_user(unit: Unit, command: OnUser) -> UserScene:
    return await _on_user(unit, command, lock=True)


async def on_leaving_user(unit: Unit, command: OnUser) -> UserScene:
    """A user whose conversations will be locked, and therefore before himself (architecture 4)."""
    return await _on_user(unit, command, lock=False)


async def _on_user(unit: Unit, command: OnUser, *, lock: bool) -> UserScene:
    await _service_of(unit, command)
    user = await unit.users.find(command.service, command.user, lock=lock)
    if user is None:
        raise USER_NOT_FOUND()
    granted, own = NOTHING, False
    if unit.caller.identity is not None:
        own = user.identity == unit.caller.identity
        granted = names(await unit.roles.permissions_of_user(command.service, unit.caller.identity))
    return UserScene(user=user, granted=granted, own=own)


async def on_membership(unit: Unit, command: OnMembership) -> MembershipScene:
    await _service_of(unit, command)
    user = await unit.users.find(command.service, command.user)
    if user is None:
        raise USER_NOT_FOUND()
    scene = await in_conversation(unit, command)
    participant = await unit.participants.find(scene.conversation.sid, user.identity)
    if participant is None:
        raise CONVERSATION_NOT_FOUND()
    own = unit.caller.identity is not None and participant.identity == unit.caller.identity
    if unit.caller.is_identity and not own:
        # Nobody else's side of a conversation exists for a user.
        raise CONVERSATION_NOT_FOUND()
    return MembershipScene(
        conversation=scene.conversation, seat=scene.seat, granted=scene.granted, participant=participant, own=own
    )


async def _service_of(unit: Unit, command: InService) -> None:
    """The command's service is one of the caller's account; a token's identity was checked against it already."""
    if not unit.caller.is_identity and await unit.services.find(unit.caller.account_sid, command.service) is None:
        raise RESOURCE_NOT_FOUND()
