"""A conversation's change of state is told once, whatever brought it about (semantics 5.1)."""

from __future__ import annotations

from tertulia.server.domain.conversations import Conversation, ConversationStateChanged, StateReason

from .unit import Unit


def record_transition(unit: Unit, conversation: Conversation, before: Conversation, reason: StateReason) -> None:
    """Record that the state is another than before, if it is."""
    if conversation.state != before.state:
        unit.record(
            ConversationStateChanged(
                conversation=conversation, before_state=before.state, reason=reason, at=conversation.state_at
            )
        )
