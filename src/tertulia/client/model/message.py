"""A message of a conversation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from tertulia.client import arguments
from tertulia.client.attributes import Json, attributes_of, attributes_text
from tertulia.client.content import ContentData, rich_content
from tertulia.client.dispatch import Emitter, Hub
from tertulia.client.errors import InvalidArgumentError, NotFoundError
from tertulia.client.events import MessageUpdated
from tertulia.client.media import Media
from tertulia.client.moments import moment
from tertulia.client.states import MessageField

from .answers import Stamped
from .payloads import MessageData
from .snapshots import Delivery, MessageSnapshot, changed
from .waiting import Watch

if TYPE_CHECKING:
    from tertulia.client.receipts import ChannelMetadata, DeliveryReceipt, RecipientDescriptor

    from .conversation import Conversation
    from .participant import Participant


def message_snapshot(index: int, data: MessageData) -> MessageSnapshot:
    delivery = data.delivery
    medias = data.medias if data.medias is not None else (data.media,) if data.media is not None else ()
    return MessageSnapshot(
        sid=data.sid,
        index=index,
        author=data.author,
        body=data.text,
        subject=data.subject,
        attributes=attributes_of(data.attributes),
        content_sid=data.content_sid,
        participant_sid=data.member_sid,
        date_created=moment(data.timestamp),
        date_updated=moment(data.date_updated),
        last_updated_by=data.last_updated_by,
        media=medias,
        delivery=None if delivery is None or not delivery.total else Delivery(**msgspec.structs.asdict(delivery)),
        has_channel_metadata=data.channel_metadata,
    )


class Message(Emitter):
    """One message (object-model A.4). Live while the conversation remembers it."""

    __slots__ = ("_conversation", "_state", "_watch")

    def __init__(self, conversation: Conversation, state: MessageSnapshot) -> None:
        super().__init__()
        self._conversation = conversation
        self._state = state
        self._watch: Watch | None = None

    def __repr__(self) -> str:
        return f"<Message {self.sid} {self.index}>"

    @property
    def conversation(self) -> Conversation:
        return self._conversation

    @property
    def sid(self) -> str:
        return self._state.sid

    @property
    def index(self) -> int:
        """Its place in the conversation. Messages that were removed leave holes."""
        return self._state.index

    @property
    def author(self) -> str | None:
        return self._state.author

    @property
    def body(self) -> str | None:
        return self._state.body

    @property
    def subject(self) -> str | None:
        return self._state.subject

    @property
    def attributes(self) -> Json:
        return self._state.attributes

    @property
    def content_sid(self) -> str | None:
        """The template it was made from."""
        return self._state.content_sid

    @property
    def participant_sid(self) -> str | None:
        """Its author, as a participant."""
        return self._state.participant_sid

    @property
    def date_created(self) -> datetime | None:
        return self._state.date_created

    @property
    def date_updated(self) -> datetime | None:
        return self._state.date_updated

    @property
    def last_updated_by(self) -> str | None:
        """Who has edited it last; None while nobody has."""
        return self._state.last_updated_by

    @property
    def delivery(self) -> Delivery | None:
        """What its delivery receipts come to; None without any."""
        return self._state.delivery

    @property
    def media(self) -> list[Media]:
        """The attached files, in order; not the long bodies of an e-mail."""
        return self.media_of("media")

    def media_of(self, *categories: str) -> list[Media]:
        """Its files of these categories (``media``, ``body``, ``history``), in order; of all without any."""
        service = self._conversation._session.media
        return [
            Media(service, part.sid, part.filename, part.content_type, part.size, part.category)
            for part in self._state.media
            if not categories or part.category in categories
        ]

    def email_body(self, content_type: str = "text/plain") -> Media | None:
        """The long body of an e-mail, in this type."""
        return next((part for part in self.media_of("body") if part.content_type == content_type), None)

    def email_history(self, content_type: str = "text/plain") -> Media | None:
        """What an e-mail answers to, in this type."""
        return next((part for part in self.media_of("history") if part.content_type == content_type), None)

    def snapshot(self) -> MessageSnapshot:
        """What is known of it now, as a value."""
        return self._state

    async def get_participant(self) -> Participant:
        """Its author, if he still takes part. Raises ``NotFoundError``."""
        roster = await self._conversation._open_roster()
        known = roster.by_sid.get(self.participant_sid or "") or roster.of_identity(self.author)
        if known is None:
            raise NotFoundError(404, None, "the author of this message does not take part any more")
        return known

    async def edit(
        self,
        *,
        body: str | msgspec.UnsetType = msgspec.UNSET,
        attributes: Json | msgspec.UnsetType = msgspec.UNSET,
        wait: bool = True,
    ) -> None:
        """Change what it says; with ``wait`` the values are there when it returns (object-model D.5)."""
        sent: dict[str, object] = {}
        wanted: dict[str, object] = {}
        if body is not msgspec.UNSET:
            arguments.text(body, "the body of a message", may_be_empty=True)
            sent["body"] = wanted["body"] = body
        if attributes is not msgspec.UNSET:
            sent["attributes"] = text = attributes_text(attributes)
            wanted["attributes"] = attributes_of(text)
        if not sent:
            raise InvalidArgumentError("nothing to edit: give body or attributes")
        session = self._conversation._session
        command = self._conversation._as_member(session.calls.post(self._url(), sent, Stamped))
        if self._watch is None:
            self._watch = Watch()
        await self._watch.updated(
            command,
            lambda: self._state.date_updated,
            lambda: all(getattr(self._state, name) == value for name, value in wanted.items()),
            session.config.visibility_timeout,
            wait=wait,
        )

    async def delete(self, *, wait: bool = True) -> None:
        """Take it back; with ``wait`` it is gone here, too, when it returns."""
        conversation = self._conversation
        command = conversation._as_member(conversation._session.calls.delete(self._url()))
        await conversation._watch.visible(
            command,
            lambda _: self.index not in conversation._history.by_index,
            conversation._session.config.visibility_timeout,
            wait=wait,
        )

    def delivery_receipts(self) -> AsyncIterator[DeliveryReceipt]:
        """What became of it for each recipient on a channel."""
        return self._conversation._session.receipts.delivery(self._conversation.sid, self.sid)

    async def channel_metadata(self) -> ChannelMetadata | None:
        """What the channel told about it, if it told anything."""
        if not self._state.has_channel_metadata:
            return None
        return await self._conversation._session.receipts.channel_metadata(self._conversation.sid, self.sid)

    async def recipients(self) -> list[RecipientDescriptor]:
        """To whom an e-mail went."""
        return await self._conversation._session.receipts.recipients(self._conversation.sid, self.sid)

    async def content(self) -> ContentData | None:
        """The rich content it was made of; None of a plain message."""
        return await rich_content(self.media_of("body"), self._conversation._session.media)

    # --- what happens to it

    def _become(self, data: MessageData) -> None:
        previous, self._state = self._state, message_snapshot(self.index, data)
        reasons = changed(previous, self._state, MessageField)
        if self._watch is not None:
            self._watch.changed()
        if reasons:
            self._emit(MessageUpdated(self, reasons, previous))

    def _url(self) -> str:
        return self._conversation._session.conversation_url(self._conversation.sid, "Messages", self.sid)

    def _parent(self) -> Emitter:
        return self._conversation

    def _hub(self) -> Hub:
        return self._conversation._session

    def _end(self) -> None:
        if self._watch is not None:
            self._watch.end()
        self._let_go()
