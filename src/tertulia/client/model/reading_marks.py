"""What the user has read of a conversation, and how much there is (semantics 6.1, 6.2)."""

from __future__ import annotations

from tertulia.client import arguments

from .answers import Looked, Mine
from .horizon import HorizonReports
from .reading import Reading


class ReadingMarks(Reading):
    """Counts and read horizon of a conversation.

    Counts are the server's, kept for the time it says (5 s); ``max_age=0`` asks anew. Reports of the horizon are
    collected: the first goes out at once, later ones within the server's interval together, the last value of them;
    ``immediate`` does not wait. Each gives the number of unread messages, None when the horizon is not set; without
    ``wait`` it gives None at once, which is what handlers of messages want.
    """

    __slots__ = ()

    async def count_messages(self, *, max_age: float | None = None) -> int:
        """How many messages there are."""
        return (await self._looked(max_age)).messages_count

    async def count_participants(self, *, max_age: float | None = None) -> int:
        """How many take part."""
        return (await self._looked(max_age)).participants_count

    async def count_unread(self, *, max_age: float | None = None) -> int | None:
        """How many messages lie beyond the read horizon; None while it is not set."""
        age = self._age(max_age)
        if self._horizon is not None:
            # What was counted before the last report is the count of before.
            await self._horizon.flush()
            age = min(age, self._horizon.reported_s_ago)
        url = self._session.my_conversation_url(self.sid)
        mine = await self._as_member(self._session.calls.get(url, Mine, max_age=age))
        return mine.unread_messages_count

    async def set_read_horizon(self, index: int | None, *, immediate: bool = False, wait: bool = True) -> int | None:
        """Read up to here, or nothing (None); also backwards."""
        if index is not None:
            arguments.number(index, "a message's index", 0)
        if self._horizon is None:
            self._horizon = HorizonReports(self._session, self.sid)
        return await self._as_member(self._horizon.write(index, immediate=immediate, wait=wait))

    async def advance_read_horizon(self, index: int, *, immediate: bool = False, wait: bool = True) -> int | None:
        """Read up to here, unless already further."""
        arguments.number(index, "a message's index", 0)
        waiting = self._horizon.latest if self._horizon is not None else None
        known = waiting[0] if waiting is not None else self._state.last_read_message_index
        furthest = index if known is None else max(index, known)
        return await self.set_read_horizon(furthest, immediate=immediate, wait=wait)

    async def mark_all_read(self) -> int | None:
        """Read up to the newest message; 0 when there is none."""
        newest = await self.messages_page(1)
        if not newest:
            return 0
        return await self.advance_read_horizon(newest[0].index, immediate=True)

    async def mark_all_unread(self) -> int | None:
        """Nothing read."""
        return await self.set_read_horizon(None, immediate=True)

    async def _looked(self, max_age: float | None) -> Looked:
        url = self._session.conversation_url(self.sid)
        return await self._as_member(self._session.calls.get(url, Looked, max_age=self._age(max_age)))

    def _age(self, max_age: float | None) -> float:
        age = arguments.seconds(max_age, "max_age")
        return self._session.configuration.cache_s if age is None else age
