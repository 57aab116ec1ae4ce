"""An upload's way from its bytes to its row, and a file's bytes on their way back (semantics 4.8).

The bytes come first, the row after them: a row without its bytes never is. Whatever fails, is given up or dies in
between leaves at most bytes without a row; they are removed at once, or found later by ``jobs.media``.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

import msgspec

from tertulia.server import observe
from tertulia.server.blobs.base import BlobError, BlobMissing, Blobs
from tertulia.server.blobs.scanner import Outcome, Scanner
from tertulia.server.domain.attachments import EMAIL_TYPES
from tertulia.server.domain.callers import Caller
from tertulia.server.domain.errors import (
    MEDIA_SIZE,
    MEDIA_TYPE,
    MEDIA_UNKNOWN,
    TOO_MANY_REQUESTS,
    UNAVAILABLE,
    too_many,
)
from tertulia.server.domain.media import (
    DeleteMedia,
    KeepMedia,
    Media,
    MediaCategory,
    check_category,
    check_filename,
    media_type,
)
from tertulia.server.domain.places import Places
from tertulia.server.settings import MediaSettings

from .engine import Engine
from .media_links import MediaLinks
from .media_queries import MediaQueries

log = logging.getLogger(__name__)

INLINE_PIECE: Final = 64 << 10
USERS_SHARE: Final = 4
"""One user has at most this part of his account's places for uploads, rounded up."""


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a file before its bytes come."""

    service: str
    category: str
    filename: str | None
    content_type: str

    def checked(self) -> Upload:
        """In normal form; else 20001, 50511."""
        check_category(self.category)
        check_filename(self.filename)
        content_type = media_type(self.content_type, self.category)
        if self.category != MediaCategory.MEDIA and content_type not in EMAIL_TYPES:
            raise MEDIA_TYPE(f"The {self.category} of an e-mail is {' or '.join(EMAIL_TYPES)}, not {content_type}")
        return msgspec.structs.replace(self, filename=self.filename or None, content_type=content_type)


class MediaStore:
    """The files of this installation, whose blobs are under ``folder``: others may have theirs beside them.

    ``blobs`` is None where a server keeps none: then there is nothing to be had.
    """

    def __init__(
        self,
        engine: Engine,
        queries: MediaQueries,
        links: MediaLinks,
        blobs: Blobs | None,
        scanner: Scanner | None,
        new_sid: Callable[[str], str],
        settings: MediaSettings,
        folder: str,
    ) -> None:
        self._engine = engine
        self.queries = queries
        self.links = links
        self._blobs = blobs
        self._scanner = scanner
        self._new_sid = new_sid
        self._settings = settings
        self._folder = folder
        self._places = Places()

    # --- coming

    @contextlib.asynccontextmanager
    async def admission(self, caller: Caller, service_sid: str, length: int | None) -> AsyncIterator[Admitted]:
        """A place for one upload of the caller's; ``length`` is what he says there will be, of all he sends.

        Nothing of it needs to have been read. Raises 20404, 50512 for more than may be, 20429 when too many of his
        account are under way.
        """
        usage, most = await self.queries.usage(caller, service_sid), self._settings.max_bytes
        if self._settings.service_quota_bytes:
            most = min(most, self._settings.service_quota_bytes - usage.size)
            if most <= 0:
                raise MEDIA_SIZE("The files of the service have as many bytes as are allowed")
        if length is not None and length > most:
            raise _too_large(most)
        at_once = self._settings.uploads_at_once
        with contextlib.ExitStack() as stack:
            if caller.is_identity:
                # One who only drips must not keep all others out.
                stack.enter_context(self._place(caller.key, -(-at_once // USERS_SHARE)))
            stack.enter_context(self._place(caller.account_sid, at_once))
            yield Admitted(self, caller, most)

    @contextlib.contextmanager
    def _place(self, whose: str, at_once: int) -> Iterator[None]:
        with self._places.one_for(whose, at_once) as is_free:
            if not is_free:
                observe.refused_by("uploads")
                raise too_many(TOO_MANY_REQUESTS)
            yield

    async def keep(self, caller: Caller, upload: Upload, content: AsyncIterator[bytes], most: int) -> Media:
        """Take the bytes, look at them, record the file. What ``content`` raises goes on, and nothing is left."""
        upload = upload.checked()
        blobs = self._store()
        sid = self._new_sid("ME")
        key = f"{self._folder}/{upload.service}/{sid}"
        measured = _Measured(content, most)
        try:
            await blobs.put(key, measured.pieces())
        except BlobError as trouble:
            raise _unavailable(trouble) from trouble
        try:
            is_bad = await self._is_bad(blobs, key)
            media = await self._engine.execute(
                caller,
                KeepMedia(
                    service=upload.service,
                    sid=sid,
                    category=upload.category,
                    filename=upload.filename,
                    content_type=upload.content_type,
                    size=measured.size,
                    sha256=measured.sha256(),
                    blob=key,
                    quarantined=is_bad,
                ),
            )
        except Exception:
            # Not after a cancellation: the row may be there, or on its way.
            await self._discard(blobs, key)
            raise
        observe.MEDIA_UPLOADED.count += 1
        observe.MEDIA_BYTES_UPLOADED.count += media.size
        if is_bad:
            raise MEDIA_TYPE("The scanner objects to this file")
        return media

    async def _is_bad(self, blobs: Blobs, key: str) -> bool:
        """Whether the file belongs into quarantine. Raises 20503 where it has to be scanned and cannot be."""
        if self._scanner is None:
            return False
        try:
            async with blobs.read(key) as content:
                verdict = await self._scanner.scan(content)
        except BlobError as trouble:
            raise _unavailable(trouble) from trouble
        if verdict.outcome is Outcome.UNAVAILABLE:
            log.warning("media.not_scanned", extra=observe.fields(key=key, why=verdict.detail))
            if self._scanner.refuses(verdict):
                raise UNAVAILABLE("The file cannot be scanned for the moment")
        if verdict.outcome is not Outcome.FOUND:
            return False
        log.warning("media.quarantined", extra=observe.fields(key=key, found=verdict.detail))
        return True

    async def _discard(self, blobs: Blobs, key: str) -> None:
        try:
            await blobs.remove(key)
        except BlobError as trouble:
            # Found again by those who look for bytes without a row.
            log.warning("media.bytes_left", extra=observe.fields(key=key, why=str(trouble)))

    # --- going

    async def delete(self, caller: Caller, service_sid: str, sid: str) -> None:
        await self._engine.execute(caller, DeleteMedia(service=service_sid, media=sid))

    @contextlib.asynccontextmanager
    async def content(self, media: Media, start: int, length: int) -> AsyncIterator[AsyncIterator[bytes]]:
        """That part of the file's bytes, in pieces. Raises 50507 when they are gone, 20503 when out of reach."""
        if media.inline is not None:
            yield _of_text(media.inline.encode()[start : start + length])
            return
        try:
            async with self._store().read(media.blob or "", start, length) as pieces:
                yield pieces
        except BlobMissing as missing:
            log.error("media.bytes_missing", extra=observe.fields(media=media.sid))
            raise MEDIA_UNKNOWN("The bytes of the media were not found") from missing
        except BlobError as trouble:
            raise _unavailable(trouble) from trouble

    def _store(self) -> Blobs:
        if self._blobs is None:
            raise UNAVAILABLE("This server keeps no files")
        return self._blobs


