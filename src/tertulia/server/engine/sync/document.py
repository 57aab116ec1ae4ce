"""The conversation's document: its own fields (realtime 11.2)."""

from __future__ import annotations

from tertulia.server.domain.conversations import Conversation
from tertulia.server.domain.errors import DOCUMENT_NOT_FOUND
from tertulia.server.domain.sync import ObjectKind, conversation_object_name
from tertulia.server.domain.values import millisecond
from tertulia.server.storage.database import Connection
from tertulia.wire.sync import (
    DOCUMENT_EVENT,
    Bindings,
    DocumentData,
    DocumentRemoved,
    DocumentUpdated,
    LastMessage,
    ObjectEvent,
    StateData,
    revision,
)

from .views import Replay, View


class DocumentView(View):
    kind = ObjectKind.DOCUMENT
    type = "document"
    plural = "Documents"
    missing = DOCUMENT_NOT_FOUND

    def __init__(self, conversation: Conversation, base_url: str) -> None:
        super().__init__(conversation, conversation.document_event, base_url)
        self._conversation = conversation

    def data(self) -> DocumentData:
        return document_data(self._conversation)

    def updated(self, at: int) -> ObjectEvent:
        """The present content, as the newest event."""
        number = self.last_event
        event = DocumentUpdated(
            id=number,
            date_created=millisecond(at),
            document_sid=self.sid,
            document_revision=revision(number),
            document_unique_name=self.name,
            document_data=self.data(),
        )
        return ObjectEvent(self.sid, "document_updated", DOCUMENT_EVENT, event)

    def gone(self, at: int) -> ObjectEvent:
        """The object itself is no more."""
        event = DocumentRemoved(id=self.last_event + 1, date_created=millisecond(at), document_sid=self.sid)
        return ObjectEvent(self.sid, "document_removed", DOCUMENT_EVENT, event)

    async def replay(self, connection: Connection, after: int, limit: int) -> Replay:
        if after >= self.last_event:
            return Replay((), self.last_event)
        return Replay((self.updated(self.updated_at),), self.last_event)


def document_data(conversation: Conversation) -> DocumentData:
    newest = None
    if conversation.newest_index is not None and conversation.newest_at is not None:
        newest = LastMessage(conversation.newest_index, millisecond(conversation.newest_at))
    return DocumentData(
        sid=conversation.sid,
        friendly_name=conversation.friendly_name,
        unique_name=conversation.unique_name,
        attributes=conversation.attributes,
        created_by=conversation.created_by,
        date_created=millisecond(conversation.created_at),
        date_updated=millisecond(conversation.updated_at),
        state=StateData(conversation.state, millisecond(conversation.state_at)),
        last_message=newest,
        bindings=email_binding(conversation),
        messages=conversation_object_name(ObjectKind.MESSAGES, conversation.sid),
        roster=conversation_object_name(ObjectKind.ROSTER, conversation.sid),
    )


def email_binding(conversation: Conversation) -> Bindings:
    """The conversation's place in e-mail, if it has one."""
    email = {}
    if conversation.email_address is not None:
        email["projected_address"] = conversation.email_address
    if conversation.email_name is not None:
        email["name"] = conversation.email_name
    return {"email": email} if email else {}
