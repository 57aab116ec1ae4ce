"""Messages that may be written at any time, and arrive exactly once, in order.

What is put in is shown at once, kept in the store if there is one, and sent when there is a connection: strictly one
after the other within a conversation, conversations side by side. How exactly once is had is the matter of
``attempts``; here is the order, the waiting, and what is told.

A message that the server refuses fails, and those behind it go on without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import time
import uuid
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from .attempts import Arrived, Attempts, Later, Offline, Places, Refused, Requests, Uploads
from .clocks import Clocks, steady
from .errors import (
    ClientShutDownError,
    ConversationsError,
    InvalidArgumentError,
    OutboxError,
    OutboxFullError,
    StoreError,
)
from .events import Event, MessageFailed, MessagePending, MessageSent
from .files import FileToSend
from .pending import PendingFile, PendingMessage, PendingState, Record, Refusal, decode, encode
from .store import OutboxStore

if TYPE_CHECKING:
    from .draft import MessageDraft
    from .model.conversation import Conversation
    from .model.message import Message

__all__ = ["Outbox", "PendingFile", "PendingMessage", "PendingState"]

log = logging.getLogger(__name__)

AT_ONCE: Final = 8
"""Conversations that are sent to at a time."""
MAX_WAITING: Final = 1000
MAX_BYTES: Final = 200 * 1024 * 1024
"""Of texts and files together."""
LONGEST_REST_S: Final = 60.0
LONGEST_KEEP_S: Final = 35.0
"""For a store, at the end; it has a time-out of its own."""


class Outbox:
    """The messages of one client that wait."""

    def __init__(
        self,
        calls: Requests,
        places: Places,
        uploads: Uploads,
        store: OutboxStore | None,
        emit: Callable[[str, Event], None],
        *,
        command_timeout: float = 30,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = steady,
        settle_s: float = 10,
        rest_s: float = 1,
    ) -> None:
        self._places = places
        clocks = Clocks(clock, steady)
        self._attempts = Attempts(
            calls, places, uploads, store, command_timeout=command_timeout, clocks=clocks, settle_s=settle_s
        )
        self._store = store
        self._emit = emit
        self._clock = clock
        self._rest_s = rest_s
        self._command_timeout = command_timeout
        self._all: dict[str, PendingMessage] = {}
        self._lanes: dict[str, deque[PendingMessage]] = {}
        self._busy: set[str] = set()
        self._resting: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._keeping: set[asyncio.Task[Any]] = set()
        self._turn = asyncio.Lock()
        self._bytes = 0
        self._place = 0
        self._is_connected = False
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._all)

    def __repr__(self) -> str:
        return f"<Outbox of {len(self._all)}>"

    # --- for the application

    async def put(self, conversation_sid: str, draft: MessageDraft) -> PendingMessage:
        """Takes a message. When this returns it is in the store, if there is one, and ``MessagePending`` was told.

        Who is cancelled meanwhile has written it all the same. Raises ``InvalidArgumentError`` for what is no message,
        ``OutboxFullError`` when too much waits, ``StoreError`` when it cannot be kept, ``ClientShutDownError``.
        """
        if self._is_closed:
            raise ClientShutDownError
        putting = asyncio.get_running_loop().create_task(self._put(conversation_sid, draft))
        self._keeping.add(putting)
        putting.add_done_callback(self._keeping.discard)
        # Whoever asked may be gone when it turns out why it cannot be kept.
        putting.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(putting)

    async def _put(self, conversation_sid: str, draft: MessageDraft) -> PendingMessage:
        # Files are looked at first, which takes its time; the order is that of the calls all the same.
        async with self._turn:
            if self._is_closed:
                raise ClientShutDownError
            if len(self._all) >= MAX_WAITING:
                raise OutboxFullError(f"{MAX_WAITING} messages are waiting already")
            given = draft.files
            files, contents = await _files_of(given)
            id = str(uuid.uuid4())
            record = _written(
                conversation_sid=conversation_sid,
                created_at=self._clock(),
                mutation_id=id,
                body=draft.body,
                attributes=draft.attributes,
                subject=draft.subject,
                email_bodies=dict(draft.email_bodies),
                email_histories=dict(draft.email_histories),
                content_sid=draft.content_sid,
                content_variables=None if draft.content_variables is None else dict(draft.content_variables),
                files=files,
            )
            size = _size(record)
            if self._bytes + size > MAX_BYTES:
                raise OutboxFullError(f"more than {MAX_BYTES} bytes would be waiting")
            self._place += 1
            message = PendingMessage(self, id, self._place, record, contents)
            message._progress = tuple(file.progress for file in given)
            # In the lane before it is on the disk: what comes behind it stays behind it.
            self._take(message, size)
        await self._keep(message, contents)
        return message

    def pending(self, conversation_sid: str | None = None) -> Sequence[PendingMessage]:
        """What waits, and what has failed: of this conversation, or all. In the order in which it was written."""
        return tuple(
            message
            for message in sorted(self._all.values(), key=lambda message: message.place)
            if message._is_kept and conversation_sid in (None, message.conversation_sid)
        )

    def conversation(self, sid: str) -> Conversation | None:
        return self._places.conversation(sid)

    async def retry(self, message: PendingMessage) -> None:
        self._require(message, PendingState.FAILED, "only a message that has failed can be sent again")
        record, before = message._record, msgspec.structs.replace(message._record)
        record.state = PendingState.SENDING if record.is_open else PendingState.PENDING
        record.attempts, record.refusal = 0, None
        if not record.is_open:
            record.mutation_id, message._first = str(uuid.uuid4()), None
        self._place += 1
        place, message.place = message.place, self._place
        error, message._error, message._is_over = message._error, None, False
        try:
            await self._change(message)
        except StoreError:
            message._record, message.place = before, place
            message._settle(error)
            raise
        self._lanes.setdefault(message.conversation_sid, deque()).append(message)
        self._pump()

    async def discard(self, message: PendingMessage) -> None:
        self._require(message, None, "a message that has gone out may have arrived: it cannot be dropped")
        lane = self._lanes.get(message.conversation_sid)
        index = lane.index(message) if lane is not None and message in lane else None
        # Out of the lane first, so that it does not go out meanwhile.
        self._leave_lane(message)
        try:
            if self._store is not None:
                await self._store.remove(message.id)
        except StoreError:
            if index is not None:
                self._lanes.setdefault(message.conversation_sid, deque()).insert(index, message)
            raise
        self._let_go(message)
        if index == 0 and (timer := self._resting.pop(message.conversation_sid, None)) is not None:
            # It was for its sake that the lane rested.
            timer.cancel()
        message._record.state = PendingState.FAILED
        message._settle(OutboxError("the message was dropped"))
        self._pump()

    # --- for the client

    def restore(self) -> None:
        """Takes up what the store has kept; before the first ``connected``. Raises ``StoreError``."""
        for row in self._store.rows() if self._store is not None else ():
            try:
                record = decode(row.content)
            except (msgspec.MsgspecError, ValueError, RecursionError) as error:
                why = type(error).__name__
                log.warning("outbox.not_readable: %s", why, extra={"id": row.id, "why": why})
                continue
            # Whoever wrote this died before he knew.
            record.is_open = record.is_open or record.state is PendingState.SENDING
            message = PendingMessage(self, row.id, row.place, record)
            message._is_kept = True
            self._place = max(self._place, row.place)
            self._take(message, _size(record))

    def connected(self) -> None:
        """Messages can go out."""
        self._is_connected = True
        self._pump()

    def lost(self) -> None:
        """They cannot."""
        self._is_connected = False

    async def close(self) -> None:
        """Nothing is sent any more; what waits stays in the store. Who waits gets ``ClientShutDownError``.

        What is just being taken is taken: nobody is left in doubt about it.
        """
        self._is_closed = True
        self._is_connected = False
        for timer in self._resting.values():
            timer.cancel()
        self._resting.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if self._keeping:
            _, tasks_left = await asyncio.wait(self._keeping, timeout=LONGEST_KEEP_S)
            for task in tasks_left:
                task.cancel()
            tasks += tasks_left
        await asyncio.gather(*tasks, return_exceptions=True)
        for message in self._all.values():
            if not message._is_over:
                message._settle(ClientShutDownError())
        self._all.clear()
        self._lanes.clear()

    # --- lanes

    def _take(self, message: PendingMessage, size: int) -> None:
        self._all[message.id] = message
        self._bytes += size
        if message.state is not PendingState.FAILED:
            self._lanes.setdefault(message.conversation_sid, deque()).append(message)

    def _let_go(self, message: PendingMessage) -> None:
        if self._all.pop(message.id, None) is not None:
            self._bytes -= _size(message._record)
        self._leave_lane(message)

    def _leave_lane(self, message: PendingMessage) -> None:
        lane = self._lanes.get(message.conversation_sid)
        if lane is not None:
            if message in lane:
                lane.remove(message)
            if not lane:
                del self._lanes[message.conversation_sid]

    async def _keep(self, message: PendingMessage, contents: Sequence[bytes]) -> None:
        if self._store is not None:
            try:
                await self._store.add(message._row(), contents)
            except BaseException:
                # Whatever the store raised: it must not stand in the way of those behind it.
                self._let_go(message)
                self._pump()
                raise
            message._files = None
        message._is_kept = True
        self._emit(message.conversation_sid, MessagePending(message))
        self._pump()

    def _pump(self) -> None:
        """Send wherever something waits, its turn has come, and there is room."""
        if not self._is_connected or self._is_closed:
            return
        for sid, lane in self._lanes.items():
            if len(self._busy) >= AT_ONCE:
                return
            if sid not in self._busy and sid not in self._resting and lane[0]._is_kept:
                self._busy.add(sid)
                self._run(self._work(sid, lane[0]))

    async def _work(self, sid: str, message: PendingMessage) -> None:
        rest: float | None = None
        try:
            rest = await self._send(message)
        except Exception as error:  # the task's edge: the lane must not end with it
            log.error("outbox.work_failed", exc_info=error, extra={"id": message.id})
            rest = LONGEST_REST_S
        finally:
            self._busy.discard(sid)
        if sid in self._lanes:
            # The others first: a long lane must not keep them waiting.
            self._lanes[sid] = self._lanes.pop(sid)
            if rest is not None and not self._is_closed:
                self._resting[sid] = asyncio.get_running_loop().call_later(rest, self._rested, sid)
        self._pump()

    def _rested(self, sid: str) -> None:
        self._resting.pop(sid, None)
        self._pump()

    async def _send(self, message: PendingMessage) -> float | None:
        """One attempt, and what follows from it; how long to rest before the next."""
        try:
            outcome = await self._attempts.make(message)
        except StoreError as error:
            # What cannot be written down before it goes out could go out twice.
            log.warning("outbox.not_kept: %s", error, extra={"id": message.id, "why": str(error)})
            return LONGEST_REST_S
        except Exception as error:  # a message that breaks things must not keep those behind it waiting
            log.error("outbox.attempt_failed", exc_info=error, extra={"id": message.id})
            outcome = Refused(OutboxError(f"the message cannot be sent ({type(error).__name__})"))
        match outcome:
            case Arrived():
                await self._arrived(message, outcome)
            case Refused():
                await self._refused(message, outcome)
            case Later():
                if outcome.rest_s is not None:
                    return outcome.rest_s
                rest: float = min(self._rest_s * 2.0 ** max(0, message._record.attempts - 1), LONGEST_REST_S)
                return rest * random.uniform(0.8, 1.2)  # noqa: S311 (no secret)
            case Offline():
                # Nothing to rest for: it goes on as soon as there is a connection, or at once if there is again.
                return None if not self._is_connected else 0.05
        return None

    async def _arrived(self, message: PendingMessage, arrived: Arrived) -> None:
        message.sid, message.index = arrived.sid, arrived.index
        self._let_go(message)
        taken = self._attempts.taken(message.conversation_sid, arrived.index)
        if self._store is not None:
            try:
                await self._store.remove(message.id, taken)
            except StoreError as error:
                # Found again at the next start, it is recognised as sent.
                log.warning("outbox.not_removed: %s", error, extra={"id": message.id, "why": str(error)})
        await self._tell_open(message.conversation_sid, arrived.index)
        message._record.state = PendingState.SENT
        found = await self._visible(message.conversation_sid, arrived.index)
        message._message = found
        message._settle()
        self._emit(message.conversation_sid, MessageSent(message, found))

    async def _tell_open(self, conversation_sid: str, index: int) -> None:
        """Those that have failed and may be there all the same are not to be taken for this one, should it look so."""
        for other in tuple(self._all.values()):
            record = other._record
            if record.conversation_sid == conversation_sid and record.is_open and other.state is PendingState.FAILED:
                record.others = (*record.others, index)
                with contextlib.suppress(StoreError):
                    await self._change(other)

    async def _visible(self, conversation_sid: str, index: int) -> Message | None:
        """The real message; the lane waits for it, so that what is told comes in order."""
        with contextlib.suppress(TimeoutError, ConversationsError):
            async with asyncio.timeout(self._command_timeout):
                return await self._places.message(conversation_sid, index)
        return None

    async def _refused(self, message: PendingMessage, refused: Refused) -> None:
        record = message._record
        record.state = PendingState.FAILED
        record.refusal = Refusal(
            getattr(refused.error, "message", None) or str(refused.error),
            getattr(refused.error, "status", None),
            getattr(refused.error, "code", None),
        )
        self._leave_lane(message)
        try:
            await self._change(message)
        except StoreError as error:
            log.warning("outbox.not_kept: %s", error, extra={"id": message.id, "why": str(error)})
        message._settle(refused.error)
        self._emit(message.conversation_sid, MessageFailed(message, refused.error))

    # --- the small things

    async def _change(self, message: PendingMessage) -> None:
        if self._store is not None:
            await self._store.change(message._row())

    def _require(self, message: PendingMessage, state: PendingState | None, otherwise: str) -> None:
        if self._is_closed:
            raise ClientShutDownError
        if self._all.get(message.id) is not message:
            raise OutboxError("the message is not in the outbox any more")
        is_under_way = message.conversation_sid in self._busy and self._is_first(message)
        if is_under_way or message.state is PendingState.SENDING or (state is not None and message.state is not state):
            raise OutboxError(otherwise)

    def _is_first(self, message: PendingMessage) -> bool:
        lane = self._lanes.get(message.conversation_sid)
        return bool(lane) and lane is not None and lane[0] is message

    def _run(self, work: Coroutine[Any, Any, None], among: set[asyncio.Task[Any]] | None = None) -> asyncio.Task[None]:
        tasks = self._tasks if among is None else among
        task = asyncio.get_running_loop().create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return task


async def _files_of(given: Sequence[FileToSend]) -> tuple[tuple[PendingFile, ...], list[bytes]]:
    """What a draft's files are, and the bytes of those that are bytes, in the same order."""
    if not all(file.can_wait for file in given):
        raise InvalidArgumentError("what waits in the outbox is bytes or a Path, not an open file or a stream")
    files = [
        PendingFile(
            content_type=file.type,
            filename=file.name,
            size=await file.size() or 0,
            **_path_of(file.content.absolute() if isinstance(file.content, Path) else None),
        )
        for file in given
    ]
    return tuple(files), [file.content for file in given if isinstance(file.content, bytes)]


