"""A participant: somebody in a conversation, by chat or from elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tertulia.client.attributes import Json, attributes_of, attributes_text
from tertulia.client.dispatch import Emitter, Hub
from tertulia.client.errors import InvalidArgumentError
from tertulia.client.events import ParticipantUpdated, TypingEnded, TypingStarted
from tertulia.client.moments import moment
from tertulia.client.states import ParticipantField

from .answers import Stamped
from .payloads import ParticipantData
from .snapshots import ParticipantSnapshot, changed
from .waiting import Watch

if TYPE_CHECKING:
    from .conversation import Conversation
    from .user import User


def participant_snapshot(sid: str, data: ParticipantData) -> ParticipantSnapshot:
    return ParticipantSnapshot(
        sid=sid,
        identity=data.identity,
        type=data.type or "chat",
        attributes=attributes_of(data.attributes),
        role_sid=data.role_sid,
        date_created=moment(data.date_created),
        date_updated=moment(data.date_updated),
        last_read_message_index=data.last_consumed_message_index,
        last_read_timestamp=moment(data.last_consumption_timestamp),
        bindings=data.bindings or {},
        user_info=data.user_info,
    )


class Participant(Emitter):
    """One participant of one conversation (object-model A.6). Live until he leaves."""

    __slots__ = ("_conversation", "_state", "_typing_ends", "_watch")

    def __init__(self, conversation: Conversation, state: ParticipantSnapshot) -> None:
        super().__init__()
        self._conversation = conversation
        self._state = state
        self._watch: Watch | None = None
        self._typing_ends: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Participant {self.sid} {self.type}>"

    @property
    def conversation(self) -> Conversation:
        return self._conversation

    @property
    def sid(self) -> str:
        return self._state.sid

    @property
    def identity(self) -> str | None:
        """The user's identity; None for who takes part from elsewhere."""
        return self._state.identity

    @property
    def type(self) -> str:
        """``chat``, ``sms``, ``whatsapp``, ``email`` or another."""
        return self._state.type

    @property
    def attributes(self) -> Json:
        return self._state.attributes

    @property
    def role_sid(self) -> str | None:
        return self._state.role_sid

    @property
    def bindings(self) -> Mapping[str, Any]:
        """Addresses, by type, as far as the server shows them."""
        return self._state.bindings

    @property
    def last_read_message_index(self) -> int | None:
        return self._state.last_read_message_index

    @property
    def last_read_timestamp(self) -> datetime | None:
        return self._state.last_read_timestamp

    @property
    def date_created(self) -> datetime | None:
        return self._state.date_created

    @property
    def date_updated(self) -> datetime | None:
        return self._state.date_updated

    @property
    def is_typing(self) -> bool:
        return self._typing_ends is not None

    def snapshot(self) -> ParticipantSnapshot:
        """What is known of him now, as a value."""
        return self._state

    async def get_user(self, *, subscribe: bool = True) -> User:
        """The user behind a chat participant. Raises ``InvalidArgumentError`` for others."""
        if self.identity is None:
            raise InvalidArgumentError(f"a participant of type {self.type} has no user")
        users = self._conversation._session.users
        return await users.get(self.identity, map_name=self._state.user_info, subscribe=subscribe)

    async def update(self, *, attributes: Json, wait: bool = True) -> None:
        """Change his attributes; with ``wait`` they are there when it returns (object-model D.5)."""
        session = self._conversation._session
        text = attributes_text(attributes)
        body, wanted = {"attributes": text}, attributes_of(text)
        url = session.conversation_url(self._conversation.sid, "Participants", self.sid)
        command = self._conversation._as_member(session.calls.post(url, body, Stamped))
        await self._watched().updated(
            command,
            lambda: self._state.date_updated,
            lambda: self._state.attributes == wanted,
            session.config.visibility_timeout,
            wait=wait,
        )

    async def remove(self, *, wait: bool = True) -> None:
        """Take him out of the conversation."""
        await self._conversation.remove_participant(self, wait=wait)

    # --- what happens to him

    def _become(self, data: ParticipantData) -> None:
        previous, self._state = self._state, participant_snapshot(self.sid, data)
        reasons = changed(previous, self._state, ParticipantField)
        if self._watch is not None:
            self._watch.changed()
        if reasons:
            self._emit(ParticipantUpdated(self, reasons, previous))

    def _types(self, seconds: float) -> None:
        is_new = self._typing_ends is None
        if self._typing_ends is not None:
            self._typing_ends.cancel()
        self._typing_ends = asyncio.get_running_loop().call_later(seconds, self._stops_typing)
        if is_new or self._conversation._session.config.repeat_typing:
            self._emit(TypingStarted(self._conversation, self))

    def _stops_typing(self) -> None:
        if self._typing_ends is not None:
            self._typing_ends.cancel()
            self._typing_ends = None
            self._emit(TypingEnded(self._conversation, self))

    def _watched(self) -> Watch:
        if self._watch is None:
            self._watch = Watch()
        return self._watch

    def _parent(self) -> Emitter:
        return self._conversation

    def _hub(self) -> Hub:
        return self._conversation._session

    def _end(self) -> None:
        if self._typing_ends is not None:
            self._typing_ends.cancel()
            self._typing_ends = None
        if self._watch is not None:
            self._watch.end()
        self._let_go()
