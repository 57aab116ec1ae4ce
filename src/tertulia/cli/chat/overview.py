"""The list of conversations as rows: which there are, in which order, what each has to say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from tertulia.cli.finding import own
from tertulia.client import Conversation, ConversationsClient, NotificationLevel

from . import names, reading, times
from .sidebar import Row

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


def activity(conversation: Conversation) -> datetime:
    """When something was said last; of a silent one, when it began."""
    last = conversation.last_message
    moment = last.date_created if last is not None else None
    return times.in_utc_unless_told(moment or conversation.date_created or _NEVER)


def joined(client: ConversationsClient) -> list[Conversation]:
    """Those in which the user takes part, newest activity first."""
    conversations = own(client)
    conversations.sort(key=lambda each: (activity(each), each.sid), reverse=True)
    return conversations


def newest(client: ConversationsClient) -> Conversation | None:
    """The first of them."""
    return max(own(client), key=lambda each: (activity(each), each.sid), default=None)


class Overview:
    """The user's conversations, newest activity first."""

    def __init__(self, client: ConversationsClient) -> None:
        self._client = client

    def rows(self, now: datetime, is_open: Conversation | None) -> list[Row]:
        return [self._row(each, now, each is is_open) for each in joined(self._client)]

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