def _path_of(path: Path | None) -> dict[str, Any]:
    """Where a file is, in words; and as the disk has it, where words do not say that."""
    if path is None:
        return {}
    name = os.fsencode(path)
    told = name.decode("utf-8", "replace")
    return {"path": told} if told == str(path) else {"path": told, "path_bytes": name}


def _written(**what: Any) -> Record:
    """A record as JSON has it, which neither the application nor the store can change any more.

    Raises ``InvalidArgumentError`` for what cannot be kept or sent: such a message would stand in the way of others.
    """
    given = Record(**what)
    try:
        record = decode(encode(given))
        msgspec.json.encode(record.draft().body_of(()))
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as error:
        why = error.reason if isinstance(error, UnicodeEncodeError) else error
        raise InvalidArgumentError(f"the message cannot be written as JSON: {why}") from None
    # Attributes may come out otherwise than they went in (a tuple as a list); a text may not.
    if msgspec.structs.replace(record, attributes=None) != msgspec.structs.replace(given, attributes=None):
        raise InvalidArgumentError("a text of the message is no text")
    return record


def _size(record: Record) -> int:
    texts = (record.body or "", *record.email_bodies.values(), *record.email_histories.values())
    return sum(map(len, texts)) + sum(file.size for file in record.files if file.path is None)
