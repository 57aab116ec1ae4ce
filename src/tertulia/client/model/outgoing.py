"""What the outbox has to know of conversations, and how what it tells reaches their listeners."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from tertulia.client.events import Event
from tertulia.client.states import ConversationSync

if TYPE_CHECKING:
    from tertulia.client.session import Session

    from .conversation import Conversation
    from .message import Message

PAGE = 100


class OutboxPlaces:
    """The conversations of a client, as its outbox sees them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def identity(self) -> str:
        return self._session.identity

    def conversation(self, sid: str) -> Conversation | None:
        return self._session.conversations.known.get(sid)

    def messages_url(self, sid: str) -> str:
        return self._session.conversation_url(sid, "Messages")

    def newest_index(self, sid: str) -> int | None:
        conversation = self.conversation(sid)
        if conversation is None or conversation.sync_status < ConversationSync.METADATA:
            return None
        last = conversation.last_message
        return -1 if last is None or last.index is None else last.index

    async def messages(self, sid: str, after: int | None) -> AsyncGenerator[Message, None]:
        conversation = await self._session.conversations.get(sid)
        found = conversation.messages(after=after, page_size=PAGE, newest_first=after is None)
        async with contextlib.aclosing(found):
            async for message in found:
                yield message

    async def message(self, sid: str, index: int) -> Message | None:
        conversation = self.conversation(sid)
        copy = conversation._history.copy if conversation is not None else None
        if conversation is not None and copy is not None and copy.is_established:
            known = conversation.loaded_messages
            with contextlib.suppress(TimeoutError):
                await conversation._watch.until(lambda: index in known, self._session.config.visibility_timeout)
        else:
            # Right after a start, or after a new connection: it may come with what was missed. If it does not, it was
            # there when the list was opened, and is history, of which nothing is told.
            conversation = await self._session.conversations.get(sid)
            await conversation.ready()
            if conversation._history.copy is not None:
                await self._session.following.settled(conversation._history.copy)
        return conversation.loaded_messages.get(index) or await conversation.message_by_index(index)

    def emit(self, sid: str, event: Event) -> None:
        """To the listeners of the conversation, or of the client alone while that does not know it."""
        (self.conversation(sid) or self._session.emitter)._emit(event)
