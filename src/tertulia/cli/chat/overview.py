"""The list of conversations as rows: which there are, in which order, what each has to say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from tertulia.client import Conversation, ConversationsClient, ConversationStatus, NotificationLevel

from . import names, reading, times
from .sidebar import Row

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


def activity(conversation: Conversation) -> datetime:
    """When something was said last; of a silent one, when it began."""
    last = conversation.last_message
    moment = last.date_created if last is not None else None
    return times.in_utc_unless_told(moment or conversation.date_created or _NEVER)


class Overview:
    """The user's conversations, newest activity first."""

    def __init__(self, client: ConversationsClient) -> None:
        self._client = client

    def rows(self, now: datetime, is_open: Conversation | None) -> list[Row]:
        known = self._client.known_conversations.values()
        joined = [each for each in known if each.status is ConversationStatus.JOINED]
        joined.sort(key=lambda each: (activity(each), each.sid), reverse=True)
        return [self._row(each, now, each is is_open) for each in joined]

    def _row(self, conversation: Conversation, now: datetime, is_open: bool) -> Row:
        me = self._client.identity
        last = conversation.last_message
        moment = last.date_created if last is not None else None
        return Row(
            sid=conversation.sid,
            name=names.of_conversation(conversation, me),
            when=times.when(moment, now) if moment is not None else "",
            unread=reading.unread(conversation),
            is_muted=conversation.notification_level is NotificationLevel.MUTED,
            about=names.listed(names.others(conversation, me)),
            is_open=is_open,
        )
