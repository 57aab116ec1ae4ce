"""What the user has read: the newest message, while he can see it."""

from __future__ import annotations

from tertulia.client import Conversation, ConversationStatus


def unread(conversation: Conversation) -> int:
    """How many messages lie beyond the read horizon, by their indices: removed ones among them count, too.

    Exact counts would take a request for each conversation and each change.
    """
    last = conversation.last_message
    if last is None or last.index is None or conversation.status is not ConversationStatus.JOINED:
        return 0
    horizon = conversation.last_read_message_index
    return max(0, last.index - (-1 if horizon is None else horizon))


def to_report(conversation: Conversation, newest: int | None) -> int | None:
    """The horizon to report when the message with this index is in sight; None when it is known already."""
    if newest is None or conversation.status is not ConversationStatus.JOINED:
        return None
    horizon = conversation.last_read_message_index
    return newest if horizon is None or newest > horizon else None
