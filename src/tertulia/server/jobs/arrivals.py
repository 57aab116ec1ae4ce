"""Putting arrivals where they belong: their files are fetched, and they become messages (semantics 4.3, 4.8)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

import msgspec

from tertulia.server import observe
from tertulia.server.blobs.base import BlobMissing, BlobsUnavailable
from tertulia.server.blobs.base import Blobs as BlobStore
from tertulia.server.channels.base import Channel, NotNow, Refused
from tertulia.server.domain import callers
from tertulia.server.domain.address_configurations import label_of
from tertulia.server.domain.arrivals import (
    Arrival,
    ArrivalContent,
    ArrivedFile,
    DropArrival,
    JoinParts,
    OpenForStranger,
    TakeIn,
    TakeMessage,
    WaitForParts,
    Written,
)
from tertulia.server.domain.arriving import UNFETCHABLE, bounds_of, measured, noted_attributes
from tertulia.server.domain.channels import IncomingMedia
from tertulia.server.domain.errors import (
    BINDING_TAKEN,
    CONVERSATION_CLOSED,
    CONVERSATION_NOT_FOUND,
    GROUP_EXISTS,
    HOOK_REJECTED,
    MEDIA_UNKNOWN,
    PARTICIPANT_NOT_FOUND,
    RESOURCE_NOT_FOUND,
    STILL_INITIALIZING,
    TertuliaError,
)
from tertulia.server.domain.jobs import Attempt, Job
from tertulia.server.domain.media import MediaCategory
from tertulia.server.engine.engine import Engine
from tertulia.server.engine.inbound_queries import InboundQueries, NewPlace
from tertulia.server.engine.media_store import MediaStore, Upload
from tertulia.server.storage.places import Place

from .executing import UNTIL_DONE, execute
from .performing import Performer, Settled, TryAgain
from .retry import RetryPolicy

log = logging.getLogger(__name__)

PATIENT: Final = RetryPolicy(attempts=1000, first_wait_s=1.0, last_wait_s=60.0)
"""For most of a day; then the job is dead, and can be tried again by hand as long as its arrival is known."""
SUSPENDED_S: Final = 900.0
"""How often it is looked whether an account is served again: until then it gets nothing, and loses nothing."""
FETCH_ATTEMPTS: Final = 10
"""After so many, some five minutes, a message goes on without the files that cannot be had."""
FETCH_S: Final = 30.0
"""What all files of one attempt may take together."""

ELSEWHERE: Final = frozenset(
    row.code
    for row in (
        BINDING_TAKEN,
        CONVERSATION_CLOSED,
        CONVERSATION_NOT_FOUND,
        GROUP_EXISTS,
        PARTICIPANT_NOT_FOUND,
        RESOURCE_NOT_FOUND,
        STILL_INITIALIZING,
        MEDIA_UNKNOWN,
    )
)
"""Its place is another one than a moment ago: it is looked for again."""

SUSPENDED: Final = "its account is suspended"
NOWHERE: Final = "no conversation has its sender, and its address makes none for strangers"
ECHO: Final = "another number of ours wrote it to the group"
REJECTED: Final = "the receiver of the pre-action hook said no"


class OpenChannels(Protocol):
    """Where channels are used."""

    def use(self, gateway_sid: str, /) -> AbstractAsyncContextManager[Channel]:
        """Raises ``Refused`` and ``NotNow`` where it cannot be used."""
        ...


class TakeInPerformer:
    """Takes one arrival in. What it has fetched and could not use is removed as any upload that nobody attaches.

    ``extended_source``: webhooks are told the kind of the channel, as ``SMS`` (semantics 1.3).
    """

    def __init__(
        self,
        engine: Engine,
        queries: InboundQueries,
        channels: OpenChannels,
        store: MediaStore,
        blobs: BlobStore | None,
        *,
        extended_source: bool = False,
        fetch_attempts: int = FETCH_ATTEMPTS,
        fetch_s: float = FETCH_S,
    ) -> None:
        self._engine = engine
        self._queries = queries
        self._channels = channels
        self._store = store
        self._blobs = blobs
        self._extended_source = extended_source
        self._fetch_attempts = fetch_attempts
        self._fetch_s = fetch_s

    def policy(self, _job: TakeIn, /) -> RetryPolicy:
        return PATIENT

    async def __call__(self, job: TakeIn, attempt: Attempt, /) -> Settled | None:
        reading = await self._queries.waiting(job.arrival_sid)
        if reading is None or reading.arrival.content is None:
            return None
        if reading.is_suspended:
            raise TryAgain(SUSPENDED, SUSPENDED_S, is_expected=True)
        arrival, content = reading.arrival, reading.arrival.content
        if reading.place is None:
            return await self._drop(arrival, NOWHERE, attempt)
        if isinstance(reading.place, Place) and reading.place.is_echo:
            return await self._drop(arrival, ECHO, attempt)
        media_sids, lost = await self._fetched(arrival, content, reading.place.service_sid, attempt)
        command = _command(arrival, content, reading.place, media_sids, noted_attributes(content, lost))
        source = arrival.kind.upper() if self._extended_source else None
        caller = callers.channel(arrival.account_sid, arrival.sender, source=source)
        try:
            await self._engine.execute(caller, command, settling=attempt)
        except TertuliaError as refusal:
            if refusal.retryable or refusal.status >= 500 or refusal.code in ELSEWHERE:
                raise TryAgain(f"refused with {refusal.code}") from refusal
            why = REJECTED if refusal.code == HOOK_REJECTED.code else f"refused with {refusal.code}"
            return await self._drop(arrival, why, attempt)
        observe.ARRIVALS.labels(label_of(arrival.kind), "taken").inc()
        return Settled.IN_COMMAND

    async def _drop(self, arrival: Arrival, why: str, attempt: Attempt) -> Settled:
        settled = await execute(
            self._engine, callers.system(arrival.account_sid), DropArrival(arrival=arrival.sid, why=why), attempt
        )
        observe.ARRIVALS.labels(label_of(arrival.kind), "dropped").inc()
        log.info("channel.dropped", extra=observe.fields(gateway=arrival.gateway_sid, arrival=arrival.sid, why=why))
        return settled

    # --- files

    async def _fetched(
        self, arrival: Arrival, content: ArrivalContent, service_sid: str, attempt: Attempt
    ) -> tuple[tuple[str, ...], list[ArrivedFile]]:
        """The SIDs of its files, kept in the service, and those that are lost, with why."""
        kept: list[str] = []
        lost: list[ArrivedFile] = []
        left = bounds_of(arrival.kind).together
        is_last = attempt.of_step >= self._fetch_attempts
        # An adapter that breaks over a file must not keep back the words for good.
        is_hopeless = attempt.of_step > 2 * self._fetch_attempts
        until = asyncio.get_running_loop().time() + self._fetch_s
        for file in measured(content.files, arrival.kind):
            code = file.error_code or (UNFETCHABLE if is_hopeless else 0)
            if not code:
                try:
                    async with asyncio.timeout_at(until):
                        sid, size = await self._keep(arrival, file, service_sid, left)
                except _Lost as loss:
                    code = loss.code
                except (NotNow, BlobsUnavailable, TimeoutError) as trouble:
                    if not is_last:
                        after_s = trouble.after_s if isinstance(trouble, NotNow) else None
                        raise TryAgain("a file cannot be had for the moment", after_s) from trouble
                    code = UNFETCHABLE
                else:
                    kept.append(sid)
                    left -= size
                    continue
            log.warning(
                "channel.file_lost",
                extra=observe.fields(gateway=arrival.gateway_sid, arrival=arrival.sid, code=code),
            )
            lost.append(msgspec.structs.replace(file, error_code=code))
        return tuple(kept), lost

    async def _keep(self, arrival: Arrival, file: ArrivedFile, service_sid: str, left: int) -> tuple[str, int]:
        """One file's SID and size. Raises ``_Lost``; ``NotNow`` and the like where another attempt may have it."""
        upload = Upload(
            service=service_sid, category=file.category, filename=file.filename, content_type=file.content_type
        )
        caller = callers.system(arrival.account_sid)
        most = min(left, bounds_of(arrival.kind).each)
        try:
            async with (
                self._content(arrival, file) as pieces,
                self._store.admission(caller, service_sid, None) as admitted,
            ):
                media = await self._store.keep(caller, upload, pieces, min(most, admitted.most))
        except Refused as refusal:
            raise _Lost(refusal.code) from refusal
        except BlobMissing as missing:
            raise _Lost(UNFETCHABLE) from missing
        except TertuliaError as refusal:
            if refusal.retryable or refusal.status >= 500:
                raise NotNow("the file cannot be kept for the moment") from refusal
            if refusal.code == RESOURCE_NOT_FOUND.code:
                raise TryAgain("its service is gone") from refusal
            raise _Lost(refusal.code) from refusal
        return media.sid, media.size

    @contextlib.asynccontextmanager
    async def _content(self, arrival: Arrival, file: ArrivedFile) -> AsyncIterator[AsyncIterator[bytes]]:
        """Its bytes, from where they wait, or from the provider."""
        if file.blob is not None:
            if self._blobs is None:
                raise _Lost(UNFETCHABLE)
            async with self._blobs.read(file.blob) as pieces:
                yield pieces
            return
        async with self._channels.use(arrival.gateway_sid) as channel:
            fetched = channel.fetch(
                IncomingMedia(
                    content_type=file.content_type,
                    filename=file.filename,
                    reference=file.reference,
                    size=file.size,
                    category=MediaCategory(file.category),
                )
            )
            try:
                yield fetched
            finally:
                close = getattr(fetched, "aclose", None)
                if close is not None:
                    await close()  # what is too long is not read to its end


