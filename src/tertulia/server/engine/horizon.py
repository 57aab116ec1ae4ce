"""The read horizon: how far a user has read (semantics 6.1)."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.domain.conversations import Conversation
from tertulia.server.domain.participants import Participant


def moved(
    participant: Participant,
    conversation: Conversation,
    index: int | UnsetType | None,
    at: int | UnsetType,
    now: int,
) -> Participant:
    """The participant with his horizon at ``index``: clipped to the newest message, backwards allowed, None clears.

    The newest is the newest that exists. A new index sets the time to now unless one is given; in a conversation
    without messages the horizon is none.
    """
    if index is UNSET:
        if at is UNSET or participant.last_read_index is None:
            return participant
        return msgspec.structs.replace(participant, last_read_at=at)
    if index is None or conversation.newest_index is None:
        return msgspec.structs.replace(participant, last_read_index=None, last_read_at=None)
    clipped = min(index, conversation.newest_index)
    if clipped == participant.last_read_index and at is UNSET:
        return participant
    return msgspec.structs.replace(participant, last_read_index=clipped, last_read_at=now if at is UNSET else at)
