"""A message on its way: what the application sees of it, and what of it survives the end of the process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from .draft import MessageDraft
from .errors import ConversationsError, OutboxError, UpdateTimeoutError, api_error
from .store import OutboxRow

if TYPE_CHECKING:
    from .clocks import Moment
    from .files import Progress
    from .model.conversation import Conversation
    from .model.message import Message


class PendingState(StrEnum):
    """Where a message of the outbox is."""

    PENDING = "pending"
    """It waits: for its turn, or for a connection."""
    SENDING = "sending"
    """It has gone out, and it is not known yet whether it has arrived."""
    SENT = "sent"
    FAILED = "failed"
    """The server refused it; it stays until it is sent again or dropped."""


class PendingFile(msgspec.Struct, frozen=True):
    """A file of a message that waits. Printed without its name."""

    content_type: str
    filename: str | None = None
    size: int = 0
    """In bytes, when the message was written."""
    path: str | None = None
    """Where it is read from when it is sent; None of bytes, which the outbox itself keeps."""
    path_bytes: bytes | None = None
    """The same as the disk has it, where that is no text."""

    def __repr__(self) -> str:
        return f"<PendingFile {self.content_type}>"


class Refusal(msgspec.Struct, frozen=True):
    """Why a message failed, as it is kept: the server's answer if it was one."""

    message: str
    status: int | None = None
    code: int | None = None

    def error(self) -> ConversationsError:
        if self.status is None:
            return OutboxError(self.message)
        return api_error(self.status, {"code": self.code, "message": self.message}, self.message)


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Everything about a waiting message that a restart must know."""

    conversation_sid: str
    created_at: float
    """By this device's clock: to be shown, not to be relied on."""
    mutation_id: str
    body: str | None = None
    attributes: Any = None
    subject: str | None = None
    email_bodies: dict[str, str] = {}
    email_histories: dict[str, str] = {}
    content_sid: str | None = None
    content_variables: dict[str, str] | None = None
    files: tuple[PendingFile, ...] = ()
    state: PendingState = PendingState.PENDING
    media_sids: tuple[str, ...] | None = None
    """Its uploaded files; None before they are."""
    is_open: bool = False
    """Whether an attempt may have succeeded without our knowing."""
    since: float | None = None
    """When it went out for the first time, in unix seconds of the server's clock; None when that was not known."""
    until: float | None = None
    """Since when no attempt can be under way any more; likewise."""
    floor: int | None = None
    """No message up to this index is this one."""
    others: tuple[int, ...] = ()
    """Nor are these, which came from here as well."""
    attempts: int = 0
    """Since the last time that it was known not to have arrived, or was told to go again."""
    refusal: Refusal | None = None

    def __repr__(self) -> str:
        return f"<Record {self.state}>"

    def draft(self) -> MessageDraft:
        """The command's side of it; the files are told by their SIDs."""
        return MessageDraft(
            body=self.body,
            attributes=self.attributes,
            subject=self.subject,
            email_bodies=self.email_bodies,
            email_histories=self.email_histories,
            content_sid=self.content_sid,
            content_variables=self.content_variables,
        )


class Owner(Protocol):
    """What a pending message asks of its outbox."""

    def conversation(self, sid: str) -> Conversation | None: ...
    async def retry(self, message: PendingMessage) -> None: ...
    async def discard(self, message: PendingMessage) -> None: ...


class PendingMessage:
    """A message that was written here and waits to be sent: show it with the others."""

    __slots__ = (
        "_error",
        "_files",
        "_first",
        "_is_kept",
        "_is_over",
        "_last",
        "_message",
        "_owner",
        "_progress",
        "_record",
        "_waiter",
        "id",
        "index",
        "place",
        "sid",
    )

    def __init__(self, owner: Owner, id: str, place: int, record: Record, files: Sequence[bytes] | None = None) -> None:
        self.id = id
        """Local; it stays the same until the message has arrived."""
        self.place = place
        self.sid: str | None = None
        """The SID of the real message, once that has arrived."""
        self.index: int | None = None
        self._owner = owner
        self._record = record
        self._files = files
        self._progress: Sequence[Progress | None] = ()
        """Who is told how far each file is; nobody of a message that has come through a restart."""
        self._first: Moment | None = None
        """When it went out for the first time under its mutation id; None when that was not in this process."""
        self._last: Moment | None = None
        """When an attempt ended last, and was not answered."""
        self._is_kept = False
        self._is_over = record.refusal is not None
        self._message: Message | None = None
        self._error: BaseException | None = record.refusal.error() if record.refusal is not None else None
        self._waiter: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<PendingMessage {self.id} {self.state}>"

    @property
    def conversation_sid(self) -> str:
        return self._record.conversation_sid

    @property
    def conversation(self) -> Conversation | None:
        """Where it is written; None while the client does not know that conversation (again)."""
        return self._owner.conversation(self._record.conversation_sid)

    @property
    def body(self) -> str | None:
        return self._record.body

    @property
    def attributes(self) -> Any:
        return {} if self._record.attributes is None else self._record.attributes

    @property
    def subject(self) -> str | None:
        return self._record.subject

    @property
    def content_sid(self) -> str | None:
        return self._record.content_sid

    @property
    def content_variables(self) -> Mapping[str, str] | None:
        return self._record.content_variables

    @property
    def media(self) -> Sequence[PendingFile]:
        return self._record.files

    @property
    def created_at(self) -> datetime:
        """When it was written, by this device's clock."""
        return datetime.fromtimestamp(self._record.created_at, UTC)

    @property
    def state(self) -> PendingState:
        return self._record.state

    @property
    def error(self) -> BaseException | None:
        """Why it failed; None unless it has."""
        return self._error

    async def sent(self) -> Message:
        """The real message, when it has arrived and can be seen here.

        Raises why it failed; ``OutboxError`` when it is dropped; ``UpdateTimeoutError`` when it has arrived and is not
        to be seen here; ``ClientShutDownError``. Who stops waiting does not stop the message.
        """
        if not self._is_over:
            if self._waiter is None:
                self._waiter = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._waiter)
        if self._error is not None:
            raise self._error
        if self._message is None:
            raise UpdateTimeoutError("the message has arrived, and it cannot be seen here (any more)")
        return self._message

    async def retry(self) -> None:
        """Send a failed one again, behind what waits by now. Raises ``OutboxError`` when it has not failed."""
        await self._owner.retry(self)

    async def discard(self) -> None:
        """Drop it. Raises ``OutboxError`` when it has gone out already, and may have arrived."""
        await self._owner.discard(self)

    # --- for the outbox

    def _row(self) -> OutboxRow:
        return OutboxRow(self.id, self.place, encode(self._record))

    def _settle(self, error: BaseException | None = None) -> None:
        """Who waits is told how it ended."""
        self._error, self._is_over = error, True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self._waiter = None


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Record).decode
