"""Sending one waiting message, once: how exactly once is had.

A message goes out under a mutation id, and what is about to happen is written down before it does. If the answer is
lost (the connection went, the process died) the message is sent again under the same id: the server knows it by that,
and answers what it answered before. It remembers for some minutes only, counted here from the first time the message
went out. Later than that, and when it is not certain how long that is ago (after a restart, or when the clock was
set), we look first whether the message is there: one of ours, with the same content, behind everything that was there
before. Only if it is not does it go out again, still under its id: should it get there meanwhile, the server knows it.

The device's clock decides nothing. What was there before is told by the index; which time a message is of is asked only
where the server's clock was heard in this run.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import msgspec

from tertulia.wire.requests import Reply

from .calls import JSON, MUTATION_ID, error_of
from .clocks import Clocks, Moment, ServerTime
from .connection import ClientRequest
from .decoding import decoder
from .errors import (
    ApiError,
    ClientShutDownError,
    CommandTimeoutError,
    ConnectionLostError,
    ConversationsError,
    MediaUploadError,
    NotConnectedError,
    OutboxError,
    StoreError,
    ThrottledError,
    TokenError,
    TransportError,
)
from .files import FileToSend, Progress
from .pending import PendingMessage, PendingState, Record
from .recognition import is_after, is_same, seconds_of
from .store import OutboxStore

if TYPE_CHECKING:
    from .model.conversation import Conversation
    from .model.message import Message

T = TypeVar("T")
log = logging.getLogger(__name__)

MAX_ATTEMPTS: Final = 50
"""After so many without an answer, or with 5xx, a message counts as refused: it may be what breaks things."""
MAX_UPLOADS: Final = 3
"""How often the files of one attempt are uploaded, should the server have dropped them meanwhile."""
LOOKED_THROUGH: Final = 10_000
"""Messages among which one is looked for."""
LONGEST_THROTTLE_S: Final = 300.0
LONGEST_WRITE_S: Final = 5.0
"""Between looking at the clock and sending."""
ON_THE_WAY_S: Final = 5.0
"""A request may get there so much later than we wait for its answer."""
_PASSING: Final = frozenset({401, 408, 425})
"""Refusals that are not about the message."""
_FLOOR: Final = "outbox.newest."
_FILE_UNKNOWN: Final = 50507
_FILE_USED: Final = 50508


class Arrived(msgspec.Struct, frozen=True):
    """It is in the conversation, at this index."""

    index: int
    sid: str | None = None


class Refused(msgspec.Struct, frozen=True):
    """It will not be there."""

    error: ConversationsError


class Later(msgspec.Struct, frozen=True):
    """Not now: after a rest, of the usual length unless one is given."""

    rest_s: float | None = None


class Offline(msgspec.Struct, frozen=True):
    """Not before there is a connection again."""


Outcome = Arrived | Refused | Later | Offline


class Requests(Protocol):
    """What the outbox needs of ``calls.Calls``."""

    replays_mutations_s: float

    async def send(self, request: ClientRequest) -> Reply:
        """The answer, whatever it says. Repeats nothing."""
        ...

    async def get(self, url: str, kind: type[T]) -> T: ...


class Places(Protocol):
    """What the outbox needs to know of conversations."""

    @property
    def identity(self) -> str:
        """Whose messages these are."""
        ...

    def conversation(self, sid: str) -> Conversation | None:
        """The conversation, if the client knows it."""
        ...

    def messages_url(self, sid: str) -> str:
        """Where messages are posted to."""
        ...

    def newest_index(self, sid: str) -> int | None:
        """An index that was taken already: -1 when there was no message; None when nothing is known."""
        ...

    def messages(self, sid: str, after: int | None) -> AsyncGenerator[Message, None]:
        """What is behind this index, oldest first; all, newest first, when that is None. Raises what a read raises."""
        ...

    async def message(self, sid: str, index: int) -> Message | None:
        """The message that was told to be there, as soon as it can be seen; None when that takes too long."""
        ...


class Uploads(Protocol):
    """What the outbox needs of the media service."""

    async def upload_all(self, parts: Sequence[tuple[FileToSend, str]]) -> Sequence[str]:
        """The SIDs of the uploaded files, in order."""
        ...


class Answer(msgspec.Struct, frozen=True):
    index: int
    sid: str | None = None
    date_created: str | None = None


class Accepted(msgspec.Struct, frozen=True):
    resource_url: str


class Attempts:
    """Makes one attempt at a time for a message; its record says what was tried before."""

    def __init__(
        self,
        calls: Requests,
        places: Places,
        uploads: Uploads,
        store: OutboxStore | None,
        *,
        command_timeout: float,
        clocks: Clocks,
        settle_s: float,
    ) -> None:
        self._calls = calls
        self._places = places
        self._uploads = uploads
        self._store = store
        self._command_timeout = command_timeout
        self._clocks = clocks
        self._server_time = ServerTime(clocks)
        self._settle_s = settle_s
        self._newest: dict[str, int] = {}
        """The newest messages that came from here, by conversation."""

    async def make(self, message: PendingMessage) -> Outcome:
        """Send it, or find that it was sent. Raises ``StoreError`` when what is tried cannot be written down."""
        record = message._record
        try:
            if record.is_open and not self._is_remembered(message):
                unsettled_s = self._unsettled_s(message)
                if unsettled_s > 0:
                    return Later(unsettled_s)
                found = await self._look(record)
                if found is not None:
                    return found
                message._first = None
            record.attempts += 1
            for _ in range(MAX_UPLOADS):
                await self._upload(message)
                outcome = await self._post(message)
                if outcome is not None:
                    return outcome
                record.media_sids = None
        except NotConnectedError:
            record.attempts = max(0, record.attempts - 1)
            return Offline()
        except TransportError:
            return self._unanswered(record)
        except (MediaUploadError, ApiError) as error:
            return self._answered(record, error)
        except ClientShutDownError:
            return Offline()
        except TokenError:
            return self._unanswered(record)
        except StoreError as error:
            if record.attempts >= MAX_ATTEMPTS:
                return Refused(error)
            raise
        except ConversationsError as error:
            return Refused(error)
        except OSError as error:
            return Refused(OutboxError(f"a file of the message cannot be read: {error.strerror}"))
        return Refused(OutboxError("the server does not keep the files long enough to send them"))

    # --- sending

    async def _post(self, message: PendingMessage) -> Outcome | None:
        """Send it; None when its files must be uploaded again."""
        record = message._record
        was_open, first = record.is_open, message._first
        # What is above it may be this message, once it is open.
        floor = None if was_open else await self._floor(record.conversation_sid)
        asked, server_now = self._clocks.now(), self._server_time.now()
        if not was_open:
            record.floor, record.since, record.others = floor, server_now, ()
        # The connection may be given up after its time-out, and the request still get there.
        record.until = None if server_now is None else server_now + 2 * self._command_timeout
        record.state = PendingState.SENDING
        message._first = first or asked
        if self._store is not None:
            await self._store.change(message._row())
            passed = self._clocks.exactly(asked)
            if passed is None or passed >= LONGEST_WRITE_S:
                # The device slept meanwhile, and what was written down is not true any more.
                message._first = first
                return Later(0)
        try:
            reply = await self._calls.send(self._request(record))
        except (ConnectionLostError, CommandTimeoutError):
            self._leave_open(message)
            return self._unanswered(record)
        except NotConnectedError:
            record.state = PendingState.SENDING if was_open else PendingState.PENDING
            raise
        except BaseException:
            # Whatever it was, it may have gone out.
            self._leave_open(message)
            raise
        if 200 <= reply.status < 300:
            return await self._accepted(record, reply, None if was_open else asked)
        error = error_of(reply)
        if error.status >= 500:
            self._leave_open(message)
            return self._answered(record, error)
        if error.code == _FILE_UNKNOWN and record.media_sids:
            record.is_open = False
            return None
        if error.code == _FILE_USED and record.media_sids:
            if not was_open:
                return None
            # By whom, if not by this very message?
            return await self._look(record) or Refused(error)
        # The server has not done it now, and did not know it under this id either.
        record.is_open = was_open and error.status in _PASSING | {429}
        record.state = PendingState.SENDING if record.is_open else PendingState.PENDING
        return self._answered(record, error)

    def _request(self, record: Record) -> ClientRequest:
        return ClientRequest(
            method="POST",
            url=self._places.messages_url(record.conversation_sid),
            headers={MUTATION_ID: record.mutation_id},
            body=msgspec.json.encode(record.draft().body_of(record.media_sids or ())),
            content_type=JSON,
        )

    def _leave_open(self, message: PendingMessage) -> None:
        """It may have arrived, or may do so yet."""
        message._record.is_open, message._last = True, self._clocks.now()

    async def _accepted(self, record: Record, reply: Reply, asked: Moment | None) -> Outcome:
        record.is_open = True  # until we know where it is
        try:
            if reply.status == 202:
                answer = await self._calls.get(_accepted(reply.body).resource_url, Answer)
            else:
                answer = _answer(reply.body)
        except msgspec.DecodeError:
            return await self._look(record) or Refused(
                OutboxError("the server took the message, and did not say where")
            )
        if asked is not None and answer.date_created is not None:
            with contextlib.suppress(ValueError):
                created = seconds_of(datetime.fromisoformat(answer.date_created))
                if created is not None:
                    self._server_time.heard(created, asked)
        return Arrived(answer.index, answer.sid)

    async def _upload(self, message: PendingMessage) -> None:
        record = message._record
        if record.media_sids is not None or not (record.files or record.email_bodies or record.email_histories):
            return
        parts = [(file, "media") for file in await self._files(message)]
        for texts, category in ((record.email_bodies, "body"), (record.email_histories, "history")):
            parts += [(FileToSend(text.encode(), content_type=kind), category) for kind, text in texts.items()]
        record.media_sids = tuple(await self._uploads.upload_all(parts))

    async def _files(self, message: PendingMessage) -> list[FileToSend]:
        """The files, from wherever they are kept."""
        files: list[FileToSend] = []
        number = 0
        told = message._progress or [None] * len(message._record.files)
        for file, progress in zip(message._record.files, told, strict=True):
            content: bytes | Path
            if file.path_bytes is not None:
                content = Path(os.fsdecode(file.path_bytes))
            elif file.path is not None:
                content = Path(file.path)
            else:
                if message._files is not None or self._store is None:
                    content = (message._files or ())[number]
                else:
                    content = await self._store.file(message.id, number)
                number += 1
            files.append(FileToSend(content, file.content_type, file.filename, _harmless(progress)))
        return files

    # --- what was there before

    def taken(self, conversation_sid: str, index: int) -> tuple[str, bytes]:
        """A message of ours has this index, so that no later one has; as a fact, for the store."""
        self._newest[conversation_sid] = max(index, self._newest.get(conversation_sid, -1))
        return _FLOOR + conversation_sid, str(self._newest[conversation_sid]).encode()

    async def _floor(self, conversation_sid: str) -> int:
        """An index above which a message will be that goes out now; where nothing is known of that, it is asked for."""
        if conversation_sid not in self._newest and self._store is not None:
            told = self._store.recall(_FLOOR + conversation_sid)
            if told is not None and told.isdigit():
                self._newest[conversation_sid] = int(told)
        known = (self._places.newest_index(conversation_sid), self._newest.get(conversation_sid))
        floor = max((index for index in known if index is not None), default=None)
        if floor is not None:
            return floor
        try:
            async with (
                asyncio.timeout(self._command_timeout),
                contextlib.aclosing(self._places.messages(conversation_sid, None)) as messages,
            ):
                async for message in messages:
                    return message.index
        except TimeoutError as error:
            raise CommandTimeoutError("it is not known in time what was there before") from error
        return -1

    # --- after an attempt

    def _is_remembered(self, message: PendingMessage) -> bool:
        """Whether the server still knows the message by its mutation id, should it have it: certainly."""
        passed = None if message._first is None else self._clocks.exactly(message._first)
        # A request may take its whole time to get there.
        known_s = self._calls.replays_mutations_s - self._command_timeout - ON_THE_WAY_S
        return passed is not None and passed < known_s

    def _unsettled_s(self, message: PendingMessage) -> float:
        """How long to wait with looking: what the server is still at would be seen too late.

        Not at all where it would be known by its mutation id.
        """
        if self._calls.replays_mutations_s > self._command_timeout + ON_THE_WAY_S:
            return 0
        if message._last is None:
            # It was sent before this process began.
            message._last = self._clocks.now()
        return max(0, self._settle_s - self._clocks.at_least(message._last))

    def _unanswered(self, record: Record, error: ConversationsError | None = None) -> Outcome:
        if record.attempts >= MAX_ATTEMPTS:
            return Refused(error or OutboxError(f"there was no answer, {record.attempts} times"))
        return Later()

    def _answered(self, record: Record, error: MediaUploadError | ApiError) -> Outcome:
        """What follows from an error of the server's."""
        status = error.status
        if isinstance(error, ThrottledError) or status == 429:
            record.attempts = max(0, record.attempts - 1)
            wait = getattr(error, "retry_after", None)
            return Later(None if wait is None else min(max(wait, 0.05), LONGEST_THROTTLE_S))
        if status is None or status >= 500 or status in _PASSING:
            return self._unanswered(record, error)
        return Refused(error)

    # --- looking

    async def _look(self, record: Record) -> Arrived | None:
        """The message, if it is in the conversation. If it is not, none that was looked at is ever it."""
        floor = -1 if record.floor is None else record.floor
        looked_at = 0
        async with contextlib.aclosing(self._places.messages(record.conversation_sid, floor)) as messages:
            async for message in messages:
                looked_at += 1
                if looked_at > LOOKED_THROUGH:
                    raise OutboxError(f"it is not among {LOOKED_THROUGH} messages, and may have arrived all the same")
                if is_same(message, record, self._places.identity):
                    return Arrived(message.index, message.sid)
                if is_after(message, record):
                    break
                floor = max(floor, message.index)
        record.floor = floor
        return None


def _harmless(progress: Progress | None) -> Progress | None:
    """What the application does with what it is told is no reason not to send a message."""
    if progress is None:
        return None

    def tell(sent: int, size: int | None) -> None:
        try:
            progress(sent, size)
        except Exception as error:  # the application's own
            log.error("outbox.progress_failed", exc_info=error)

    return tell


_answer = decoder(Answer, strict=False)
_accepted = decoder(Accepted)