class PartsPerformer:
    """Ends the waiting for parts of a message that have not come."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def policy(self, _job: WaitForParts, /) -> RetryPolicy:
        return UNTIL_DONE

    async def __call__(self, job: WaitForParts, attempt: Attempt, /) -> Settled:
        command = JoinParts(gateway=job.gateway_sid, parts=job.parts, heeded=job.heeded)
        return await execute(self._engine, callers.system(job.account_sid), command, attempt)


class _Lost(Exception):
    """A file that no attempt will bring."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


def _command(
    arrival: Arrival,
    content: ArrivalContent,
    place: Place | NewPlace,
    media_sids: tuple[str, ...],
    attributes: str,
) -> Written:
    if isinstance(place, NewPlace):
        return OpenForStranger(
            service=place.service_sid,
            arrival=arrival.sid,
            body=content.text,
            subject=content.subject,
            attributes=attributes,
            media_sids=media_sids,
        )
    return TakeMessage(
        service=place.service_sid,
        conversation=place.conversation_sid,
        arrival=arrival.sid,
        body=content.text,
        subject=content.subject,
        attributes=attributes,
        media_sids=media_sids,
    )


def arrival_performers(
    engine: Engine,
    queries: InboundQueries,
    channels: OpenChannels,
    store: MediaStore,
    blobs: BlobStore | None,
    **settings: Any,
) -> dict[type[Job], Performer[Any]]:
    """By the kind of the job; the settings are those of ``TakeInPerformer``."""
    return {
        TakeIn: TakeInPerformer(engine, queries, channels, store, blobs, **settings),
        WaitForParts: PartsPerformer(engine),
    }
