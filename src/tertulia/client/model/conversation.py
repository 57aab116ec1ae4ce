"""A conversation: what is known of it, and what one can do in it.

The object is live: events change it, commands only ask for that. Reading its history is in ``reading``, writing
messages in ``sending``, letting others take part in ``inviting``, the counts and the read horizon in ``reading_marks``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from tertulia.client import arguments
from tertulia.client.attributes import Json, attributes_of, attributes_text
from tertulia.client.dispatch import Emitter, Hub
from tertulia.client.errors import InvalidArgumentError, NotFoundError, UpdateTimeoutError
from tertulia.client.events import (
    ConversationJoined,
    ConversationLeft,
    ConversationSyncChanged,
    ConversationUpdated,
)
from tertulia.client.moments import moment
from tertulia.client.states import ConversationField, ConversationStatus, ConversationSync, NotificationLevel
from tertulia.client.sync import ContentFollower, Copy, Kind

from .answers import Added, Stamped
from .history import History
from .inviting import Inviting
from .part import JOIN_FIRST
from .participant import Participant
from .payloads import ConversationData, MembershipData, conversation_data
from .reading_marks import ReadingMarks
from .roster import Roster
from .sending import Sending
from .snapshots import ConversationSnapshot, ConversationState, LastMessage, changed

if TYPE_CHECKING:
    from tertulia.client.session import Session

    from .message import Message

_UNSET = msgspec.UNSET


class Conversation(ContentFollower, ReadingMarks, Sending, Inviting):
    """One conversation; the same object for the same SID as long as the client lives (object-model A.3, D.4).

    Its participants and messages are for who takes part. What is refused to others raises an error that says to join
    it first: ``InvalidArgumentError`` of what is known here, else ``ForbiddenError`` or ``NotFoundError``.

    Of messages, ``before`` and ``after`` are bounds, and never among what comes; ``anchor`` is where one begins, and
    comes first. Who walks through them (``messages``, ``messages_page``) begins at the newest and goes back, unless
    ``newest_first`` is False. A list (``last_messages``, ``messages_before``, ``messages_after``) stands oldest first.
    """

    __slots__ = (
        "_document",
        "_is_announced",
        "_is_gone",
        "_is_joining",
        "_names",
        "_roster",
        "_sync",
    )

    def __init__(self, session: Session, sid: str) -> None:
        super().__init__(session, sid)
        self._sync = ConversationSync.IDENTIFIER
        self._names: ConversationData | None = None
        self._document: Copy | None = None
        self._roster = Roster(self)
        self._history = History(self)
        self._is_announced = False
        self._is_gone = False
        self._is_joining = False

    def __repr__(self) -> str:
        return f"<Conversation {self.sid} {self.status}>"

    # --- what is known

    @property
    def friendly_name(self) -> str | None:
        return self._state.friendly_name

    @property
    def unique_name(self) -> str | None:
        return self._state.unique_name

    @property
    def attributes(self) -> Json:
        return self._state.attributes

    @property
    def created_by(self) -> str | None:
        return self._state.created_by

    @property
    def date_created(self) -> datetime | None:
        return self._state.date_created

    @property
    def date_updated(self) -> datetime | None:
        return self._state.date_updated

    @property
    def state(self) -> ConversationState | None:
        """``active``, ``inactive`` or ``closed``, and since when."""
        return self._state.state

    @property
    def status(self) -> ConversationStatus:
        """Whether the user of this client is in it."""
        return self._state.status

    @property
    def last_message(self) -> LastMessage | None:
        return self._state.last_message

    @property
    def last_read_message_index(self) -> int | None:
        """How far the user of this client has read; None while it is not set."""
        return self._state.last_read_message_index

    @property
    def notification_level(self) -> NotificationLevel:
        return self._state.notification_level

    @property
    def bindings(self) -> Mapping[str, Any]:
        """Addresses of the conversation itself, by type."""
        return self._state.bindings

    @property
    def sync_status(self) -> ConversationSync:
        """How much of it is known; what is not yet known is not wrong, only missing."""
        return self._sync

    @property
    def participants(self) -> Mapping[str, Participant]:
        """Who takes part, by SID: all of them at ``ConversationSync.ALL``, nobody before."""
        return self._roster.view

    @property
    def loaded_messages(self) -> Mapping[int, Message]:
        """The messages known here, by index: those fetched and those that came since."""
        return self._history.view

    def snapshot(self) -> ConversationSnapshot:
        """What is known of it now, as a value."""
        return self._state

    def participant(self, *, sid: str | None = None, identity: str | None = None) -> Participant | None:
        """The participant with this SID, or of this identity, among those known."""
        if sid is None and identity is None:
            raise InvalidArgumentError("name a participant: give sid or identity")
        if sid is not None:
            return self._roster.by_sid.get(sid)
        return self._roster.of_identity(identity)

    async def ready(self, level: ConversationSync = ConversationSync.ALL, timeout: float | None = None) -> Conversation:
        """Returns itself when that much is known, and, of ``ALL``, when everything comes as it happens.

        Without a connection the latter is not waited for: what was missed comes with the next one. Raises
        ``InvalidArgumentError`` of ``ALL`` where the user does not take part, ``NotFoundError`` when it cannot be
        opened or goes meanwhile, ``TimeoutError``.
        """
        self._session.configuration  # noqa: B018 (raises before the start and after the end)
        level, timeout = arguments.choice(ConversationSync, level, "level"), arguments.seconds(timeout, "timeout")
        if level is ConversationSync.ALL and not self._takes_part:
            raise InvalidArgumentError(f"only who takes part knows its participants and messages; {JOIN_FIRST}")
        async with asyncio.timeout(timeout):
            await self._watch.until(lambda: self._sync >= level or self._cannot_be_opened, None)
            if level is ConversationSync.ALL:
                for copy in (self._document, self._history.copy, self._roster.copy):
                    if copy is not None:
                        await self._session.following.live(copy)
        if self._cannot_be_opened:
            why = f"it was deleted, or {JOIN_FIRST}" if self._is_gone else "the server does not give it"
            raise NotFoundError(404, 50350, f"this conversation cannot be opened: {why}")
        return self

    @property
    def _takes_part(self) -> bool:
        """He does, or will as soon as his joining is told; also who did until it went, and is told that."""
        return self.status is ConversationStatus.JOINED or self._is_joining or self._is_gone

    @property
    def _cannot_be_opened(self) -> bool:
        return self._sync is ConversationSync.FAILED or (self._is_gone and not self._is_joining)

    # --- what one can do

    async def join(self, *, wait: bool = True) -> None:
        """Take part; with ``wait`` its participants and messages are there when it returns.

        Who has left comes back. Raises ``ForbiddenError`` or ``NotFoundError`` where the user's role does not let him.
        """
        session = self._session
        command = session.calls.post(self._url("Participants"), {"identity": session.identity}, Added)
        self._is_joining = True
        try:
            await self._watch.visible(
                command,
                lambda _: self.status is ConversationStatus.JOINED,
                session.config.visibility_timeout,
                wait=wait,
            )
            if wait:
                await self.ready()
        except BaseException:
            self._is_joining = False
            raise

    async def _joined(self) -> None:
        """Returns when it is seen here that the user takes part, and everything is known."""
        patience = self._session.config.visibility_timeout
        try:
            await self._watch.until(lambda: self.status is ConversationStatus.JOINED, patience)
        except TimeoutError:
            raise UpdateTimeoutError(f"joined, but it could not be seen here within {patience:g} s") from None
        await self.ready()

    async def leave(self, *, wait: bool = True) -> None:
        """Take part no more; nothing happens when one does not."""
        session = self._session
        if self.status is not ConversationStatus.JOINED:
            return
        command = session.calls.delete(self._url("Participants", session.identity))
        await self._watch.visible(
            command,
            lambda _: self.status is not ConversationStatus.JOINED,
            session.config.visibility_timeout,
            wait=wait,
        )

    async def delete(self, *, wait: bool = True) -> None:
        """Remove it, for everybody; with ``wait`` it is gone here, too, when it returns."""
        session = self._session
        command = self._as_member(session.calls.delete(self._url()))
        await self._watch.visible(
            command,
            lambda _: not session.conversations.knows(self),
            session.config.visibility_timeout,
            wait=wait,
        )

    async def update(
        self,
        *,
        friendly_name: str | msgspec.UnsetType | None = _UNSET,
        unique_name: str | msgspec.UnsetType | None = _UNSET,
        attributes: Json | msgspec.UnsetType = _UNSET,
        wait: bool = True,
    ) -> None:
        """Change it, in one command; None takes a name away.

        With ``wait`` the values are there when it returns; else success means that the server has accepted them.
        Raises ``ConflictError`` for a name that is taken, ``UpdateTimeoutError`` (object-model D.5).
        """
        body: dict[str, object] = {}
        wanted: dict[str, object] = {}
        for name, value in (("friendly_name", friendly_name), ("unique_name", unique_name)):
            if value is not _UNSET:
                arguments.words(value, name)
                # On the wire an empty text takes the name away (client-commands 4.1).
                body[name], wanted[name] = value or "", value or None
        if attributes is not _UNSET:
            body["attributes"] = text = attributes_text(attributes)
            wanted["attributes"] = attributes_of(text)
        if not body:
            raise InvalidArgumentError("nothing to update: give friendly_name, unique_name or attributes")
        command = self._as_member(self._session.calls.post(self._url(), body, Stamped))
        await self._updated(command, wanted, wait)

    async def set_notification_level(self, level: NotificationLevel | str, *, wait: bool = True) -> None:
        """Whether its messages make this user's devices ring: ``default`` or ``muted``."""
        wanted = arguments.choice(NotificationLevel, level, "the notification level")
        url = self._session.my_conversation_url(self.sid)
        command = self._as_member(self._session.calls.post(url, {"notification_level": wanted.value}, Stamped))
        await self._watch.visible(
            command,
            lambda _: self.notification_level is wanted,
            self._session.config.visibility_timeout,
            wait=wait,
        )

    async def _updated(self, command: Any, wanted: dict[str, object], wait: bool) -> None:
        await self._watch.updated(
            command,
            lambda: self._state.date_updated,
            lambda: all(getattr(self._state, name) == value for name, value in wanted.items()),
            self._session.config.visibility_timeout,
            wait=wait and self._document is not None,
        )

    # --- what happens to it

    def document_changed(self, data: msgspec.Raw, at: str) -> None:
        told = conversation_data(data)
        self._names = told
        values: dict[str, Any] = {}
        for field in ("friendly_name", "unique_name", "created_by"):
            value = getattr(told, field)
            if value is not _UNSET:
                # An empty name is no name (client-commands 5.2).
                values[field] = value or None
        for field in ("date_created", "date_updated"):
            value = getattr(told, field)
            if value is not _UNSET:
                values[field] = moment(value)
        if told.attributes is not _UNSET:
            values["attributes"] = attributes_of(told.attributes)
        if told.state is not _UNSET and told.state is not None:
            values["state"] = ConversationState(told.state.current, moment(told.state.date_updated))
        if told.last_message is not _UNSET:
            last = told.last_message
            values["last_message"] = None if last is None else LastMessage(last.index, moment(last.timestamp))
        if told.bindings is not _UNSET:
            values["bindings"] = told.bindings or {}
        self._become(**values)

    def object_removed(self) -> None:
        self._document = None
        self._session.conversations.gone(self)

    def _take_membership(self, data: MembershipData) -> None:
        values: dict[str, Any] = {"last_read_message_index": data.last_consumed_message_index}
        if data.status in tuple(ConversationStatus):
            values["status"] = ConversationStatus(data.status)
        if data.notification_level in tuple(NotificationLevel):
            values["notification_level"] = NotificationLevel(data.notification_level)
        self._become(**values)

    def _become(self, **values: Any) -> None:
        previous, self._state = self._state, msgspec.structs.replace(self._state, **values)
        reasons = changed(previous, self._state, ConversationField)
        if not reasons:
            return
        self._watch.changed()
        if not self._is_announced:
            return
        if ConversationField.STATUS in reasons:
            joined = self.status is ConversationStatus.JOINED
            self._emit(ConversationJoined(self) if joined else ConversationLeft(self))
        self._emit(ConversationUpdated(self, reasons, previous))

    def _reach(self, level: ConversationSync) -> None:
        if level is self._sync:
            return
        self._sync = level
        self._watch.changed()
        self._emit(ConversationSyncChanged(self, level))

    # --- opening and closing

    async def _open_document(self, name: str) -> None:
        if self._document is None:
            self._document = await self._session.following.open(name, Kind.DOCUMENT, self)

    async def _open_roster(self) -> Roster:
        await self.ready()
        return self._roster

    async def _open_streams(self) -> None:
        """Participants and messages, of who takes part."""
        following, names = self._session.following, self._names
        if names is None or self.status is not ConversationStatus.JOINED:
            return
        if self._history.copy is None:
            self._history.copy = await following.open(names.messages, Kind.LIST, self._history)
        if self._roster.copy is None:
            copy = await following.open(names.roster, Kind.MAP, self._roster)
            self._roster.copy = copy
            await following.read_all(copy)
            for sid in set(self._roster.by_sid) - copy.numbers.keys():
                self._roster.item_removed(sid)

    def _close_streams(self) -> None:
        self._history.close()
        self._roster.close()
        if self._sync is ConversationSync.ALL:
            self._reach(ConversationSync.METADATA)

    def _close(self) -> None:
        """Nothing is heard of it any more; what is known can still be looked at."""
        self._close_streams()
        if self._document is not None:
            self._session.following.close(self._document)
            self._document = None

    def _end(self) -> None:
        self._watch.end()
        self._roster.close()
        self._history.end()
        self._let_go()

    def _parent(self) -> Emitter:
        return self._session.emitter

    def _hub(self) -> Hub:
        return self._session
