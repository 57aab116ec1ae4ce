"""What a conversation's timers command when they are due (semantics 5.2)."""

from __future__ import annotations

from tertulia.server.domain.conversations import ApplyTimers, Conversation, ConversationState, MoveOnConversation

from .conversations import move
from .rules import handles
from .scenes import AccountScene, in_account
from .unit import Unit


def arm(unit: Unit, conversation: Conversation) -> None:
    """Promise to look at the conversation when its first timer goes off; takes the place of an earlier promise."""
    unit.enqueue(
        MoveOnConversation(account_sid=conversation.account_sid, conversation_sid=conversation.sid),
        key=MoveOnConversation.key(conversation.sid),
        due_at=conversation.deadline,
    )


@handles(ApplyTimers, on=in_account, for_clients=False)
async def apply_timers(unit: Unit, command: ApplyTimers, _scene: AccountScene) -> None:
    before = await unit.conversations.get(command.conversation, lock=True)
    if before is None or before.account_sid != unit.caller.account_sid or before.deadline is None:
        return
    if before.closed_at is not None and before.closed_at <= unit.now:
        await move(unit, before, ConversationState.CLOSED, "TIMER")
    elif before.inactive_at is not None and before.inactive_at <= unit.now:
        await move(unit, before, ConversationState.INACTIVE, "TIMER")
    else:
        # Activity has moved the deadline, and does not touch the job: a message costs no statement for its timers.
        arm(unit, before)
