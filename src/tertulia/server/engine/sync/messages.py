"""The list of a conversation's messages (realtime 11.4)."""

from __future__ import annotations

from msgspec import UNSET

from tertulia.server.domain.attachments import parts_of
from tertulia.server.domain.conversations import Conversation
from tertulia.server.domain.errors import LIST_NOT_FOUND
from tertulia.server.domain.media import MediaCategory
from tertulia.server.domain.messages import Message
from tertulia.server.domain.receipts import delivery_of
from tertulia.server.domain.sync import ObjectKind
from tertulia.server.domain.values import millisecond
from tertulia.server.storage.database import Connection
from tertulia.server.storage.messages import Messages
from tertulia.server.storage.paging import Page
from tertulia.server.storage.tombstones import Tombstones
from tertulia.wire.sync import AttachmentData, Item, MediaData, MessageData, ObjectEvent

from .views import ListView, Replay, joined


class MessagesView(ListView):
    kind = ObjectKind.MESSAGES
    missing = LIST_NOT_FOUND

    def __init__(self, conversation: Conversation, base_url: str) -> None:
        super().__init__(conversation, conversation.messages_event, base_url, updated_at=conversation.newest_at)
        self._conversation = conversation

    def added(self, message: Message) -> ObjectEvent:
        data, number = message_data(message), message.created_event
        return self.changed(message.index, data, number, message.updated_at, added=True)

    def updated(self, message: Message, at: int | None = None) -> ObjectEvent:
        """Changed ``at`` that moment; when it was edited, unless given."""
        moment = message.updated_at if at is None else at
        return self.changed(message.index, message_data(message), message.event, moment, added=False)

    async def page(self, connection: Connection, wanted: Page) -> list[tuple[int, Item]]:
        found = await Messages(connection).page(self._conversation.sid, wanted)
        return [(message.index, self._entry(message)) for message in found]

    async def item(self, connection: Connection, key: int) -> Item | None:
        message = await Messages(connection).at(self._conversation.sid, key)
        return self._entry(message) if message else None

    def _entry(self, message: Message) -> Item:
        return self.entry(message.index, message_data(message), message.event, message.created_at, message.updated_at)

    async def replay(self, connection: Connection, after: int, limit: int) -> Replay:
        missed = self.last_event - after
        if missed <= 0:
            return Replay((), self.last_event)
        messages, conversation_sid = Messages(connection), self._conversation.sid
        # Every message takes a number, so no more than ``missed`` were added.
        above = self._conversation.last_index - missed
        new = await messages.added_after(conversation_sid, after, above, limit)
        edited = await messages.edited_after(conversation_sid, after, limit)
        removed = await Tombstones(connection).after(self.sid, after, limit)
        return joined(
            (
                [self.added(message) for message in new],
                [self.updated(message) for message in edited],
                [self.removed(int(stone.item_key), stone.event, stone.at) for stone in removed],
            ),
            limit,
            self.last_event,
        )


def message_data(message: Message) -> MessageData:
    # Nearly every message has no files, and a page shows fifty.
    medias = () if message.media is None else _medias(message.media)
    files = [media for media in medias if media.category == MediaCategory.MEDIA] if medias else ()
    return MessageData(
        sid=message.sid,
        author=message.author,
        text=message.body,
        type="media" if files else "text",
        attributes=message.attributes,
        timestamp=millisecond(message.created_at),
        date_updated=millisecond(message.updated_at),
        last_updated_by=message.last_updated_by,
        member_sid=message.participant_sid,
        subject=message.subject,
        content_sid=message.content_sid,
        delivery=None if message.delivery is None else delivery_of(message),
        media=_attachment(files[0]) if files else UNSET,
        medias=medias or UNSET,
    )


def _medias(text: str) -> tuple[MediaData, ...]:
    return tuple(
        MediaData(part.sid, part.category, part.filename, part.content_type, part.size) for part in parts_of(text)
    )


def _attachment(media: MediaData) -> AttachmentData:
    return AttachmentData(media.sid, media.filename, media.content_type, media.size)
