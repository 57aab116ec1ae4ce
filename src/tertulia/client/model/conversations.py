"""The conversations of the user: all of them, kept by the events of his map, opened a few at a time."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import msgspec

from tertulia.client.errors import (
    ApiError,
    ClientShutDownError,
    ConflictError,
    ConversationsError,
    NotFoundError,
    SyncObjectError,
    TransportError,
)
from tertulia.client.events import (
    ConversationAdded,
    ConversationJoined,
    ConversationRemoved,
    SyncStatusChanged,
)
from tertulia.client.reasons import reason
from tertulia.client.states import ClientSync, ConversationStatus, ConversationSync
from tertulia.client.sync import Copy, How, ItemFollower, Kind

from .answers import Added, Created, Looked, Mine
from .conversation import Conversation
from .payloads import MembershipData, membership_data
from .waiting import Watch

if TYPE_CHECKING:
    from tertulia.client.session import Session

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often a conversation is tried to be opened before it counts as failed (object-model D.8)."""
PAGE_SIZE = 100
TAKES_PART = 50433
"""What a server says of whoever is to join a conversation that he is in."""


class Conversations(ItemFollower):
    """Every conversation of the user, one object per SID.

    An object that the application still holds when its conversation comes back is that conversation's again.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._announced: dict[str, Conversation] = {}
        self._objects: WeakValueDictionary[str, Conversation] = WeakValueDictionary()
        self._memberships: dict[str, str] = {}
        """The user's own conversations: the name of each one's document, by SID."""
        self._copy: Copy | None = None
        self._to_open: deque[tuple[Conversation, int]] = deque()
        self._opening = 0
        self._openers: set[asyncio.Task[None]] = set()
        self._watch = Watch()
        self.status = ClientSync.NONE

    @property
    def known(self) -> Mapping[str, Conversation]:
        """Those that were announced and are not removed, by SID."""
        return MappingProxyType(self._announced)

    def knows(self, conversation: Conversation) -> bool:
        return self._announced.get(conversation.sid) is conversation

    async def load(self) -> None:
        """Opens the user's map, then all that is in it. Goes on until everything is usable, or the client ends."""
        following = self._session.following
        self._reach(ClientSync.STARTED)
        attempt = 0
        while True:
            attempt += 1
            try:
                if self._copy is None:
                    name = self._session.configuration.sync_objects.my_conversations
                    self._copy = await following.open(name, Kind.MAP, self)
                await following.read_all(self._copy, PAGE_SIZE)
                break
            except ClientShutDownError:
                raise
            except Exception as error:  # the task's edge: whatever it was, the next answer may be another
                told = {"attempt": attempt, "why": reason(error)}
                log.warning("client.conversations_not_listed: %s", reason(error), extra=told)
                if attempt == ATTEMPTS:
                    self._reach(ClientSync.FAILED)
                # Nothing works without it, so it is tried for as long as the client lives.
                await asyncio.sleep(min(2**attempt, 60))
        self._forget_strangers(self._copy)
        self._reach(ClientSync.CONVERSATIONS_LISTED)
        await self._watch.until(lambda: not self._to_open and not self._opening, None)
        self._reach(ClientSync.COMPLETED)

    async def reached(self, level: ClientSync, timeout: float | None = None) -> None:
        """Returns when that much is known. Raises ``TimeoutError``."""
        await self._watch.until(lambda: self.status >= level, timeout)

    async def get(self, sid: str) -> Conversation:
        """The user's conversation with this SID, its names known. Raises ``NotFoundError``."""
        known = self._announced.get(sid)
        if known is not None:
            return known
        if sid not in self._memberships:
            await self.reached(ClientSync.CONVERSATIONS_LISTED)
        if sid not in self._memberships:
            copy = self._copy
            # Its event may still be on the way; what the server has, counts. Of who was deleted it has nothing.
            if copy is not None:
                await self._session.following.item(copy, sid)
        if sid not in self._memberships:
            raise NotFoundError(404, 50350, "the user is in no such conversation; peek_conversation looks at others")
        return await self._objects[sid].ready(ConversationSync.METADATA)

    async def by_unique_name(self, name: str) -> Conversation:
        """The user's conversation of this name. Raises ``NotFoundError``."""
        for known in self._announced.values():
            if known.unique_name == name and known.status is ConversationStatus.JOINED:
                return known
        mine = await self._session.calls.get(self._session.my_conversation_url(name), Mine)
        return await self.get(mine.conversation_sid)

    async def peek(self, sid: str) -> Conversation:
        """A conversation the user need not be in. Raises ``NotFoundError`` for one he may not see."""
        known = self._announced.get(sid)
        if known is not None:
            return known
        looked = await self._session.calls.get(self._session.conversation_url(sid), Looked)
        sid = looked.sid or sid
        name = looked.sync_objects.conversation if looked.sync_objects is not None else f"{sid}.channel"
        return await self._look_at(sid, name)

    async def join(self, name: str) -> Conversation:
        """The conversation of this SID or unique name, which the user takes part in from now on, all of it known."""
        session = self._session
        try:
            added = await session.calls.post(
                session.conversation_url(name, "Participants"), {"identity": session.identity}, Added
            )
            sid = added.conversation_sid
        except ConflictError as error:
            if error.code != TAKES_PART:
                raise
            # On another device, or a moment ago: its event is on the way.
            sid = None
        if sid is None:
            mine = await session.calls.get(session.my_conversation_url(name), Mine)
            sid = mine.conversation_sid
        conversation = self._object(sid)
        await conversation._joined()
        return conversation

    async def create(self, body: dict[str, object]) -> Conversation:
        """A new conversation, which its creator does not join by that."""
        links = self._session.configuration.links
        created = await self._session.calls.post(links.conversations, body, Created)
        return await self._look_at(created.sid, created.sync_objects.conversation)

    async def _look_at(self, sid: str, name: str) -> Conversation:
        conversation = self._object(sid)
        if sid in self._memberships:
            return await conversation.ready(ConversationSync.METADATA)
        try:
            await conversation._open_document(name)
        except SyncObjectError as error:
            raise NotFoundError(404, 50350, "there is no such conversation, or it may not be seen") from error
        conversation._is_gone = False
        self._announce(conversation)
        return conversation

    # --- what happens to the user's map

    def item_changed(self, key: str | int, data: msgspec.Raw, at: str, how: How) -> None:
        sid, told = str(key), membership_data(data)
        is_new = sid not in self._memberships
        self._memberships[sid] = told.channel
        conversation = self._object(sid)
        conversation._is_gone = conversation._is_joining = False
        was = conversation.status
        conversation._take_membership(told)
        if conversation.status is not was and not is_new and was is ConversationStatus.JOINED:
            conversation._close_streams()
        if is_new or (conversation.status is ConversationStatus.JOINED and conversation.status is not was):
            self._open_soon(conversation)

    def item_removed(self, key: str | int) -> None:
        self._memberships.pop(str(key), None)
        conversation = self._objects.get(str(key))
        if conversation is not None:
            self.gone(conversation)

    def object_removed(self) -> None:
        # The user was deleted; what comes of it is told conversation by conversation.
        self._copy = None

    def gone(self, conversation: Conversation) -> None:
        """It does not exist any more, or is not the user's any more."""
        self._memberships.pop(conversation.sid, None)
        conversation._take_membership(MembershipData(channel="", status=ConversationStatus.NOT_PARTICIPATING))
        conversation._close()
        conversation._sync = ConversationSync.IDENTIFIER
        conversation._is_gone = True
        was_announced = self._announced.pop(conversation.sid, None) is not None
        conversation._watch.changed()
        if was_announced:
            conversation._is_announced = False
            conversation._emit(ConversationRemoved(conversation))

    # --- opening

    def _open_soon(self, conversation: Conversation, attempt: int = 1) -> None:
        self._to_open.append((conversation, attempt))
        if self._opening < self._session.config.open_at_once:
            self._opening += 1
            task = self._session.spawn(self._open_many())
            self._openers.add(task)
            task.add_done_callback(self._openers.discard)

    async def _open_many(self) -> None:
        try:
            while self._to_open:
                await self._open(*self._to_open.popleft())
        finally:
            self._opening -= 1
            self._watch.changed()

    async def _open(self, conversation: Conversation, attempt: int) -> None:
        name = self._memberships.get(conversation.sid)
        if name is None:
            return  # it went while it waited
        try:
            await conversation._open_document(name)
            self._announce(conversation)
            await conversation._open_streams()
        except ClientShutDownError:
            raise
        except ConversationsError as error:
            self._could_not_open(conversation, attempt, error)
            return
        except Exception as error:  # the task's edge: the others are opened all the same
            log.error("client.conversation_not_opened", extra={"why": reason(error)}, exc_info=error)
            conversation._reach(ConversationSync.FAILED)
            return
        if conversation.status is ConversationStatus.JOINED and conversation._roster.copy is not None:
            conversation._reach(ConversationSync.ALL)

    def _could_not_open(self, conversation: Conversation, attempt: int, error: ConversationsError) -> None:
        if conversation.sid not in self._memberships:
            return
        missing = isinstance(error, SyncObjectError) or (isinstance(error, ApiError) and error.status in (403, 404))
        why = reason(error)
        log.info("client.conversation_not_opened: %s", why, extra={"attempt": attempt, "why": why})
        # The network is no fault of the conversation's.
        if isinstance(error, TransportError) or attempt < ATTEMPTS:
            self._open_soon(conversation, attempt if isinstance(error, TransportError) else attempt + 1)
            return
        if not missing:
            self._announce(conversation)
        conversation._reach(ConversationSync.FAILED)

    def _announce(self, conversation: Conversation) -> None:
        if conversation._sync < ConversationSync.METADATA and conversation._document is not None:
            conversation._reach(ConversationSync.METADATA)
        if conversation._is_announced:
            return
        conversation._is_announced = True
        self._announced[conversation.sid] = conversation
        conversation._emit(ConversationAdded(conversation))
        if conversation.status is ConversationStatus.JOINED:
            conversation._emit(ConversationJoined(conversation))

    def _forget_strangers(self, copy: Copy) -> None:
        """What was kept from before, and is not the user's any more, goes."""
        for sid in set(self._memberships) - copy.numbers.keys():
            self.item_removed(sid)

    def _object(self, sid: str) -> Conversation:
        conversation = self._objects.get(sid)
        if conversation is None:
            conversation = self._objects[sid] = Conversation(self._session, sid)
        return conversation

    def _reach(self, status: ClientSync) -> None:
        if status is self.status:
            return
        self.status = status
        self._watch.changed()
        self._session.emitter._emit(SyncStatusChanged(status))

    async def flush(self) -> None:
        """What is collected (read horizons) is sent."""
        reports = [known._horizon for known in self._announced.values() if known._horizon is not None]
        if reports:
            await asyncio.gather(*(report.flush() for report in reports), return_exceptions=True)

    async def let_go(self) -> None:
        """These are conversations of somebody who is not here any more: all of them are removed."""
        self._to_open.clear()
        openers = tuple(self._openers)
        for opener in openers:
            opener.cancel()
        await asyncio.gather(*openers, return_exceptions=True)
        for conversation in list(self._objects.values()):
            self.gone(conversation)
        self._objects.clear()
        self._memberships.clear()
        self._copy = None
        self._reach(ClientSync.NONE)

    def end(self) -> None:
        self._watch.end()
        for conversation in list(self._objects.values()):
            conversation._end()
        self._announced.clear()
        self._memberships.clear()
        self._to_open.clear()
        self._objects.clear()
        self._copy = None
