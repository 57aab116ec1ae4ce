"""Arms, moves and removes the jobs that make conversations inactive and close them (semantics 5.2).

As long as a conversation has a deadline there is a job that is due no later. Activity moves deadlines into the future
and leaves the job where it is: it comes early, finds nothing to do, and is promised again for the new deadline.
"""

from __future__ import annotations

from tertulia.server.domain.conversations import (
    ConversationCreated,
    ConversationDeleted,
    ConversationStateChanged,
    ConversationUpdated,
    MoveOnConversation,
)
from tertulia.server.engine.rules import effect_of
from tertulia.server.engine.timers import arm
from tertulia.server.engine.unit import Unit


@effect_of(ConversationCreated)
async def timers_start(unit: Unit, change: ConversationCreated) -> None:
    if change.conversation.deadline is not None:
        arm(unit, change.conversation)


@effect_of(ConversationUpdated)
async def timers_change(unit: Unit, change: ConversationUpdated) -> None:
    conversation, before = change.conversation, change.before
    if conversation.state != before.state or conversation.deadline == before.deadline:
        return
    if conversation.deadline is not None:
        arm(unit, conversation)
    else:
        unit.withdraw(MoveOnConversation.key(conversation.sid))


@effect_of(ConversationStateChanged)
async def timers_follow_the_state(unit: Unit, change: ConversationStateChanged) -> None:
    # The new state may have an earlier deadline than the old one: who returns to active is inactive before closed.
    conversation = change.conversation
    if conversation.deadline is not None:
        arm(unit, conversation)
    elif conversation.has_timers:
        unit.withdraw(MoveOnConversation.key(conversation.sid))


@effect_of(ConversationDeleted)
async def timers_end(unit: Unit, change: ConversationDeleted) -> None:
    if change.conversation.deadline is not None:
        unit.withdraw(MoveOnConversation.key(change.conversation.sid))
