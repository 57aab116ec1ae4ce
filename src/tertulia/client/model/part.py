"""What the halves of a conversation share: its state, and where to ask."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

from tertulia.client.dispatch import Emitter
from tertulia.client.errors import ApiError, ForbiddenError, NotFoundError
from tertulia.client.states import ConversationStatus, ConversationSync

from .history import History
from .horizon import HorizonReports
from .snapshots import ConversationSnapshot
from .waiting import Watch

if TYPE_CHECKING:
    from tertulia.client.session import Session

    from .conversation import Conversation


T = TypeVar("T")

JOIN_FIRST = "the user does not take part in this conversation: join it first"


class ConversationPart(Emitter):
    """The common ground of reading, writing and all else one does in a conversation."""

    __slots__ = ("_history", "_horizon", "_session", "_state", "_typed_until", "_watch")

    _history: History

    def __init__(self, session: Session, sid: str) -> None:
        super().__init__()
        self._session = session
        self._state = ConversationSnapshot(sid=sid)
        self._watch = Watch()
        self._horizon: HorizonReports | None = None
        self._typed_until = 0.0

    @property
    def sid(self) -> str:
        return self._state.sid

    async def ready(self, level: ConversationSync = ConversationSync.ALL, timeout: float | None = None) -> Conversation:
        raise NotImplementedError

    async def _as_member(self, command: Awaitable[T]) -> T:
        """What the command gives. Where it is refused to who does not take part, that is what the error says."""
        try:
            return await command
        except (ForbiddenError, NotFoundError) as error:
            if self._state.status is ConversationStatus.JOINED or JOIN_FIRST in error.message:
                raise
            known: ApiError = error
            told = f"{known.message}; {JOIN_FIRST}"
            raise type(known)(known.status, known.code, told, more_info=known.more_info, body=known.body) from error

    def _url(self, *parts: str) -> str:
        return self._session.conversation_url(self.sid, *parts)
