"""Group texting: when a conversation is one, and what it then demands (semantics 4.6)."""

from __future__ import annotations

import msgspec

from tertulia.server.domain.addresses import group_key, is_group_text
from tertulia.server.domain.conversations import Conversation
from tertulia.server.domain.errors import GROUP_EXISTS, GROUP_MEMBER_TWICE, GROUP_TOO_LARGE, TertuliaError

from .unit import Unit


async def grouped(unit: Unit, conversation: Conversation, *, bound: bool) -> Conversation:
    """The conversation with the key of its group text, once its members, as they now stand, make it one.

    ``bound`` says that the member who came, went or changed has an address; a chat member matters only to a
    conversation that is a group text already. Raises 50434 to 50438 where the rules are broken.
    """
    if not bound and conversation.group_key is None:
        return conversation
    members = [member for _, member in await unit.participants.group_members(conversation.sid)]
    if not is_group_text(members):
        return msgspec.structs.replace(conversation, group_key=None)
    if len(members) > unit.policy.group_text_participants:
        raise GROUP_TOO_LARGE()
    numbers = [member.own for member in members]
    if len(set(numbers)) < len(numbers) and None not in numbers:
        raise GROUP_MEMBER_TWICE()
    key = group_key(members)
    if key is not None and key != conversation.group_key:
        holder = await unit.conversations.with_group_key(conversation.account_sid, key)
        if holder is not None and holder != conversation.sid:
            if unit.caller.is_identity:
                raise GROUP_EXISTS()  # for a user the other conversation need not exist (semantics 2.4)
            # The SID is the last word of the sentence (rest 8).
            raise GROUP_EXISTS(f"{GROUP_EXISTS.text} as Conversation {holder}")
    return msgspec.structs.replace(conversation, group_key=key)


async def left(unit: Unit, conversation: Conversation, *, bound: bool) -> Conversation:
    """The same, after somebody has left: nobody is held by the rules. Where they would be broken it is no group text.

    UNVERIFIED (semantics 4.6): a set that becomes another conversation's stays with that conversation.
    """
    try:
        return await grouped(unit, conversation, bound=bound)
    except TertuliaError:
        return msgspec.structs.replace(conversation, group_key=None)
