"""Who comes to a conversation or a service for the first time, and as what (semantics 2.1, 3.3, 5.4)."""

from __future__ import annotations

from tertulia.server.domain.conversations import Conversation
from tertulia.server.domain.errors import BEING_DELETED, PARTICIPANT_EXISTS, TOO_MANY_CONVERSATIONS
from tertulia.server.domain.limits import CONVERSATIONS_OF_A_USER
from tertulia.server.domain.services import Service
from tertulia.server.domain.users import (
    ATTRIBUTES_ITEM,
    FRIENDLY_NAME_ITEM,
    INFO_CREATED,
    REACHABILITY_ITEM,
    User,
    UserCreated,
)

from .unit import Unit


async def make_user(
    unit: Unit,
    service: Service,
    identity: str,
    *,
    friendly_name: str | None = None,
    attributes: str = "{}",
    role_sid: str | None = None,
) -> User:
    """Keep a new user; the caller has made sure that there is none of this identity."""
    user = User(
        sid=unit.new_sid("US"),
        account_sid=service.account_sid,
        service_sid=service.sid,
        identity=identity,
        friendly_name=friendly_name,
        attributes=attributes,
        role_sid=role_sid or service.default_user_role_sid,
        created_at=unit.now,
        updated_at=unit.now,
        conversations_event=-1,
        info_event=max(INFO_CREATED.values()),
        friendly_name_event=INFO_CREATED[FRIENDLY_NAME_ITEM],
        attributes_event=INFO_CREATED[ATTRIBUTES_ITEM],
        reachability_event=INFO_CREATED[REACHABILITY_ITEM],
        is_online=None,
        is_notifiable=None,
        reachability_created=INFO_CREATED[REACHABILITY_ITEM] if service.reachability_enabled else None,
    )
    await unit.users.add(user)
    unit.record(UserCreated(user=user))
    return user


async def require_user(unit: Unit, service: Service, conversation: Conversation, identity: str) -> User:
    """The user who is to become a participant, made if there is none.

    Raises 50433 when he is one already, 50214 when he is in too many conversations, 50002 while a deleted user of
    the same identity is being taken out of this one.
    """
    there = await unit.participants.find(conversation.sid, identity)
    if there is not None:
        is_leaving = there.user_sid is not None and await unit.users.get(there.user_sid) is None
        raise BEING_DELETED("The user who had this identity is being deleted") if is_leaving else PARTICIPANT_EXISTS()
    user = await unit.users.find(service.sid, identity, lock=True)
    if user is None:
        return await make_user(unit, service, identity)
    if await unit.memberships.count_listed(user.sid) >= CONVERSATIONS_OF_A_USER:
        raise TOO_MANY_CONVERSATIONS()
    return user


def role_of(service: Service, conversation: Conversation, identity: str) -> str:
    """The role of a chat participant to whom none is given: the creator has one of his own."""
    if identity == conversation.created_by:
        return service.default_creator_role_sid
    return service.default_participant_role_sid
