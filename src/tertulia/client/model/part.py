"""What the halves of a conversation share: its state, and where to ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tertulia.client.dispatch import Emitter
from tertulia.client.states import ConversationSync

from .history import History
from .horizon import HorizonReports
from .snapshots import ConversationSnapshot
from .waiting import Watch

if TYPE_CHECKING:
    from tertulia.client.session import Session

    from .conversation import Conversation


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

    def _url(self, *parts: str) -> str:
        return self._session.conversation_url(self.sid, *parts)