class Admitted(msgspec.Struct, frozen=True):
    """An upload that has its place."""

    store: MediaStore
    caller: Caller
    most: int
    """Bytes that it may have."""

    async def keep(self, upload: Upload, content: AsyncIterator[bytes]) -> Media:
        return await self.store.keep(self.caller, upload, content, self.most)


class _Measured:
    """Counts and hashes what passes; raises 50512 for too much, and for nothing at all."""

    def __init__(self, content: AsyncIterator[bytes], most: int) -> None:
        self._content = content
        self._most = most
        self._hash = hashlib.sha256()
        self.size = 0

    async def pieces(self) -> AsyncIterator[bytes]:
        async for piece in self._content:
            self.size += len(piece)
            if self.size > self._most:
                raise _too_large(self._most)
            self._hash.update(piece)
            yield piece
        if not self.size:
            raise MEDIA_SIZE("The file is empty")

    def sha256(self) -> str:
        return self._hash.hexdigest()


async def _of_text(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), INLINE_PIECE):
        yield data[start : start + INLINE_PIECE]


def _too_large(most: int) -> Exception:
    return MEDIA_SIZE(f"The file is too large: {most} bytes are allowed")


def _unavailable(trouble: BlobError) -> Exception:
    log.error("media.store_unavailable", extra=observe.fields(why=str(trouble)))
    return UNAVAILABLE("The store of files is unavailable for the moment")
